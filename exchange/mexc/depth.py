"""Keeps one symbol's book in step with a stream: buffer, snapshot, replay (mexc-spot-v3.md §7.5). ``MexcFeed`` calls it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from exchange.book import Book, DeltaOutcome, Level
from exchange.errors import IntegrityError
from exchange.model import MarketTrade, Millis, Quote
from exchange.ports import FeedBroken, FeedEvent, FeedStatus
from exchange.wire.market import DepthReply
from exchange.wire.push import DepthUpdate

MISSING = "a change is missing"
"""Why a book fell out of step while its stream was open."""

MAX_BUFFERED = 2_000
MAX_TRADES = 1_000
MAX_BACKWARDS = 1_000
"""Milliseconds by which event time may go back before the book needs a new snapshot."""

_SAME_TRADES = 10_000_000_000
"""Nanoseconds after a hand-over in which trades without an id are compared with earlier trades."""

Timed = tuple[DepthUpdate, Millis]
"""A delta and its time on the venue's clock."""


class SymbolFeed:
    """The book and the recent trades of one symbol. Mutable; the feed is its only writer."""

    def __init__(
        self,
        symbol: str,
        publish: Callable[[FeedEvent], None] = lambda _: None,
        turned: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``publish`` gets what moved the book while it was in step, every new trade, and every break.

        ``turned`` is called when the book falls out of step, with the reason, and with an empty one when it is in step again.
        """
        self._symbol = symbol
        self._publish = publish
        self._turned = turned
        self._book = Book(symbol)
        self._waiting: deque[Timed] = deque(maxlen=MAX_BUFFERED)
        self._trades: deque[MarketTrade] = deque(maxlen=MAX_TRADES)
        self._received_at = Millis(0)
        self._progress_ns = 0
        self._last_at = Millis(0)
        self._status = FeedStatus.STALE
        self._last_event: tuple[Millis, Millis] | None = None
        self._handed_over = False
        self._repeats: Counter[MarketTrade] = Counter()
        self._repeats_until = 0
        self._ids: set[str] = set()

    @property
    def status(self) -> FeedStatus:
        """LIVE while the book is in step; RESYNCING between a gap and its snapshot; STALE without a stream."""
        return self._status

    @property
    def is_crossed(self) -> bool:
        """Whether the book is in step and its best bid is not below its best ask."""
        return self._status is FeedStatus.LIVE and self._book.is_crossed

    @property
    def version(self) -> int:
        """The book's version."""
        return self._book.version

    @property
    def progress_ns(self) -> int:
        """Monotonic ns at which the version last moved or was last confirmed."""
        return self._progress_ns

    @property
    def last_event(self) -> tuple[Millis, Millis] | None:
        """``(event time by the venue's clock, received at by ours)`` of the last delta of this stream that carries a time."""
        return self._last_event

    def handed_over(self, now_ns: int) -> None:
        """Note that another stream takes over without a gap: its first delta and its trades may repeat earlier ones."""
        self._handed_over = True
        self._last_event = None
        self._repeats = Counter(trade for trade in self._trades if not trade.trade_id)
        self._repeats_until = now_ns + _SAME_TRADES

    def subscribed(self) -> None:
        """Note a new subscription: data from before it may be missing."""
        self._book.mark_stale()
        self._waiting.clear()
        self._last_event = None
        self._handed_over = False
        self._leave(FeedStatus.RESYNCING, "its stream began anew")

    def lost(self, why: str = "its stream was lost") -> None:
        """Note that the stream has ended."""
        self._book.mark_stale()
        self._waiting.clear()
        self._leave(FeedStatus.STALE, why)

    def suspect(self) -> None:
        """Mark the book as needing a snapshot before it can be trusted again."""
        self._book.mark_stale()
        self._leave(FeedStatus.RESYNCING, MISSING)

    def on_depth(self, update: DepthUpdate, at: Millis, received_at: Millis, now_ns: int) -> bool:
        """Apply or buffer one delta; returns whether the book's quote may have changed."""
        if at:
            self._last_event = (at, received_at)
        if self._status is not FeedStatus.LIVE:
            self._waiting.append((update, at))
            return False
        if self._handed_over and update.to_version <= self._book.version:
            # The new stream was buffered while the old one moved the book, so its first deltas are seconds old.
            return False
        if at + MAX_BACKWARDS < self._last_at:
            # Event time that goes back means the venue replays or mixes streams; versions alone do not show that.
            self.suspect()
            self._waiting.append((update, at))
            return True
        before = self._book.version
        outcome = self._apply(self._joined(update) if self._handed_over else update, at)
        if outcome is DeltaOutcome.APPLIED:
            self._handed_over = False
            self._received_at, self._progress_ns, self._last_at = received_at, now_ns, at
            # The first change after a snapshot may begin before it; followers get an unbroken chain.
            self._publish(update if update.from_version == before + 1 else replace(update, from_version=before + 1))
        elif outcome is DeltaOutcome.GAP:
            self.suspect()
            self._waiting.append((update, at))
        return outcome is not DeltaOutcome.OLD

    def on_snapshot(self, snapshot: DepthReply, received_at: Millis, now_ns: int) -> bool:
        """Start over from a snapshot and replay the buffer. False if it is too old: take another."""
        if self._status is FeedStatus.STALE:
            return False
        self._leave(FeedStatus.RESYNCING, "its book began anew")
        try:
            self._book.snapshot(snapshot.last_update_id, snapshot.bids, snapshot.asks, Millis(snapshot.at or 0))
        except IntegrityError:
            return False
        for update, at in self._waiting:
            if self._apply(update, at) is DeltaOutcome.GAP:
                return False
        self._last_at = self._waiting[-1][1] if self._waiting else Millis(0)
        self._waiting.clear()
        self._received_at, self._progress_ns = received_at, now_ns
        self._status = FeedStatus.LIVE
        self._turned("")
        return True

    def confirm(self, snapshot: DepthReply, now_ns: int) -> bool:
        """Whether a snapshot taken while the stream was quiet agrees that nothing was missed."""
        if self._status is not FeedStatus.LIVE or snapshot.last_update_id > self._book.version:
            return False
        self._progress_ns = now_ns
        return True

    def on_trades(self, trades: Sequence[MarketTrade], now_ns: int) -> None:
        """Add public trades, oldest first as pushed; a repeated trade is left out."""
        for trade in trades:
            if self._is_repeat(trade, now_ns):
                continue
            if len(self._trades) == MAX_TRADES:
                self._ids.discard(self._trades[-1].trade_id)
            self._ids.add(trade.trade_id)
            self._trades.appendleft(trade)
            self._publish(trade)

    def quote(self) -> Quote | None:
        """Best prices, ``None`` unless LIVE, two-sided and not crossed."""
        return self._book.quote(self._received_at) if self._status is FeedStatus.LIVE else None

    def depth(self, limit: int) -> tuple[int, list[Level], list[Level]] | None:
        """``(version, bids, asks)`` best first, ``None`` as for ``quote``."""
        if self.quote() is None:
            return None
        bids, asks = self._book.depth(limit)
        return self._book.version, bids, asks

    def trades(self, limit: int) -> list[MarketTrade]:
        """Recent trades, newest first."""
        return list(self._trades)[:limit]

    def _leave(self, status: FeedStatus, why: str) -> None:
        was_live, self._status = self._status is FeedStatus.LIVE, status
        if was_live:
            self._turned(why)
            self._publish(FeedBroken(self._symbol, why))

    def _joined(self, update: DepthUpdate) -> DepthUpdate:
        # Quantities are absolute: a delta that covers more versions than are missing gives the same book.
        following = self._book.version + 1
        return replace(update, from_version=following) if update.from_version < following <= update.to_version else update

    def _is_repeat(self, trade: MarketTrade, now_ns: int) -> bool:
        if trade.trade_id:
            return trade.trade_id in self._ids
        if now_ns > self._repeats_until or not self._repeats[trade]:
            return False
        self._repeats[trade] -= 1
        return True

    def _apply(self, update: DepthUpdate, at: Millis) -> DeltaOutcome:
        try:
            return self._book.delta(update.from_version, update.to_version, update.bids, update.asks, at)
        except IntegrityError:
            return DeltaOutcome.GAP
