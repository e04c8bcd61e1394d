"""The real venue is asked about the orders that the testnet took: a few a minute, and never while HALTED."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.inputs import OrderTestsAnswered
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.writer import CommittedBatch
from controller.runtime.venues.order_tests import EVERY_S, MANY, Answer, OrderTests, may_ask
from exchange.model import OrderIntent, OrderStatus
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time


@pytest.fixture(scope="module")
def validating() -> Desk:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(3_000)
    return desk


class Venue:
    """Answers what it is asked, and notes when."""

    def __init__(self, clock: VirtualClock, answer: Answer) -> None:
        self.clock = clock
        self.answer = answer
        self.asked: list[tuple[float, OrderIntent]] = []

    async def ask(self, intent: OrderIntent) -> Answer:
        self.asked.append((self.clock.monotonic_ns() / 1e9, intent))
        return self.answer


def _batch(desk: Desk, events: tuple[e.Event, ...]) -> CommittedBatch:
    entries = tuple((SimpleNamespace(at=desk.now), event) for event in events)
    return CommittedBatch(cast("Any", entries), desk.state, 0, 0, 0)


def _acked(desk: Desk) -> CommittedBatch:
    """An order that the testnet has just accepted."""
    desk.pass_time(1_000)
    desk.sweep_all()
    desk.tick()
    before = len(desk.journal)
    client_id = desk.placed(desk.order("0.00009"))
    batch = _batch(desk, tuple(event for event, _ in desk.journal[before:]))
    order = desk.state.orders[client_id]
    desk.give(i.VenueReported(order.venue, desk.report(client_id, OrderStatus.CANCELED)))
    return batch


def _played(desk: Desk, answer: Answer, *, orders: int, seconds: float) -> tuple[Venue, list[OrderTestsAnswered]]:
    loop = VirtualTimeLoop()
    clock, inbox = VirtualClock(loop), Inbox()
    venue = Venue(clock, answer)

    async def work() -> list[OrderTestsAnswered]:
        tests = OrderTests(ask=venue.ask, state=lambda: desk.state, inbox=inbox, clock=clock)
        for _ in range(orders):
            tests.on_batch(_acked(desk))
        task = asyncio.create_task(tests.run())
        await asyncio.sleep(seconds)
        task.cancel()
        inbox.fact(OrderTestsAnswered(-1), 0)
        found: list[OrderTestsAnswered] = [
            queued.input for queued in await inbox.take(64) if isinstance(queued.input, OrderTestsAnswered)
        ]
        return found[:-1]

    return venue, run_in_virtual_time(work(), loop)


def test_it_asks_at_most_three_times_a_minute(validating: Desk) -> None:
    venue, _ = _played(validating.fork(), Answer(), orders=6, seconds=70)
    assert len(venue.asked) == 4
    times = [at for at, _ in venue.asked]
    assert all(after - before >= EVERY_S for before, after in pairwise(times))


def test_after_many_answers_it_asks_once_in_five_minutes(validating: Desk) -> None:
    desk = validating.fork()
    desk.give(i.OrderTestsAnswered(MANY))
    venue, _ = _played(desk, Answer(), orders=6, seconds=290)
    assert len(venue.asked) == 1


def test_answers_are_reported_together(validating: Desk) -> None:
    venue, reports = _played(validating.fork(), Answer(), orders=6, seconds=330)
    assert len(venue.asked) == 6
    assert [report.accepted for report in reports] == [1, 5]


def test_a_refusal_is_reported_at_once(validating: Desk) -> None:
    _, reports = _played(validating.fork(), Answer(refused="30002 on LIMIT BUY BTCUSDT"), orders=1, seconds=1)
    assert reports == [OrderTestsAnswered(0, {"30002 on LIMIT BUY BTCUSDT": 1}, {})]


def test_what_is_not_judged_is_counted_apart(validating: Desk) -> None:
    _, reports = _played(validating.fork(), Answer(unjudged="30004: too little"), orders=1, seconds=1)
    assert reports == [OrderTestsAnswered(0, {}, {"30004: too little": 1})]


def test_an_old_order_is_not_asked_about(validating: Desk) -> None:
    venue, _ = _played(validating.fork(), Answer(), orders=20, seconds=900)
    assert len(venue.asked) == 300 / EVERY_S + 1


def test_nothing_is_asked_while_halted(validating: Desk) -> None:
    desk = validating.fork()
    batch = _acked(desk)
    desk.give(i.HaltAsked("test", "stop"))
    assert not may_ask(desk.state)
    loop = VirtualTimeLoop()
    venue = Venue(VirtualClock(loop), Answer())

    async def work() -> None:
        tests = OrderTests(ask=venue.ask, state=lambda: desk.state, inbox=Inbox(), clock=venue.clock)
        tests.on_batch(batch)
        assert not await tests.step()

    run_in_virtual_time(work(), loop)
    assert venue.asked == []


def test_nothing_is_asked_before_a_start_is_armed(validating: Desk) -> None:
    desk = validating.fork()
    assert may_ask(desk.state)
    desk.boot()
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING
    assert not may_ask(desk.state)


@pytest.mark.parametrize("stage", [Stage.MOCK, Stage.LIVE_EUR10])
def test_nothing_is_asked_where_no_testnet_is_used(stage: Stage) -> None:
    assert not may_ask(Desk().walk_to(stage).state)


def test_nothing_is_asked_about_an_order_of_the_mock(validating: Desk) -> None:
    desk = validating.fork()
    desk.move(Verb.DEMOTE, Stage.MOCK)
    desk.run(3_000)
    batch = _acked(desk)
    loop = VirtualTimeLoop()
    venue = Venue(VirtualClock(loop), Answer())

    async def work() -> None:
        tests = OrderTests(ask=venue.ask, state=lambda: validating.state, inbox=Inbox(), clock=venue.clock)
        tests.on_batch(batch)
        assert not await tests.step()

    run_in_virtual_time(work(), loop)
    assert venue.asked == []
