"""Cancelling ends with the proof that nothing is open, however long the venue does not answer; in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from controller.core.lifecycle import Position
from controller.core.state import Drill, State
from controller.runtime.venues.cancel_all import REPORT_AT_S, CancelAllResult, NotEmpty, cancel_all_until_empty, trades_on
from exchange.errors import VenueError
from exchange.mexc.client import MexcVenue
from exchange.mexc.clock import VenueClock
from exchange.mexc.http import Failure, Method, Outcome, Reply
from exchange.mexc.private import PrivateStream
from exchange.mexc.ratelimit import RateLimiter
from exchange.mexc.reach import Reach
from exchange.mexc.rest import RestCaller
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.mexc.socket import StreamTiming, connect_tcp
from exchange.model import Millis
from exchange.ports import CancelAck, CancelFailed, CancelOutcome, VenueName
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

SYMBOL = "BTCUSDT"
FIREWALL = Reply(403, b"<html>Access Denied</html>")
BANNED = Reply(418, b"", 3_600)
BUSY = Reply(429, b'{"code":429,"msg":"Too many requests"}', 600)
BROKEN = Reply(503, b"")
SILENT = Failure("no answer", never_sent=False)


class Scripted:
    """A venue's HTTP side with open orders: answers ``fault`` until ``healthy_from_s``, and well from then on."""

    def __init__(self, clock: VirtualClock, fault: Outcome, healthy_from_s: float, orders: int) -> None:
        self.clock, self.fault, self.healthy_from_s, self.orders = clock, fault, healthy_from_s, orders
        self.requests: list[float] = []
        self.emptied_at_s = -1.0

    async def send(
        self,
        method: Method,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        leave: Callable[[Callable[[], None]], bool] = lambda _: True,
    ) -> Outcome:
        assert leave(lambda: None)
        now_s = self.clock.monotonic_ns() / 1e9
        self.requests.append(now_s)
        if now_s < self.healthy_from_s:
            return self.fault
        if path.endswith("/time"):
            return Reply(200, json.dumps({"serverTime": self.clock.now()}).encode())
        if method is Method.DELETE:
            self.emptied_at_s, self.orders = now_s if self.orders else self.emptied_at_s, 0
            return Reply(200, b"[]")
        return Reply(200, json.dumps([order(number) for number in range(self.orders)]).encode())


def order(number: int) -> dict[str, Any]:
    return {
        "symbol": SYMBOL,
        "orderId": f"C02__{number}",
        "clientOrderId": f"gh-{number}",
        "price": "50000",
        "origQty": "0.00003",
        "executedQty": "0",
        "cummulativeQuoteQty": "0",
        "status": "NEW",
        "type": "LIMIT",
        "side": "BUY",
        "time": 1_800_000_000_000,
        "updateTime": 1_800_000_000_000,
    }


def cancelled_at(
    fault: Outcome, healthy_from_s: float, report: Callable[[NotEmpty], None] = lambda _: None
) -> tuple[CancelAllResult, Scripted, float]:
    """Cancel at a venue that is broken at first; the result, the venue, and the second at which the proof was complete."""
    loop = VirtualTimeLoop()
    clock = VirtualClock(loop)
    http = Scripted(clock, fault, healthy_from_s, orders=3)
    host: Any = SimpleNamespace(
        transport=http, limiter=RateLimiter(clock), clock=clock, venue_clock=VenueClock(clock), connect=connect_tcp
    )

    async def cancel() -> tuple[CancelAllResult, float]:
        rest = RestCaller(host, LocalSigner("key", "secret", SignerLimits(frozenset({SYMBOL}), 10)))  # type: ignore[arg-type]
        stream = PrivateStream(rest, "ws://127.0.0.1:9/ws", Reach.LOOPBACK, clock, Random(1), StreamTiming())
        venue = MexcVenue(VenueName.LIVE, rest, stream)
        result = await cancel_all_until_empty(venue, [SYMBOL], clock, lambda: 0, expected=3, report=report)
        return result, loop.time()

    result, ended_s = run_in_virtual_time(cancel(), loop)
    return result, http, ended_s


@pytest.mark.parametrize("fault", [FIREWALL, BANNED, BROKEN, SILENT], ids=["firewall", "ban", "broken", "silent"])
def test_a_venue_is_empty_soon_after_it_answers_again(fault: Outcome) -> None:
    result, http, ended_s = cancelled_at(fault, healthy_from_s=600)
    assert result.orders == 3
    assert http.orders == 0
    assert 600 <= http.emptied_at_s <= ended_s <= 605


def test_a_long_retry_after_keeps_no_cancel_waiting() -> None:
    _, http, ended_s = cancelled_at(BUSY, healthy_from_s=30)
    assert http.emptied_at_s <= 33
    assert ended_s <= 40


def test_a_venue_that_does_not_answer_is_not_flooded() -> None:
    _, http, _ = cancelled_at(FIREWALL, healthy_from_s=600)
    assert len(http.requests) <= 600


def test_people_are_told_while_there_is_no_proof() -> None:
    reported: list[NotEmpty] = []
    cancelled_at(BROKEN, healthy_from_s=1_500, report=reported.append)
    assert [one.seconds for one in reported] == [pytest.approx(due, abs=3) for due in (10, 60, 300, 1200)]
    assert all(one.orders is None and one.because for one in reported)


class LateOrder:
    """A venue where an order of ours arrives while its open orders are being read for the second time."""

    def __init__(self) -> None:
        self.lists, self.orders, self.in_flight = 0, 0, 1

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        assert symbols == [SYMBOL]
        self.orders = 0
        return CancelAck()

    async def remaining(self, symbols: Sequence[str]) -> Sequence[Any]:
        assert symbols == [SYMBOL]
        self.lists += 1
        listed = [SimpleNamespace(order_id="late")] * self.orders
        if self.lists == 2:
            self.orders, self.in_flight = 1, 0
        return listed


def test_an_order_that_arrives_while_the_list_is_read_is_cancelled_too() -> None:
    loop, venue = VirtualTimeLoop(), LateOrder()
    waiting = cancel_all_until_empty(venue, [SYMBOL], VirtualClock(loop), lambda: venue.in_flight, expected=1)  # type: ignore[arg-type]
    run_in_virtual_time(waiting, loop)
    assert venue.orders == 0


class HiddenOrder:
    """A venue where an order of ours arrives after the first cancel, and no list shows it (mexc-spot-v3.md §6)."""

    def __init__(self) -> None:
        self.lists, self.orders, self.in_flight = 0, 0, 1

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        assert symbols == [SYMBOL]
        self.orders = 0
        return CancelAck()

    async def remaining(self, symbols: Sequence[str]) -> Sequence[Any]:
        assert symbols == [SYMBOL]
        self.lists += 1
        if self.lists == 1:
            self.orders = 1
        if self.lists == 4:
            assert not self.orders, "the order is open for seconds, because no list shows it"
            self.in_flight = 0
        return []


def test_an_order_without_an_outcome_that_no_list_shows_is_cancelled() -> None:
    loop, venue = VirtualTimeLoop(), HiddenOrder()
    waiting = cancel_all_until_empty(venue, [SYMBOL], VirtualClock(loop), lambda: venue.in_flight, expected=1)  # type: ignore[arg-type]
    result = run_in_virtual_time(waiting, loop)
    assert venue.orders == 0
    assert result.empty_ns >= 0


class BusyBot:
    """A venue where a bot replaces each order that is cancelled."""

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        return CancelAck() if symbols else CancelFailed(-1, "no symbols")

    async def remaining(self, symbols: Sequence[str]) -> Sequence[Any]:
        return [SimpleNamespace(order_id=symbol) for symbol in symbols]


def test_cancelling_ends_when_bots_trade_again_and_proves_nothing_then() -> None:
    loop, calm_from_s = VirtualTimeLoop(), 5.0
    waiting = cancel_all_until_empty(
        BusyBot(),  # type: ignore[arg-type]
        [SYMBOL],
        VirtualClock(loop),
        lambda: 0,
        expected=1,
        trades_again=lambda: loop.time() >= calm_from_s,
    )
    result = run_in_virtual_time(asyncio.wait_for(waiting, 60), loop)
    assert result.empty_ns == -1
    assert calm_from_s <= loop.time() <= calm_from_s + 2.0


def test_what_is_open_is_cancelled_once_although_bots_trade_again() -> None:
    loop, venue = VirtualTimeLoop(), LateOrder()
    venue.orders = 1
    waiting = cancel_all_until_empty(
        venue,  # type: ignore[arg-type]
        [SYMBOL],
        VirtualClock(loop),
        lambda: 0,
        expected=1,
        trades_again=lambda: True,
    )
    run_in_virtual_time(waiting, loop)
    assert venue.orders == 0


@pytest.fixture(scope="module")
def live() -> State:
    return Desk().walk_to(Stage.LIVE_EUR10).state


@pytest.mark.parametrize("level", ["", "NO_ENTRY", "REDUCE"])
def test_a_deployment_trades_on_below_the_level_that_cancels_everything(live: State, level: str) -> None:
    assert trades_on(replace(live, guard_level=level), VenueName.LIVE)


@pytest.mark.parametrize(
    "change",
    [
        {"guard_level": "CANCEL_ALL"},
        {"armed": False},
        {"position": Position(Stage.HALTED)},
        {"drill": Drill("0" * 32, VenueName.LIVE, Stage.LIVE_EUR10, Millis(0), Millis(1))},
        {"flatten": object()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_deployment_that_cancels_everything_does_not_trade_on(live: State, change: Mapping[str, Any]) -> None:
    assert not trades_on(replace(live, **change), VenueName.LIVE)


def test_a_deployment_does_not_trade_on_at_a_venue_that_it_left(live: State) -> None:
    assert not trades_on(live, VenueName.TESTNET)


def test_people_are_told_how_many_orders_are_still_listed() -> None:
    loop, reported = VirtualTimeLoop(), list[NotEmpty]()
    loop.passed_s = 1_000.0
    waiting = cancel_all_until_empty(
        BusyBot(),  # type: ignore[arg-type]
        [SYMBOL],
        VirtualClock(loop),
        lambda: 0,
        expected=0,
        report=reported.append,
        trades_again=lambda: loop.time() >= 1_015.0,
    )
    result = run_in_virtual_time(waiting, loop)
    assert [(one.orders, 10 <= one.seconds <= 12) for one in reported] == [(1, True)]
    assert result.orders == 1


class Listing:
    """A venue that answers each reading of its open orders with the next of ``answers``, and then for ever with the last."""

    def __init__(self, loop: VirtualTimeLoop, answers: Sequence[Sequence[str] | Exception], *, refuses_after: int = 10**9) -> None:
        self.loop, self.answers, self.refuses_after = loop, list(answers), refuses_after
        self.cancels, self.read_at = 0, list[float]()

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        self.cancels += 1
        return CancelAck() if self.cancels <= self.refuses_after else CancelFailed(-1, "busy")

    async def remaining(self, symbols: Sequence[str]) -> Sequence[Any]:
        self.read_at.append(self.loop.time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [SimpleNamespace(order_id=order_id) for order_id in answer]


def cancel_listed(venue: Listing, *, expected: int = 0, **callbacks: Any) -> CancelAllResult:
    still_open = callbacks.pop("still_open", lambda: 0)
    waiting = cancel_all_until_empty(venue, [SYMBOL], VirtualClock(venue.loop), still_open, expected=expected, **callbacks)  # type: ignore[arg-type]
    return run_in_virtual_time(asyncio.wait_for(waiting, 10_000), venue.loop)


@pytest.mark.parametrize("answer", [("a",), RuntimeError()], ids=["orders are listed", "no answer"])
def test_the_pause_after_a_failed_try_doubles_up_to_two_seconds(answer: Any) -> None:
    venue = Listing(VirtualTimeLoop(), [answer] * 7 + [()])
    cancel_listed(venue)
    assert venue.read_at == [0.0, 0.25, 0.75, 1.75, 3.75, 5.75, 7.75, 9.75, 10.75]


def test_the_proof_is_dated_by_the_first_of_two_empty_lists() -> None:
    venue = Listing(VirtualTimeLoop(), [("a",), (), ("b",), ()])
    assert cancel_listed(venue) == CancelAllResult(2, 1_500_000_000, 1_500_000_000)
    assert venue.read_at == [0.0, 0.25, 1.25, 1.5, 2.5]


def test_a_list_that_is_empty_from_the_first_instant_is_a_proof() -> None:
    venue = Listing(VirtualTimeLoop(), [()])
    assert cancel_listed(venue) == CancelAllResult(0, 0, 0)
    assert (venue.cancels, len(venue.read_at)) == (1, 2)


def test_a_proof_begins_with_the_cancels_before_its_first_empty_list() -> None:
    class Slow(Listing):
        async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
            await asyncio.sleep(0.5)
            return await super().cancel_all(symbols)

    venue = Slow(VirtualTimeLoop(), [("a",), ()])
    assert cancel_listed(venue) == CancelAllResult(1, 1_250_000_000, 750_000_000)


def test_orders_that_were_listed_count_although_fewer_were_expected() -> None:
    assert cancel_listed(Listing(VirtualTimeLoop(), [("a", "b"), ("b", "c"), ()]), expected=1).orders == 3


def test_orders_that_were_expected_count_although_none_was_listed() -> None:
    loop = VirtualTimeLoop()
    assert cancel_listed(Listing(loop, [()]), expected=5).orders == 5
    loop = VirtualTimeLoop()
    assert cancel_listed(Listing(loop, [()]), expected=5, trades_again=lambda: True) == CancelAllResult(5, -1, -1)


def test_one_accepted_cancel_is_enough_when_bots_trade_again() -> None:
    venue = Listing(VirtualTimeLoop(), [("a",)], refuses_after=1)
    assert cancel_listed(venue, trades_again=lambda: venue.cancels >= 2) == CancelAllResult(1, -1, -1)
    assert venue.cancels == 2


def test_people_are_told_at_the_very_second() -> None:
    loop, reported = VirtualTimeLoop(), list[NotEmpty]()
    clock: Any = SimpleNamespace(ns=0, monotonic_ns=lambda: clock.ns)

    class Watched(Listing):
        async def remaining(self, symbols: Sequence[str]) -> Sequence[Any]:
            clock.ns = instants.pop(0)
            return await super().remaining(symbols)

    due_ns = int(REPORT_AT_S[0] * 1_000_000_000)
    instants = [due_ns - 1, due_ns, due_ns, due_ns, due_ns]
    venue = Watched(loop, [("a",), ("a",), ("a",), ()])
    waiting = cancel_all_until_empty(venue, [SYMBOL], clock, lambda: 0, expected=1, report=reported.append)  # type: ignore[arg-type]
    run_in_virtual_time(waiting, loop)
    assert (reported, instants) == ([NotEmpty(10, 1, "the venue still lists 1 open orders")], [])


def test_an_order_without_an_outcome_is_reported_with_an_empty_list() -> None:
    loop, reported = VirtualTimeLoop(), list[NotEmpty]()
    cancel_listed(Listing(loop, [()]), still_open=lambda: int(loop.time() < 10.5), report=reported.append)
    assert reported == [NotEmpty(10, 0, "an order has no outcome yet")]


BUSY_ERROR = VenueError("the venue is busy, try in 3 s", code="venue-busy", remedy="wait")
STILL_BUSY = VenueError("the venue is busy, try in 2 s", code="venue-busy", remedy="wait")
LIMITED = VenueError("the limit is reached", code="venue-limited", remedy="wait")


@pytest.mark.parametrize(
    ("faults", "logged"),
    [
        ([BUSY_ERROR, STILL_BUSY, LIMITED], [BUSY_ERROR.message, LIMITED.message]),
        ([ValueError("x"), ValueError("y"), KeyError()], ["ValueError in a venue adapter", "KeyError in a venue adapter"]),
    ],
    ids=["the venue", "the adapter"],
)
def test_each_kind_of_fault_is_logged_once(caplog: pytest.LogCaptureFixture, faults: list[Exception], logged: list[str]) -> None:
    cancel_listed(Listing(VirtualTimeLoop(), [*faults, ()]))
    assert [record.__dict__["fields"]["why"] for record in caplog.records] == logged


@pytest.mark.parametrize(
    ("fault", "because"),
    [(BUSY_ERROR, BUSY_ERROR.message), (ValueError("x"), "ValueError in a venue adapter")],
    ids=["venue", "adapter"],
)
def test_people_are_told_what_keeps_the_proof(fault: Exception, because: str) -> None:
    reported: list[NotEmpty] = []
    cancel_listed(Listing(VirtualTimeLoop(), [fault] * 9 + [()]), report=reported.append)
    assert [(one.orders, one.because) for one in reported] == [(None, because)]
