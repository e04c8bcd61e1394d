"""At LIVE_€10: never above the cap, and a breach halts the deployment with every order verified gone at the venue."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.testnet.conditions.faults import FaultKind
from tests.support.rig import SYMBOL, Rig, rig


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb("LIVE_€10")
        yield built


async def _open_at_the_venue(deployment: Rig) -> int:
    return len(deployment.live.venue.engine.open_orders("live"))


async def test_the_cap_of_ten_euros_holds_for_any_orders(deployment: Rig) -> None:
    price = await deployment.resting_price()
    answers = [await deployment.buy(price, "0.00006", f"greedy-{number}") for number in range(5)]
    taken = [answer for answer in answers if answer.status_code == 200]
    denied = [answer.json() for answer in answers if answer.status_code == 400]
    assert 0 < len(taken) < 5
    assert all("exposure" in body["msg"] and "10 EUR" in body["msg"] for body in denied)
    reserved = sum(order.report.price * order.report.quantity for order in deployment.live.venue.engine.open_orders("live"))
    assert reserved / Decimal("1.09") <= 10


async def test_a_price_gap_halts_cancels_and_verifies(deployment: Rig) -> None:
    market = await deployment.bid()
    bought = await deployment.buy(f"{market * Decimal('1.002'):.2f}", "0.00008", "position")
    assert bought.status_code == 200, bought.text
    await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
    await deployment.until(lambda status: Decimal(status["exposure_eur"] or 0) > 4)
    assert await _open_at_the_venue(deployment) == 1
    deployment.live.arm(FaultKind.PRICE_GAP, params={"symbol": SYMBOL, "factor": "0.88"})
    halted = await deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"] is not None)
    assert halted["halted_from"] == "LIVE_€10"
    assert halted["halt"]["verified_empty"]
    assert halted["halt"]["breach_to_latch_us"] >= 0
    assert halted["halt"]["latch_to_cancelled_us"] > 0
    assert await _open_at_the_venue(deployment) == 0
    (breach,) = await deployment.entries("breach-detected")
    assert breach["body"]["guard"] in {"daily-loss", "drawdown"}


async def test_a_silent_stream_with_a_position_stops_entries_and_then_halts(deployment: Rig) -> None:
    bought = await deployment.buy(f"{await deployment.bid() * Decimal('1.002'):.2f}", "0.00008", "position")
    assert bought.status_code == 200, bought.text
    await deployment.until(lambda status: Decimal(status["exposure_eur"] or 0) > 4)
    deployment.live.arm(FaultKind.STREAM_FREEZE, count=None, params={"ms": 60_000})
    deployment.live.venue.pause()
    stopped = await deployment.until(
        lambda status: status["guard_level"] in {"NO_ENTRY", "CANCEL_ALL"} or status["stage"] == "HALTED"
    )
    assert stopped["guard_level"] or stopped["stage"] == "HALTED"
    halted = await deployment.until(lambda status: status["stage"] == "HALTED", within=60)
    assert halted["halted_from"] == "LIVE_€10"
