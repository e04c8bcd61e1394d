"""Resting orders: the queue, trades through, touches, gaps in the book."""

from __future__ import annotations

from decimal import Decimal

from exchange.matching.events import Filled
from exchange.matching.resting import FillModel
from exchange.model import OrderStatus, OrderType, Side

D = Decimal


def test_a_trade_at_our_price_first_uses_up_the_queue_ahead(desk):
    order = desk.order(Side.BUY, "100", "2")
    desk.sold("100", "5")
    assert desk.filled(order) == []
    desk.sold("100", "1.5")
    assert desk.filled(order) == [(D(100), D("1.5"))]
    assert desk.status(order) is OrderStatus.PARTIALLY_FILLED


def test_one_trade_can_empty_the_queue_and_fill_with_what_is_left(desk):
    order = desk.order(Side.SELL, "101", "2")
    desk.bought("101", "6")
    assert desk.filled(order) == [(D(101), D(1))]


def test_trades_of_our_own_side_do_not_move_the_queue(desk):
    order = desk.order(Side.BUY, "100", "1")
    desk.bought("100", "50")
    desk.sold("100", "5")
    assert desk.filled(order) == []


def test_an_order_alone_at_its_price_has_nobody_ahead(desk):
    order = desk.order(Side.BUY, "100.5", "2")
    desk.sold("100.5", "0.5")
    assert desk.filled(order) == [(D("100.5"), D("0.5"))]


def test_a_trade_beyond_our_price_fills_up_to_its_size_whatever_the_queue(desk):
    order = desk.order(Side.BUY, "100", "2")
    desk.sold("99.99", "0.3")
    assert desk.filled(order) == [(D(100), D("0.3"))]


def test_after_a_trade_beyond_our_price_nobody_is_ahead_any_more(desk):
    order = desk.order(Side.BUY, "100", "2")
    desk.sold("99.99", "0.3")
    desk.sold("100", "0.2")
    assert desk.executed(order) == D("0.5")


def test_a_touch_alone_never_fills_a_resting_order(desk):
    order = desk.order(Side.BUY, "100", "1")
    desk.delta(bids=[("100", "0")], asks=[("100", "50")])
    assert desk.filled(order) == []


def test_a_book_that_moves_through_our_price_fills_at_our_price_up_to_what_crosses(desk):
    order = desk.order(Side.BUY, "100", "5")
    desk.delta(bids=[("100", "0"), ("99", "0"), ("98", "1")], asks=[("98.5", "1"), ("99.5", "2"), ("100", "9")])
    assert desk.filled(order) == [(D(100), D(3))]
    assert desk.fills(order)[0].maker


def test_what_crossed_is_not_filled_against_twice(desk):
    order = desk.order(Side.BUY, "100", "5")
    desk.delta(bids=[("100", "0"), ("99", "0")], asks=[("99.5", "2")])
    desk.delta(bids=[("97", "1")])
    assert desk.executed(order) == 2
    desk.delta(asks=[("99.5", "1")])
    assert desk.executed(order) == 3


def test_cancellations_ahead_earn_nothing_in_the_pessimistic_model(desk):
    order = desk.order(Side.BUY, "100", "1")
    desk.delta(bids=[("100", "0.5")])
    desk.sold("100", "4.9")
    assert desk.filled(order) == []


def test_cancellations_ahead_are_credited_by_our_share_in_the_base_model(make_desk):
    desk = make_desk(FillModel.BASE)
    desk.book([("100", "4")], [("101", "1")])
    order = desk.order(Side.BUY, "100", "1")
    desk.delta(bids=[("100", "8")])
    desk.delta(bids=[("100", "4")])
    desk.sold("100", "2")
    assert desk.filled(order) == []
    desk.sold("100", "0.25")
    assert desk.executed(order) == D("0.25")


def test_the_queue_ahead_is_never_more_than_displayed_in_the_optimistic_model(make_desk):
    desk = make_desk(FillModel.OPTIMISTIC)
    desk.book()
    order = desk.order(Side.BUY, "100", "1")
    desk.delta(bids=[("100", "0.5")])
    desk.sold("100", "0.75")
    assert desk.executed(order) == D("0.25")


def test_what_traded_is_not_taken_for_canceled_when_the_depth_follows(make_desk):
    desk = make_desk(FillModel.OPTIMISTIC)
    desk.book([("100", "5")], [("101", "1")])
    order = desk.order(Side.BUY, "100", "1")
    desk.delta(bids=[("100", "9")])
    desk.sold("100", "3")
    desk.delta(bids=[("100", "6")])
    desk.sold("100", "2")
    assert desk.filled(order) == []


def test_a_trade_explains_one_change_of_depth_and_not_the_next(make_desk):
    desk = make_desk(FillModel.OPTIMISTIC)
    desk.book([("100", "5")], [("101", "1")])
    order = desk.order(Side.BUY, "100", "1")
    desk.sold("100", "2")
    desk.delta(bids=[("100", "3")])
    desk.delta(bids=[("100", "6")])
    desk.delta(bids=[("100", "3")])
    desk.sold("100", "1")
    assert desk.status(order) is OrderStatus.FILLED


def test_better_prices_fill_first_and_equal_prices_in_order_of_arrival(desk):
    late_better = [desk.order(Side.BUY, "100.2", "1"), desk.order(Side.BUY, "100.2", "1"), desk.order(Side.BUY, "100.5", "1")]
    desk.sold("100.1", "1.5")
    assert [desk.executed(order) for order in late_better] == [D("0.5"), D(0), D(1)]


def test_one_public_trade_never_fills_more_than_its_size_over_all_accounts(desk):
    ours = desk.order(Side.BUY, "100.5", "1")
    desk.order(Side.BUY, "100.4", "1", account="theirs")
    desk.sold("100", "1.2")
    assert desk.filled(ours) == [(D("100.5"), D(1))]
    assert desk.filled(account="theirs") == [(D("100.4"), D("0.2"))]


def test_orders_of_the_testnet_do_not_trade_with_each_other(desk):
    buy = desk.order(Side.BUY, "100.6", "1")
    sell = desk.order(Side.SELL, "100.4", "1", account="theirs")
    assert desk.filled(buy) == []
    assert desk.status(sell, "theirs") is OrderStatus.NEW


def test_a_post_only_order_that_would_cross_is_taken_and_canceled(desk):
    outcome = desk.place(Side.BUY, "101", "1", OrderType.LIMIT_MAKER)
    assert outcome.order.report.status is OrderStatus.CANCELED
    assert desk.money("USDT") == (D(100_000), D(0))


def test_a_post_only_order_that_does_not_cross_rests(desk):
    order = desk.order(Side.BUY, "100.99", "1", OrderType.LIMIT_MAKER)
    desk.sold("100.99", "1")
    assert desk.status(order) is OrderStatus.FILLED
    assert desk.fills(order)[0].maker


def test_nothing_fills_while_the_book_is_gapped(desk):
    order = desk.order(Side.BUY, "100.5", "1")
    desk.gap()
    desk.sold("90", "10")
    desk.delta(asks=[("90", "10")])
    assert desk.filled(order) == []


def test_nothing_fills_while_the_book_is_crossed(desk):
    order = desk.order(Side.BUY, "100.5", "1")
    desk.delta(bids=[("101", "1")])
    desk.sold("90", "10")
    assert desk.filled(order) == []


def test_an_order_that_arrived_without_a_book_joins_the_queue_of_the_next_one(desk):
    desk.gap()
    order = desk.order(Side.BUY, "100", "1")
    desk.book([("100", "3")], [("101", "1")])
    desk.sold("100", "3")
    assert desk.filled(order) == []
    desk.sold("100", "1")
    assert desk.status(order) is OrderStatus.FILLED


def test_a_fill_cites_the_book_and_every_trade_that_passed_our_place(desk):
    desk.order(Side.BUY, "100", "1")
    desk.sold("100", "3")
    desk.sold("100", "1")
    desk.sold("100", "1.5")
    evidence = [event.evidence for event in desk.log if isinstance(event, Filled)]
    assert [(e.book_version, e.trade_ids) for e in evidence] == [(1, ("1", "2", "3"))]


def test_a_canceled_order_does_not_fill(desk):
    order = desk.order(Side.BUY, "100.5", "1")
    desk.engine.cancel("ours", "BTCUSDT", desk.now, order_id=order)
    desk.sold("90", "10")
    assert desk.filled(order) == []
