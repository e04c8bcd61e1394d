"""Placing, refusing, cancelling and looking up, with the events that tell of it."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from exchange.errors import ConfigError, UsageError
from exchange.matching.accounts import MovementReason
from exchange.matching.engine import DuplicateClientIds, Engine
from exchange.matching.events import Accepted, BalanceChanged, Canceled, Filled, OrderChanged, Refusal
from exchange.matching.order_checks import MAX_OPEN_ORDERS
from exchange.matching.symbols import BTCUSDT
from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side

D = Decimal
BUY, SELL, LIMIT, MARKET = Side.BUY, Side.SELL, OrderType.LIMIT, OrderType.MARKET


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ((BUY, "100", "0.001"), 30002),
        ((BUY, "100", "20001"), 30003),
        ((BUY, "100.001", "1"), 400),
        ((BUY, "100", "1.0000001"), 400),
        ((BUY, "0", "1"), 33333),
        ((BUY, "100", "0"), 33333),
        ((BUY, "100", "NaN"), 33333),
        ((BUY, None, "1"), 33333),
        ((BUY, "100", None), 33333),
        ((BUY, "100", "1001"), 30004),
        ((SELL, "100", "101"), 30005),
        ((BUY, None, None, MARKET), 33333),
        ((BUY, None, "0.001", MARKET), 30002),
    ],
)
def test_an_order_the_venue_would_refuse_is_refused_with_its_code(desk, order, code):
    outcome = desk.place(*order)
    assert isinstance(outcome, Refusal)
    assert outcome.code == code
    assert desk.engine.orders("ours", "BTCUSDT") == []


@pytest.mark.parametrize(
    ("change", "order", "code"),
    [
        ({"trading": False}, (BUY, "100", "1"), 30000),
        ({"api_allowed": False}, (BUY, "100", "1"), 10007),
        ({"buy_allowed": False}, (BUY, "100", "1"), 30001),
        ({"sell_allowed": False}, (SELL, "100", "1"), 30001),
        ({"order_types": frozenset({LIMIT})}, (BUY, None, "1", MARKET), 30019),
        ({"order_types": frozenset({LIMIT})}, (BUY, "99", "1", OrderType.LIMIT_MAKER), 30041),
        ({"min_quantity": D(2)}, (BUY, "100", "1"), 30002),
    ],
)
def test_a_symbol_that_does_not_take_the_order_says_why(make_desk, change, order, code):
    desk = make_desk(rules=dataclasses.replace(BTCUSDT, **change))
    desk.book()
    assert desk.place(*order).code == code


def test_an_unlisted_symbol_is_refused_as_invalid(desk):
    desk.symbol = "NOPEUSDT"
    assert desk.place(BUY, "100", "1").code == -1121


def test_only_so_many_orders_may_be_open(desk):
    for _ in range(MAX_OPEN_ORDERS):
        desk.order(BUY, "50", "0.02")
    assert desk.place(BUY, "50", "0.02").code == 30029


def test_a_repeated_client_id_is_refused_by_default(desk):
    desk.place(BUY, "99", "1", client_id="a")
    assert desk.place(BUY, "99", "1", client_id="a").code == 33333


def test_a_repeated_client_id_can_be_accepted_and_the_latest_order_is_found(make_desk):
    desk = make_desk(duplicates=DuplicateClientIds.ACCEPT)
    desk.book()
    desk.place(BUY, "99", "1", client_id="a")
    second = desk.place(BUY, "98", "1", client_id="a")
    assert desk.engine.order("ours", "BTCUSDT", client_id="a").report.order_id == second.order.report.order_id


def test_orders_without_a_client_id_do_not_repeat_each_other(desk):
    assert isinstance(desk.place(BUY, "99", "1"), Accepted)
    assert isinstance(desk.place(BUY, "99", "1"), Accepted)


def test_a_test_order_refuses_what_a_real_one_would_and_changes_nothing(desk):
    good = OrderIntent("BTCUSDT", BUY, LIMIT, "a", D(1), None, D(101))
    assert desk.engine.test("ours", good) is None
    assert desk.engine.test("ours", dataclasses.replace(good, quantity=D(5_000))).code == 30004
    assert desk.engine.test("ours", dataclasses.replace(good, price=D("1.001"))).code == 400
    assert desk.engine.open_orders("ours") == []


def test_placing_locks_funds_with_the_fee_and_tells_account_then_order(desk):
    outcome = desk.place(BUY, "100", "2")
    first, second = outcome.events
    assert isinstance(first, BalanceChanged)
    assert (first.change.reason, first.change.locked_delta) == (MovementReason.PLACED, D("200.1"))
    assert isinstance(second, OrderChanged)
    assert second.order.report.status is OrderStatus.NEW


def test_a_fill_tells_order_deal_and_balances_in_that_order(desk):
    desk.order(BUY, "100.5", "2")
    events = desk.sold("100", "2")[1:]
    assert [type(event) for event in events] == [OrderChanged, Filled, *[BalanceChanged] * 3]
    assert [event.change.reason for event in events[2:]] == [MovementReason.TRADED, MovementReason.RETURNED, MovementReason.TRADED]
    assert desk.money("BTC") == (102, 0)


def test_cancelling_frees_the_funds_and_reports_both_states(desk):
    order = desk.order(SELL, "101", "2")
    outcome = desk.engine.cancel("ours", "BTCUSDT", desk.now, order_id=order)
    assert isinstance(outcome, Canceled)
    assert (outcome.before.report.status, outcome.order.report.status) == (OrderStatus.NEW, OrderStatus.CANCELED)
    assert [type(event) for event in outcome.events] == [OrderChanged, BalanceChanged]
    assert desk.money("BTC") == (100, 0)


def test_cancelling_a_partly_filled_order_keeps_its_fills(desk):
    order = desk.order(BUY, "100.5", "2")
    desk.sold("100.5", "0.5")
    desk.engine.cancel("ours", "BTCUSDT", desk.now, order_id=order)
    assert desk.status(order) is OrderStatus.PARTIALLY_CANCELED
    assert desk.money("USDT") == (D(100_000) - D("50.25"), 0)


def test_an_order_that_has_ended_or_never_existed_cannot_be_canceled(desk):
    order = desk.order(BUY, "101", "1")
    for wrong in ({"order_id": order}, {"order_id": "C02__1"}, {"client_id": "nobody"}):
        assert desk.engine.cancel("ours", "BTCUSDT", desk.now, **wrong).code == -2011


def test_nobody_sees_or_cancels_the_orders_of_another_account(desk):
    order = desk.order(BUY, "99", "1")
    assert desk.engine.order("theirs", "BTCUSDT", order_id=order) is None
    assert desk.engine.cancel("theirs", "BTCUSDT", desk.now, order_id=order).code == -2011


def test_cancelling_everything_leaves_nothing_open_and_nothing_locked(desk):
    for price in ("98", "99", "100"):
        desk.order(BUY, price, "1")
    assert desk.engine.cancel_all("ours", desk.now, ["ETHUSDT"]) == []
    assert len(desk.engine.cancel_all("ours", desk.now)) == 3
    assert desk.engine.open_orders("ours") == []
    assert desk.money("USDT") == (100_000, 0)


def test_orders_are_listed_newest_first_and_within_the_window(desk):
    ids = [desk.order(BUY, "99", "1") for _ in range(3)]
    assert [view.report.order_id for view in desk.engine.open_orders("ours", "BTCUSDT")] == ids[::-1]
    middle = desk.engine.order("ours", "BTCUSDT", order_id=ids[1]).report.created_at
    assert [view.report.order_id for view in desk.engine.orders("ours", "BTCUSDT", since=middle, until=middle)] == [ids[1]]
    assert len(desk.engine.orders("ours", "BTCUSDT", limit=2)) == 2


def test_fills_are_listed_by_order_and_by_time(desk):
    first = desk.order(BUY, "101", "1")
    desk.order(BUY, "101", "2")
    assert [fill.quantity for fill in desk.engine.fills("ours", "BTCUSDT")] == [2, 1]
    assert [fill.order_id for fill in desk.engine.fills("ours", "BTCUSDT", order_id=first)] == [first]
    assert desk.engine.fills("ours", "BTCUSDT", since=Millis(desk.now + 1)) == []
    assert len(desk.engine.fills("ours", "BTCUSDT", limit=1)) == 1


def test_ids_are_opaque_text_in_the_shape_of_the_venue_and_trade_ids_never_repeat(desk):
    order = desk.order(BUY, "102", "12")
    assert order.startswith("C02__")
    trade_ids = [fill.trade_id for fill in desk.fills(order)]
    assert len(set(trade_ids)) == 2
    assert trade_ids[0].endswith("X1")


def test_an_account_that_was_never_opened_is_an_error_with_a_remedy(desk):
    with pytest.raises(UsageError) as caught:
        desk.place(BUY, "100", "1", account="nobody")
    assert caught.value.code == "account-missing"


@pytest.mark.parametrize("amount", ["-1", "NaN", "1e12", "0.00000000000000001"])
def test_a_deposit_the_ledger_cannot_hold_is_refused(desk, amount):
    with pytest.raises(UsageError):
        desk.engine.open_account("ours", {"USDT": D(amount)}, desk.now)


@pytest.mark.parametrize("change", [{"taker_fee": D("-0.1")}, {"price_precision": 20}, {"max_notional": D("1e25")}])
def test_rules_that_cannot_be_settled_exactly_are_refused(change):
    with pytest.raises(ConfigError):
        Engine({"BTCUSDT": dataclasses.replace(BTCUSDT, **change)})
