"""An amount with more decimals than the venue takes: denied by name in the gateway, never sent, and counted in no reject rate."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.rig import SYMBOL, Rig, rig

TRIES = 12
"""More than the rejects that halt a deployment."""


async def spend(one: Rig, amount: str, number: int) -> httpx.Response:
    """A market buy by amount."""
    order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quoteOrderQty": amount, "newClientOrderId": f"spend-{number}"}
    return await one.bot("POST", "/api/v3/order", **order)


async def test_amounts_with_nine_decimals_are_denied_and_never_rejected(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as one:
        await one.start()
        await one.climb("TESTNET_VALIDATING")
        for number in range(TRIES):
            answer = await spend(one, "5.123456789", number)
            assert (answer.status_code, answer.json()["code"]) == (400, 30002), answer.text
            assert answer.json()["msg"].startswith("gatehouse: quantity: amount 5.123456789 is not a multiple of")
        counters = (await one.status())["counters"]
        assert (counters["denied"], counters["rejected"], counters["orders"]) == (TRIES, 0, 0)
        assert not one.testnet.venue.engine.orders("testnet", SYMBOL)
        assert (await spend(one, "5.12", TRIES)).status_code == 200
        status = await one.status()
        assert (status["stage"], status["counters"]["rejected"]) == ("TESTNET_VALIDATING", 0)
