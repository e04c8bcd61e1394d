"""Look-ups share their answers and a small part of the venue's queries, back off, and end soon after a venue is well again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from controller.core.effects import LookUp
from controller.core.inputs import Input, LookupAnswered, VenueReported
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.lookups import (
    BURST,
    FILLS_COST,
    LONGEST_WAIT_NS,
    ONE_BY_ONE_MOST,
    OVERLAP_MS,
    QUERIES_PER_S,
    LookUps,
)
from exchange.mexc.ratelimit import QUERIES_PER_WINDOW
from exchange.mexc.rest import VenueSilent
from exchange.model import Fill, Millis, OrderReport, OrderStatus, OrderType, Side
from exchange.ports import VenueName
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

LIVE = VenueName.LIVE
SYMBOL = "BTCUSDT"
TICK_S = 0.25
ONE, PRICE = Decimal(1), Decimal(60_000)


def report_of(client_id: str, status: OrderStatus) -> OrderReport:
    executed = ONE if status is OrderStatus.FILLED else Decimal(0)
    return OrderReport(
        SYMBOL, f"C{client_id}", client_id, Side.BUY, OrderType.LIMIT, status, PRICE, ONE, executed, executed * PRICE, Millis(1)
    )


@dataclass
class Venue:
    """Answers after a tenth of a second, and counts. ``orders`` are those it knows."""

    clock: VirtualClock
    orders: dict[str, OrderStatus] = field(default_factory=dict)
    silent: bool = False
    calls: list[tuple[float, str, int]] = field(default_factory=list)
    since: list[int] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    name: VenueName = LIVE

    async def _call(self, what: str, queries: int = 1) -> None:
        self.calls.append((self.clock.monotonic_ns() / 1e9, what, queries))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0.1)
        self.under_way -= 1
        if self.silent:
            raise VenueSilent(what, "no answer")

    async def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        await self._call("openOrders")
        return [report_of(name, status) for name, status in self.orders.items() if status is OrderStatus.NEW and symbol == SYMBOL]

    async def fills(self, symbol: str, since: Millis) -> Sequence[Fill]:
        self.since.append(since)
        await self._call("myTrades", FILLS_COST)
        filled = [name for name, status in self.orders.items() if status is OrderStatus.FILLED and symbol == SYMBOL]
        return [
            Fill(f"T{name}", f"C{name}", name, SYMBOL, Side.BUY, PRICE, ONE, PRICE, Decimal(0), "USDT", maker=True, at=Millis(1))
            for name in filled
        ]

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        await self._call("order")
        status = self.orders.get(client_id)
        return None if status is None or symbol != SYMBOL else report_of(client_id, status)

    def made(self, what: str) -> list[float]:
        return [at for at, name, _ in self.calls if name == what]


class Deployment:
    """Asks for every open question on each tick, as the core does, and takes the answers."""

    def __init__(self, clock: VirtualClock, orders: Iterable[str]) -> None:
        self.clock, self.inbox, self.venue = clock, Inbox(), Venue(clock)
        self.tasks: set[asyncio.Task[None]] = set()
        venues: Any = {LIVE: self.venue}
        self.look_ups = LookUps(venues, self.inbox, clock, self._start)
        self.unknown = set(orders)
        self.resolved: dict[str, float] = {}
        self.facts: list[Input] = []

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    @property
    def at(self) -> float:
        return self.clock.monotonic_ns() / 1e9

    async def run(self, seconds: float) -> None:
        end = self.at + seconds
        while self.at < end:
            for client_id in sorted(self.unknown):
                self.look_ups.ask(LookUp(LIVE, SYMBOL, client_id, Millis(self.clock.now() - 1_000)))
            await asyncio.sleep(TICK_S)
            while self.inbox._facts:
                fact = self.inbox._facts.popleft().input
                self.facts.append(fact)
                if isinstance(fact, LookupAnswered) and fact.report is not None:
                    self.unknown.discard(fact.client_id)
                    self.resolved.setdefault(fact.client_id, self.at)


def play(orders: int, story: Callable[[Deployment], Coroutine[Any, Any, None]]) -> Deployment:
    made: list[Deployment] = []

    async def main(clock: VirtualClock) -> None:
        made.append(Deployment(clock, [f"gh-{number:03d}" for number in range(orders)]))
        await story(made[0])
        await asyncio.gather(*made[0].tasks)

    loop = VirtualTimeLoop()
    run_in_virtual_time(main(VirtualClock(loop)), loop)
    return made[0]


@pytest.mark.parametrize("silent", [False, True])
def test_two_hundred_unknown_orders_use_a_small_part_of_the_queries(silent: bool) -> None:
    async def story(one: Deployment) -> None:
        one.venue.silent = silent
        await one.run(120)

    venue = play(200, story).venue
    assert venue.most_under_way == 1
    assert venue.calls
    for begin in {at for at, _, _ in venue.calls}:
        for seconds in (1, 10, 60):
            made = sum(queries for at, _, queries in venue.calls if begin <= at < begin + seconds)
            assert made <= QUERIES_PER_S * seconds + BURST
    assert QUERIES_PER_S < QUERIES_PER_WINDOW / 2


def test_one_list_answers_for_every_order_that_rests() -> None:
    async def story(one: Deployment) -> None:
        one.venue.orders = dict.fromkeys(one.unknown, OrderStatus.NEW)
        await one.run(1)

    one = play(200, story)
    assert not one.unknown
    assert [what for _, what, _ in one.venue.calls] == ["openOrders"]


def test_only_what_the_lists_do_not_answer_is_asked_one_by_one() -> None:
    async def story(one: Deployment) -> None:
        one.venue.orders = {**dict.fromkeys(sorted(one.unknown)[:4], OrderStatus.NEW), "gh-004": OrderStatus.FILLED}
        await one.run(3)

    one = play(5, story)
    assert not one.unknown
    assert [what for _, what, _ in one.venue.calls] == ["openOrders", "myTrades", "order"]
    assert [fact.event.client_id for fact in one.facts if isinstance(fact, VenueReported) and isinstance(fact.event, Fill)] == [
        "gh-004"
    ]


def test_an_order_that_traded_is_not_reported_absent() -> None:
    async def story(one: Deployment) -> None:
        one.venue.orders = {"gh-000": OrderStatus.FILLED}
        one.venue.order = _knows_nothing(one.venue)  # type: ignore[method-assign]
        await one.run(5)

    answers = [fact for fact in play(1, story).facts if isinstance(fact, LookupAnswered)]
    assert answers
    assert not any(answer.absent_everywhere for answer in answers)


def test_an_order_that_nothing_knows_is_absent_and_asked_for_less_and_less() -> None:
    async def story(one: Deployment) -> None:
        await one.run(60)

    one = play(1, story)
    asked = one.venue.made("order")
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps[0] < 2
    assert LONGEST_WAIT_NS / 1e9 <= gaps[-1] <= LONGEST_WAIT_NS / 1e9 + 2
    answers = [fact for fact in one.facts if isinstance(fact, LookupAnswered)]
    assert all(answer.absent_everywhere for answer in answers)
    assert [answer.asked_at for answer in answers] == sorted({answer.asked_at for answer in answers})


def test_every_order_is_resolved_soon_after_the_faults_end() -> None:
    ended = []

    async def story(one: Deployment) -> None:
        one.venue.silent = True
        await one.run(90)
        one.venue.orders = {
            name: OrderStatus.FILLED if number % 4 == 0 else OrderStatus.NEW for number, name in enumerate(sorted(one.unknown))
        }
        one.venue.silent = False
        ended.append(one.at)
        await one.run(15)

    one = play(20, story)
    assert not one.unknown
    assert max(one.resolved.values()) - ended[0] < LONGEST_WAIT_NS / 1e9 + 4


@pytest.mark.parametrize("signal", ["venue_answered", "stream_came_back"])
def test_a_sign_of_life_ends_the_wait(signal: str) -> None:
    sent = []

    async def story(one: Deployment) -> None:
        one.venue.silent = True
        await one.run(60)
        one.venue.silent, one.venue.orders = False, {"gh-000": OrderStatus.NEW}
        await one.run(0.5)
        assert one.unknown
        getattr(one.look_ups, signal)(LIVE)
        sent.append(one.at)
        await one.run(1)

    one = play(1, story)
    assert one.resolved["gh-000"] - sent[0] < 1


def test_an_answered_placement_shortens_no_wait_of_a_missing_order() -> None:
    async def story(one: Deployment) -> None:
        for _ in range(240):
            one.look_ups.venue_answered(LIVE)
            await one.run(TICK_S)

    assert len(play(1, story).venue.made("order")) < 60 / 3


def test_more_orders_than_a_batch_asks_for_all_get_their_turn() -> None:
    async def story(one: Deployment) -> None:
        one.venue.orders = dict.fromkeys(one.unknown, OrderStatus.CANCELED)
        await one.run(40)

    one = play(3 * ONE_BY_ONE_MOST, story)
    assert not one.unknown


def test_fills_are_read_from_the_oldest_of_the_orders_on() -> None:
    began: list[int] = []

    async def story(one: Deployment) -> None:
        now = one.clock.now()
        began.append(now)
        for client_id, age in (("gh-000", 5_000), ("gh-001", 90_000)):
            one.look_ups.ask(LookUp(LIVE, SYMBOL, client_id, Millis(now - age)))
        one.unknown = set()
        await one.run(3)

    one = play(2, story)
    assert one.venue.since == [began[0] - 90_000 - OVERLAP_MS]


def _knows_nothing(venue: Venue) -> Callable[[str, str], Coroutine[Any, Any, None]]:
    async def order(symbol: str, client_id: str) -> None:
        await venue._call("order")

    return order
