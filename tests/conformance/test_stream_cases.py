"""Cases 50 to 58: what streams tell, compared with what queries answer."""

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
    Heard,
    Trader,
    Watcher,
    crossing,
    larger_than_the_top,
    resting,
)
from tests.conformance.venue_trader import OwnTrader

pytestmark = pytest.mark.asyncio(loop_scope="module")


@case(51)
async def test_51_public_trades_are_heard(watcher: Watcher) -> None:
    price, quantity = await watcher.hear_trade()
    assert price > 0
    assert quantity > 0


@case(52)
async def test_52_best_prices_are_heard(watcher: Watcher) -> None:
    bid, ask = await watcher.hear_best()
    assert 0 < bid < ask


@case(53)
async def test_53_candles_are_heard(watcher: Watcher) -> None:
    opened, high, low = await watcher.hear_candle()
    assert opened % 60 == 0
    assert high >= low > 0


@case(54)
async def test_54_a_new_order_and_its_cancel_are_heard(trader: Trader) -> None:
    ears, order = await trader.listen(), await resting(trader)
    await trader.place(order)
    placed = await ears.heard(lambda heard: order.client_id in heard.orders)
    assert placed.orders[order.client_id] == (OrderStatus.NEW, 0)
    await trader.cancel(order.client_id)
    await ears.heard(lambda heard: heard.orders[order.client_id] == (OrderStatus.CANCELED, 0))


@case(55)
async def test_55_a_fill_is_heard_with_its_fee(trader: Trader) -> None:
    ears, order = await trader.listen(), await crossing(trader)
    placed = await trader.place(order)
    (trade,) = (await ears.heard(lambda heard: heard.trades)).trades.values()
    assert (trade.order_id, trade.quantity, trade.fee_asset) == (placed, LITTLE, QUOTE)
    assert trade.fee == trade.quote * Decimal("0.0005")


@case(56)
async def test_56_a_balance_change_is_heard(trader: Trader) -> None:
    ears = await trader.listen()
    await trader.place(await resting(trader))
    heard = await ears.heard(lambda heard: QUOTE in heard.balances)
    assert heard.balances[QUOTE].locked > 0


@case(57)
async def test_57_what_a_private_stream_tells_of_a_whole_session_is_what_a_query_tells_afterwards(
    trader: Trader, testnet: RunningTestnet, subject: tuple[Case, Client]
) -> None:
    ears = await trader.listen()
    partial = await larger_than_the_top(trader, testnet)
    orders = [partial, await crossing(trader), await crossing(trader, Side.SELL), await resting(trader), await resting(trader)]
    for order in orders:
        await trader.place(order)
    for order in (orders[3], partial):
        await trader.cancel(order.client_id)
    found = {order.client_id: await trader.order(order.client_id) for order in orders}
    trades, balance = await trader.trades(), await trader.balance()
    expected = {name: (one.status, one.executed) for name, one in found.items()}
    heard = await ears.heard(lambda heard: heard.orders == expected and len(heard.trades) == len(trades))
    assert heard.trades == {one.trade_id: one for one in trades}
    if subject[1] in {Client.CCXT, Client.PYMEXC}:
        await ears.heard(lambda heard: agree(heard, balance))


def agree(heard: Heard, balance: Any) -> bool:
    """ccxt hands balances over as floats."""
    return all(
        round(heard.balances[name].free, 6) == round(one.free, 6) and round(heard.balances[name].locked, 6) == round(one.locked, 6)
        for name, one in balance.items()
        if name in heard.balances
    )


@case(58)
async def test_58_a_listen_key_is_made_listed_renewed_and_given_back(trader: CcxtTrader | PymexcTrader | OwnTrader) -> None:
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
    """Make, list, renew and delete."""
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
