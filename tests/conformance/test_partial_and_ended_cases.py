"""Cases 29 and 40 to 45: orders that fill in part, end, and are queried again."""

from __future__ import annotations

import pytest

from exchange.model import OrderIntent, OrderStatus, OrderType
from exchange.testnet.server import RunningTestnet
from exchange.wire.errors import ErrorCode
from tests.conformance.cases import case
from tests.conformance.trader import Denied, Trader, crossing, larger_than_the_top, resting

pytestmark = pytest.mark.asyncio(loop_scope="module")


@case(29)
async def test_29_an_order_larger_than_the_top_fills_in_part_and_stays_open(trader: Trader, testnet: RunningTestnet) -> None:
    order = await larger_than_the_top(trader, testnet)
    await trader.place(order)
    found = await trader.order(order.client_id)
    assert found.status is OrderStatus.PARTIALLY_FILLED
    assert 0 < found.executed < found.quantity
    assert [one.client_id for one in await trader.open_orders()] == [order.client_id]


@case(40)
async def test_40_a_canceled_order_that_had_filled_in_part_keeps_its_fills(trader: Trader, testnet: RunningTestnet) -> None:
    order = await larger_than_the_top(trader, testnet)
    await trader.place(order)
    await trader.cancel(order.client_id)
    await is_partly_filled_and_over(trader, order)


@case(41)
async def test_41_an_immediate_order_that_fills_in_part_keeps_its_fills(trader: Trader, testnet: RunningTestnet) -> None:
    order = await larger_than_the_top(trader, testnet, OrderType.IMMEDIATE_OR_CANCEL)
    await trader.place(order)
    await is_partly_filled_and_over(trader, order)


@case(42)
async def test_42_a_filled_order_cannot_be_canceled(trader: Trader) -> None:
    order = await crossing(trader)
    await trader.place(order)
    assert await code_of_canceling(trader, order.client_id) == ErrorCode.UNKNOWN_ORDER
    assert (await trader.order(order.client_id)).status is OrderStatus.FILLED


@case(43)
async def test_43_a_canceled_order_cannot_be_canceled_again(trader: Trader) -> None:
    order = await resting(trader)
    await trader.place(order)
    await trader.cancel(order.client_id)
    assert await code_of_canceling(trader, order.client_id) == ErrorCode.UNKNOWN_ORDER


@case(38)
async def test_38_an_order_that_never_existed_is_neither_found_nor_canceled(trader: Trader) -> None:
    with pytest.raises(Denied) as unknown:
        await trader.order("never-placed")
    assert unknown.value.code == ErrorCode.NO_SUCH_ORDER
    assert await code_of_canceling(trader, "never-placed") == ErrorCode.UNKNOWN_ORDER


@case(44)
async def test_44_a_repeated_client_id_never_places_a_second_order(trader: Trader) -> None:
    order = await resting(trader)
    first = await trader.place(order)
    try:
        again = await trader.place(order)
    except Denied:
        again = first
    assert again == first
    assert [one.order_id for one in await trader.open_orders()] == [first]


async def is_partly_filled_and_over(trader: Trader, order: OrderIntent) -> None:
    ended = await trader.order(order.client_id)
    assert ended.status is OrderStatus.PARTIALLY_CANCELED
    trades = [one for one in await trader.trades() if one.order_id == ended.order_id]
    assert 0 < ended.executed == sum(one.quantity for one in trades)
    assert await trader.open_orders() == []


async def code_of_canceling(trader: Trader, client_id: str) -> int:
    with pytest.raises(Denied) as refused:
        await trader.cancel(client_id)
    return refused.value.code
