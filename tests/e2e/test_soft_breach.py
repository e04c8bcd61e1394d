"""A running controller gets no live market data for a while: it demotes by one step and does not go up again by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rig import Rig, quick_policy, rig

BEFORE = "quote_stale = { no_entry_ms = 2_000, cancel_ms = 5_000, halt_ms = 15_000 }"
PATIENT = "quote_stale = { no_entry_ms = 1_500, cancel_ms = 3_000, halt_ms = 120_000 }"
LONG_BLIND_DEADLINE = "blind_deadline_ms = 60_000"


def patient_policy() -> str:
    """The policy with quotes that are stale after three seconds and halt only long after this test."""
    text = quick_policy()
    assert BEFORE in text
    return text.replace(BEFORE, PATIENT).replace("blind_deadline_ms = 15_000", LONG_BLIND_DEADLINE)


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment", policy=patient_policy()) as built:
        await built.start()
        await built.climb("RAMPING")
        yield built


async def test_a_soft_breach_demotes_one_step_and_a_restart_adds_none(deployment: Rig) -> None:
    placed = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
    assert placed.status_code == 200, placed.text
    await deployment.until(lambda _: bool(deployment.live.venue.engine.open_orders("live")))
    deployment.live.venue.pause()
    await deployment.until(lambda status: status["stage"] == "LIVE_€10")
    await deployment.until(lambda status: status["guard_level"] == "CANCEL_ALL")
    await deployment.until(lambda _: not deployment.live.venue.engine.open_orders("live"))
    await deployment.kill()
    await deployment.start()
    status = await deployment.until(lambda status: status["armed"] and status["guard_level"] == "CANCEL_ALL")
    assert status["stage"] == "LIVE_€10"
    deployment.live.venue.resume()
    async with deployment.bot_looking():
        clear = await deployment.until(lambda status: not status["guard_level"] and status["coverage"]["covered_ms"] > 3_000)
    assert (clear["stage"], clear["pending_demotion"]) == ("LIVE_€10", "")
    (breach,) = await deployment.entries("breach-detected")
    assert (breach["body"]["guard"], breach["body"]["level"]) == ("quote-stale", "CANCEL_ALL")
    (down,) = [entry["body"] for entry in await deployment.entries("stage-changed") if entry["body"]["cause"] == "soft-breach"]
    assert (down["from_stage"], down["from_step"], down["stage"]) == ("RAMPING", 1, "LIVE_€10")
