"""A deployment whose EUR rate follows a file: it renews itself while the controller runs, and outside the band a person signs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from controller.core.decisions.rates import rate_document
from tests.support.ecb import file_of, rate_server
from tests.support.rig import quick_policy, rig

FOLLOW = "\n\n[eur_rate.follow]\nband_percent = 5\necb_max_age_ms = 518_400_000\n"


def following() -> str:
    text = quick_policy()
    begin, end = text.index("valid_until = "), text.index("\n", text.index("valid_until = "))
    return text[:begin].rstrip("\n") + FOLLOW + text[end:]


@pytest.mark.asyncio
async def test_a_rate_outside_the_band_denies_until_it_is_signed(tmp_path: Path) -> None:
    today = datetime.now(UTC).date().isoformat()
    async with rate_server() as served:
        served.body = file_of(rate="1.2001", day=today)
        async with rig(tmp_path, policy=following(), environment={"GATEHOUSE_RATES__ECB": served.address}) as deployment:
            await deployment.start()
            await deployment.takes_orders()
            status = await deployment.until(lambda now: "outside the signed band" in now["eur_rate"])
            price = await deployment.resting_price()
            denied = await deployment.buy(price, "0.00005", "first")
            assert denied.status_code == 400, denied.text
            assert "eur-rate-band" in denied.json()["msg"]
            signed = await deployment.command("set-rate", "alice", "bob", subject=rate_document(Decimal("1.2")))
            assert signed.status_code == 200, signed.text
            after = await deployment.until(lambda now: now["eur_rate"].startswith("1.176098 USDT per EUR, from ecb"))
            assert after["policy"] == status["policy"]
            await deployment.takes_orders()
            admitted = await deployment.buy(await deployment.resting_price(), "0.00005", "second")
            assert admitted.status_code == 200, admitted.text
            read = await deployment.entries("eur-rate-read")
            assert [entry["body"]["low"] for entry in read] == ["1.2001"]
