"""Self-trade prevention: the effect of an order's stpMode on resting orders of its group, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.matching.events import Accepted
from exchange.matching.venue_market import unrelated
from exchange.model import OrderIntent, OrderStatus, OrderType, Side
from exchange.wire.orders import StpMode
from tests.support.tries import tries

D = Decimal
MAKER, TAKER, BOTH, NONE = StpMode.CANCEL_MAKER, StpMode.CANCEL_TAKER, StpMode.CANCEL_BOTH, StpMode.NONE


def grouped(first: str, second: str) -> bool:
    return {first, second} <= {"ours", "theirs"}


@pytest.fixture
def family(make_driver: Callable[..., Any]) -> Any:
    """A driver whose two accounts share a group; its asks are 5 at 101 and 7 at 102, its bids 5 at 100 and 7 at 99."""
    driver = make_driver(related=grouped)
    driver.book()
    return driver


def take(driver: Any, mode: StpMode, side: Side, price: str | None, quantity: str, kind: OrderType = OrderType.LIMIT) -> str:
    intent = OrderIntent(driver.symbol, side, kind, "", D(quantity), None, None if price is None else D(price))
    outcome = driver.engine.place("ours", intent, driver.now, mode)
    assert isinstance(outcome, Accepted), outcome
    return outcome.order.report.order_id


@pytest.mark.parametrize("owner", ["ours", "theirs"])
@pytest.mark.parametrize(
    ("mode", "maker", "taker", "executed"),
    [
        (NONE, OrderStatus.NEW, OrderStatus.FILLED, "8"),
        (MAKER, OrderStatus.CANCELED, OrderStatus.FILLED, "8"),
        (TAKER, OrderStatus.NEW, OrderStatus.CANCELED, "0"),
        (BOTH, OrderStatus.CANCELED, OrderStatus.CANCELED, "0"),
    ],
)
def test_an_order_that_meets_a_resting_one_follows_its_mode(
    family: Any, owner: str, mode: StpMode, maker: OrderStatus, taker: OrderStatus, executed: str
) -> None:
    family.book(asks=[("102", "7")])
    first_at_its_price = family.order(Side.SELL, "101", "1", account=owner)
    family.book()
    new = take(family, mode, Side.BUY, "102", "8")
    assert family.status(first_at_its_price, owner) is maker
    assert (family.status(new), family.executed(new)) == (taker, D(executed))


@pytest.mark.parametrize("mode", [TAKER, BOTH])
def test_better_levels_and_the_queue_ahead_trade_first(family: Any, mode: StpMode) -> None:
    resting = family.order(Side.SELL, "102", "1", account="theirs")
    new = take(family, mode, Side.BUY, "103", "20")
    assert family.filled(new) == [(D(101), D(5)), (D(102), D(7))]
    assert family.status(new) is OrderStatus.PARTIALLY_CANCELED
    assert family.status(resting, "theirs") is (OrderStatus.CANCELED if mode is BOTH else OrderStatus.NEW)


def test_an_order_filled_before_it_meets_its_group_cancels_nothing(family: Any) -> None:
    resting = family.order(Side.SELL, "102", "1")
    new = take(family, BOTH, Side.BUY, "103", "12")
    assert (family.status(new), family.status(resting)) == (OrderStatus.FILLED, OrderStatus.NEW)


def test_cancel_maker_cancels_every_met_order_and_the_rest_rests(family: Any) -> None:
    first, second = family.order(Side.SELL, "101", "1"), family.order(Side.SELL, "102", "1", account="theirs")
    beyond = family.order(Side.SELL, "104", "1")
    new = take(family, MAKER, Side.BUY, "103", "20")
    assert [family.status(first), family.status(second, "theirs")] == [OrderStatus.CANCELED, OrderStatus.CANCELED]
    assert (family.status(beyond), family.status(new)) == (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
    assert family.executed(new) == D(12)


def test_a_post_only_order_that_would_meet_its_group_is_canceled(family: Any) -> None:
    family.book(asks=[("105", "1")])
    resting = family.order(Side.SELL, "103", "1")
    new = take(family, MAKER, Side.BUY, "103", "1", OrderType.LIMIT_MAKER)
    assert (family.status(new), family.status(resting)) == (OrderStatus.CANCELED, OrderStatus.NEW)


@pytest.mark.parametrize("mode", [MAKER, TAKER, BOTH])
def test_a_fill_or_kill_order_is_filled_whole_or_not_at_all(family: Any, mode: StpMode) -> None:
    resting = family.order(Side.SELL, "102", "1")
    too_large = take(family, mode, Side.BUY, "102", "13", OrderType.FILL_OR_KILL)
    just_right = take(family, mode, Side.BUY, "102", "12", OrderType.FILL_OR_KILL)
    assert (family.status(too_large), family.executed(too_large)) == (OrderStatus.CANCELED, D(0))
    assert (family.status(just_right), family.status(resting)) == (OrderStatus.FILLED, OrderStatus.NEW)


def test_a_fill_or_kill_order_counts_only_levels_before_its_group(family: Any) -> None:
    family.order(Side.SELL, "101", "1")
    ends = take(family, TAKER, Side.BUY, "102", "6", OrderType.FILL_OR_KILL)
    clears = take(family, MAKER, Side.BUY, "102", "6", OrderType.FILL_OR_KILL)
    assert (family.status(ends), family.executed(ends)) == (OrderStatus.CANCELED, D(0))
    assert (family.status(clears), family.executed(clears)) == (OrderStatus.FILLED, D(6))


def test_a_market_order_meets_its_group_like_any_other_order(family: Any) -> None:
    resting = family.order(Side.BUY, "99", "1")
    new = take(family, BOTH, Side.SELL, None, "20", OrderType.MARKET)
    assert family.filled(new) == [(D(100), D(5)), (D(99), D(7))]
    assert (family.status(new), family.status(resting)) == (OrderStatus.PARTIALLY_CANCELED, OrderStatus.CANCELED)


def test_without_a_group_the_mode_does_nothing(make_driver: Callable[..., Any]) -> None:
    driver = make_driver(related=unrelated)
    driver.book()
    resting = driver.order(Side.SELL, "101", "1")
    new = take(driver, BOTH, Side.BUY, "102", "12")
    assert (driver.status(new), driver.status(resting)) == (OrderStatus.FILLED, OrderStatus.NEW)


ORDER = st.tuples(st.sampled_from(list(Side)), st.integers(96, 106), st.integers(1, 9), st.sampled_from(list(OrderType)[:4]))


@settings(max_examples=tries(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=st.lists(ORDER, min_size=2, max_size=12), mode=st.sampled_from([MAKER, BOTH, TAKER]))
def test_no_order_ever_rests_across_another_of_its_group(make_driver: Callable[..., Any], orders: list[Any], mode: StpMode) -> None:
    driver = make_driver(related=grouped)
    driver.book()
    for side, price, quantity, kind in orders:
        intent = OrderIntent(driver.symbol, side, kind, "", D(quantity), None, D(price))
        driver.engine.place("ours", intent, driver.now, mode)
    resting = [view.report for view in driver.engine.open_orders("ours")]
    buys = [order.price for order in resting if order.side is Side.BUY]
    sells = [order.price for order in resting if order.side is Side.SELL]
    assert not buys or not sells or max(buys) < min(sells)
