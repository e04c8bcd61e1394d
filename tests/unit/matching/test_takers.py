"""Orders that trade on arrival: levels, the collar, immediate types and consumption."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from exchange.matching.events import Filled
from exchange.matching.symbols import BTCUSDT
from exchange.model import OrderStatus, OrderType, Side

D = Decimal
IOC, FOK, MARKET = OrderType.IMMEDIATE_OR_CANCEL, OrderType.FILL_OR_KILL, OrderType.MARKET


def test_a_crossing_limit_takes_displayed_depth_and_its_rest_rests(driver):
    order = driver.order(Side.BUY, "102", "20")
    assert driver.filled(order) == [(D(101), D(5)), (D(102), D(7))]
    assert driver.status(order) is OrderStatus.PARTIALLY_FILLED
    driver.sold("102", "8")
    assert driver.status(order) is OrderStatus.FILLED


def test_a_taker_does_not_trade_beyond_its_limit(driver):
    order = driver.order(Side.SELL, "100", "6")
    assert driver.filled(order) == [(D(100), D(5))]


def test_consumed_quantity_is_gone_until_its_level_is_refreshed(driver):
    driver.order(Side.BUY, "101", "4", IOC)
    assert driver.executed(driver.order(Side.BUY, "101", "4", IOC)) == 1
    assert driver.executed(driver.order(Side.BUY, "101", "4", IOC)) == 0
    driver.delta(asks=[("101", "3")])
    assert driver.executed(driver.order(Side.BUY, "101", "4", IOC)) == 3


def test_a_change_of_another_level_does_not_restore_consumption(driver):
    driver.order(Side.BUY, "101", "5", IOC)
    driver.delta(asks=[("102", "9")])
    assert driver.executed(driver.order(Side.BUY, "101", "1", IOC)) == 0


def test_a_snapshot_restores_only_the_levels_it_changed(driver):
    driver.order(Side.BUY, "102", "12", IOC)
    driver.book(asks=[("101", "5"), ("102", "6")])
    assert driver.filled(driver.order(Side.BUY, "102", "12", IOC)) == [(D(102), D(6))]


def test_an_immediate_order_keeps_its_fills_and_loses_its_remainder(driver):
    order = driver.order(Side.BUY, "101", "6", IOC)
    assert driver.status(order) is OrderStatus.PARTIALLY_CANCELED
    assert driver.executed(order) == 5


def test_an_immediate_order_that_finds_nothing_is_canceled(driver):
    assert driver.status(driver.order(Side.BUY, "100.5", "1", IOC)) is OrderStatus.CANCELED


def test_a_fill_or_kill_order_fills_whole(driver):
    order = driver.order(Side.BUY, "102", "12", FOK)
    assert driver.status(order) is OrderStatus.FILLED


def test_a_fill_or_kill_order_takes_nothing_when_it_cannot_have_all(driver):
    order = driver.order(Side.BUY, "102", "12.000001", FOK)
    assert driver.status(order) is OrderStatus.CANCELED
    assert driver.executed(driver.order(Side.BUY, "102", "12", FOK)) == 12


def test_a_market_order_by_quantity_reports_its_collar_as_price(driver):
    outcome = driver.place(Side.SELL, None, "6", MARKET)
    assert outcome.order.report.price == 95
    assert driver.filled() == [(D(100), D(5)), (D(99), D(1))]


def test_a_market_order_stops_at_its_collar_and_loses_the_rest(make_driver):
    driver = make_driver()
    driver.book([("100", "1"), ("95", "1"), ("94.99", "9")], [("101", "1")])
    order = driver.order(Side.SELL, None, "5", MARKET)
    assert driver.filled(order) == [(D(100), D(1)), (D(95), D(1))]
    assert driver.status(order) is OrderStatus.PARTIALLY_CANCELED


def test_a_market_buy_by_quote_buys_what_its_amount_buys_at_the_collar(driver):
    """The collar is 101 x 1.05 = 106.05, and 606 / 106.05 = 5.714285..."""
    order = driver.order(Side.BUY, None, None, MARKET, quote="606")
    report = driver.engine.order("ours", "BTCUSDT", order_id=order).report
    assert (report.price, report.quantity) == (D("106.05"), D("5.714285"))
    assert driver.filled(order) == [(D(101), D(5)), (D(102), D("0.714285"))]
    assert driver.status(order) is OrderStatus.FILLED


def test_a_market_buy_by_quote_spends_at_most_its_amount(driver):
    order = driver.order(Side.BUY, None, None, MARKET, quote="606")
    free, locked = driver.money("USDT")
    spent = sum(fill.quote + fill.fee for fill in driver.fills(order))
    assert (free, locked) == (100_000 - spent, 0)
    assert sum(fill.quote for fill in driver.fills(order)) <= 606


@pytest.mark.parametrize(
    ("ask", "amount", "price", "quantity"),
    [("0.174765", "6", "0.183503", "32.69"), ("0.007028", "8", "0.007379", "1084.09")],
    ids=["KASUSDT: mexcdevelop/mexc-api-sdk issue 77, 2024-06-06", "ATLASUSDT: ccxt/ccxt pull request 20250, 2023-12-06"],
)
def test_a_market_buy_by_quote_is_answered_as_a_recorded_reply(make_driver, ask, amount, price, quantity):
    """The best ask was not recorded; it is the one price on the grid that leads to both numbers."""
    driver = make_driver(rules=dataclasses.replace(BTCUSDT, price_precision=6, quantity_precision=2, min_quantity=D(0)))
    driver.book([("0.001", "1")], [(ask, "9999")])
    report = driver.place(Side.BUY, None, None, MARKET, quote=amount).order.report
    assert (report.price, report.quantity, report.executed) == (D(price), D(quantity), D(quantity))


def test_a_market_sell_by_quote_sells_enough_for_its_amount(driver):
    order = driver.order(Side.SELL, None, None, MARKET, quote="200")
    assert driver.filled(order) == [(D(100), D(2))]
    assert driver.status(order) is OrderStatus.FILLED
    assert driver.money("BTC") == (98, 0)


def test_a_market_order_larger_than_the_book_is_partially_canceled(driver):
    order = driver.order(Side.BUY, None, None, MARKET, quote="5000")
    assert driver.executed(order) == 12
    assert driver.status(order) is OrderStatus.PARTIALLY_CANCELED
    assert driver.money("USDT")[1] == 0


def test_a_market_order_without_a_tradable_book_is_refused(driver):
    driver.gap()
    assert driver.place(Side.BUY, None, None, MARKET, quote="100").code == 30010


def test_a_market_order_without_an_opposing_side_is_refused(make_driver):
    driver = make_driver()
    driver.book([("100", "1")], [])
    assert driver.place(Side.BUY, None, "1", MARKET).code == 30025


@pytest.mark.parametrize("kind", [IOC, FOK])
def test_an_immediate_order_is_canceled_while_the_book_is_gapped(driver, kind):
    driver.gap()
    assert driver.status(driver.order(Side.BUY, "101", "1", kind)) is OrderStatus.CANCELED


def test_a_limit_order_waits_out_a_gap(driver):
    driver.gap()
    order = driver.order(Side.BUY, "102", "1")
    assert driver.status(order) is OrderStatus.NEW
    driver.book()
    assert driver.filled(order) == [(D(102), D(1))]


def test_a_taker_pays_the_taker_fee_and_cites_its_book_version(driver):
    driver.order(Side.BUY, "101", "2")
    (filled,) = [event for event in driver.log if isinstance(event, Filled)]
    assert (filled.fill.fee, filled.fill.fee_asset, filled.fill.maker) == (D("0.101"), "USDT", False)
    assert (filled.evidence.book_version, filled.evidence.trade_ids) == (1, ())
