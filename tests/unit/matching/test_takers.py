"""Orders that trade on arrival: the walk, the collar, immediate types and what was consumed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exchange.matching.events import Filled
from exchange.model import OrderStatus, OrderType, Side

D = Decimal
IOC, FOK, MARKET = OrderType.IMMEDIATE_OR_CANCEL, OrderType.FILL_OR_KILL, OrderType.MARKET


def test_a_crossing_limit_walks_the_displayed_depth_and_rests_with_the_remainder(desk):
    order = desk.order(Side.BUY, "102", "20")
    assert desk.filled(order) == [(D(101), D(5)), (D(102), D(7))]
    assert desk.status(order) is OrderStatus.PARTIALLY_FILLED
    desk.sold("102", "8")
    assert desk.status(order) is OrderStatus.FILLED


def test_a_taker_does_not_trade_beyond_its_limit(desk):
    order = desk.order(Side.SELL, "100", "6")
    assert desk.filled(order) == [(D(100), D(5))]


def test_what_one_taker_took_is_gone_for_the_next_until_the_level_is_refreshed(desk):
    desk.order(Side.BUY, "101", "4", IOC)
    assert desk.executed(desk.order(Side.BUY, "101", "4", IOC)) == 1
    assert desk.executed(desk.order(Side.BUY, "101", "4", IOC)) == 0
    desk.delta(asks=[("101", "3")])
    assert desk.executed(desk.order(Side.BUY, "101", "4", IOC)) == 3


def test_a_change_of_another_level_does_not_give_back_what_was_taken(desk):
    desk.order(Side.BUY, "101", "5", IOC)
    desk.delta(asks=[("102", "9")])
    assert desk.executed(desk.order(Side.BUY, "101", "1", IOC)) == 0


def test_a_snapshot_gives_back_only_the_levels_it_changed(desk):
    desk.order(Side.BUY, "102", "12", IOC)
    desk.book(asks=[("101", "5"), ("102", "6")])
    assert desk.filled(desk.order(Side.BUY, "102", "12", IOC)) == [(D(102), D(6))]


def test_an_immediate_order_keeps_its_fills_and_loses_its_remainder(desk):
    order = desk.order(Side.BUY, "101", "6", IOC)
    assert desk.status(order) is OrderStatus.PARTIALLY_CANCELED
    assert desk.executed(order) == 5


def test_an_immediate_order_that_finds_nothing_is_canceled(desk):
    assert desk.status(desk.order(Side.BUY, "100.5", "1", IOC)) is OrderStatus.CANCELED


def test_a_fill_or_kill_order_fills_whole(desk):
    order = desk.order(Side.BUY, "102", "12", FOK)
    assert desk.status(order) is OrderStatus.FILLED


def test_a_fill_or_kill_order_takes_nothing_when_it_cannot_have_all(desk):
    order = desk.order(Side.BUY, "102", "12.000001", FOK)
    assert desk.status(order) is OrderStatus.CANCELED
    assert desk.executed(desk.order(Side.BUY, "102", "12", FOK)) == 12


def test_a_market_order_by_quantity_reports_its_collar_as_price(desk):
    outcome = desk.place(Side.SELL, None, "6", MARKET)
    assert outcome.order.report.price == 95
    assert desk.filled() == [(D(100), D(5)), (D(99), D(1))]


def test_a_market_order_stops_at_its_collar_and_loses_the_rest(make_desk):
    desk = make_desk()
    desk.book([("100", "1"), ("95", "1"), ("94.99", "9")], [("101", "1")])
    order = desk.order(Side.SELL, None, "5", MARKET)
    assert desk.filled(order) == [(D(100), D(1)), (D(95), D(1))]
    assert desk.status(order) is OrderStatus.PARTIALLY_CANCELED


def test_a_market_buy_by_quote_spends_at_most_what_it_was_given(desk):
    order = desk.order(Side.BUY, None, None, MARKET, quote="606")
    assert desk.filled(order) == [(D(101), D(5)), (D(102), D("0.990196"))]
    assert desk.status(order) is OrderStatus.FILLED
    free, locked = desk.money("USDT")
    spent = sum(fill.quote + fill.fee for fill in desk.fills(order))
    assert (free, locked) == (100_000 - spent, 0)
    assert sum(fill.quote for fill in desk.fills(order)) <= 606


def test_a_market_sell_by_quote_sells_what_raises_that_much(desk):
    order = desk.order(Side.SELL, None, None, MARKET, quote="200")
    assert desk.filled(order) == [(D(100), D(2))]
    assert desk.status(order) is OrderStatus.FILLED
    assert desk.money("BTC") == (98, 0)


def test_a_market_order_that_empties_the_book_ends_partially_canceled(desk):
    order = desk.order(Side.BUY, None, None, MARKET, quote="5000")
    assert desk.executed(order) == 12
    assert desk.status(order) is OrderStatus.PARTIALLY_CANCELED
    assert desk.money("USDT")[1] == 0


def test_a_market_order_without_a_tradable_book_is_refused_for_want_of_a_price(desk):
    desk.gap()
    assert desk.place(Side.BUY, None, None, MARKET, quote="100").code == 30010


def test_a_market_order_without_an_opposing_side_is_refused(make_desk):
    desk = make_desk()
    desk.book([("100", "1")], [])
    assert desk.place(Side.BUY, None, "1", MARKET).code == 30025


@pytest.mark.parametrize("kind", [IOC, FOK])
def test_an_immediate_order_dies_while_the_book_is_gapped(desk, kind):
    desk.gap()
    assert desk.status(desk.order(Side.BUY, "101", "1", kind)) is OrderStatus.CANCELED


def test_a_limit_order_waits_out_a_gap(desk):
    desk.gap()
    order = desk.order(Side.BUY, "102", "1")
    assert desk.status(order) is OrderStatus.NEW
    desk.book()
    assert desk.filled(order) == [(D(102), D(1))]


def test_a_taker_pays_the_taker_fee_and_cites_the_book_it_walked(desk):
    desk.order(Side.BUY, "101", "2")
    (filled,) = [event for event in desk.log if isinstance(event, Filled)]
    assert (filled.fill.fee, filled.fill.fee_asset, filled.fill.maker) == (D("0.101"), "USDT", False)
    assert (filled.evidence.book_version, filled.evidence.trade_ids) == (1, ())
