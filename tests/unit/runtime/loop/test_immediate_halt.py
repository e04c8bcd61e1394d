"""A halt stops orders before the writer decides it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from controller.core.inputs import HaltAsked, HaltPractised
from controller.core.lifecycle import Position
from controller.runtime.loop import immediate_halt as module
from controller.runtime.loop.immediate_halt import ImmediateHalt
from controller.runtime.loop.inbox import Undecided
from controller.runtime.loop.writer import CommittedBatch
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.shell import Shell, tick


@pytest.fixture(scope="module")
def live() -> Desk:
    return Desk().walk_to(Stage.LIVE_EUR10)


@pytest.fixture
def shell(live: Desk, tmp_path: Path) -> Shell:
    return Shell(live.fork(), tmp_path / "journal.db")


class Stops:
    """What an immediate halt did, in order, and whether a permit counted then."""

    def __init__(self, shell: Shell) -> None:
        self.shell, self.done = shell, list[tuple[str, str, bool]]()
        self.halt = ImmediateHalt(
            permits=shell.permits,
            inbox=shell.inbox,
            clock=shell.clock,
            record=lambda reason: self._note("recorded", reason),
            cancel_now=lambda reason: self._note("cancels", reason),
        )
        shell.writer.add_follower(self.halt.on_batch)

    def _note(self, what: str, reason: str) -> None:
        self.done.append((what, reason, self.shell.permits.current().is_live()))


async def test_orders_stop_before_the_writer_has_a_turn(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DECIDED_WITHIN_S", 0.01)
    shell.permits.renew()
    stops = Stops(shell)
    with pytest.raises(Undecided):
        await stops.halt.ask("local socket", "enough")
    assert stops.done == [("recorded", "enough", False), ("cancels", "enough", False)]
    assert not shell.permits.current().is_live()


async def test_a_batch_without_the_halt_lets_no_order_leave(shell: Shell) -> None:
    stops = Stops(shell)
    stops.halt.suspend("enough")
    shell.inbox.fact(tick(shell), shell.clock.monotonic_ns())
    await shell.step()
    assert shell.writer.state.position.stage is Stage.LIVE_EUR10
    shell.permits.renew()
    assert not shell.permits.current().is_live()


async def test_the_latch_holds_when_the_suspension_ends(shell: Shell) -> None:
    stops = Stops(shell)
    asking = asyncio.create_task(stops.halt.ask("local socket", "enough"))
    await asyncio.sleep(0)
    await shell.step()
    await asking
    assert shell.writer.state.position.stage is Stage.HALTED
    assert (shell.permits.suspended_because, bool(shell.permits.latched_because)) == ("", True)


async def test_a_resume_in_the_batch_of_a_halt_does_not_outlive_it(shell: Shell) -> None:
    stops = Stops(shell)
    shell.inbox.fact(HaltAsked("operator", "first"), shell.clock.monotonic_ns())
    await shell.step()
    stops.halt.tell("local socket", "enough")
    shell.inbox.take_stops()
    shell.clock.ns += 1
    resumed = replace(shell.writer.state, position=Position(Stage.LIVE_EUR10))
    stops.halt.on_batch(CommittedBatch((), resumed, shell.clock.ns, shell.clock.ns, shell.clock.ns))
    assert [queued.input for queued in shell.inbox.take_stops()] == [HaltAsked("local socket", "enough")]


async def test_a_batch_that_began_before_the_halt_does_not_repeat_it(shell: Shell) -> None:
    stops = Stops(shell)
    stops.halt.tell("local socket", "enough")
    began_ns = shell.clock.ns - 1
    stops.halt.on_batch(CommittedBatch((), shell.writer.state, began_ns, began_ns, began_ns))
    assert len(shell.inbox.take_stops()) == 1


async def test_a_halt_that_is_recorded_is_not_asked_for_again(shell: Shell) -> None:
    stops = Stops(shell)
    stops.halt.tell("local socket", "enough")
    await shell.step()
    shell.clock.ns += 1
    resumed = replace(shell.writer.state, position=Position(Stage.LIVE_EUR10))
    stops.halt.on_batch(CommittedBatch((), resumed, shell.clock.ns, shell.clock.ns, shell.clock.ns))
    assert list(shell.inbox.take_stops()) == []


async def test_a_batch_without_a_halt_asks_for_none(shell: Shell) -> None:
    stops = Stops(shell)
    stops.halt.on_batch(CommittedBatch((), shell.writer.state, shell.clock.ns, shell.clock.ns, shell.clock.ns))
    assert list(shell.inbox.take_stops()) == []


async def test_a_batch_of_the_same_instant_does_not_repeat_the_halt(shell: Shell) -> None:
    stops = Stops(shell)
    stops.halt.tell("local socket", "enough")
    now = shell.clock.ns
    stops.halt.on_batch(CommittedBatch((), shell.writer.state, now, now, now))
    assert len(shell.inbox.take_stops()) == 1


async def test_the_suspension_says_why_and_that_it_is_not_recorded(shell: Shell) -> None:
    stops = Stops(shell)
    stops.halt.suspend("enough")
    assert shell.permits.suspended_because == "a halt is not recorded yet: enough"


async def test_a_halt_that_is_told_stops_orders_at_once(shell: Shell) -> None:
    shell.permits.renew()
    stops = Stops(shell)
    stops.halt.tell("the latch file", "enough")
    assert stops.done == [("recorded", "enough", False), ("cancels", "enough", False)]
    assert shell.permits.suspended_because == "a halt is not recorded yet: enough"


async def test_the_decision_names_who_asked_for_the_halt(shell: Shell) -> None:
    stops = Stops(shell)
    known_ns = shell.clock.monotonic_ns()
    stops.halt.tell("the latch file", "enough")
    (queued,) = shell.inbox.take_stops()
    assert (queued.input, queued.known_ns) == (HaltAsked("the latch file", "enough"), known_ns)


async def test_the_question_names_who_asked_and_since_when_it_is_known(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DECIDED_WITHIN_S", 0.01)
    known_ns = shell.clock.monotonic_ns()
    with pytest.raises(Undecided):
        await Stops(shell).halt.ask("local socket", "enough")
    (queued,) = shell.inbox.take_stops()
    assert (queued.input, queued.known_ns) == (HaltAsked("local socket", "enough"), known_ns)


async def test_a_practised_halt_cancels_now_and_tells_the_writer(shell: Shell) -> None:
    shell.permits.renew()
    stops = Stops(shell)
    stops.halt.practise("c1", 7, 11)
    assert stops.done == [("cancels", "a halt drill is running", True)]
    (queued,) = await shell.inbox.take(1)
    assert (queued.input, queued.known_ns) == (HaltPractised("c1", 7), 11)
