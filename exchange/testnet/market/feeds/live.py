"""Live market data from MEXC's public streams and REST, as tape records. The feed ``mexc-live`` and ``tape record`` use it.

It needs no key and sends none. The depth and deals channels of one symbol are read over a websocket, snapshots come over REST
through a function the caller passes in; ``Assembler`` puts them in order. After any failure the tape has a gap, and the feed
reconnects after a pause that doubles with every failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from exchange import authorities
from exchange.errors import GatehouseError, Unreachable, UsageError, VenueError
from exchange.model import DataSource, Millis, SymbolRules
from exchange.ports import Clock
from exchange.tape import TapeRecord
from exchange.testnet.market.feeds.assemble import HOLD_MS, Assembler
from exchange.wire.errors import MalformedReply, load_json
from exchange.wire.market import parse_depth
from exchange.wire.push import DepthUpdate, TradeBatch
from exchange.wire.push_decode import decode_push
from exchange.wire.stream import Speed, deals_channel, depth_channel, parse_reply, ping_frame, subscribe_frames
from exchange.wire.symbols import parse_exchange_info

DEPTH_LIMIT = 1_000
"""Levels per side of a snapshot; deeper levels stay unknown until they change (mexc-spot-v3.md §7.5)."""

_PROVENANCE = "/testnet/provenance"
_MAX_FRAME = 1 << 20
_FAILURES = (OSError, WebSocketException, TimeoutError, VenueError, Unreachable)

ERROR_STATUS = "rest-error-status"
"""The code of the ``Unreachable`` that a ``Fetch`` raises for an error reply."""

Fetch = Callable[[str], Awaitable[bytes]]
"""GETs a path with its query from the venue's REST API. Raises ``Unreachable`` when it cannot."""


@dataclass(frozen=True, slots=True)
class LiveTiming:
    """Intervals in ms: to release held records, to ping, to treat silence as a failure, to fetch another snapshot, and to
    reconnect after a failure."""

    release_every: int = 20
    ping_every: int = 15_000
    silence: int = 45_000
    open_within: int = 10_000
    snapshot_every: int = 500
    retry_first: int = 500
    retry_most: int = 30_000
    hold: int = HOLD_MS


async def live_rules(symbol: str, fetch: Fetch) -> SymbolRules:
    """The symbol's rules as the venue lists them now.

    Raises:
        UsageError: the venue does not list the symbol.
        Unreachable, VenueError: it cannot be reached, or its reply cannot be read.
    """
    rules = parse_exchange_info(load_json(await fetch(f"/api/v3/exchangeInfo?symbols={symbol}")), {symbol}).get(symbol)
    if rules is None:
        raise _not_listed(symbol)
    return rules


async def live_source(fetch: Fetch) -> DataSource:
    """The source of this venue's data: LIVE, unless the venue declares another one, as our testnet does.

    Raises:
        Unreachable, VenueError: it cannot be reached, or declares an unknown source.
    """
    try:
        decoded = load_json(await fetch(_PROVENANCE))
    except MalformedReply:
        return DataSource.LIVE
    except Unreachable as error:
        if error.code != ERROR_STATUS:
            raise
        return DataSource.LIVE
    if not isinstance(decoded, dict) or "simulated" not in decoded:
        return DataSource.LIVE
    try:
        return DataSource(str(decoded.get("source")))
    except ValueError as error:
        raise MalformedReply("the source the venue declares") from error


class LiveFeed:
    """One symbol's market, delivered record by record while ``run`` runs. ``failure`` says why there is no connection now.

    ``say`` gets a line for a person when the connection is lost, when the reason changes, and when data comes again.
    """

    def __init__(
        self,
        symbol: str,
        url: str,
        fetch: Fetch,
        clock: Clock,
        timing: LiveTiming | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.connections = 0
        self._say = say
        self.failure: str | None = "not connected yet"
        self._heard = False
        self._symbol = symbol
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._timing = LiveTiming() if timing is None else timing
        self._assembler = Assembler(symbol, self._timing.hold)
        self._snapshot_wanted = asyncio.Event()

    async def run(self, deliver: Callable[[TapeRecord], None]) -> None:
        """Deliver records, in the order of a tape, until cancelled.

        Raises:
            UsageError: the venue refuses the symbol.
        """
        await _all(self._release(deliver), self._stay_connected())

    def interrupt(self) -> None:
        """Put a gap on the tape and continue from a new snapshot."""
        self._assembler.lost(self._clock.now())

    def rest(self) -> list[TapeRecord]:
        """The records still held, for the end of a recording."""
        return self._assembler.ready()

    async def _release(self, deliver: Callable[[TapeRecord], None]) -> None:
        while True:
            for record in self._assembler.ready(self._clock.now()):
                deliver(record)
            await asyncio.sleep(self._timing.release_every / 1_000)

    async def _stay_connected(self) -> None:
        pause = self._timing.retry_first
        while True:
            self._heard = False
            try:
                await self._connected()
            except _FAILURES as error:
                self._failed(authorities.refusal(error) or f"{type(error).__name__}: {error}")
            if self._heard:
                pause = self._timing.retry_first
            self._assembler.lost(self._clock.now())
            await asyncio.sleep(pause / 1_000)
            pause = min(2 * pause, self._timing.retry_most)

    def _failed(self, why: str) -> None:
        if why != self.failure:
            self._say(
                f"no market data of {self._symbol} from {self._url}: {why}; it is tried again, and no price is valid until then"
            )
        self.failure = why

    async def _connected(self) -> None:
        timing = self._timing
        async with connect(
            self._url,
            ssl=authorities.trusted() if self._url.startswith("wss:") else None,
            proxy=None,
            open_timeout=timing.open_within / 1_000,
            close_timeout=1,
            max_size=_MAX_FRAME,
            ping_interval=None,
        ) as socket:
            self.connections += 1
            for frame in subscribe_frames((depth_channel(self._symbol, Speed.MS10), deals_channel(self._symbol, Speed.MS10))):
                await socket.send(frame)
            await _all(self._read(socket), self._ping(socket), self._snapshots())

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            async with asyncio.timeout(self._timing.silence / 1_000):
                frame = await socket.recv()
            if isinstance(frame, str):
                if parse_reply(frame).msg.startswith("Not Subscribed"):
                    raise _not_listed(self._symbol)
                continue
            push, now = decode_push(frame), self._clock.now()
            if isinstance(push.body, DepthUpdate):
                if self.failure is not None:
                    self._say(f"market data of {self._symbol} comes from {self._url}")
                self.failure, self._heard = None, True
                self._assembler.on_depth(push.body, push.at, now)
            elif isinstance(push.body, TradeBatch):
                self._assembler.on_trades(push.body, now)
            if self._assembler.wants_snapshot:
                self._snapshot_wanted.set()

    async def _ping(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(self._timing.ping_every / 1_000)
            await socket.send(ping_frame())

    async def _snapshots(self) -> None:
        while True:
            await self._snapshot_wanted.wait()
            self._snapshot_wanted.clear()
            body = await self._fetch(f"/api/v3/depth?symbol={self._symbol}&limit={DEPTH_LIMIT}")
            if not self._assembler.on_snapshot(parse_depth(load_json(body)), self._clock.now()):
                await asyncio.sleep(self._timing.snapshot_every / 1_000)
                self._snapshot_wanted.set()


class LiveMarket:
    """The venue's market from a live feed (``playback.Market``). While it is paused nothing is delivered; the records of that time
    are lost, and a gap marks it."""

    speed = Decimal(1)
    virtual = False
    rounds = 0
    ended = False

    def __init__(self, feed: LiveFeed, source: DataSource) -> None:
        self.source = source
        self._feed = feed
        self.paused = False
        self.records = 0
        self.position: Millis | None = None

    def pause(self) -> None:
        """Stop the market."""
        self.paused = True

    def resume(self) -> None:
        """Continue the market from a new book."""
        if self.paused:
            self._feed.interrupt()
            self.paused = False

    def take_due(self) -> list[TapeRecord]:
        """Nothing: a live market has no records before it runs."""
        return []

    async def run(self, deliver: Callable[[TapeRecord], None]) -> None:
        """Deliver records as they arrive, until cancelled."""

        def pass_on(record: TapeRecord) -> None:
            if not self.paused:
                self.records += 1
                self.position = record.at
                deliver(record)

        await self._feed.run(pass_on)


async def _all(*work: Coroutine[Any, Any, None]) -> None:
    """Run endless coroutines side by side until one fails; raise its error and cancel the others."""
    tasks = [asyncio.create_task(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _not_listed(symbol: str) -> GatehouseError:
    return UsageError(
        f"the venue has no market data for {symbol}",
        code="live-symbol-unknown",
        remedy="Check the symbol's spelling, as in BTCUSDT, and that the venue lists it.",
    )
