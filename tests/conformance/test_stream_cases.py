"""Cases 50 to 58: what streams push, compared with what queries return."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from exchange.model import OrderStatus, Side
from exchange.testnet.server import RunningTestnet
from tests.conformance.cases import Case, Client, case
from tests.conformance.ccxt_trader import CcxtTrader
from tests.conformance.pymexc_trader import PymexcTrader
from tests.conformance.trader import (
    LITTLE,
    QUOTE,
    StreamState,
    Trader,
    Watcher,
    crossing,
    larger_than_the_top,
    resting,
)
from tests.conformance.venue_trader import OwnTrader

pytestmark = pytest.mark.asyncio(loop_scope="module")


@case(51)
async def test_51_public_trades_are_received(watcher: Watcher) -> None:
    price, quantity = await watcher.next_trade()
    assert price > 0
    assert quantity > 0


@case(52)
async def test_52_best_prices_are_received(watcher: Watcher) -> None:
    bid, ask = await watcher.next_best_prices()
    assert 0 < bid < ask


@case(53)
async def test_53_candles_are_received(watcher: Watcher) -> None:
    opened, high, low = await watcher.next_candle()
    assert opened % 60 == 0
    assert high >= low > 0


@case(54)
async def test_54_a_new_order_and_its_cancel_are_received(trader: Trader) -> None:
    listener, order = await trader.listen(), await resting(trader)
    await trader.place(order)
    placed = await listener.wait_until(lambda state: order.client_id in state.orders)
    assert placed.orders[order.client_id] == (OrderStatus.NEW, 0)
    await trader.cancel(order.client_id)
    await listener.wait_until(lambda state: state.orders[order.client_id] == (OrderStatus.CANCELED, 0))


@case(55)
async def test_55_a_fill_is_received_with_its_fee(trader: Trader) -> None:
    listener, order = await trader.listen(), await crossing(trader)
    placed = await trader.place(order)
    (trade,) = (await listener.wait_until(lambda state: state.trades)).trades.values()
    assert (trade.order_id, trade.quantity, trade.fee_asset) == (placed, LITTLE, QUOTE)
    assert trade.fee == trade.quote * Decimal("0.0005")


@case(56)
async def test_56_a_balance_change_is_received(trader: Trader) -> None:
    listener = await trader.listen()
    await trader.place(await resting(trader))
    state = await listener.wait_until(lambda state: QUOTE in state.balances)
    assert state.balances[QUOTE].locked > 0


@case(57)
async def test_57_a_private_stream_reports_what_a_query_reports_afterwards(
    trader: Trader, testnet: RunningTestnet, subject: tuple[Case, Client]
) -> None:
    listener = await trader.listen()
    partial = await larger_than_the_top(trader, testnet)
    orders = [partial, await crossing(trader), await crossing(trader, Side.SELL), await resting(trader), await resting(trader)]
    for order in orders:
        await trader.place(order)
    for order in (orders[3], partial):
        await trader.cancel(order.client_id)
    found = {order.client_id: await trader.order(order.client_id) for order in orders}
    trades, balance = await trader.trades(), await trader.balance()
    expected = {name: (one.status, one.executed) for name, one in found.items()}
    state = await listener.wait_until(lambda state: state.orders == expected and len(state.trades) == len(trades))
    assert state.trades == {one.trade_id: one for one in trades}
    if subject[1] in {Client.CCXT, Client.PYMEXC}:
        await listener.wait_until(lambda state: agree(state, balance))


def agree(state: StreamState, balance: Any) -> bool:
    """ccxt returns balances as floats."""
    return all(
        round(state.balances[name].free, 6) == round(one.free, 6) and round(state.balances[name].locked, 6) == round(one.locked, 6)
        for name, one in balance.items()
        if name in state.balances
    )


@case(58)
async def test_58_a_listen_key_is_created_listed_renewed_and_closed(trader: CcxtTrader | PymexcTrader | OwnTrader) -> None:
    if isinstance(trader, OwnTrader):
        keys = trader.venue.listen_keys
        made = await keys.create()
        assert made in await keys.all()
        await keys.renew(made)
        await keys.close(made)
        assert made not in await keys.all()
        return
    calls = listen_key_calls(trader)
    key = (await calls[0]())["listenKey"]
    assert key in (await calls[1]())["listenKey"]
    assert (await calls[2](key))["listenKey"] == key
    assert (await calls[3](key))["listenKey"] == key
    assert key not in (await calls[1]())["listenKey"]


def listen_key_calls(trader: CcxtTrader | PymexcTrader) -> tuple[Any, ...]:
    """Create, list, renew and delete."""
    if isinstance(trader, PymexcTrader):
        http = trader.http
        named = (http.create_listen_key, http.get_listen_keys, http.keep_alive_listen_key, http.close_listen_key)
        return tuple(lambda *key, call=call: trader.ask(call, *key) for call in named)
    client = trader.client
    return (
        client.spot_private_post_userdatastream,
        client.spot_private_get_userdatastream,
        lambda key: client.spot_private_put_userdatastream({"listenKey": key}),
        lambda key: client.spot_private_delete_userdatastream({"listenKey": key}),
    )
