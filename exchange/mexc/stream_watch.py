"""Watches the books of a market feed: snapshots after a gap, and three checks on a stream that is open. ``MexcFeed`` runs it.

A stream can be connected and wrong (execution-safety.md §3). So the version must move or a snapshot must confirm that the market is
quiet; the event time must keep up with the venue's clock; and the mid must agree with REST. If a check keeps failing, the stream
ends, the books become stale, and recovery is as usual: a new stream and a snapshot (mexc-spot-v3.md §7.5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from exchange.errors import VenueError
from exchange.mexc.book_meter import BookMeter
from exchange.mexc.depth import SymbolFeed
from exchange.mexc.ratelimit import Lane
from exchange.mexc.rest import RestCaller
from exchange.mexc.socket import Backoff, SocketLost, StreamTiming
from exchange.model import Quote
from exchange.ports import Clock, FeedStatus
from exchange.wire.market import DepthReply, parse_book_ticker, parse_depth

SNAPSHOT_LEVELS = 1_000
_MILLISECOND = 1_000_000
_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """When a stream is no longer trusted, in milliseconds and basis points.

    ``stall_after``: after so long without a new version, REST is asked whether the market is quiet. ``lag_most``: events may be
    older than that for at most ``lag_for``. ``compare_every``: how often the mid is compared with REST; they may be more than
    ``diverge_bps`` apart for at most ``diverge_for``. An answer that took longer than ``answer_within`` compares nothing.
    The checks run every ``look_every``.
    """

    stall_after: int = 20_000
    lag_most: int = 5_000
    lag_for: int = 5_000
    compare_every: int = 30_000
    diverge_bps: int = 20
    diverge_for: int = 5_000
    answer_within: int = 2_000
    look_every: int = 1_000


DEFAULT_WATCH_LIMITS = WatchLimits()


class StreamWatch:
    """Watches the books of one feed while its stream is open."""

    def __init__(
        self,
        symbols: Mapping[str, SymbolFeed],
        rest: RestCaller,
        clock: Clock,
        rng: Random,
        timing: StreamTiming,
        watch_limits: WatchLimits,
        changed: Callable[[], None],
        books: Mapping[str, BookMeter],
    ) -> None:
        """``changed`` is called when a book becomes live again.

        ``books`` are the meters of the symbols, which note each comparison.
        """
        self._symbols = symbols
        self._rest = rest
        self._clock = clock
        self._watch_limits = watch_limits
        self._changed = changed
        self._books = books
        self._retry = Backoff(rng, timing)
        self._suspects = asyncio.Event()
        self._late_since: dict[str, int] = {}
        self._apart_since: dict[str, int] = {}
        self._compared: dict[str, int] = {}

    def suspect(self) -> None:
        """Check now, because a book needs a snapshot."""
        self._suspects.set()

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            SocketLost: the stream can no longer be trusted.
        """
        self._late_since.clear()
        self._apart_since.clear()
        self._compared = dict.fromkeys(self._symbols, self._now())
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._watch_limits.look_every / 1_000):
                    await self._suspects.wait()
            self._suspects.clear()
            for symbol, feed in self._symbols.items():
                if feed.status is FeedStatus.RESYNCING:
                    await self._snapshot(symbol, feed)
                if feed.status is not FeedStatus.LIVE:
                    continue
                if self._now() - feed.progress_ns // _MILLISECOND > self._watch_limits.stall_after:
                    await self._probe(symbol, feed)
                self._check_lag(symbol, feed)
                if self._comparison_is_due(symbol):
                    await self._compare(symbol, feed)

    async def _snapshot(self, symbol: str, feed: SymbolFeed) -> None:
        try:
            snapshot = await self._ask(symbol)
        except VenueError:
            snapshot = None
        if snapshot is not None and feed.on_snapshot(snapshot, self._clock.now(), self._clock.monotonic_ns()):
            self._retry.reset()
            self._changed()
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

    def _check_lag(self, symbol: str, feed: SymbolFeed) -> None:
        reading, event = self._rest.venue_clock.reading, feed.last_event
        if reading is None or event is None:
            return
        at, received_at = event
        # Only a lag that is certain counts: the venue's clock is known no better than this.
        lag = received_at - reading.offset_ms - reading.uncertainty_ms - at
        if lag <= self._watch_limits.lag_most:
            self._late_since.pop(symbol, None)
        elif self._now() - self._late_since.setdefault(symbol, self._now()) >= self._watch_limits.lag_for:
            raise SocketLost(f"{symbol}: events arrive {lag} ms late")

    def _comparison_is_due(self, symbol: str) -> bool:
        return symbol in self._apart_since or self._now() - self._compared[symbol] >= self._watch_limits.compare_every

    async def _compare(self, symbol: str, feed: SymbolFeed) -> None:
        before, asked_at = feed.quote(), self._now()
        try:
            if self._rest.venue_clock.reading is None:
                await self._rest.server_time()
            ticker = parse_book_ticker(await self._rest.public("/ticker/bookTicker", [("symbol", symbol)], Lane.MARKET))
        except VenueError:
            # Without REST nothing is known about the stream; the stall check decides if the stream is quiet too.
            return
        self._compared[symbol] = self._now()
        after = feed.quote()
        if before is None or after is None or self._compared[symbol] - asked_at > self._watch_limits.answer_within:
            return
        apart = divergence_bps((ticker.bid + ticker.ask) / 2, before, after) if ticker is not None else None
        if apart is not None and apart <= self._watch_limits.diverge_bps:
            self._apart_since.pop(symbol, None)
            self._books[symbol].compared(apart, diverged=False)
            return
        too_long = self._now() - self._apart_since.setdefault(symbol, self._now()) >= self._watch_limits.diverge_for
        self._books[symbol].compared(apart, diverged=too_long)
        if too_long:
            shown = "there is no quote by REST" if apart is None else f"the stream's mid is {apart:.0f} bps from REST's"
            raise SocketLost(f"{symbol}: {shown}")

    async def _ask(self, symbol: str) -> DepthReply:
        params = [("symbol", symbol), ("limit", str(SNAPSHOT_LEVELS))]
        return parse_depth(await self._rest.public("/depth", params, Lane.MARKET))

    def _now(self) -> int:
        return self._clock.monotonic_ns() // _MILLISECOND


def divergence_bps(mid: Decimal, before: Quote, after: Quote) -> Decimal:
    """How far ``mid`` is outside the book's mids before and after the query, in basis points of the nearer mid."""
    low, high = sorted((before.mid, after.mid))
    if low <= mid <= high:
        return Decimal(0)
    nearer = low if mid < low else high
    return abs(mid - nearer) / nearer * _BPS
