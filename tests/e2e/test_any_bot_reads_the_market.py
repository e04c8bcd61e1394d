"""An unmodified ccxt client reads candles and statistics from a whole deployment, and sends batches, at MOCK and on the testnet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt
import httpx

from exchange.candles import MINUTE
from exchange.testnet.server import RunningTestnet
from tests.support.loopback import http_at
from tests.support.minutes import MINUTES, give_history
from tests.support.rig import SYMBOL, Rig, rig

PAIR = "BTC/USDT"
TIMEFRAMES = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"]


@asynccontextmanager
async def client_of(deployment: Rig) -> AsyncIterator[Any]:
    exchange = ccxt.mexc({"apiKey": deployment.bot_key, "secret": deployment.bot_secret, "enableRateLimit": False})
    exchange.options["recvWindow"] = 60_000
    base = deployment.gateway
    exchange.urls["api"]["spot"] = {"public": base, "private": base}
    exchange.urls["api"]["contract"] = {"public": f"{base}/api/v1/contract", "private": f"{base}/api/v1/private"}
    try:
        yield exchange
    finally:
        await exchange.close()


def truth(testnet: RunningTestnet) -> dict[int, tuple[float, ...]]:
    """The minutes of a testnet, by their opening."""
    (state,) = [state for state in testnet.venue.history.state() if state.symbol == SYMBOL]
    return {one.open_time: tuple(map(float, (one.open, one.high, one.low, one.close, one.volume))) for one in state.minutes}


async def page_like_freqtrade(exchange: Any, since: int, until: int) -> list[list[float]]:
    """Windows of 500 candles, all asked for at once."""
    windows = range(since, until, 500 * MINUTE)
    pages = await asyncio.gather(*(exchange.fetch_ohlcv(PAIR, "1m", since=start) for start in windows))
    return [candle for page in pages for candle in page]


async def check_market(exchange: Any, market: RunningTestnet) -> None:
    """What a strategy reads is the market's own history."""
    for timeframe in TIMEFRAMES:
        candles = await exchange.fetch_ohlcv(PAIR, timeframe)
        assert candles
        assert [candle[0] for candle in candles] == sorted({candle[0] for candle in candles})
    minutes = truth(market)
    since, settled = min(minutes), max(minutes) - 2 * MINUTE
    paged = [candle for candle in await page_like_freqtrade(exchange, since, max(minutes)) if candle[0] <= settled]
    assert len(paged) > 1_000
    assert [(candle[0], tuple(candle[1:])) for candle in paged] == [(at, minutes[at]) for at in sorted(minutes) if at <= settled]
    paginated = await exchange.fetch_ohlcv(PAIR, "1m", since=since, limit=1_200, params={"paginate": True})
    assert len(paginated) >= 1_000
    day = (await exchange.fetch_tickers())[PAIR]
    assert day["high"] >= day["last"] >= day["low"] > 0
    assert day["baseVolume"] > MINUTES * 0.8


async def check_trading(exchange: Any) -> None:
    """Two orders as one batch, of which one fills; the ids of trades are new."""
    book = await exchange.fetch_order_book(PAIR, 5)
    bid, ask = book["bids"][0][0], book["asks"][0][0]
    orders = [("rests", round(bid * 0.995, 2)), ("fills", round(ask * 1.001, 2)), ("too-far", round(bid * 0.9, 2))]
    made = await exchange.create_orders(
        [
            {"symbol": PAIR, "type": "limit", "side": "buy", "amount": 0.00003, "price": price, "params": {"clientOrderId": name}}
            for name, price in orders
        ]
    )
    assert [one["status"] for one in made] == [None, None, "rejected"]
    assert "gatehouse: price-collar" in made[2]["info"]["msg"]
    await exchange.cancel_order(made[0]["id"], PAIR)
    for _ in range(100):
        trades = await exchange.fetch_my_trades(PAIR)
        if trades:
            break
        await asyncio.sleep(0.1)
    assert {one["order"] for one in trades} == {made[1]["id"]}


async def test_candles_statistics_and_batches_at_mock_and_on_the_testnet(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment, client_of(deployment) as exchange:
        give_history(deployment.live, 1)
        give_history(deployment.testnet, 2)
        await deployment.start()
        await deployment.takes_orders()
        await check_market(exchange, deployment.live)
        await check_trading(exchange)
        assert await market_of(deployment) == ("live", min(truth(deployment.live)))
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.takes_orders()
        await check_market(exchange, deployment.testnet)
        assert await market_of(deployment) == ("testnet", min(truth(deployment.testnet)))


async def market_of(deployment: Rig) -> tuple[str, int]:
    """Which market's candles are shown, and when its history begins."""
    async with http_at(deployment.gateway, timeout=30) as client:
        reply = await client.get("/api/v3/klines", params={"symbol": SYMBOL, "interval": "1m"})
    return reply.headers["x-gatehouse-market"], int(reply.headers["x-gatehouse-history-begins"])


async def test_a_storm_of_candles_stops_no_order_and_no_cancel(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment, client_of(deployment) as exchange:
        give_history(deployment.testnet, 3)
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.takes_orders()
        storm = asyncio.create_task(storm_of_candles(deployment))
        try:
            for number in range(8):
                placed = await deployment.buy(await deployment.resting_price(), "0.00003", f"in-the-storm-{number}")
                assert placed.status_code == 200, placed.text
                ended = await deployment.bot("DELETE", "/api/v3/order", symbol=SYMBOL, orderId=placed.json()["orderId"])
                assert ended.status_code == 200, ended.text
            status = await deployment.status()
            assert (status["armed"], status["stage"]) == (True, "TESTNET_VALIDATING")
        finally:
            storm.cancel()
        await exchange.fetch_ohlcv(PAIR, "1m")


async def storm_of_candles(deployment: Rig) -> None:
    """Many connections that ask for other candles each time, as fast as they are answered."""

    async def ask(number: int) -> None:
        async with http_at(deployment.gateway, timeout=30) as client:
            while True:
                number += 97
                params = {"symbol": SYMBOL, "interval": "1m", "endTime": 1_700_000_000_000 + number * 30_000_000}
                try:
                    reply = await client.get("/api/v3/klines", params=params)
                except httpx.HTTPError:
                    continue
                assert reply.status_code in {200, 429, 503}, reply.text
                await asyncio.sleep(0.01)

    await asyncio.gather(*(ask(number) for number in range(10)))
