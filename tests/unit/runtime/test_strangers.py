"""A cancel-all beside a person's own order: ours are cancelled by their ids, theirs stays, and the proof does not wait for it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import inputs as i
from controller.core.causes import HaltClass
from controller.core.decisions.whose import our_prefix
from controller.core.effects import CancelAll
from controller.runtime.venues.cancel_all import FIRST_LIST_S, CancelAllResult, cancel_all_until_empty
from controller.runtime.venues.strangers import Strangers
from exchange.errors import VenueError
from exchange.model import ForeignOrder, ListedOrder, OrderReport, OrderStatus, OrderType, Side
from exchange.ports import CancelAck, CancelFailed, CancelOutcome, Unknown, VenueName
from policies.stage import Stage
from tests.support.desk import SYMBOL, D, Desk
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

MOCK = VenueName.MOCK
NO_LIST = VenueError("no reply", code="venue-silent", remedy="wait")


@pytest.fixture(scope="module")
def trading() -> Desk:
    return Desk().arm()


def theirs(order_id: str = "C02__person", client_id: str = "") -> OrderReport:
    """A person's order."""
    return OrderReport(
        symbol=SYMBOL,
        order_id=order_id,
        client_id=client_id,
        side=Side.BUY,
        type=OrderType.LIMIT,
        status=OrderStatus.NEW,
        price=D("55000"),
        quantity=D("0.00005"),
        executed=D(0),
        executed_quote=D(0),
        created_at=Desk().now,
    )


class Account:
    """A venue's open orders: a cancel of the whole symbol takes everybody's."""

    name = MOCK

    def __init__(self, orders: Sequence[ListedOrder], *, faults: Sequence[bool] = ()) -> None:
        self.orders, self.faults = list(orders), list(faults)
        self.by_symbol, self.by_id = 0, list[str]()

    async def cancel_all(self, _: Sequence[str]) -> CancelOutcome:
        self.by_symbol += 1
        self.orders.clear()
        return CancelAck()

    async def cancel(self, symbol: str, client_id: str) -> CancelOutcome:
        self.by_id.append(client_id)
        left = [one for one in self.orders if one.symbol != symbol or client_id not in {one.client_id, f"of {one.order_id}"}]
        gone, self.orders = len(left) < len(self.orders), left
        return CancelAck() if gone else CancelFailed(-2011, "unknown order")

    async def remaining(self, symbols: Sequence[str]) -> Sequence[ListedOrder]:
        if self.faults and self.faults.pop(0):
            raise NO_LIST
        return [one for one in self.orders if one.symbol in symbols]


def cancelled_all(desk: Desk, account: Account, strangers: Strangers | None = None) -> tuple[CancelAllResult, float]:
    """The result of a cancel-all, and after how many seconds it had its proof."""
    loop = VirtualTimeLoop()
    known = strangers or Strangers(lambda: desk.state)
    venue: Any = account
    work = cancel_all_until_empty(venue, [SYMBOL], VirtualClock(loop), lambda: 0, expected=0, strangers=known)
    result = run_in_virtual_time(asyncio.wait_for(work, 1_000), loop)
    return result, loop.time()


def resting(desk: Desk) -> OrderReport:
    """An order of ours that rests at the venue."""
    return desk.report(desk.placed(desk.order("0.00003", "59500")), OrderStatus.NEW)


def test_ours_is_cancelled_by_id_and_theirs_stays(trading: Desk) -> None:
    desk = trading.fork()
    ours, person = resting(desk), theirs()
    account = Account([ours, person])
    result, seconds = cancelled_all(desk, account)
    assert (account.orders, account.by_symbol, set(account.by_id)) == ([person], 0, {ours.client_id})
    assert result.empty_ns >= 0
    assert seconds < 3


def test_without_an_order_of_others_whole_symbols_are_cancelled(trading: Desk) -> None:
    desk = trading.fork()
    account = Account([resting(desk)])
    cancelled_all(desk, account)
    assert (account.orders, account.by_symbol, account.by_id) == ([], 1, [])


def test_a_list_that_leaves_our_id_out_still_shows_ours(trading: Desk) -> None:
    desk = trading.fork()
    ours = resting(desk)
    account = Account([replace(ours, client_id=""), theirs()])
    account.orders[0] = replace(ours, client_id="")
    strangers = Strangers(lambda: desk.state)
    assert strangers.sort(MOCK, account.orders, 0) == [replace(ours, client_id="")]
    assert strangers.ours(MOCK, ()) == [(SYMBOL, ours.client_id)]


def of_a_twin(desk: Desk, former: bool = False) -> OrderReport:
    """An order with an id of the journal's form that the journal did not write."""
    owner = hashlib.sha256(f"{desk.state.controller_id} {desk.state.environment}".encode()).hexdigest()[:10]
    return theirs("C02__twin", f"gh-{owner}-0000009999" if former else f"{our_prefix(desk.state)}0000009999")


@pytest.mark.parametrize("former", [False, True])
def test_an_order_of_a_twin_stays_and_ours_goes(trading: Desk, former: bool) -> None:
    desk = trading.fork()
    ours, twins = resting(desk), of_a_twin(desk, former)
    account = Account([ours, twins, theirs()])
    cancelled_all(desk, account)
    assert account.orders == [twins, theirs()]
    assert twins.client_id not in account.by_id


@pytest.mark.parametrize("former", [False, True])
def test_an_order_of_the_end_that_the_journal_lost_goes(trading: Desk, former: bool) -> None:
    desk = trading.fork()
    account = Account([of_a_twin(desk, former), theirs()])
    cancelled_all(desk, account, Strangers(lambda: desk.state, lost_entries=True))
    assert account.orders == [theirs()]


@pytest.mark.parametrize("where", ["stream", "sweep"])
def test_an_order_of_a_twin_halts_and_the_halt_says_so(where: str) -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    testnet, twins = VenueName.TESTNET, of_a_twin(desk)
    seen = {"stream": i.VenueReported(testnet, twins)}
    _ = desk.give(seen[where]) if where in seen else desk.sweep(testnet, orders=(twins,))
    assert (desk.state.position.stage, desk.state.halt_class) == (Stage.HALTED, HaltClass.INTEGRITY)
    assert "placed by a controller with a copy of this journal, or before this one lost entries" in desk.state.halt_reason


def test_an_order_that_may_be_ours_counts_as_ours(trading: Desk) -> None:
    desk = trading.fork()
    unnamed = desk.placed(desk.order("0.00005", "59500"), Unknown("no reply"))
    strangers = Strangers(lambda: desk.state)
    alike = replace(theirs(), price=D("59500"))
    assert strangers.sort(MOCK, [alike], 0) == [alike]
    assert not strangers.any(MOCK)
    assert strangers.ours(MOCK, ()) == [(SYMBOL, unnamed)]


def test_a_list_that_does_not_come_delays_no_cancel(trading: Desk) -> None:
    desk = trading.fork()

    class Hangs(Account):
        async def remaining(self, symbols: Sequence[str]) -> Sequence[ListedOrder]:
            if not self.by_symbol:
                await asyncio.sleep(600)
            return await super().remaining(symbols)

    account = Hangs([resting(desk)])
    _, seconds = cancelled_all(desk, account)
    assert account.by_symbol == 1
    assert seconds < FIRST_LIST_S + 3


def test_a_stream_that_told_of_it_is_enough_without_the_list(trading: Desk) -> None:
    desk = trading.fork()
    ours, person = resting(desk), theirs()
    strangers = Strangers(lambda: desk.state)
    strangers.sort(MOCK, [ours], 0)
    strangers.streamed(MOCK, person)
    account = Account([ours, person], faults=[True] * 5)
    cancelled_all(desk, account, strangers)
    assert (account.orders, account.by_symbol) == ([person], 0)


def test_a_list_from_before_the_stream_told_of_it_forgets_nothing(trading: Desk) -> None:
    strangers = Strangers(lambda: trading.state)
    turn = strangers.turn(MOCK)
    strangers.streamed(MOCK, theirs())
    strangers.sort(MOCK, [], turn)
    assert strangers.any(MOCK)
    strangers.sort(MOCK, [], strangers.turn(MOCK))
    assert not strangers.any(MOCK)


@pytest.mark.parametrize(
    "report",
    [replace(theirs(), status=OrderStatus.CANCELED), ForeignOrder(SYMBOL, "C02__person", "", "STOP_LIMIT", open=False)],
    ids=["an order", "a stop order"],
)
def test_an_order_of_others_that_ended_is_forgotten(trading: Desk, report: ListedOrder) -> None:
    strangers = Strangers(lambda: trading.state)
    strangers.streamed(MOCK, theirs())
    strangers.streamed(MOCK, ForeignOrder(SYMBOL, "C02__stop", "", "STOP_LIMIT", open=True))
    strangers.streamed(MOCK, report)
    assert strangers.any(MOCK)
    strangers.streamed(MOCK, ForeignOrder(SYMBOL, "C02__stop", "", "STOP_LIMIT", open=False))
    assert not strangers.any(MOCK)


def test_a_cancel_that_fails_keeps_no_other_from_being_sent(trading: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk = trading.fork()
    first, second = resting(desk), resting(desk)

    class Refuses(Account):
        async def cancel(self, symbol: str, client_id: str) -> CancelOutcome:
            if client_id == first.client_id and client_id not in self.by_id:
                self.by_id.append(client_id)
                raise NO_LIST
            return await super().cancel(symbol, client_id)

    account = Refuses([first, second, theirs()])
    cancelled_all(desk, account)
    assert account.orders == [theirs()]
    logged = [(record.message, record.__dict__["fields"]) for record in caplog.records if "by their ids" in record.message]
    assert logged == [("orders could not be cancelled by their ids", {"orders": 1, "why": "VenueError"})]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(0, 3), st.lists(st.booleans(), max_size=6), st.booleans())
def test_whatever_the_venue_does_ours_go_and_theirs_stay(mine: int, persons: int, faults: list[bool], streamed: bool) -> None:
    desk = Desk().arm()
    ours, others = [resting(desk) for _ in range(mine)], [theirs(f"C02__p{number}") for number in range(persons)]
    strangers = Strangers(lambda: desk.state)
    if streamed:
        for one in others:
            strangers.streamed(MOCK, one)
    # A process that saw no list and no report, and gets no list either, cannot know of theirs.
    blind = not streamed and bool(faults) and faults[0]
    account = Account([*ours, *others], faults=faults)
    result, _ = cancelled_all(desk, account, strangers)
    assert result.empty_ns >= 0
    assert not [one for one in account.orders if one in ours]
    if not blind:
        assert account.orders == others


@pytest.mark.parametrize("where", ["stream", "sweep"])
def test_a_persons_order_halts_and_the_halt_names_it(where: str) -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    testnet = VenueName.TESTNET
    seen = {"stream": i.VenueReported(testnet, theirs())}
    decision = desk.give(seen[where]) if where in seen else desk.sweep(testnet, orders=(theirs(),))
    assert desk.state.position.stage is Stage.HALTED
    assert "is not ours: BUY 0.00005 BTCUSDT @ 55000, placed outside gatehouse" in desk.state.halt_reason
    assert [effect.venue for effect in decision.effects if isinstance(effect, CancelAll)] == [testnet]


def test_a_market_order_and_a_stop_order_of_a_person_are_named() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    market = replace(theirs(), type=OrderType.MARKET, price=Decimal(0))
    desk.fork().give(i.VenueReported(VenueName.TESTNET, market))
    halted = desk.fork()
    halted.give(i.VenueReported(VenueName.TESTNET, market))
    assert halted.state.halt_reason.endswith("is not ours: BUY 0.00005 BTCUSDT, placed outside gatehouse")
    desk.give(i.VenueReported(VenueName.TESTNET, ForeignOrder(SYMBOL, "C02__stop", "", "STOP_LIMIT", open=True)))
    assert desk.state.halt_reason.endswith("of type STOP_LIMIT on testnet is not ours: BTCUSDT, placed outside gatehouse")
