"""Follows the trades of a market feed and adds them to forming candles; says when some were missed. ``venues.candles`` uses it."""

from __future__ import annotations

from itertools import takewhile

from controller.runtime.venues.forming import Base, Forming
from exchange.model import MarketTrade, Millis
from exchange.ports import Clock, FeedStatus, MarketFeed
from exchange.wire.market import Interval

MOST_TRADES = 1_000
"""The trades that a feed keeps; when more came since the last look, some were missed."""


class TradeTape:
    """The trades of one symbol, and its forming candles by interval."""

    def __init__(self, feed: MarketFeed, symbol: str, clock: Clock) -> None:
        self._feed = feed
        self._symbol = symbol
        self._clock = clock
        self._newest: MarketTrade | None = None
        self._formings: dict[Interval, Forming] = {}
        self.since: Millis | None = None
        """From when on every trade was seen; ``None`` while the feed is not live."""

    def forming(self, interval: Interval) -> Forming:
        """The forming candle of one interval, kept up to date from now on."""
        if interval not in self._formings:
            self._formings[interval] = forming = Forming(interval)
            # What came before belongs to windows that had opened before.
            forming.followed_since(self._clock.now() if self.since is not None else None)
        return self._formings[interval]

    def read(self, interval: Interval, base: Base | None) -> None:
        """The venue's row of the forming candle was read."""
        self.forming(interval).read(base, self._feed.trades(self._symbol, MOST_TRADES))

    def catch_up(self) -> bool:
        """Add the trades that came since the last look; returns whether none was missed since then."""
        if self._feed.status(self._symbol) is not FeedStatus.LIVE:
            unbroken = self.since is None
            self._begin(None, None)
            return unbroken
        recent = self._feed.trades(self._symbol, MOST_TRADES)
        if self.since is None:
            self._begin(self._clock.now(), recent[0] if recent else None)
            return True
        fresh = list(takewhile(lambda trade: trade is not self._newest, recent))
        if len(fresh) == len(recent) and (self._newest is not None or len(recent) == MOST_TRADES) and recent:
            self._begin(self._clock.now(), recent[0])
            return False
        for trade in reversed(fresh):
            for forming in self._formings.values():
                forming.add(trade)
        self._newest = recent[0] if recent else self._newest
        return True

    def _begin(self, since: Millis | None, newest: MarketTrade | None) -> None:
        if since is None and self.since is None:
            return
        self.since, self._newest = since, newest
        for forming in self._formings.values():
            forming.followed_since(since)
