"""The watching thread suspends permits while the writer is late, and ends a process whose writer is stuck."""

from __future__ import annotations

import pytest

from controller.runtime.loop.liveness import HALT_TAKEN_WITHIN_NS, STARVED_AFTER_NS, STUCK_AFTER_NS, SUSPEND_AFTER_NS, Liveness
from controller.runtime.loop.permit import PermitOffice
from exchange.model import Millis
from tests.support.stopped_clock import StoppedClock

POLL_MS = 100
START = Millis(1_800_000_000_000)


class Watched:
    """A liveness thread that is polled by hand, and the instants that it watches."""

    def __init__(self) -> None:
        self.clock = StoppedClock(START)
        self.permits = PermitOffice(self.clock, epoch=1)
        self.turned_ns = self.decided_ns = self.clock.monotonic_ns()
        self.stuck: list[str] = []
        self.waited_ns = 0
        self.liveness = Liveness(
            clock=self.clock,
            permits=self.permits,
            loop_turn=lambda: self.turned_ns,
            last_decision=lambda: self.decided_ns,
            on_signal=lambda: None,
            on_stuck=self.stuck.append,
            waited=lambda: self.waited_ns,
        )
        self.liveness.poll()

    def pass_time(self, ns: int, *, turns: bool, decides: bool, every_ms: int = POLL_MS, waits: float = 0) -> None:
        """Let time pass, with a poll every ``every_ms``. ``waits``: the part in which the loop's thread waits for a processor."""
        for _ in range(ns // (every_ms * 1_000_000)):
            self.waited_ns += int(waits * every_ms * 1_000_000)
            self.clock.at = Millis(self.clock.at + every_ms)
            now = self.clock.monotonic_ns()
            self.turned_ns, self.decided_ns = now if turns else self.turned_ns, now if decides else self.decided_ns
            self.liveness.poll()


@pytest.fixture
def watched() -> Watched:
    return Watched()


def honoured(watched: Watched) -> bool:
    watched.permits.renew()
    return watched.permits.current().is_live()


def test_permits_count_while_the_loop_turns_and_the_writer_decides(watched: Watched) -> None:
    watched.pass_time(3 * STUCK_AFTER_NS, turns=True, decides=True)
    assert honoured(watched)
    assert watched.stuck == []


@pytest.mark.parametrize(("turns", "decides"), [(False, True), (True, False), (False, False)])
def test_no_permit_counts_while_one_of_them_is_late(watched: Watched, turns: bool, decides: bool) -> None:
    watched.pass_time(SUSPEND_AFTER_NS, turns=turns, decides=decides)
    assert not honoured(watched)
    assert watched.stuck == []


def test_permits_count_again_once_there_is_progress(watched: Watched) -> None:
    watched.pass_time(SUSPEND_AFTER_NS, turns=False, decides=False)
    watched.pass_time(POLL_MS * 1_000_000, turns=True, decides=True)
    assert honoured(watched)


@pytest.mark.parametrize(("turns", "decides", "who"), [(False, True, "the event loop"), (True, False, "the writer")])
def test_no_progress_for_too_long_is_stuck_once(watched: Watched, turns: bool, decides: bool, who: str) -> None:
    watched.pass_time(2 * STUCK_AFTER_NS, turns=turns, decides=decides)
    assert len(watched.stuck) == 1
    assert who in watched.stuck[0]


def test_a_machine_that_was_suspended_is_not_stuck(watched: Watched) -> None:
    watched.pass_time(3_600_000_000_000, turns=False, decides=False, every_ms=3_600_000)
    assert honoured(watched)
    assert watched.stuck == []


def test_a_starved_machine_is_stuck_only_after_as_much_time_awake(watched: Watched) -> None:
    watched.pass_time(9 * 2_000_000_000, turns=False, decides=False, every_ms=2_000)
    assert watched.stuck == []
    watched.pass_time(2_000_000_000, turns=False, decides=False, every_ms=2_000)
    assert len(watched.stuck) == 1


def test_a_loop_that_waits_for_a_processor_is_late_and_not_stuck(watched: Watched) -> None:
    watched.pass_time(4 * STUCK_AFTER_NS, turns=False, decides=False, waits=0.95)
    assert not honoured(watched)
    assert watched.stuck == []
    watched.pass_time(POLL_MS * 1_000_000, turns=True, decides=True)
    assert honoured(watched)


def test_a_loop_that_waits_for_a_processor_for_too_long_is_stuck(watched: Watched) -> None:
    watched.pass_time(STARVED_AFTER_NS, turns=False, decides=False, waits=1)
    assert len(watched.stuck) == 1


def test_time_that_was_waited_before_the_loop_stood_still_does_not_count(watched: Watched) -> None:
    watched.pass_time(STUCK_AFTER_NS, turns=True, decides=True, waits=1)
    watched.pass_time(STUCK_AFTER_NS, turns=False, decides=False)
    assert len(watched.stuck) == 1


def test_a_halt_that_the_loop_does_not_take_is_stuck(watched: Watched) -> None:
    watched.liveness.halt_waits("an operator asked")
    watched.pass_time(HALT_TAKEN_WITHIN_NS, turns=True, decides=True)
    assert ["an operator asked" in one for one in watched.stuck] == [True]


def test_a_halt_that_the_loop_takes_is_not_stuck(watched: Watched) -> None:
    watched.liveness.halt_waits("an operator asked")
    watched.liveness.halt_taken()
    watched.pass_time(2 * HALT_TAKEN_WITHIN_NS, turns=True, decides=True)
    assert watched.stuck == []
