"""A wall clock that is set back: the deployment halts, journal time does not go back, and the halt stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.counting import Counted
from tests.support.rig import SYMBOL, Rig, rig

SHIFTED = (str(Path(__file__).parents[1] / "support" / "shifted_clock.py"),)
STAGE = "TESTNET_VALIDATING"
HOUR = 3_600_000


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment", script=SHIFTED) as built:
        await built.start()
        await built.climb(STAGE)
        yield built


def set_back(deployment: Rig, ms: int) -> None:
    pending = deployment.directory / "shift.new"
    pending.write_text(str(-ms))
    pending.rename(deployment.directory / "shift")


async def require_halted(deployment: Rig, *classes: str) -> None:
    halted = await deployment.until(lambda status: status["stage"] == "HALTED")
    assert halted["halted_from"] == STAGE
    assert halted["halt_class"] in classes, halted["halt_reason"]
    before = len(deployment.testnet.venue.engine.orders("testnet", SYMBOL))
    with suppress(httpx.TransportError):
        assert (await deployment.buy("50000", "0.00003", "after")).status_code >= 400
    assert len(deployment.testnet.venue.engine.orders("testnet", SYMBOL)) == before
    assert not deployment.testnet.venue.engine.open_orders("testnet")
    instants = [entry["at_ms"] for entry in await deployment.entries()]
    assert instants == sorted(instants)


async def test_a_clock_set_back_while_it_runs_halts_and_cancels(deployment: Rig, counted: Counted) -> None:
    placed = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
    assert placed.status_code == 200
    set_back(deployment, HOUR)
    # Either guard may trip first: the clock offset to the venue, or market data that now looks an hour old.
    await require_halted(deployment, "clock", "breach")
    counted("faults", kind="a clock set back while it runs")


async def test_a_clock_set_back_across_a_restart_halts(deployment: Rig, counted: Counted) -> None:
    await deployment.stop()
    set_back(deployment, HOUR)
    await deployment.start()
    await require_halted(deployment, "clock")
    counted("faults", kind="a clock set back across a restart")


async def test_a_wrong_clock_does_not_end_a_halt(deployment: Rig, counted: Counted) -> None:
    assert (await deployment.ask("POST", "/v1/halt", json={"reason": "test"})).status_code == 200
    for shift in (HOUR, -HOUR):
        await deployment.stop()
        set_back(deployment, shift)
        await deployment.start()
        assert (await deployment.until(bool))["stage"] == "HALTED"
        assert (await deployment.buy("50000", "0.00003", f"after{shift}")).status_code >= 400
    assert deployment.testnet.venue.engine.orders("testnet", SYMBOL) == []
    counted("faults", kind="a halt and two wrong clocks")
