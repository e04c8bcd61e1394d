"""What an unmodified exchange library hears from the testnet's websocket, one numbered case per subscription it makes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from exchange.testnet.server import RunningTestnet

SYMBOL = "BTC/USDT"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_50_the_order_book_a_client_keeps_is_the_venue_s(watcher: Any, testnet: RunningTestnet) -> None:
    async with asyncio.timeout(10):
        book = await watcher.watch_order_book(SYMBOL)
        testnet.venue.pause()
        version = testnet.venue.engine.depth("BTCUSDT", 1)[0]
        while book["nonce"] < version:
            book = await watcher.watch_order_book(SYMBOL)
    _, bids, asks = testnet.venue.engine.depth("BTCUSDT", 10)
    assert book["bids"][:10] == [[float(price), float(quantity)] for price, quantity in bids]
    assert book["asks"][:10] == [[float(price), float(quantity)] for price, quantity in asks]


async def test_51_public_trades_are_heard(watcher: Any) -> None:
    async with asyncio.timeout(5):
        trades = await watcher.watch_trades(SYMBOL)
    assert trades[0]["side"] in {"buy", "sell"}


async def test_52_best_prices_are_heard(watcher: Any) -> None:
    async with asyncio.timeout(5):
        ticker = await watcher.watch_ticker(SYMBOL)
    assert ticker["bid"] < ticker["ask"]


async def test_53_candles_are_heard(watcher: Any) -> None:
    async with asyncio.timeout(5):
        candles = await watcher.watch_ohlcv(SYMBOL, "1m")
    assert candles[-1][0] % 60_000 == 0


async def test_54_a_new_order_and_its_cancel_are_heard(watcher: Any, testnet: RunningTestnet) -> None:
    async with asyncio.timeout(5):
        heard = asyncio.create_task(watcher.watch_orders(SYMBOL))
        await subscribed(testnet)
        order = await watcher.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, {"clientOrderId": "heard-1"})
        placed = dict((await heard)[-1])
        heard = asyncio.create_task(watcher.watch_orders(SYMBOL))
        await watcher.cancel_order(order["id"], SYMBOL)
        canceled = (await heard)[-1]
    assert (placed["id"], placed["clientOrderId"], placed["status"]) == (order["id"], "heard-1", "open")
    assert (canceled["id"], canceled["status"]) == (order["id"], "canceled")


async def test_55_a_fill_is_heard_with_its_fee(watcher: Any, testnet: RunningTestnet) -> None:
    async with asyncio.timeout(5):
        heard = asyncio.create_task(watcher.watch_my_trades(SYMBOL))
        await subscribed(testnet)
        order = await watcher.create_order(SYMBOL, "limit", "buy", 0.01, 61_000)
        trade = (await heard)[-1]
    assert trade["order"] == order["id"]
    assert trade["fee"]["currency"] == "USDT"


async def test_56_a_balance_change_is_heard(watcher: Any, testnet: RunningTestnet) -> None:
    async with asyncio.timeout(5):
        heard = asyncio.create_task(watcher.watch_balance())
        await subscribed(testnet)
        await watcher.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
        balance = await heard
    assert balance["USDT"]["used"] > 0


async def subscribed(testnet: RunningTestnet) -> None:
    """Wait until a private stream listens to something."""
    async with asyncio.timeout(5):
        while not any(session.listen_key and session.channels for session in testnet.venue.hub.sessions):  # noqa: ASYNC110 - the far side of a socket has no event to wait for
            await asyncio.sleep(0.005)
