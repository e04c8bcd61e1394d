"""Measures the gateway's streams: the recorded market decoded, applied and fanned out to fifty streams of five channels each."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from controller.gateway.app import create_app
from controller.gateway.limits import GatewayLimits
from controller.gateway.server import serving
from controller.gateway.stream_port import MarketNews
from exchange import tape
from exchange.matching.symbols import BTCUSDT
from exchange.mexc.depth import SymbolFeed
from exchange.model import MarketTrade, Millis, Quote
from exchange.ports import FeedEvent
from exchange.tape import DepthDelta, DepthSnapshot, TapeTrade
from exchange.wire.market import DepthReply
from exchange.wire.push import DepthUpdate, Push, TradeBatch
from exchange.wire.push_decode import decode_push
from exchange.wire.push_encode import encode_push
from exchange.wire.stream import deals_channel, depth_channel
from ops.bench.measure import Contest, Figures, Goal, Line, Round

_TAPE = Path(__file__).parents[2] / "exchange" / "testnet" / "tapes" / "btcusdt-20240808.tape.gz"
_SYMBOL, _STREAMS, _SECONDS = "BTCUSDT", 50, 5.0
_CHANNELS = tuple(
    f"spot@public.{name}"
    for name in (
        f"aggre.depth.v3.api.pb@100ms@{_SYMBOL}",
        f"aggre.deals.v3.api.pb@100ms@{_SYMBOL}",
        f"aggre.bookTicker.v3.api.pb@100ms@{_SYMBOL}",
        f"bookTicker.batch.v3.api.pb@{_SYMBOL}",
        f"limit.depth.v3.api.pb@{_SYMBOL}@20",
    )
)


class _Market:
    """The part of the gateway's port that public streams ask, on one feed."""

    def __init__(self) -> None:
        self.streams = self
        self.feed = SymbolFeed(_SYMBOL, self._publish)
        self.listener: Callable[[MarketNews], None] = lambda _: None
        self.follow_bots = self.nothing

    def _publish(self, event: FeedEvent) -> None:
        self.listener(event)

    def nothing(self, *_: object) -> None:
        """Nobody asks for more."""

    def follow_market(self, listener: Callable[[MarketNews], None]) -> None:
        self.listener = listener

    def market_problem(self, _: str) -> str:
        return ""

    def rules(self, _: object) -> dict[str, object]:
        return {_SYMBOL: BTCUSDT}

    def quote(self, _: str) -> Quote | None:
        return self.feed.quote()

    def depth(self, _: str, limit: int) -> object:
        return self.feed.depth(limit)

    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)

    def ready(self) -> bool:
        return True


def _recorded() -> tuple[DepthReply, list[tuple[Millis, list[bytes]]]]:
    """The tape's first book, and its pushes as a venue sends them: everything of 100 ms in one frame for each channel."""
    records = tape.read(_TAPE)
    first = next(one for one in records if isinstance(one, DepthSnapshot))
    book = DepthReply(first.version, first.bids, first.asks, first.at)
    until, pushes = Millis(first.at + 60_000), list[tuple[Millis, list[bytes]]]()
    timed = ((one.trade.at if isinstance(one, TapeTrade) else one.at, one) for one in records)
    for slot, group in groupby(timed, key=lambda one: one[0] // 100):
        at, found = Millis(slot * 100), [one for _, one in group]
        if at > until:
            break
        frames = []
        deltas = [one for one in found if isinstance(one, DepthDelta)]
        if deltas:
            bids = dict(level for one in deltas for level in one.bids)
            asks = dict(level for one in deltas for level in one.asks)
            update = DepthUpdate(_SYMBOL, deltas[0].from_version, deltas[-1].to_version, tuple(bids.items()), tuple(asks.items()))
            frames.append(encode_push(Push(depth_channel(_SYMBOL), update, at, at)))
        trades: tuple[MarketTrade, ...] = tuple(one.trade for one in found if isinstance(one, TapeTrade))
        if trades:
            frames.append(encode_push(Push(deals_channel(_SYMBOL), TradeBatch(_SYMBOL, trades), at, at)))
        pushes.append((at, frames))
    return book, pushes


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """Read a minute of the tape once."""
    book, pushes = _recorded()

    def one_round(_: int) -> Figures:
        return asyncio.run(_played(book, pushes, max(0.3, _SECONDS * size)))

    yield one_round


async def _played(book: DepthReply, pushes: list[tuple[Millis, list[bytes]]], seconds: float) -> Figures:
    market: Any = _Market()
    market.feed.subscribed()
    market.feed.on_snapshot(book, Millis(0), 0)
    limits = GatewayLimits()
    async with serving(create_app(market, market, limits), "127.0.0.1", 0, limits) as port:
        readers = subprocess.Popen(  # noqa: ASYNC220 - it begins before anything is measured
            [sys.executable, "-m", "ops.bench.fan_out", str(port)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert readers.stdout is not None
        await asyncio.to_thread(readers.stdout.readline)
        began, first, used, frames = time.monotonic(), pushes[0][0], time.thread_time(), 0
        for at, found in pushes:
            wait = began + (at - first) / 1_000 - time.monotonic()
            if (at - first) / 1_000 > seconds:
                break
            await asyncio.sleep(max(0.0, wait))
            for frame in found:
                _take(market.feed, frame)
                frames += 1
        used, passed = time.thread_time() - used, time.monotonic() - began
        readers.terminate()
        await asyncio.to_thread(readers.wait)
        readers.stdout.close()
    return {"share": 100 * used / passed, "frames": frames / passed}


def _take(feed: SymbolFeed, frame: bytes) -> None:
    push = decode_push(frame)
    if isinstance(push.body, DepthUpdate):
        feed.on_depth(push.body, push.at, push.at, 1)
    elif isinstance(push.body, TradeBatch):
        feed.on_trades(push.body.trades, 1)


def read_everything(port: int) -> None:
    """The clients, in a process of their own: fifty streams that are read and thrown away."""
    selector = selectors.DefaultSelector()
    subscribe = json.dumps({"method": "SUBSCRIPTION", "params": _CHANNELS}).encode()
    mask = bytes([0x81, 0xFE]) + len(subscribe).to_bytes(2, "big") + b"\0\0\0\0"
    for _ in range(_STREAMS):
        one = socket.create_connection(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16))
        one.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        while b"\r\n\r\n" not in one.recv(4_096):
            continue
        one.sendall(mask + subscribe)
        assert b"@20" in one.recv(4_096)
        selector.register(one, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for ready, _ in selector.select():
            if not ready.fileobj.recv(1_000_000):  # type: ignore[union-attr]
                return


CONTEST = Contest(
    "stream-fan-out",
    (
        Line(
            "gateway: the recorded market to 50 streams of 5 channels, decoding included",
            "% of a core",
            "share",
            goals=(Goal("≤ 10 %", lambda ours, _: ours <= 10),),
        ),
    ),
    opened,
)

if __name__ == "__main__":
    read_everything(int(sys.argv[1]))
