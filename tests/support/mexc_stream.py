"""A stub stream server and the stub REST replies that go with it. The tests of the MEXC adapter configure them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed

from exchange.mexc.socket import StreamTiming
from exchange.model import Fill, Millis, OrderReport, OrderStatus, OrderType, Side
from exchange.wire import stream
from exchange.wire.market import BookTicker, DepthReply, Levels, book_ticker_json, depth_json
from exchange.wire.push import DepthUpdate, Push, TradeBatch
from exchange.wire.push_encode import encode_push

BID, ASK = (Decimal(2), Decimal(5)), (Decimal(3), Decimal(5))
ONE = Decimal(1)
FILL = Fill("505X1", "C02__1", "gh-1", "MXUSDT", Side.BUY, Decimal(2), ONE, Decimal(2), Decimal("0.001"), "USDT", True, Millis(9))
AMOUNTS = (Decimal(2), ONE, Decimal(0), Decimal(0))
REPORT = OrderReport(
    "MXUSDT", "C02__1", "gh-1", Side.BUY, OrderType.LIMIT, OrderStatus.NEW, *AMOUNTS, created_at=Millis(5), updated_at=Millis(9)
)


@dataclass
class StubStream:
    """Acknowledges subscriptions; the test pushes frames and cuts connections."""

    refuse: set[str] = field(default_factory=set)
    connections: list[ServerConnection] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    pings: int = 0
    mute: bool = False
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    on_subscribed: list[bytes] = field(default_factory=list)
    sent_at: Millis = Millis(9)
    silent: bool = False
    opened: asyncio.Condition = field(default_factory=asyncio.Condition)
    ready: int = 0

    async def streams(self, number: int) -> None:
        """Wait until ``number`` streams have subscribed since the start."""
        async with self.opened:
            await self.opened.wait_for(lambda: self.ready >= number)

    async def connected(self, number: int) -> None:
        """Wait until ``number`` streams were opened since the start, subscribed or not."""
        async with self.opened:
            await self.opened.wait_for(lambda: len(self.connections) >= number)

    async def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        async with self.opened:
            self.connections.append(connection)
            self.opened.notify_all()
        with suppress(ConnectionClosed):
            async for frame in connection:
                assert isinstance(frame, str)
                await self.answer(connection, stream.parse_request(frame))

    async def answer(self, connection: ServerConnection, request: stream.ControlRequest) -> None:
        if request.method is stream.ControlMethod.PING:
            self.pings += 1
            if not self.mute:
                await connection.send(stream.pong_frame())
            return
        if self.silent:
            return
        refused = [name for name in request.channels if name in self.refuse]
        if refused:
            await connection.send(stream.refused_frame(refused, request.id))
        await connection.send(stream.ack_frame([name for name in request.channels if name not in refused], request.id))
        for frame in self.on_subscribed:
            await connection.send(frame)
        self.subscribed.set()
        async with self.opened:
            self.ready += not refused
            self.opened.notify_all()

    async def push(self, *bodies: Any, to: int = -1) -> None:
        for body in bodies:
            if isinstance(body, DepthUpdate):
                channel = stream.depth_channel("MXUSDT")
            elif isinstance(body, TradeBatch):
                channel = stream.deals_channel("MXUSDT")
            else:
                channel = stream.ORDERS if isinstance(body, OrderReport) else stream.DEALS
            await self.connections[to].send(encode_push(Push(channel, body, sent_at=self.sent_at)))


def delta(first: int, last: int, bids: Levels = (), asks: Levels = ()) -> DepthUpdate:
    return DepthUpdate("MXUSDT", first, last, bids, asks)


def url_of(server: Server) -> str:
    return f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"


QUICK = StreamTiming(ping_every=40, idle_after=10_000, renew_every=60_000, retry_first=10, retry_most=20, subscribe_within=300)


@dataclass
class Rest:
    """Answers depth from ``snapshots`` (the last one repeats) and listen keys."""

    reply: Callable[..., bytes]
    snapshots: list[DepthReply] = field(default_factory=lambda: [DepthReply(10, (BID,), (ASK,))])
    renewals: int = 0
    created: int = 0
    fail_renewal: bool = False
    renewed_twice: asyncio.Event = field(default_factory=asyncio.Event)
    ticker: BookTicker = BookTicker("MXUSDT", *BID, *ASK)
    compared: int = 0
    compared_often: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    def __call__(self, request: Any) -> bytes:
        if request.path == "/api/v3/ticker/bookTicker":
            self.compared += 1
            if self.compared == 4:
                self.compared_often.set()
            return self.reply(book_ticker_json(self.ticker))
        if request.path == "/api/v3/depth":
            self.asked += 1
            snapshot = self.snapshots.pop(0) if len(self.snapshots) > 1 else self.snapshots[0]
            return self.reply(depth_json(snapshot))
        if request.method == "PUT":
            self.renewals += 1
            if self.renewals == 2:
                self.renewed_twice.set()
            if self.fail_renewal:
                return self.reply({"code": 700004, "msg": "gone"}, 400)
        self.created += request.method == "POST"
        return self.reply({"listenKey": f"key{self.created}"})
