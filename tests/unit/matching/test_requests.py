"""Placing, refusing, cancelling and querying, with the events."""

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
        ((BUY, "100", "NaN"), 700008),
        ((BUY, None, "1"), 700004),
        ((BUY, "100", None), 700004),
        ((BUY, "100", "1001"), 30004),
        ((SELL, "100", "101"), 30005),
        ((BUY, None, None, MARKET), 700004),
        ((BUY, None, "0.001", MARKET), 30002),
    ],
)
def test_an_order_the_venue_would_refuse_is_refused_with_its_code(driver, order, code):
    outcome = driver.place(*order)
    assert isinstance(outcome, Refusal)
    assert outcome.code == code
    assert driver.engine.orders("ours", "BTCUSDT") == []


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
def test_a_symbol_that_refuses_the_order_says_why(make_driver, change, order, code):
    driver = make_driver(rules=dataclasses.replace(BTCUSDT, **change))
    driver.book()
    assert driver.place(*order).code == code


def test_an_unlisted_symbol_is_refused_as_invalid(driver):
    driver.symbol = "NOPEUSDT"
    assert driver.place(BUY, "100", "1").code == -1121


def test_the_number_of_open_orders_is_limited(driver):
    for _ in range(MAX_OPEN_ORDERS):
        driver.order(BUY, "50", "0.02")
    assert driver.place(BUY, "50", "0.02").code == 30029


def test_a_repeated_client_id_is_refused_by_default(driver):
    driver.place(BUY, "99", "1", client_id="a")
    assert driver.place(BUY, "99", "1", client_id="a").code == 33333


def test_a_repeated_client_id_can_be_accepted_and_finds_the_latest(make_driver):
    driver = make_driver(duplicates=DuplicateClientIds.ACCEPT)
    driver.book()
    driver.place(BUY, "99", "1", client_id="a")
    second = driver.place(BUY, "98", "1", client_id="a")
    assert driver.engine.order("ours", "BTCUSDT", client_id="a").report.order_id == second.order.report.order_id


def test_orders_without_a_client_id_do_not_repeat_each_other(driver):
    assert isinstance(driver.place(BUY, "99", "1"), Accepted)
    assert isinstance(driver.place(BUY, "99", "1"), Accepted)


def test_a_test_order_refuses_what_a_real_one_would_and_changes_nothing(driver):
    good = OrderIntent("BTCUSDT", BUY, LIMIT, "a", D(1), None, D(101))
    assert driver.engine.test("ours", good) is None
    assert driver.engine.test("ours", dataclasses.replace(good, quantity=D(5_000))).code == 30004
    assert driver.engine.test("ours", dataclasses.replace(good, price=D("1.001"))).code == 400
    assert driver.engine.open_orders("ours") == []


def test_placing_locks_funds_and_reports_the_account_then_the_order(driver):
    outcome = driver.place(BUY, "100", "2")
    first, second = outcome.events
    assert isinstance(first, BalanceChanged)
    assert (first.change.reason, first.change.locked_delta) == (MovementReason.PLACED, D("200.1"))
    assert isinstance(second, OrderChanged)
    assert second.order.report.status is OrderStatus.NEW


def test_a_fill_reports_order_deal_and_balances_in_that_order(driver):
    driver.order(BUY, "100.5", "2")
    events = driver.sold("100", "2")[1:]
    assert [type(event) for event in events] == [OrderChanged, Filled, *[BalanceChanged] * 3]
    assert [event.change.reason for event in events[2:]] == [MovementReason.TRADED, MovementReason.RETURNED, MovementReason.TRADED]
    assert driver.money("BTC") == (102, 0)


def test_cancelling_frees_the_funds_and_reports_both_states(driver):
    order = driver.order(SELL, "101", "2")
    outcome = driver.engine.cancel("ours", "BTCUSDT", driver.now, order_id=order)
    assert isinstance(outcome, Canceled)
    assert (outcome.before.report.status, outcome.order.report.status) == (OrderStatus.NEW, OrderStatus.CANCELED)
    assert [type(event) for event in outcome.events] == [OrderChanged, BalanceChanged]
    assert driver.money("BTC") == (100, 0)


def test_cancelling_a_partly_filled_order_keeps_its_fills(driver):
    order = driver.order(BUY, "100.5", "2")
    driver.sold("100.5", "0.5")
    driver.engine.cancel("ours", "BTCUSDT", driver.now, order_id=order)
    assert driver.status(order) is OrderStatus.PARTIALLY_CANCELED
    assert driver.money("USDT") == (D(100_000) - D("50.25"), 0)


def test_an_order_that_has_ended_or_never_existed_cannot_be_canceled(driver):
    order = driver.order(BUY, "101", "1")
    for wrong in ({"order_id": order}, {"order_id": "C02__1"}, {"client_id": "nobody"}):
        assert driver.engine.cancel("ours", "BTCUSDT", driver.now, **wrong).code == -2011


def test_an_account_cannot_see_or_cancel_another_accounts_orders(driver):
    order = driver.order(BUY, "99", "1")
    assert driver.engine.order("theirs", "BTCUSDT", order_id=order) is None
    assert driver.engine.cancel("theirs", "BTCUSDT", driver.now, order_id=order).code == -2011


def test_cancelling_everything_leaves_nothing_open_and_nothing_locked(driver):
    for price in ("98", "99", "100"):
        driver.order(BUY, price, "1")
    assert driver.engine.cancel_all("ours", driver.now, ["ETHUSDT"]) == []
    assert len(driver.engine.cancel_all("ours", driver.now)) == 3
    assert driver.engine.open_orders("ours") == []
    assert driver.money("USDT") == (100_000, 0)


def test_orders_are_listed_newest_first_and_within_the_window(driver):
    ids = [driver.order(BUY, "99", "1") for _ in range(3)]
    assert [view.report.order_id for view in driver.engine.open_orders("ours", "BTCUSDT")] == ids[::-1]
    middle = driver.engine.order("ours", "BTCUSDT", order_id=ids[1]).report.created_at
    assert [view.report.order_id for view in driver.engine.orders("ours", "BTCUSDT", since=middle, until=middle)] == [ids[1]]
    assert len(driver.engine.orders("ours", "BTCUSDT", limit=2)) == 2


def test_fills_are_listed_by_order_and_by_time(driver):
    first = driver.order(BUY, "101", "1")
    driver.order(BUY, "101", "2")
    assert [fill.quantity for fill in driver.engine.fills("ours", "BTCUSDT")] == [2, 1]
    assert [fill.order_id for fill in driver.engine.fills("ours", "BTCUSDT", order_id=first)] == [first]
    assert driver.engine.fills("ours", "BTCUSDT", since=Millis(driver.now + 1)) == []
    assert len(driver.engine.fills("ours", "BTCUSDT", limit=1)) == 1


def test_ids_have_the_venues_form_and_trade_ids_never_repeat(driver):
    order = driver.order(BUY, "102", "12")
    assert order.startswith("C02__")
    trade_ids = [fill.trade_id for fill in driver.fills(order)]
    assert len(set(trade_ids)) == 2
    assert trade_ids[0].endswith("X1")


def test_an_account_that_was_never_opened_is_an_error_with_a_remedy(driver):
    with pytest.raises(UsageError) as caught:
        driver.place(BUY, "100", "1", account="nobody")
    assert caught.value.code == "account-missing"


@pytest.mark.parametrize("amount", ["-1", "NaN", "1e12", "0.00000000000000001"])
def test_a_deposit_the_ledger_cannot_hold_is_refused(driver, amount):
    with pytest.raises(UsageError):
        driver.engine.open_account("ours", {"USDT": D(amount)}, driver.now)


@pytest.mark.parametrize("change", [{"taker_fee": D("-0.1")}, {"price_precision": 20}, {"max_notional": D("1e25")}])
def test_rules_that_cannot_be_settled_exactly_are_refused(change):
    with pytest.raises(ConfigError):
        Engine({"BTCUSDT": dataclasses.replace(BTCUSDT, **change)})
