"""What a halt that arrives on a watching thread does there, and what it does on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import get_native_id
from typing import Any

import pytest

from controller.runtime import halt_threads as module
from controller.runtime.followers.latchfile import LatchFile, LatchMarkWriter
from controller.runtime.halt_threads import PRACTICE, HaltThreads
from controller.runtime.loop.permit import PermitOffice
from exchange.model import Millis
from tests.support.stopped_clock import StoppedClock


class FakeLiveness:
    """Stands for the liveness thread."""

    made: FakeLiveness

    def __init__(self, **keywords: Any) -> None:
        FakeLiveness.made = self
        self.keywords, self.calls = keywords, list[str]()

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def halt_waits(self, reason: str) -> None:
        self.calls.append(f"waits: {reason}")

    def halt_taken(self) -> None:
        self.calls.append("taken")

    def practise(self) -> None:
        self.calls.append("practise")


class FakeWatch:
    """Stands for the thread that watches the latch file."""

    made: FakeWatch

    def __init__(self, latch: LatchFile, marks: LatchMarkWriter, on_mark: Callable[[str], None]) -> None:
        FakeWatch.made = self
        self.watched, self.on_mark, self.calls = (latch, marks), on_mark, list[str]()

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


class FakeStarvation:
    """Stands for the kernel's count of the time that a thread waited for a processor."""

    made: FakeStarvation

    def __init__(self, thread_id: int) -> None:
        FakeStarvation.made = self
        self.thread_id, self.closed = thread_id, False

    def waited_ns(self) -> int:
        return 33

    def close(self) -> None:
        self.closed = True


class FakeHalt:
    """Stands for the immediate halt."""

    def __init__(self) -> None:
        self.suspended: list[str] = []
        self.halts: list[tuple[str, str]] = []
        self.practised: list[tuple[str, int, int]] = []

    def suspend(self, reason: str) -> None:
        self.suspended.append(reason)

    def tell(self, by: str, reason: str) -> None:
        self.halts.append((by, reason))

    def practise(self, command_id: str, suspended_us: int, asked_ns: int) -> None:
        assert isinstance(suspended_us, int)
        self.practised.append((command_id, suspended_us, asked_ns))


class Process:
    """The threads of one process, with what they stand between."""

    def __init__(self, path: Path) -> None:
        self.clock = StoppedClock(Millis(1_800_000_000_000))
        self.permits, self.halt, self.stuck = PermitOffice(self.clock, 1), FakeHalt(), list[str]()
        self.latch = LatchFile(path / "latch")
        self.marks = LatchMarkWriter(self.latch, marked=False)
        halt: Any = self.halt
        self.threads = HaltThreads(
            clock=self.clock,
            permits=self.permits,
            halt=halt,
            latch=self.latch,
            latch_marks=self.marks,
            loop_turn=lambda: 11,
            last_decision=lambda: 22,
            on_stuck=self.stuck.append,
        )
        self.liveness, self.watch, self.starvation = FakeLiveness.made, FakeWatch.made, FakeStarvation.made


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setattr(module, "Liveness", FakeLiveness)
    monkeypatch.setattr(module, "LatchFileWatch", FakeWatch)
    monkeypatch.setattr(module, "Starvation", FakeStarvation)
    return Process(tmp_path)


async def test_both_threads_start_and_stop_together(process: Process) -> None:
    process.threads.start()
    process.threads.stop()
    assert (process.liveness.calls, process.watch.calls) == (["start", "stop"], ["start", "stop"])


def test_the_liveness_thread_watches_the_loop_and_the_writer(process: Process) -> None:
    keywords = process.liveness.keywords
    assert (keywords["loop_turn"](), keywords["last_decision"]()) == (11, 22)
    assert (keywords["clock"], keywords["permits"]) == (process.clock, process.permits)


def test_time_that_the_loops_thread_waits_for_a_processor_is_counted(process: Process) -> None:
    assert process.starvation.thread_id == get_native_id()
    assert process.liveness.keywords["waited"]() == 33


async def test_the_count_of_waiting_time_is_closed_at_the_end(process: Process) -> None:
    process.threads.start()
    assert not process.starvation.closed
    process.threads.stop()
    assert process.starvation.closed


def test_the_watched_latch_file_is_the_one_of_this_process(process: Process) -> None:
    assert process.watch.watched == (process.latch, process.marks)


async def test_a_mark_suspends_orders_before_the_loop_has_a_turn(process: Process) -> None:
    process.threads.start()
    process.watch.on_mark("enough")
    assert (process.halt.suspended, process.halt.halts) == (["enough"], [])


async def test_a_mark_halts_on_the_event_loop(process: Process) -> None:
    process.threads.start()
    process.watch.on_mark("enough")
    await asyncio.sleep(0)
    assert process.halt.halts == [("the latch file", "enough")]


async def test_a_mark_may_come_from_another_thread(process: Process) -> None:
    process.threads.start()
    await asyncio.to_thread(process.watch.on_mark, "enough")
    await asyncio.sleep(0)
    assert process.halt.halts == [("the latch file", "enough")]


async def test_the_halt_signal_halts_on_the_event_loop(process: Process) -> None:
    process.threads.start()
    process.liveness.keywords["on_signal"]()
    await asyncio.sleep(0)
    assert [by for by, _ in process.halt.halts] == ["the signal SIGUSR1"]


async def test_a_halt_waits_until_the_loop_takes_it(process: Process) -> None:
    process.threads.start()
    process.watch.on_mark("enough")
    assert process.liveness.calls[-1] == "waits: enough"
    await asyncio.sleep(0)
    assert process.liveness.calls[-1] == "taken"


def test_a_stuck_writer_is_reported_and_no_permit_counts_any_more(process: Process) -> None:
    process.permits.renew()
    process.liveness.keywords["on_stuck"]("it hangs")
    assert process.stuck == ["it hangs"]
    assert process.permits.suspended_by("stuck") == "it hangs"


def test_recovering_does_not_lift_the_suspension_of_a_stuck_writer(process: Process) -> None:
    process.liveness.keywords["on_stuck"]("it hangs")
    process.permits.lift("liveness")
    process.permits.renew()
    assert not process.permits.current().is_live()


async def test_a_practised_halt_suspends_orders_on_the_thread_and_is_measured(process: Process) -> None:
    process.threads.start()
    asked_ns = process.clock.monotonic_ns()
    process.threads.practise_halt("c1")
    assert process.liveness.calls[-1] == "practise"
    process.clock.at = Millis(process.clock.at + 3)
    process.liveness.keywords["on_practice"]()
    assert process.permits.suspended_by(PRACTICE) == "a drill practises a halt"
    assert (process.liveness.calls[-1], process.halt.practised) == ("waits: a drill practises a halt", [])
    await asyncio.sleep(0)
    assert (process.liveness.calls[-1], process.halt.practised) == ("taken", [("c1", 3_000, asked_ns)])
