"""A market whose candles are known, in virtual time: its history by REST, where a request takes a while, and a feed of trades."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from exchange.errors import VenueError
from exchange.model import DataSource, MarketTrade, Millis, Quote, Side
from exchange.ports import FeedStatus
from exchange.testnet.market.history import History
from exchange.wire.market import Candle, DayTicker, Interval, KlineQuery
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop

SYMBOL = "MXUSDT"
_SHIFT_MS = 7_654_321
BEGINNING = Millis(1_800_000_000_000 + _SHIFT_MS)
"""When the market's clock begins, within every candle and page."""


class MarketClock(VirtualClock):
    """The virtual clock, set to ``BEGINNING``."""

    def now(self) -> Millis:
        return Millis(super().now() + _SHIFT_MS)


def trades_of(rng: Random, count: int, *, every_ms: int, until: int, whole_seconds: bool = False) -> list[MarketTrade]:
    """``count`` trades at random distances of ``every_ms`` on average, the last one before ``until``."""
    at, made = until, []
    for number in range(count):
        at -= rng.randrange(1, 2 * every_ms)
        when = at // 1_000 * 1_000 if whole_seconds else at
        price, quantity = Decimal(rng.randrange(10_000, 20_000)) / 10_000, Decimal(rng.randrange(1, 1_000)) / 100
        made.append(MarketTrade(SYMBOL, price, quantity, rng.choice(list(Side)), Millis(when), f"t{count - number}"))
    return made[::-1]


@dataclass
class CandleMarket:
    """``exchange.ports.MarketHistory`` and the part of ``MarketFeed`` that candles need. ``trades`` are in the order of time."""

    loop: VirtualTimeLoop
    trades: list[MarketTrade]
    way_s: float = 0.02
    push_ms: int = 50
    end_is_included: bool = False
    fails: str = ""
    status_now: FeedStatus = FeedStatus.LIVE
    asked: list[KlineQuery] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    most_under_way: int = 0
    _under_way: int = 0

    def __post_init__(self) -> None:
        self.clock = MarketClock(self.loop)
        self._delivered = [trade.at + self.push_ms for trade in self.trades]
        self._history, self._recorded = History([SYMBOL]), 0

    def begin_anew(self, at: int) -> None:
        """Become another market, whose history begins at ``at``."""
        del self.trades[: bisect_right(self.trades, at, key=lambda one: one.at)]
        self._delivered = [trade.at + self.push_ms for trade in self.trades]
        self._history, self._recorded = History([SYMBOL]), 0

    # The history

    async def candles(self, query: KlineQuery) -> Sequence[Candle]:
        self.asked.append(query)
        await self._travel()
        end = query.end
        if end is not None and self.end_is_included:
            end = Millis(end + 1)
        found = self.truth(self.clock.now()).candles(SYMBOL, query.interval, limit=query.limit, start=query.start, end=end)
        await asyncio.sleep(self.way_s)
        return found

    async def day(self, symbol: str) -> DayTicker:
        self.figures["day"] += 1
        await self._travel()
        ticker = self.truth(self.clock.now()).day(symbol, None, self.clock.now())
        assert ticker is not None
        return ticker

    async def average_price(self, symbol: str) -> Decimal:
        self.figures["average"] += 1
        await self._travel()
        price = self.truth(self.clock.now()).average_price(symbol, self.clock.now())
        assert price is not None
        return price

    async def _travel(self) -> None:
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        try:
            await asyncio.sleep(self.way_s)
        finally:
            self._under_way -= 1
        if self.fails:
            raise VenueError(self.fails, code="venue-silent", remedy="Wait.")

    def truth(self, now: int) -> History:
        """What was traded until ``now``; valid until the next call."""
        until = bisect_right(self.trades, now, key=lambda one: one.at)
        if until < self._recorded:
            self._history, self._recorded = History([SYMBOL]), 0
        for trade in self.trades[self._recorded : until]:
            self._history.record(trade)
        self._recorded = until
        return self._history

    def every(self, interval: Interval, now: int) -> list[Candle]:
        """Every candle until ``now``."""
        return self.truth(now).candles(SYMBOL, interval, limit=10**9)

    # The feed

    @property
    def source(self) -> DataSource:
        return DataSource.SYNTHETIC

    def status(self, symbol: str) -> FeedStatus:
        return self.status_now

    def trades_until(self, now: int) -> list[MarketTrade]:
        """What the feed has delivered, newest first."""
        return self.trades[: bisect_right(self._delivered, now)][::-1]

    def quote(self, symbol: str) -> Quote | None:
        raise AssertionError("candles need no quote")

    def depth(self, symbol: str, limit: int) -> None:
        raise AssertionError("candles need no book")

    async def run(self) -> None:
        raise AssertionError("the market runs by itself")

    async def changed(self) -> None:
        coming = bisect_right(self._delivered, self.clock.now())
        wait_ms = self._delivered[coming] - self.clock.now() if coming < len(self._delivered) else 3_600_000
        await asyncio.sleep(max(wait_ms, 1) / 1_000)


class Feed:
    """The feed side of a ``CandleMarket``: both sides have a method named ``trades``."""

    def __init__(self, market: CandleMarket) -> None:
        self._market = market

    def __getattr__(self, name: str) -> object:
        return getattr(self._market, name)

    def trades(self, symbol: str, limit: int) -> Sequence[MarketTrade]:
        return self._market.trades_until(self._market.clock.now())[:limit]
