"""The newest orders, fills and samples, which are kept in few bytes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import event_codec
from controller.core import events as e
from controller.core.order_state import OrderState
from controller.core.state import State
from controller.runtime.followers.kept import KeptFill, KeptOrders, Sample, read_sample
from exchange.model import Millis
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import Desk

AMOUNTS = st.none() | st.decimals(allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def desk() -> Desk:
    made = Desk().arm()
    made.trade(2)
    return made


def orders_of(desk: Desk) -> list[OrderState]:
    return sorted(desk.state.orders.values(), key=lambda order: order.number)


def kept(orders: list[OrderState], state: State, most: int = 3) -> KeptOrders:
    made = KeptOrders(most)
    for order in orders:
        made.add(order, state)
    return made


@given(AMOUNTS, AMOUNTS, st.decimals(0, 100), st.booleans(), st.sampled_from(Stage))
def test_a_sample_reads_back(equity: Decimal | None, exposure: Decimal | None, cap: Decimal, covered: bool, stage: Stage) -> None:
    sample = Sample(Millis(1_800_000_000_000), equity, exposure, cap, covered, stage)
    assert read_sample(sample.line) == sample


def test_a_fill_reads_back_from_its_entry(desk: Desk) -> None:
    fill = next(event for event, _ in desk.journal if isinstance(event, e.FillBooked))
    found = KeptFill.of(fill, event_codec.encode(fill), "demo-bot")
    assert found.event == fill
    assert (found.bot, found.symbol, found.traded_at) == ("demo-bot", fill.symbol, fill.traded_at)
    assert found.may_be_of(fill.client_id)
    assert not found.may_be_of("gh-of-another-order")


def test_the_newest_orders_are_kept_newest_first(desk: Desk) -> None:
    orders = orders_of(desk)
    names = [order.client_id for order in reversed(orders)]
    made = kept(orders, desk.state)
    assert list(made.newest(desk.state, 2)) == names[:2]
    assert list(made.newest(desk.state, 100)) == names[:3]


def test_orders_are_found_by_bot_symbol_and_time(desk: Desk) -> None:
    orders = orders_of(desk)
    made = kept(orders, desk.state, most=100)
    first, last = orders[1], orders[2]
    found = made.of(desk.state, first.bot, first.symbol, first.admitted_at, last.admitted_at)
    wanted = [one.client_id for one in reversed(orders) if first.admitted_at <= one.admitted_at <= last.admitted_at]
    assert list(found) == wanted
    assert not list(made.of(desk.state, "other-bot", first.symbol, 0, last.admitted_at))
    assert not list(made.of(desk.state, first.bot, "ETHUSDT", 0, last.admitted_at))


def test_an_order_with_an_id_of_an_earlier_version_keeps_it(desk: Desk) -> None:
    orders = [replace(order, client_id=f"gh-earlier-{order.number}") for order in orders_of(desk)]
    made = kept(orders, desk.state, most=100)
    assert list(made.newest(desk.state, 1)) == [orders[-1].client_id]


def test_restored_orders_are_those_that_were_saved(desk: Desk) -> None:
    made, again = kept(orders_of(desk), desk.state), KeptOrders(3)
    again.restore(made.saved())
    assert list(again.newest(desk.state, 100)) == list(made.newest(desk.state, 100))
    assert again.saved() == made.saved()
