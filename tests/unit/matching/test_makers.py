"""Resting orders: the queue, trades through their price, touched prices, gaps in the book."""

from __future__ import annotations

from decimal import Decimal

from exchange.matching.events import Filled
from exchange.matching.resting import FillModel
from exchange.model import OrderStatus, OrderType, Side

D = Decimal


def test_a_trade_at_our_price_first_uses_up_the_queue_ahead(driver):
    order = driver.order(Side.BUY, "100", "2")
    driver.sold("100", "5")
    assert driver.filled(order) == []
    driver.sold("100", "1.5")
    assert driver.filled(order) == [(D(100), D("1.5"))]
    assert driver.status(order) is OrderStatus.PARTIALLY_FILLED


def test_one_trade_can_empty_the_queue_and_fill_with_what_is_left(driver):
    order = driver.order(Side.SELL, "101", "2")
    driver.bought("101", "6")
    assert driver.filled(order) == [(D(101), D(1))]


def test_trades_of_our_own_side_do_not_move_the_queue(driver):
    order = driver.order(Side.BUY, "100", "1")
    driver.bought("100", "50")
    driver.sold("100", "5")
    assert driver.filled(order) == []


def test_an_order_alone_at_its_price_has_an_empty_queue_ahead(driver):
    order = driver.order(Side.BUY, "100.5", "2")
    driver.sold("100.5", "0.5")
    assert driver.filled(order) == [(D("100.5"), D("0.5"))]


def test_a_trade_beyond_our_price_fills_up_to_its_size_whatever_the_queue(driver):
    order = driver.order(Side.BUY, "100", "2")
    driver.sold("99.99", "0.3")
    assert driver.filled(order) == [(D(100), D("0.3"))]


def test_after_a_trade_beyond_our_price_the_queue_ahead_is_empty(driver):
    order = driver.order(Side.BUY, "100", "2")
    driver.sold("99.99", "0.3")
    driver.sold("100", "0.2")
    assert driver.executed(order) == D("0.5")


def test_a_touched_price_alone_never_fills_a_resting_order(driver):
    order = driver.order(Side.BUY, "100", "1")
    driver.delta(bids=[("100", "0")], asks=[("100", "50")])
    assert driver.filled(order) == []


def test_a_book_that_crosses_our_price_fills_at_our_price(driver):
    order = driver.order(Side.BUY, "100", "5")
    driver.delta(bids=[("100", "0"), ("99", "0"), ("98", "1")], asks=[("98.5", "1"), ("99.5", "2"), ("100", "9")])
    assert driver.filled(order) == [(D(100), D(3))]
    assert driver.fills(order)[0].maker


def test_a_crossing_quantity_fills_only_once(driver):
    order = driver.order(Side.BUY, "100", "5")
    driver.delta(bids=[("100", "0"), ("99", "0")], asks=[("99.5", "2")])
    driver.delta(bids=[("97", "1")])
    assert driver.executed(order) == 2
    driver.delta(asks=[("99.5", "1")])
    assert driver.executed(order) == 3


def test_cancellations_ahead_give_no_credit_in_the_pessimistic_model(driver):
    order = driver.order(Side.BUY, "100", "1")
    driver.delta(bids=[("100", "0.5")])
    driver.sold("100", "4.9")
    assert driver.filled(order) == []


def test_cancellations_ahead_are_credited_by_our_share_in_the_base_model(make_driver):
    driver = make_driver(FillModel.BASE)
    driver.book([("100", "4")], [("101", "1")])
    order = driver.order(Side.BUY, "100", "1")
    driver.delta(bids=[("100", "8")])
    driver.delta(bids=[("100", "4")])
    driver.sold("100", "2")
    assert driver.filled(order) == []
    driver.sold("100", "0.25")
    assert driver.executed(order) == D("0.25")


def test_the_optimistic_queue_ahead_is_never_more_than_displayed(make_driver):
    driver = make_driver(FillModel.OPTIMISTIC)
    driver.book()
    order = driver.order(Side.BUY, "100", "1")
    driver.delta(bids=[("100", "0.5")])
    driver.sold("100", "0.75")
    assert driver.executed(order) == D("0.25")


def test_traded_quantity_does_not_count_as_canceled_in_later_depth(make_driver):
    driver = make_driver(FillModel.OPTIMISTIC)
    driver.book([("100", "5")], [("101", "1")])
    order = driver.order(Side.BUY, "100", "1")
    driver.delta(bids=[("100", "9")])
    driver.sold("100", "3")
    driver.delta(bids=[("100", "6")])
    driver.sold("100", "2")
    assert driver.filled(order) == []


def test_a_trade_explains_only_one_change_of_depth(make_driver):
    driver = make_driver(FillModel.OPTIMISTIC)
    driver.book([("100", "5")], [("101", "1")])
    order = driver.order(Side.BUY, "100", "1")
    driver.sold("100", "2")
    driver.delta(bids=[("100", "3")])
    driver.delta(bids=[("100", "6")])
    driver.delta(bids=[("100", "3")])
    driver.sold("100", "1")
    assert driver.status(order) is OrderStatus.FILLED


def test_better_prices_fill_first_and_equal_prices_in_order_of_arrival(driver):
    late_better = [driver.order(Side.BUY, "100.2", "1"), driver.order(Side.BUY, "100.2", "1"), driver.order(Side.BUY, "100.5", "1")]
    driver.sold("100.1", "1.5")
    assert [driver.executed(order) for order in late_better] == [D("0.5"), D(0), D(1)]


def test_one_public_trade_never_fills_more_than_its_size_over_all_accounts(driver):
    ours = driver.order(Side.BUY, "100.5", "1")
    driver.order(Side.BUY, "100.4", "1", account="theirs")
    driver.sold("100", "1.2")
    assert driver.filled(ours) == [(D("100.5"), D(1))]
    assert driver.filled(account="theirs") == [(D("100.4"), D("0.2"))]


def test_orders_of_the_testnet_do_not_trade_with_each_other(driver):
    buy = driver.order(Side.BUY, "100.6", "1")
    sell = driver.order(Side.SELL, "100.4", "1", account="theirs")
    assert driver.filled(buy) == []
    assert driver.status(sell, "theirs") is OrderStatus.NEW


def test_a_post_only_order_that_would_cross_is_accepted_and_canceled(driver):
    outcome = driver.place(Side.BUY, "101", "1", OrderType.LIMIT_MAKER)
    assert outcome.order.report.status is OrderStatus.CANCELED
    assert driver.money("USDT") == (D(100_000), D(0))


def test_a_post_only_order_that_does_not_cross_rests(driver):
    order = driver.order(Side.BUY, "100.99", "1", OrderType.LIMIT_MAKER)
    driver.sold("100.99", "1")
    assert driver.status(order) is OrderStatus.FILLED
    assert driver.fills(order)[0].maker


def test_nothing_fills_while_the_book_is_gapped(driver):
    order = driver.order(Side.BUY, "100.5", "1")
    driver.gap()
    driver.sold("90", "10")
    driver.delta(asks=[("90", "10")])
    assert driver.filled(order) == []


def test_nothing_fills_while_the_book_is_crossed(driver):
    order = driver.order(Side.BUY, "100.5", "1")
    driver.delta(bids=[("101", "1")])
    driver.sold("90", "10")
    assert driver.filled(order) == []


def test_an_order_without_a_book_joins_the_queue_of_the_next_book(driver):
    driver.gap()
    order = driver.order(Side.BUY, "100", "1")
    driver.book([("100", "3")], [("101", "1")])
    driver.sold("100", "3")
    assert driver.filled(order) == []
    driver.sold("100", "1")
    assert driver.status(order) is OrderStatus.FILLED


def test_a_fill_cites_the_book_and_every_trade_that_passed_our_place(driver):
    driver.order(Side.BUY, "100", "1")
    driver.sold("100", "3")
    driver.sold("100", "1")
    driver.sold("100", "1.5")
    evidence = [event.evidence for event in driver.log if isinstance(event, Filled)]
    assert [(e.book_version, e.trade_ids) for e in evidence] == [(1, ("1", "2", "3"))]


def test_a_canceled_order_does_not_fill(driver):
    order = driver.order(Side.BUY, "100.5", "1")
    driver.engine.cancel("ours", "BTCUSDT", driver.now, order_id=order)
    driver.sold("90", "10")
    assert driver.filled(order) == []
