"""What a venue tells about its past: recent trades, klines and the 24 h ticker, folded from public trades (mexc-spot-v3.md §3).

Bounded: the last ``RECENT`` trades and one-minute klines of a bit more than seven days are kept. Minutes without trades are filled
with flat klines at the last price, as venues do, so that klines never have holes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from exchange.model import MarketTrade, Millis

RECENT = 1000
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
_KEPT_MINUTES = 8 * 24 * 60
_ZERO = Decimal(0)


class Interval(StrEnum):
    """The kline intervals of MEXC's REST API. 1M is not here: a calendar month is not a number of minutes."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "60m"
    H4 = "4h"
    D1 = "1d"
    W1 = "1W"

    @property
    def millis(self) -> int:
        """Its length in ms."""
        return _MINUTES[self] * MINUTE


_MINUTES = {
    Interval.M1: 1,
    Interval.M5: 5,
    Interval.M15: 15,
    Interval.M30: 30,
    Interval.H1: 60,
    Interval.H4: 240,
    Interval.D1: 1440,
    Interval.W1: 10080,
}
# 1970-01-01 was a Thursday; weeks begin on Monday.
_WEEK_SHIFT = 4 * DAY


@dataclass(frozen=True, slots=True)
class Kline:
    """One interval: prices in the quote asset, ``volume`` in the base asset, ``quote_volume`` in the quote asset."""

    open_at: Millis
    close_at: Millis
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal


@dataclass(frozen=True, slots=True)
class Ticker:
    """The last 24 h, to the minute. ``change_fraction`` 0.0173 is 1.73 % (mexc-spot-v3.md §3.2)."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    change: Decimal
    change_fraction: Decimal
    volume: Decimal
    quote_volume: Decimal
    open_at: Millis
    close_at: Millis


class MarketHistory:
    """The past of one symbol. Feed it every public trade, in order."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._recent: deque[MarketTrade] = deque(maxlen=RECENT)
        self._minutes: deque[Kline] = deque(maxlen=_KEPT_MINUTES)

    def add(self, trade: MarketTrade) -> None:
        """Fold the next public trade in. One older than the current minute counts towards the current minute."""
        self._recent.appendleft(trade)
        opened = Millis(trade.at - trade.at % MINUTE)
        if not self._minutes:
            self._minutes.append(_flat(opened, trade.price))
        self._extend(opened)
        now = self._minutes[-1]
        price, fresh = trade.price, not now.volume
        self._minutes[-1] = Kline(
            open_at=now.open_at,
            close_at=now.close_at,
            open=price if fresh else now.open,
            high=price if fresh else max(now.high, price),
            low=price if fresh else min(now.low, price),
            close=price,
            volume=now.volume + trade.quantity,
            quote_volume=now.quote_volume + price * trade.quantity,
        )

    def trades(self, limit: int) -> list[MarketTrade]:
        """The latest public trades, newest first."""
        return [trade for trade, _ in zip(self._recent, range(limit), strict=False)]

    @property
    def last(self) -> Decimal | None:
        """The price of the latest trade."""
        return self._recent[0].price if self._recent else None

    def klines(self, interval: Interval, since: Millis, until: Millis, limit: int) -> list[Kline]:
        """The latest ``limit`` klines that open within the window, both ends included, oldest first. The last may be unfinished."""
        first = _opening(since, interval)
        chosen: deque[Kline] = deque(maxlen=limit)
        for minute in self._minutes:
            opened = _opening(minute.open_at, interval)
            if minute.open_at < first or not since <= opened <= until:
                continue
            if chosen and chosen[-1].open_at == opened:
                chosen[-1] = _joined(chosen[-1], minute)
            else:
                chosen.append(replace(minute, open_at=opened, close_at=Millis(opened + interval.millis)))
        return list(chosen)

    def ticker(self, now: Millis) -> Ticker | None:
        """The last 24 h before ``now``, or ``None`` before the first trade. Open is the first price of the window."""
        if not self._minutes:
            return None
        since = now - DAY
        window = [minute for minute in self._minutes if minute.close_at > since] or [self._minutes[-1]]
        first, last = window[0], window[-1]
        change = last.close - first.open
        return Ticker(
            symbol=self.symbol,
            open=first.open,
            high=max(minute.high for minute in window),
            low=min(minute.low for minute in window),
            last=last.close,
            change=change,
            change_fraction=(change / first.open).quantize(Decimal("0.0001")),
            volume=sum((minute.volume for minute in window), _ZERO),
            quote_volume=sum((minute.quote_volume for minute in window), _ZERO),
            open_at=Millis(since),
            close_at=now,
        )

    def average_price(self, now: Millis, minutes: int = 5) -> Decimal | None:
        """The volume-weighted price of the last minutes, or the last price when nothing traded in them."""
        recent = [minute for minute in self._minutes if minute.close_at > now - minutes * MINUTE]
        volume = sum((minute.volume for minute in recent), _ZERO)
        if not volume:
            return self.last
        return sum((minute.quote_volume for minute in recent), _ZERO) / volume

    def _extend(self, opened: Millis) -> None:
        latest = self._minutes[-1]
        if opened - latest.open_at > _KEPT_MINUTES * MINUTE:
            self._minutes.clear()
            self._minutes.append(_flat(opened, latest.close))
            return
        for minute in range(latest.open_at + MINUTE, opened + MINUTE, MINUTE):
            self._minutes.append(_flat(Millis(minute), latest.close))


def _opening(at: Millis, interval: Interval) -> Millis:
    shift = _WEEK_SHIFT if interval is Interval.W1 else 0
    return Millis(at - (at - shift) % interval.millis)


def _flat(opened: Millis, price: Decimal) -> Kline:
    return Kline(opened, Millis(opened + MINUTE), price, price, price, price, _ZERO, _ZERO)


def _joined(earlier: Kline, later: Kline) -> Kline:
    return replace(
        earlier,
        high=max(earlier.high, later.high),
        low=min(earlier.low, later.low),
        close=later.close,
        volume=earlier.volume + later.volume,
        quote_volume=earlier.quote_volume + later.quote_volume,
    )
