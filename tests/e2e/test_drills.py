"""Each drill in a running deployment: its fault is real, the journal shows what followed, and trading goes on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from controller.core.decisions.drills import subject_of
from exchange.orders import WORKING
from policies.drills import DrillKind
from tests.e2e.test_watchdog import watched
from tests.support.rig import SYMBOL, Rig, rig


def resting(deployment: Rig) -> int:
    """How many open orders the testnet itself holds."""
    orders = deployment.testnet.venue.engine.orders("testnet", SYMBOL)
    return sum(1 for view in orders if view.report.status in WORKING)


@asynccontextmanager
async def validating(directory: Path) -> AsyncIterator[Rig]:
    async with rig(directory) as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.takes_orders()
        yield deployment


async def begin(deployment: Rig, kind: DrillKind) -> None:
    answer = await deployment.command("drill", "alice", subject=subject_of(kind))
    assert answer.status_code == 200, answer.text


async def ended(deployment: Rig, kind: DrillKind, *, within: float = 60) -> dict[str, Any]:
    """Wait until the drill has ended and the controller is armed again."""

    def over(status: dict[str, Any]) -> bool:
        last = status["oversight"]["last_drill"]
        return bool(last) and last["drill"] == kind and status["oversight"]["drill"] is None and status["armed"]

    status = await deployment.until(over, within=within)
    assert (status["stage"], status["halt_reason"]) == ("TESTNET_VALIDATING", "")
    return dict(status["oversight"]["last_drill"])


async def passed(deployment: Rig, kind: DrillKind, *, within: float = 60) -> dict[str, int]:
    """The figures of a drill that ran to its end."""
    last = await ended(deployment, kind, within=within)
    assert (last["ended_by"], last["exercised"]) == ("", True)
    (entry,) = await deployment.entries("drill-finished")
    assert (entry["body"]["drill"], entry["body"]["measured"]) == (kind, last["measured"])
    return dict(last["measured"])


async def trades_again(deployment: Rig) -> None:
    await deployment.takes_orders()
    answer = await deployment.buy(await deployment.resting_price(), "0.00003", "afterwards")
    assert answer.status_code == 200, answer.text


async def test_kill_cancels_by_the_thread_before_the_writer_latches(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        for number in range(2):
            assert (await deployment.buy(await deployment.resting_price(), "0.00003", f"rests-{number}")).status_code == 200
        await begin(deployment, DrillKind.KILL)
        measured = await passed(deployment, DrillKind.KILL)
        (latched,) = await deployment.entries("drill-latched")
        assert 0 < measured["suspended_us"] == latched["body"]["suspended_us"]
        (entry,) = await deployment.entries("drill-finished")
        assert (entry["body"]["cancelled"], entry["body"]["verified_empty"], resting(deployment)) == (2, True, 0)
        assert measured["suspended_us"] <= entry["body"]["breach_to_latch_us"]
        await trades_again(deployment)


async def test_stale_data_refuses_orders_until_it_is_fresh_again(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        await begin(deployment, DrillKind.STALE)
        measured = await passed(deployment, DrillKind.STALE)
        assert measured["limit_ms"] < measured["last_data_to_denial_ms"] < measured["limit_ms"] + 10_000
        levels = [entry["body"]["guard"] for entry in await deployment.entries("guard-level-changed")]
        assert levels[-2:] == ["quote-stale", ""]
        await trades_again(deployment)


async def test_a_wrong_clock_refuses_orders_until_it_is_right_again(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        await begin(deployment, DrillKind.CLOCK)
        measured = await passed(deployment, DrillKind.CLOCK)
        assert measured["offset_ms"] > measured["limit_ms"]
        assert [entry["body"]["guard"] for entry in await deployment.entries("guard-level-changed")][-2:] == ["clock-offset", ""]
        await trades_again(deployment)


async def test_a_blocked_loop_is_stopped_by_its_thread_and_goes_on(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        await begin(deployment, DrillKind.HANG)
        measured = await passed(deployment, DrillKind.HANG)
        assert measured["suspended_ms"] < measured["blocked_ms"] < 5_000
        assert measured["suspended_ms"] > measured["limit_ms"] - 500
        await trades_again(deployment)


async def test_a_silent_controller_is_cancelled_and_the_log_absorbed(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.until(
            lambda status: status["armed"] and not status["guard_level"] and status["watchdog"]["venues"] == ["testnet"]
        )
        assert (await deployment.buy(await deployment.resting_price(), "0.00003", "rests")).status_code == 200
        await begin(deployment, DrillKind.WATCHDOG)
        measured = await passed(deployment, DrillKind.WATCHDOG)
        assert (measured["lease_ms"], measured["open_before"], measured["open_left"]) == (4_000, 1, 0)
        assert measured["silent_to_fired_ms"] >= 2_500
        assert [entry["body"]["fired"] for entry in await deployment.entries("watchdog-log-absorbed")].count(True) == 1
        assert resting(deployment) == 0
        await deployment.until(lambda status: status["watchdog"]["problem"] == "")
        await trades_again(deployment)


async def test_no_watchdog_fails_its_drill_and_halts_nothing(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        await begin(deployment, DrillKind.WATCHDOG)
        last = await ended(deployment, DrillKind.WATCHDOG)
        assert (last["exercised"], "no watchdog" in last["ended_by"], last["measured"]) == (False, True, {})


async def test_a_killed_controller_reconciles_and_ends_its_drill(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        assert (await deployment.buy(await deployment.resting_price(), "0.00003", "rests")).status_code == 200
        await begin(deployment, DrillKind.CRASH)
        assert await deployment.exit_code() == -9
        await deployment.start()
        measured = await passed(deployment, DrillKind.CRASH)
        assert 0 < measured["down_ms"] < measured["recovered_ms"]
        assert (measured["open_orders"], resting(deployment)) == (1, 1)
        await trades_again(deployment)


async def test_a_full_disk_stops_orders_until_the_reserve_is_back(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        await begin(deployment, DrillKind.DISK)
        async with deployment.bot_trading():
            measured = await passed(deployment, DrillKind.DISK, within=90)
        assert measured["refused_for_ms"] >= 1_000
        assert (deployment.directory / "var" / "reserve").stat().st_size == 64 * 1024 * 1024
        await trades_again(deployment)


async def test_a_limited_rate_holds_queries_back_and_lets_a_cancel_leave(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        await begin(deployment, DrillKind.RATELIMIT)
        measured = await passed(deployment, DrillKind.RATELIMIT)
        assert measured["cancel_answered_ms"] < measured["answered_again_ms"]
        assert measured["answered_again_ms"] >= measured["retry_after_ms"] - 500
        await trades_again(deployment)


async def test_a_lost_answer_is_found_and_the_order_was_sent_once(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        await begin(deployment, DrillKind.AMBIGUOUS)
        await deployment.until(lambda status: status["oversight"]["drill"] is not None)
        await asyncio.sleep(0.5)
        answer = await deployment.buy(await deployment.resting_price(), "0.00003", "lost")
        assert answer.status_code == 504, answer.text
        measured = await passed(deployment, DrillKind.AMBIGUOUS, within=90)
        assert measured["received"] == 1
        (unknown,) = await deployment.entries("order-unknown")
        assert deployment.testnet.received("testnet", unknown["body"]["client_id"]) == 1
        await trades_again(deployment)


async def test_a_halt_during_a_drill_is_a_real_halt_and_undoes_the_fault(tmp_path: Path) -> None:
    async with validating(tmp_path / "deployment") as deployment:
        await begin(deployment, DrillKind.STALE)
        answer = await deployment.ask("POST", "/v1/halt", json={"reason": "stop"})
        assert answer.status_code == 200, answer.text
        status = await deployment.until(lambda status: status["stage"] == "HALTED")
        assert status["oversight"]["last_drill"]["ended_by"]
        await deployment.until(lambda status: status["quote"] is not None and status["quote"]["age_ms"] < 1_000)
