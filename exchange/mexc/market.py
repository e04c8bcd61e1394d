"""MEXC's public market data as a ``MarketFeed``: one websocket for a few symbols, books kept in step, a watch on the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from operator import is_
from random import Random

from exchange.errors import ConfigError, UsageError, VenueError
from exchange.mexc.book_meter import BookMeter
from exchange.mexc.changes import Changes
from exchange.mexc.depth import MISSING, SymbolFeed
from exchange.mexc.reach import Reach
from exchange.mexc.rest import RestCaller
from exchange.mexc.socket import DEFAULT_TIMING, Backoff, SocketLost, StreamTiming
from exchange.mexc.stream_meter import StreamMeter
from exchange.mexc.stream_watch import DEFAULT_WATCH_LIMITS, StreamWatch, WatchLimits
from exchange.mexc.subscription import Subscription, end
from exchange.model import DataSource, MarketTrade, Quote
from exchange.ports import Clock, FeedEvent, FeedStatus
from exchange.stream_life import StreamLife, market_stream
from exchange.threads import OwnThread
from exchange.venue_slots import BookSlot
from exchange.wire.errors import MalformedReply
from exchange.wire.push import DepthUpdate, Push, TradeBatch
from exchange.wire.push_decode import decode_push
from exchange.wire.stream import MAX_SUBSCRIPTIONS, deals_channel, depth_channel

_MILLISECOND = 1_000_000


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
        watch_limits: WatchLimits = DEFAULT_WATCH_LIMITS,
    ) -> None:
        """``url`` is the stream's address; ``source`` is the real source of a testnet's data.

        Raises:
            Refused: a host outside ``reach``. ConfigError: no symbols, or more than one connection can subscribe.
        """
        reach.check(url)
        most = MAX_SUBSCRIPTIONS // 2
        if not 0 < len(symbols) <= most:
            raise ConfigError(
                f"a feed takes 1 to {most} symbols, not {len(symbols)}",
                code="feed-symbols",
                remedy="Name fewer symbols; MEXC allows 30 channels per connection and a symbol needs two.",
            )
        self._listeners: list[Callable[[FeedEvent], None]] = []
        self._meters = {symbol: StreamMeter(market_stream(symbol), clock) for symbol in symbols}
        self._books = {symbol: BookMeter(symbol, clock) for symbol in symbols}
        self._symbols = {symbol: SymbolFeed(symbol, self._publish, partial(self._turned, symbol)) for symbol in symbols}
        self._rest = rest
        self._url = url
        self._reach = reach
        self._clock = clock
        self._timing = timing
        self._source = source
        self._rng = rng
        self._backoff = Backoff(rng, timing)
        self._changes = Changes()
        self._stream_watch = StreamWatch(self._symbols, rest, clock, rng, timing, watch_limits, self._changes.notify, self._books)
        self._subscription: Subscription | None = None
        self._up_ns: int | None = None
        self._trouble: str | None = None
        self._thread = OwnThread("a market feed")
        self._shown: tuple[list[tuple[BookSlot, ...]], tuple[BookSlot, ...]] = [], ()
        self.rotations = 0
        """How often a stream was replaced before the venue would close it."""

    @property
    def trouble(self) -> str | None:
        """Why the stream was last lost, or ``None``."""
        return self._trouble

    @property
    def streams(self) -> Sequence[StreamLife]:
        """What happened to the market data of each symbol."""
        return [meter.life for meter in self._meters.values()]

    @property
    def book_slots(self) -> tuple[BookSlot, ...]:
        """What was measured of the book of each symbol."""
        shown = [meter.slots for meter in self._books.values()]
        # A meter shows the same tuple until it closes a slot, and this is asked with each tick.
        if not (len(shown) == len(self._shown[0]) and all(map(is_, shown, self._shown[0]))):
            self._shown = shown, tuple(slot for slots in shown for slot in slots)
        return self._shown[1]

    @property
    def source(self) -> DataSource:
        """Where the data comes from."""
        return self._source

    def declare(self, source: DataSource) -> None:
        """The venue said only now where its data comes from."""
        self._source = source

    def quote(self, symbol: str) -> Quote | None:
        """Best prices, or ``None`` while the book is missing, gapped or crossed. Raises ``UsageError`` for another symbol."""
        self._thread.check()
        return self._feed(symbol).quote()

    def depth(self, symbol: str, limit: int) -> tuple[int, list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]] | None:
        """``(version, bids, asks)`` best first, or ``None`` as for ``quote``."""
        self._thread.check()
        return self._feed(symbol).depth(limit)

    def trades(self, symbol: str, limit: int) -> Sequence[MarketTrade]:
        """Recent public trades, newest first."""
        self._thread.check()
        return self._feed(symbol).trades(limit)

    def status(self, symbol: str) -> FeedStatus:
        """Whether the book is live."""
        return self._feed(symbol).status

    def follow(self, listener: Callable[[FeedEvent], None]) -> None:
        """Call ``listener`` with every event of every symbol from now on, on the event loop."""
        self._listeners.append(listener)

    async def changed(self) -> None:
        """Wait until a quote, trade or status has changed since this task last waited; any number of tasks may wait."""
        self._thread.check()
        await self._changes.wait()

    async def run(self) -> None:
        """Keep the feed current until cancelled; after any failure reconnect with jittered back-off."""
        while True:
            self._up_ns = None
            try:
                await self._session()
            except VenueError as error:
                self._trouble = error.message
            self._ended()
            await asyncio.sleep(self._backoff.next_ms() / 1_000)

    def _ended(self) -> None:
        if self._up_ns is not None:
            self._backoff.ended((self._clock.monotonic_ns() - self._up_ns) // _MILLISECOND)

    async def aclose(self) -> None:
        """Release the connections; ``run`` must have ended."""
        await self._rest.aclose()

    async def _session(self) -> None:
        subscription = self._subscription = self._open_subscription()
        watching: asyncio.Task[None] | None = None
        try:
            await subscription.subscribed()
            for feed in self._symbols.values():
                feed.subscribed()
            subscription.hand_to(self._take)
            self._up_ns = self._clock.monotonic_ns()
            self._stream_watch.suspect()
            watching = asyncio.create_task(self._stream_watch.run(), name="stream-watch")
            within = self._rotate_after()
            while True:
                await _first_of(subscription, watching, within)
                fresh = await self._successor(subscription)
                within = self._timing.retry_most if fresh is None else self._rotate_after()
                subscription = fresh or subscription
        except VenueError as error:
            self._trouble = error.message
            raise
        finally:
            self._on_lost(self._subscription)
            await self._subscription.aclose()
            if watching is not None:
                await end(watching)

    async def _successor(self, old: Subscription) -> Subscription | None:
        """A new stream that has taken over from ``old``, or ``None`` if none could be opened yet."""
        fresh = self._open_subscription()
        try:
            await fresh.subscribed()
            await old.ended(self._timing.overlap)
            fresh.check()
        except SocketLost as error:
            self._trouble = error.message
            return None
        else:
            self._hand_over(old, fresh)
            await old.aclose()
            return fresh
        finally:
            if self._subscription is not fresh:
                await fresh.aclose()

    def _hand_over(self, old: Subscription, fresh: Subscription) -> None:
        # Nothing here waits, so each frame reaches the books from exactly one of the two streams.
        self._subscription = fresh
        now_ns = self._clock.monotonic_ns()
        for feed in self._symbols.values():
            if old.is_lost:
                feed.subscribed()
            else:
                feed.handed_over(now_ns)
        for meter in self._meters.values():
            meter.replaced()
        old.hand_to(_ignored)
        fresh.hand_to(self._take)
        self.rotations += 1
        self._stream_watch.suspect()
        self._changes.notify()

    def _open_subscription(self) -> Subscription:
        channels = [channel(symbol) for symbol in self._symbols for channel in (depth_channel, deals_channel)]
        subscription = Subscription(self._url, self._reach, self._timing, self._clock, channels, self._rest.connect)
        subscription.when_lost(lambda: self._on_lost(subscription))
        return subscription

    def _on_lost(self, subscription: Subscription) -> None:
        if subscription is self._subscription:
            why = subscription.problem or self._trouble
            for feed in self._symbols.values():
                feed.lost(why or "its stream was closed")
            self._changes.notify()

    def _rotate_after(self) -> int:
        # Random, so that streams opened together are not renewed together.
        return self._rng.randint(self._timing.rotate_every * 9 // 10, self._timing.rotate_every)

    def _take(self, frame: bytes) -> None:
        try:
            push = decode_push(frame)
        except MalformedReply:
            # It could be any symbol's delta, so every book may be incomplete.
            for feed in self._symbols.values():
                feed.suspect()
            self._stream_watch.suspect()
            self._changes.notify()
            return
        self._route(push)

    def _route(self, push: Push) -> None:
        body = push.body
        if isinstance(body, TradeBatch) and body.symbol in self._symbols:
            self._symbols[body.symbol].on_trades(body.trades, self._clock.monotonic_ns())
            self._changes.notify()
        elif isinstance(body, DepthUpdate) and body.symbol in self._symbols:
            feed, now = self._symbols[body.symbol], self._clock.now()
            if feed.on_depth(body, push.at, now, self._clock.monotonic_ns()):
                self._changes.notify()
                self._books[body.symbol].moved(crossed=feed.is_crossed)
                if feed.status is FeedStatus.LIVE:
                    self._meters[body.symbol].message(now)
            if feed.status is FeedStatus.RESYNCING:
                self._stream_watch.suspect()

    def _turned(self, symbol: str, why: str) -> None:
        feed, book = self._symbols[symbol], self._books[symbol]
        if why:
            self._meters[symbol].down(why, feed.progress_ns)
            book.out_of_step(gap=why == MISSING)
        else:
            self._meters[symbol].up()
            book.in_step()
            book.moved(crossed=feed.is_crossed)

    def _publish(self, event: FeedEvent) -> None:
        for listener in self._listeners:
            listener(event)

    def _feed(self, symbol: str) -> SymbolFeed:
        feed = self._symbols.get(symbol)
        if feed is None:
            raise UsageError(
                f"{symbol} is not in the feed",
                code="symbol-not-fed",
                remedy="Add the symbol to the feed when it is constructed.",
            )
        return feed


async def _first_of(subscription: Subscription, watching: asyncio.Task[None], within_ms: int) -> None:
    """Wait for ``within_ms``, or raise the error that ended the stream or its watch before."""
    ending = asyncio.create_task(subscription.ended(within_ms))
    try:
        await asyncio.wait({ending, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
    subscription.check()
    if watching.done():
        watching.result()


def _ignored(_: bytes) -> None:
    """Ignore a frame of a replaced stream."""
