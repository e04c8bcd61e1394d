"""A run that starts over says why and what was lost, in the state and in the journal, until the next step up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.state import LostRun
from controller.runtime.api.summaries import summary
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import Desk

SPAN = 5_000


@pytest.fixture
def desk() -> Desk:
    """A run on the testnet with some seconds of covered time."""
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    for _ in range(5):
        desk.pass_time(1_000)
        desk.tick()
    return desk


def covered(desk: Desk) -> int:
    assert desk.state.tally is not None
    return desk.state.tally.covered_ms


def lost(desk: Desk) -> LostRun:
    assert desk.state.lost_run is not None
    return desk.state.lost_run


def _release(desk: Desk) -> None:
    desk.release = replace(desk.release, version="2", digest="sha256:" + "e" * 64)


def _version(desk: Desk) -> None:
    desk.version = "9.9.9"


@pytest.mark.parametrize(("change", "why"), [(_version, "gatehouse changed from"), (_release, "the release")])
def test_a_start_with_a_change_says_what_was_lost_and_why(desk: Desk, change: Callable[[Desk], None], why: str) -> None:
    before = covered(desk)
    assert before >= SPAN - 1_000
    change(desk)
    desk.boot()
    assert (lost(desk).covered_ms, str(lost(desk).position)) == (before, "TESTNET_VALIDATING")
    assert lost(desk).why.startswith(why)


def test_the_journal_says_what_a_move_down_costs(desk: Desk) -> None:
    before = covered(desk)
    _version(desk)
    (moved,) = (event for event in desk.boot().events if isinstance(event, e.StageChanged))
    assert moved.lost_ms == before
    assert summary(moved).endswith("s of covered time no longer count")


def test_a_start_without_a_change_goes_on_with_the_run(desk: Desk) -> None:
    before = covered(desk)
    desk.boot()
    assert (covered(desk), desk.state.lost_run) == (before, None)


def test_a_step_up_loses_nothing() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    moves = [event for event, _ in desk.journal if isinstance(event, e.StageChanged)]
    assert desk.state.lost_run is None
    assert {event.lost_ms for event in moves} == {0}


def test_a_halt_says_what_it_costs(desk: Desk) -> None:
    before = covered(desk)
    desk.give(i.HaltAsked(by="a test", reason="the bot misbehaves"))
    assert lost(desk).covered_ms == before
    assert "HALTED" in lost(desk).why


def test_the_next_step_up_forgets_the_lost_run(desk: Desk) -> None:
    _version(desk)
    desk.boot()
    assert desk.state.lost_run is not None
    desk.arm().walk_to(Stage.TESTNET_VALIDATING)
    assert desk.state.lost_run is None
