"""Every public channel of the stream: its pushes, their name, and their versions compared with REST."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from exchange.book import Book
from exchange.model import MarketTrade, Millis, Side
from exchange.testnet.config import StreamLimits, TestnetConfig
from exchange.testnet.market.history import History
from exchange.testnet.push.channels_day import day_begins, mini_ticker
from exchange.testnet.server import RunningTestnet, running_testnet
from exchange.wire.market import BookTicker, Interval
from exchange.wire.push import (
    BookTickerBatch,
    DepthBatch,
    DepthLevels,
    DepthUpdate,
    KlineUpdate,
    MiniTicker,
    MiniTickers,
    Push,
    TradeBatch,
)
from exchange.wire.push_decode import decode_push

D = Decimal
PUBLIC = "spot@public."
HOUR = 3_600_000


@asynccontextmanager
async def listening(testnet: RunningTestnet, *channels: str) -> AsyncIterator[ClientConnection]:
    async with asyncio.timeout(10), connect(testnet.ws_url, proxy=None, close_timeout=0.1) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": list(channels), "id": 4}))
        assert json.loads(await socket.recv()) == {"id": 4, "code": 0, "msg": ",".join(channels)}
        yield socket


async def pushes(socket: ClientConnection) -> AsyncIterator[Push]:
    async for frame in socket:
        if isinstance(frame, bytes):
            yield decode_push(frame)


@pytest.fixture
async def market(changed: Callable[..., TestnetConfig], trader: Any) -> AsyncIterator[RunningTestnet]:
    """A busy market at ten times its speed."""
    async with running_testnet(changed(speed=D(10))) as testnet:
        trader.http.base_url = testnet.base_url
        yield testnet


@pytest.mark.parametrize(
    ("channel", "kind"),
    [
        ("aggre.deals.v3.api.pb@BTCUSDT", TradeBatch),
        ("aggre.deals.v3.api.pb@100ms@BTCUSDT", TradeBatch),
        ("aggre.depth.v3.api.pb@BTCUSDT", DepthUpdate),
        ("aggre.bookTicker.v3.api.pb@BTCUSDT", BookTicker),
        ("aggre.bookTicker.v3.api.pb@10ms@BTCUSDT", BookTicker),
        ("bookTicker.batch.v3.api.pb@BTCUSDT", BookTickerBatch),
        ("increase.depth.batch.v3.api.pb@BTCUSDT", DepthBatch),
        ("limit.depth.v3.api.pb@BTCUSDT@20", DepthLevels),
        ("limit.depth.v3.api.pb@5@BTCUSDT", DepthLevels),
        ("miniTicker.v3.api.pb@BTCUSDT@24H", MiniTicker),
        ("miniTicker.v3.api.pb@BTCUSDT@UTC+8", MiniTicker),
        ("miniTickers.v3.api.pb@UTC-3", MiniTickers),
        *((f"kline.v3.api.pb@BTCUSDT@{interval.stream_name}", KlineUpdate) for interval in Interval),
    ],
)
async def test_a_channel_pushes_its_kind_under_the_subscribed_name(market: RunningTestnet, channel: str, kind: type) -> None:
    async with listening(market, PUBLIC + channel) as socket:
        push = await anext(pushes(socket))
    assert isinstance(push.body, kind)
    assert push.channel.name == PUBLIC + channel


async def rest_book(trader: Any) -> Book:
    snapshot = await trader.get("depth", symbol="BTCUSDT", limit=5000)
    book = Book("BTCUSDT")
    levels = [[(D(price), D(quantity)) for price, quantity in snapshot[side]] for side in ("bids", "asks")]
    book.snapshot(snapshot["lastUpdateId"], *levels, Millis(0))
    return book


async def test_depth_batch_steps_lead_from_one_rest_snapshot_to_a_later_one(market: RunningTestnet, trader: Any) -> None:
    async with listening(market, PUBLIC + "increase.depth.batch.v3.api.pb@BTCUSDT") as socket:
        source = pushes(socket)
        await anext(source)
        book = await rest_book(trader)
        steps = [step for _ in range(4) for step in (await anext(source)).body.steps]  # type: ignore[union-attr]
        market.venue.pause()
        later = await rest_book(trader)
        while steps[-1].version < later.version:
            steps += (await anext(source)).body.steps  # type: ignore[union-attr]
    versions = [step.version for step in steps]
    assert versions == sorted(set(versions))
    for step in steps:
        if step.version > book.version:
            book.delta(book.version + 1, step.version, step.bids, step.asks, Millis(0))
    assert (book.version, book.depth(5_000)) == (later.version, later.depth(5_000))


@pytest.mark.parametrize("channel", ["limit.depth.v3.api.pb@BTCUSDT@20", "aggre.bookTicker.v3.api.pb@10ms@BTCUSDT"])
async def test_a_push_of_the_present_state_has_the_version_of_rest(market: RunningTestnet, trader: Any, channel: str) -> None:
    market.venue.pause()
    async with listening(market, PUBLIC + channel) as socket:
        body = (await anext(pushes(socket))).body
    book = await rest_book(trader)
    bids, asks = book.depth(20)
    assert isinstance(body, BookTicker | DepthLevels)
    assert body.version == book.version
    if isinstance(body, DepthLevels):
        assert ([*body.bids], [*body.asks]) == (bids, asks)
    else:
        assert ((body.bid, body.bid_quantity), (body.ask, body.ask_quantity)) == (bids[0], asks[0])


async def test_mini_tickers_come_every_three_seconds_even_without_trades(
    testnet: RunningTestnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    loop = asyncio.get_running_loop()
    original = loop.call_later

    def quick(delay: float, *arguments: Any) -> Any:
        asked.append(delay)
        return original(0.01 if delay == 3 else delay, *arguments)

    testnet.venue.pause()
    monkeypatch.setattr(loop, "call_later", quick)
    async with listening(testnet, PUBLIC + "miniTickers.v3.api.pb@24H") as socket:
        source = pushes(socket)
        bodies = [(await anext(source)).body for _ in range(3)]
    assert all(isinstance(body, MiniTickers) for body in bodies)
    assert asked.count(3) >= 2


async def test_a_connection_takes_thirty_channels_and_refuses_the_next_by_name(testnet: RunningTestnet) -> None:
    wanted = [f"{PUBLIC}kline.v3.api.pb@BTCUSDT@{interval.stream_name}" for interval in Interval]
    wanted += [f"{PUBLIC}miniTicker.v3.api.pb@BTCUSDT@UTC+{hour}" for hour in range(13)]
    wanted += [f"{PUBLIC}miniTickers.v3.api.pb@UTC-{hour}" for hour in range(1, 8)]
    extra = f"{PUBLIC}miniTickers.v3.api.pb@UTC-8"
    async with listening(testnet, *wanted) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": [extra, wanted[0]], "id": 9}))
        replies = [json.loads(frame) async for frame in first_texts(socket, 2)]
    assert len(wanted) == StreamLimits().subscriptions == 30
    assert [reply["id"] for reply in replies] == [9, 9]
    assert replies[0]["msg"] == wanted[0]
    assert replies[1]["msg"].startswith(f"Not Subscribed successfully! [{extra}].")


async def first_texts(socket: ClientConnection, count: int) -> AsyncIterator[str]:
    async for frame in socket:
        if isinstance(frame, str):
            yield frame
            count -= 1
            if not count:
                return


@pytest.mark.parametrize(
    "channel",
    [
        "miniTicker.v3.api.pb@NOPEUSDT@24H", "miniTicker.v3.api.pb@BTCUSDT@25H", "bookTicker.batch.v3.api.pb@NOPEUSDT",
        "increase.depth.batch.v3.api.pb@btcusdt", "kline.v3.api.pb@BTCUSDT@Min3", "limit.depth.v3.api.pb@BTCUSDT@7",
    ],
)  # fmt: skip
async def test_a_channel_with_an_argument_mexc_does_not_know_is_refused(testnet: RunningTestnet, channel: str) -> None:
    async with asyncio.timeout(10), connect(testnet.ws_url, proxy=None, close_timeout=0.1) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": [PUBLIC + channel]}))
        assert json.loads(await socket.recv())["msg"].startswith("Not Subscribed successfully!")


def history(*trades: tuple[int, str]) -> History:
    made = History(["BTCUSDT"])
    for at, price in trades:
        made.record(MarketTrade("BTCUSDT", D(price), D(2), Side.BUY, Millis(at), "1"))
    return made


@pytest.mark.parametrize(
    ("zone", "began"),
    [("24H", 76 * HOUR), ("UTC+0", 96 * HOUR), ("UTC+8", 88 * HOUR), ("UTC-3", 99 * HOUR), ("UTC+5:30", 181 * HOUR // 2)],
)
def test_a_day_begins_at_midnight_of_its_zone(zone: str, began: int) -> None:
    assert day_begins(zone, Millis(100 * HOUR)) == began


def test_a_mini_ticker_has_the_zones_day_and_the_utc_8_change() -> None:
    traded = history((87 * HOUR, "80"), (88 * HOUR, "100"), (97 * HOUR, "125"), (98 * HOUR, "110"))
    ticker = mini_ticker("BTCUSDT", "UTC+0", traded, Millis(100 * HOUR))
    assert ticker is not None
    assert (ticker.price, ticker.high, ticker.low, ticker.volume, ticker.quote_volume) == (110, 125, 110, 4, 470)
    assert (ticker.rate, ticker.zoned_rate) == (D("0.1"), D("-0.12"))
    assert (ticker.last_close_rate, ticker.last_close_zoned_rate) == (D("0.375"), D("0.1"))
    assert (ticker.last_close_high, ticker.last_close_low) == (125, 100)


def test_there_is_no_mini_ticker_before_the_first_trade() -> None:
    assert mini_ticker("BTCUSDT", "24H", history(), Millis(0)) is None
