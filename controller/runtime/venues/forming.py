"""The candle that has not closed yet, built from trades. ``venues.candles`` keeps one of these for each symbol and interval.

Theory of operation. A candle whose window opened while the trades were followed is built from the trades alone, and is exact. One
that had opened before begins as the venue's own row, and the trades after it bring it up to date. Nobody knows which trades of the
round trip are in that row: they count for its prices, where counting twice changes nothing, and not for its volume. So the volume
may lack what was traded while the row was on its way, and never counts a trade twice. The row is read again every minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exchange.candles import joined, single, window
from exchange.model import MarketTrade, Millis
from exchange.wire.market import Candle, Interval

MARGIN_MS = 2_000
"""A window is covered by trades when it opens this long after they are followed: clocks differ, and trades are on their way."""

_OF_THE_VENUE = frozenset({Interval.WEEK1, Interval.MONTH1})
"""When these open is the venue's to say, so they always begin as its row."""


@dataclass(frozen=True, slots=True)
class Base:
    """The venue's row of the forming candle, and when it was asked for and had arrived."""

    row: Candle
    sent: Millis
    received: Millis


class Forming:
    """One symbol's forming candle of one interval. Mutable; ``venues.candles`` is its only writer."""

    __slots__ = ("_bar", "_base", "_interval", "_prices", "_since", "_volume")

    def __init__(self, interval: Interval) -> None:
        self._interval = interval
        self._since: Millis | None = None
        self._bar: Candle | None = None
        self._base: Base | None = None
        self._prices: Candle | None = None
        self._volume: Candle | None = None

    def followed_since(self, at: Millis | None) -> None:
        """From ``at`` on every trade is added; ``None``: trades are not followed, or some were missed."""
        self._since = at
        self._bar = self._base = self._prices = self._volume = None

    def read(self, base: Base | None, recent: Sequence[MarketTrade]) -> None:
        """Begin again with the venue's row; ``recent`` are the trades that were added last, newest first."""
        self._base = base
        self._prices = self._volume = None
        if base is not None:
            for trade in reversed([trade for trade in recent if trade.at > base.sent]):
                self._extend(base, trade)

    def add(self, trade: MarketTrade) -> None:
        """Add the next trade. One of an earlier window is left out: that candle has closed."""
        if self._interval not in _OF_THE_VENUE:
            self._bar = self._with(trade)
        if self._base is not None:
            self._extend(self._base, trade)

    def candle(self, now: Millis) -> Candle | None:
        """The candle whose window contains ``now``; ``None`` when nothing was traded in it, or when that is not known."""
        opened, _ = window(self._interval, now)
        base = self._base
        if self._covers(opened):
            bar = self._bar if self._bar is not None and self._bar.open_time == opened else None
            row = base.row if base is not None and base.row.open_time == opened else None
            # A venue may show a window without a trade as a flat candle.
            return bar or row
        if base is None or not base.row.open_time <= now < base.row.close_time:
            return None
        return self._updated(base.row)

    def _with(self, trade: MarketTrade) -> Candle:
        opened, closed = window(self._interval, trade.at)
        one, bar = single(trade, opened, closed), self._bar
        if bar is None or bar.open_time < opened:
            return one
        return joined((bar, one), opened, closed) if bar.open_time == opened else bar

    def _covers(self, opened: Millis) -> bool:
        return self._since is not None and self._since + MARGIN_MS <= opened and self._interval not in _OF_THE_VENUE

    def _extend(self, base: Base, trade: MarketTrade) -> None:
        opened, closed = base.row.open_time, base.row.close_time
        if not opened <= trade.at < closed:
            return
        one = single(trade, opened, closed)
        if trade.at > base.sent:
            self._prices = one if self._prices is None else joined((self._prices, one), opened, closed)
        if trade.at > base.received:
            self._volume = one if self._volume is None else joined((self._volume, one), opened, closed)

    def _updated(self, row: Candle) -> Candle:
        if self._prices is not None:
            prices = self._prices
            row = replace(row, high=max(row.high, prices.high), low=min(row.low, prices.low), close=prices.close)
        if self._volume is not None:
            volume = self._volume
            row = replace(row, volume=row.volume + volume.volume, quote_volume=row.quote_volume + volume.quote_volume)
        return row
