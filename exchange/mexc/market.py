"""MEXC's public market data as a ``MarketFeed``: one websocket for a few symbols, books kept in step, a watchdog on progress."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from random import Random

from exchange.errors import ConfigError, UsageError, VenueError
from exchange.mexc.changes import Changes
from exchange.mexc.depth import SymbolFeed
from exchange.mexc.hosts import Reach
from exchange.mexc.rest import RestCaller
from exchange.mexc.socket import DEFAULT_TIMING, Backoff, SocketLost, StreamSocket, StreamTiming, open_stream
from exchange.model import DataSource, MarketTrade, Quote
from exchange.ports import Clock, FeedStatus
from exchange.wire.errors import MalformedReply
from exchange.wire.market import DepthSnapshot, parse_depth
from exchange.wire.push import DepthUpdate, Push, TradeBatch
from exchange.wire.push_decode import decode_push
from exchange.wire.stream import MAX_SUBSCRIPTIONS, deals_channel, depth_channel

SNAPSHOT_LEVELS = 1_000
STALL_AFTER = 20_000
"""Milliseconds without a new version after which a snapshot must confirm that the market is quiet and not the stream dead."""

_MILLISECOND = 1_000_000
_TICK = 1_000


class MexcFeed:
    """Books and trades of a few symbols from one venue. ``run`` keeps them current; everything else only reads."""

    def __init__(
        self,
        symbols: Sequence[str],
        rest: RestCaller,
        url: str,
        reach: Reach,
        clock: Clock,
        rng: Random,
        timing: StreamTiming = DEFAULT_TIMING,
        source: DataSource = DataSource.LIVE,
        stall_after: int = STALL_AFTER,
    ) -> None:
        """``url`` is the stream's address; ``source`` says what a testnet's data really is.

        Raises:
            Refused: a host outside ``reach``. ConfigError: no symbols, or more than one connection may subscribe.
        """
        reach.check(url)
        most = MAX_SUBSCRIPTIONS // 2
        if not 0 < len(symbols) <= most:
            raise ConfigError(
                f"a feed takes 1 to {most} symbols, not {len(symbols)}",
                code="feed-symbols",
                remedy="Name fewer symbols; MEXC allows 30 channels per connection and a symbol needs two.",
            )
        self._symbols = {symbol: SymbolFeed(symbol) for symbol in symbols}
        self._rest = rest
        self._url = url
        self._reach = reach
        self._clock = clock
        self._timing = timing
        self._source = source
        self._stall_after = stall_after * _MILLISECOND
        self._backoff = Backoff(rng, timing)
        self._retry = Backoff(rng, timing)
        self._changes = Changes()
        self._suspects = asyncio.Event()
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why the stream was last lost, ``None`` if it never was."""
        return self._trouble

    @property
    def source(self) -> DataSource:
        """Where the data comes from."""
        return self._source

    def quote(self, symbol: str) -> Quote | None:
        """Best prices, or ``None`` while the book is missing, gapped or crossed. Raises ``UsageError`` for a symbol not fed."""
        return self._feed(symbol).quote()

    def depth(self, symbol: str, limit: int) -> tuple[int, list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]] | None:
        """``(version, bids, asks)`` best first, or ``None`` as for ``quote``."""
        return self._feed(symbol).depth(limit)

    def trades(self, symbol: str, limit: int) -> Sequence[MarketTrade]:
        """Recent public trades, newest first."""
        return self._feed(symbol).trades(limit)

    def status(self, symbol: str) -> FeedStatus:
        """Whether the book is live."""
        return self._feed(symbol).status

    async def changed(self) -> None:
        """Wait until any quote, trade or status has changed since this task last awaited it; any number of tasks may wait."""
        await self._changes.wait()

    async def run(self) -> None:
        """Keep the feed current until cancelled: reconnect with jittered back-off, whatever breaks."""
        while True:
            try:
                await self._session()
            except VenueError as error:
                self._trouble = error.message
            await asyncio.sleep(self._backoff.next_ms() / 1_000)

    async def aclose(self) -> None:
        """Release the connections; ``run`` must have ended."""
        await self._rest.aclose()

    async def _session(self) -> None:
        channels = [channel(symbol) for symbol in self._symbols for channel in (depth_channel, deals_channel)]
        try:
            async with open_stream(self._url, self._reach, self._timing, self._clock) as socket:
                early = await socket.subscribe(channels)
                for feed in self._symbols.values():
                    feed.subscribed()
                self._suspects.set()
                for frame in early:
                    self._take(frame)
                self._backoff.reset()
                await self._follow(socket)
        finally:
            for feed in self._symbols.values():
                feed.lost()
            self._changes.tell()

    async def _follow(self, socket: StreamSocket) -> None:
        resync = asyncio.create_task(self._resync())
        try:
            while not resync.done():
                frame = await socket.next_push(_TICK)
                if frame is not None:
                    self._take(frame)
            resync.result()
        finally:
            resync.cancel()
            with suppress(asyncio.CancelledError, VenueError):
                await resync

    def _take(self, frame: bytes) -> None:
        try:
            push = decode_push(frame)
        except MalformedReply:
            # It could have been any symbol's delta, so none of the books is known to be complete.
            for feed in self._symbols.values():
                feed.suspect()
            self._suspects.set()
            self._changes.tell()
            return
        self._route(push)

    def _route(self, push: Push) -> None:
        body = push.body
        if isinstance(body, TradeBatch) and body.symbol in self._symbols:
            self._symbols[body.symbol].on_trades(body.trades)
            self._changes.tell()
        elif isinstance(body, DepthUpdate) and body.symbol in self._symbols:
            feed = self._symbols[body.symbol]
            if feed.on_depth(body, push.at, self._clock.now(), self._clock.monotonic_ns()):
                self._changes.tell()
            if feed.status is FeedStatus.RESYNCING:
                self._suspects.set()

    async def _resync(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK / 1_000):
                    await self._suspects.wait()
            self._suspects.clear()
            for symbol, feed in self._symbols.items():
                if feed.status is FeedStatus.RESYNCING:
                    await self._snapshot(symbol, feed)
                elif self._clock.monotonic_ns() - feed.progress_ns > self._stall_after:
                    await self._probe(symbol, feed)

    async def _snapshot(self, symbol: str, feed: SymbolFeed) -> None:
        try:
            snapshot = await self._ask(symbol)
        except VenueError:
            snapshot = None
        if snapshot is not None and feed.on_snapshot(snapshot, self._clock.now(), self._clock.monotonic_ns()):
            self._retry.reset()
            self._changes.tell()
            return
        self._suspects.set()
        await asyncio.sleep(self._retry.next_ms() / 1_000)

    async def _probe(self, symbol: str, feed: SymbolFeed) -> None:
        before = feed.version
        try:
            snapshot = await self._ask(symbol)
        except VenueError as error:
            raise SocketLost(f"{symbol} has stalled and cannot be confirmed: {error.message}") from error
        if feed.version == before and not feed.confirm(snapshot, self._clock.monotonic_ns()):
            raise SocketLost(f"{symbol} has moved to {snapshot.last_update_id} while the stream stayed at {before}")

    async def _ask(self, symbol: str) -> DepthSnapshot:
        return parse_depth(await self._rest.public("/depth", [("symbol", symbol), ("limit", str(SNAPSHOT_LEVELS))]))

    def _feed(self, symbol: str) -> SymbolFeed:
        feed = self._symbols.get(symbol)
        if feed is None:
            raise UsageError(
                f"{symbol} is not fed", code="symbol-not-fed", remedy="Add the symbol to the feed when it is constructed."
            )
        return feed
