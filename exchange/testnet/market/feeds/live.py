"""Live market data from MEXC's public streams and REST, as tape records: the feed ``mexc-live`` and what ``tape record`` writes.

It needs no key and sends none. The depth and deals channels of one symbol are read over a websocket, snapshots come over REST
through a function the caller injects; ``Assembler`` puts them in order. Any failure, also one that cannot be explained, leaves a
gap on the tape and a new connection after a pause that doubles with every failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

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
"""Levels per side of a snapshot; levels beyond stay unknown until they change (mexc-spot-v3.md §7.5)."""

_PROVENANCE = "/testnet/provenance"
_MAX_FRAME = 1 << 20
_FAILURES = (OSError, WebSocketException, TimeoutError, VenueError, Unreachable)

ERROR_STATUS = "rest-error-status"
"""The code of the ``Unreachable`` that a ``Fetch`` raises for an answer which is an error."""

Fetch = Callable[[str], Awaitable[bytes]]
"""GETs a path with its query from the venue's REST API. Raises ``Unreachable`` when it cannot."""


@dataclass(frozen=True, slots=True)
class LiveTiming:
    """Patience, in ms: how often to look for records that have been held long enough, to ping, to call silence a failure, to fetch
    another snapshot, and to come back after a failure."""

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
        Unreachable, VenueError: it cannot be asked, or its answer cannot be read.
    """
    rules = parse_exchange_info(load_json(await fetch(f"/api/v3/exchangeInfo?symbols={symbol}")), {symbol}).get(symbol)
    if rules is None:
        raise _not_listed(symbol)
    return rules


async def live_source(fetch: Fetch) -> DataSource:
    """What is measured on this venue's data: LIVE, unless it declares itself simulated, as a testnet of ours does.

    Raises:
        Unreachable, VenueError: it cannot be asked, or declares a source nobody knows.
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
    """One symbol's market, delivered record by record for as long as ``run`` runs. ``failure`` says why there is none now."""

    def __init__(self, symbol: str, url: str, fetch: Fetch, clock: Clock, timing: LiveTiming | None = None) -> None:
        self.connections = 0
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
        """Treat what follows as if data had been missed: a gap, and a fresh snapshot."""
        self._assembler.lost(self._clock.now())

    def rest(self) -> list[TapeRecord]:
        """What is still held; for the end of a recording."""
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
                self.failure = f"{type(error).__name__}: {error}"
            if self._heard:
                pause = self._timing.retry_first
            self._assembler.lost(self._clock.now())
            await asyncio.sleep(pause / 1_000)
            pause = min(2 * pause, self._timing.retry_most)

    async def _connected(self) -> None:
        timing = self._timing
        async with connect(
            self._url, proxy=None, open_timeout=timing.open_within / 1_000, close_timeout=1, max_size=_MAX_FRAME, ping_interval=None
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
    """The venue's market side played from a live feed (``playback.Market``). While paused the market stands still; what passes
    meanwhile is lost, and a gap says so."""

    speed = Decimal(1)
    rounds = 0
    ended = False

    def __init__(self, feed: LiveFeed, source: DataSource) -> None:
        self.source = source
        self._feed = feed
        self.paused = False
        self.records = 0
        self.position: Millis | None = None

    def pause(self) -> None:
        """Let the market stand still."""
        self.paused = True

    def resume(self) -> None:
        """Let the market go on, from a fresh book."""
        if self.paused:
            self._feed.interrupt()
            self.paused = False

    def take_due(self) -> list[TapeRecord]:
        """Nothing: a live market is only known once it runs."""
        return []

    async def run(self, deliver: Callable[[TapeRecord], None]) -> None:
        """Deliver records as they come, until cancelled."""

        def pass_on(record: TapeRecord) -> None:
            if not self.paused:
                self.records += 1
                self.position = record.at
                deliver(record)

        await self._feed.run(pass_on)


async def _all(*work: Coroutine[Any, Any, None]) -> None:
    """Run work that never ends side by side until one part of it fails; its error passes and the others are stopped."""
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
