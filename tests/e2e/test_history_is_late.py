"""The owner's deposit and withdrawal at LIVE_€10, listed by the venue some seconds after the balance changed: no halt."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.model import Millis
from exchange.wire.wallet import Transfer
from tests.support.rig import Rig, quick_policy, rig

POLICY = quick_policy().replace("max_age_ms = 15_000 }", "max_age_ms = 120_000 }")
"""A wait for the history that no load of a machine outlasts."""


async def moves(deployment: Rig, amount: Decimal, number: int) -> None:
    """Change the balance, look what the deployment does without the history, then list it."""
    venue = deployment.live.venue
    at = venue.clock.now()
    if amount > 0:
        venue.engine.open_account("live", {"USDT": amount}, at)
    else:
        venue.engine.withdraw("live", "USDT", -amount, at)
    await refused_for_it(deployment, number)
    venue.transfers.append(Transfer(f"{number:032x}", "live", "USDT", abs(amount), Millis(at), deposit=amount > 0))
    await deployment.until(lambda status: booked(status) == number)
    await deployment.takes_orders()


async def refused_for_it(deployment: Rig, number_of_moves: int) -> None:
    """Buy until one is denied because the account differs, then wait for a second reading that does, which used to halt."""
    for number in range(2_000):
        answer = await deployment.buy(await deployment.resting_price(), "0.00003", f"buys-{number}")
        if answer.status_code == 400 and "reconcil" in answer.text:
            break
        await deployment.bot("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    else:
        raise AssertionError("no buy was denied")
    for _ in range(600):
        if sum(differing(entry) for entry in await deployment.entries("reconciled")) >= 2 * number_of_moves:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the difference was read once only")


def differing(entry: dict[str, Any]) -> int:
    """How many readings of the live account in this entry differed from our books."""
    body = entry["body"]
    return int(body.get("count", 1)) if body["venue"] == "live" and body["gaps"] else 0


def booked(status: dict[str, Any]) -> int:
    return sum(one["times"] for one in status["oversight"]["alerts"] if one["title"] == "money came to or left live")


async def test_a_late_history_denies_buys_and_halts_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", policy=POLICY) as deployment:
        await deployment.start()
        await deployment.climb("LIVE_€10")
        await deployment.takes_orders()
        await moves(deployment, Decimal(20), 1)
        await moves(deployment, Decimal(-30), 2)
        assert (await deployment.status())["stage"] == "LIVE_€10"
        assert not await deployment.entries("breach-detected")
