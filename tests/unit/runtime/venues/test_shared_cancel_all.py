"""A cancel-all that is asked for while another one runs: it shares the proof only when that began after it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from controller.core.effects import CancelAll
from controller.core.inputs import HaltCompleted
from controller.core.lifecycle import Position
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.writer import HaltClock
from controller.runtime.venues.cancel_all import CancelAllResult
from controller.runtime.venues.halt_figures import report_halt
from controller.runtime.venues.perform import Performer
from exchange.model import Millis
from exchange.ports import CancelAck, CancelOutcome, VenueName
from policies.stage import Stage
from tests.support.desk import SYMBOL
from tests.support.shell import SetClock
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

MOCK = VenueName.MOCK
EARLIER, HALT = CancelAll(MOCK, (SYMBOL,), "a guard"), CancelAll(MOCK, (SYMBOL,), "the halt")


class Lagging:
    """A venue whose list shows an order only 0.2 s after it was placed."""

    name = MOCK

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.loop, self.placed_at, self.cancels = loop, list[float](), list[float]()

    async def cancel_all(self, _: Sequence[str]) -> CancelOutcome:
        self.cancels.append(self.loop.time())
        self.placed_at.clear()
        return CancelAck()

    async def remaining(self, _: Sequence[str]) -> Sequence[Any]:
        shown = [at for at in self.placed_at if self.loop.time() - at > 0.2]
        return [SimpleNamespace(order_id=str(at), client_id="ours") for at in shown]


def played(
    script: Callable[[Performer, Lagging], Any],
    working: Sequence[int] = (0, 0),
    still_open: Callable[[VenueName], int] = lambda _: 0,
) -> tuple[Lagging, list[tuple[CancelAll, CancelAllResult]]]:
    loop = VirtualTimeLoop()
    venue, results = Lagging(loop), list[tuple[CancelAll, CancelAllResult]]()
    any_venue: Any = venue
    not_used: Any = None
    counts = iter(working)
    performer = Performer(
        venues={MOCK: any_venue},
        permits=not_used,
        inbox=Inbox(),
        clock=VirtualClock(loop),
        on_alert=not_used,
        on_cancel_all_result=lambda effect, result: results.append((effect, result)),
        on_not_empty=not_used,
        still_open=still_open,
        working=lambda _: next(counts),
        trades_on=lambda _: False,
        owner=not_used,
        strangers=not_used,
        read_account=not_used,
    )

    async def run() -> None:
        await script(performer, venue)
        await performer.drain()

    run_in_virtual_time(asyncio.wait_for(run(), 1_000), loop)
    return venue, results


def test_a_defect_of_ours_begins_the_cancelling_again() -> None:
    raises = iter((True, True, False))

    def still_open(_: VenueName) -> int:
        if next(raises, False):
            raise KeyError("a defect")
        return 0

    async def script(performer: Performer, _: Lagging) -> None:
        performer.perform(HALT)

    venue, results = played(script, working=(1, 1, 1), still_open=still_open)
    assert len(venue.cancels) == 1
    assert [effect for effect, _ in results] == [HALT]


def test_an_order_after_the_first_empty_list_does_not_outlive_a_halt() -> None:
    async def script(performer: Performer, venue: Lagging) -> None:
        performer.perform(EARLIER)
        await asyncio.sleep(0.9)
        venue.placed_at.append(venue.loop.time())
        performer.perform(HALT)

    venue, results = played(script, working=(2, 0))
    assert venue.placed_at == []
    assert venue.cancels[-1] >= 0.9
    ((effect, result),) = results
    assert effect is HALT
    assert result.began_ns >= 900_000_000
    assert result.orders == 2


def test_a_request_at_the_same_instant_shares_the_proof() -> None:
    async def script(performer: Performer, _: Lagging) -> None:
        performer.perform(EARLIER)
        performer.perform(HALT)

    venue, results = played(script)
    assert venue.cancels == [0.0]
    assert [effect for effect, _ in results] == [HALT]


@pytest.mark.parametrize(("empty_ns", "took_us"), [(999, None), (3_000, 2), (-1, -1)])
def test_a_venue_empty_before_the_latch_is_no_proof_of_the_halt(empty_ns: int, took_us: int | None) -> None:
    state: Any = SimpleNamespace(position=Position(Stage.HALTED), watched=MOCK, halt_cause="operator")
    again, inbox = list[tuple[CancelAll, int]](), Inbox()
    times = HaltClock(known_ns=0, latched_ns=1_000)
    result, cancel = CancelAllResult(1, empty_ns, empty_ns), lambda *one: again.append(one)
    report_halt(HALT, result, state, times, inbox, SetClock(Millis(0)), cancel, set())
    reported = [fact.input for fact in inbox._facts if isinstance(fact.input, HaltCompleted)]
    assert again == ([(HALT, 1)] if took_us is None else [])
    assert [one.latch_to_cancelled_us for one in reported] == ([] if took_us is None else [took_us])


@pytest.mark.parametrize(("empty_ns", "times_reported"), [(3_000, 1), (-1, 2)])
def test_what_is_cancelled_after_a_halt_is_proven_is_not_of_that_halt(empty_ns: int, times_reported: int) -> None:
    state: Any = SimpleNamespace(position=Position(Stage.HALTED), watched=MOCK, halt_cause="operator")
    inbox, measured, clock = Inbox(), set[int](), SetClock(Millis(0))
    times = HaltClock(known_ns=0, latched_ns=1_000)
    for result in (CancelAllResult(3, empty_ns, empty_ns), CancelAllResult(0, 9_000, 9_000)):
        report_halt(HALT, result, state, times, inbox, clock, lambda *_: None, measured)
    reported = [fact.input for fact in inbox._facts if isinstance(fact.input, HaltCompleted)]
    assert len(reported) == times_reported
    assert reported[0].cancelled == 3
