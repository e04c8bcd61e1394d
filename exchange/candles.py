"""Candles as values: the window of an interval, a candle of a trade, and one of several. The testnet and the controller use it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby

from exchange.model import MarketTrade, Millis
from exchange.wire.market import Candle, Interval
from exchange.wire.numbers import exact_product

MINUTE, DAY = 60_000, 86_400_000
"""Milliseconds."""

SHORTEST = {
    Interval.MIN1: MINUTE,
    Interval.MIN5: 5 * MINUTE,
    Interval.MIN15: 15 * MINUTE,
    Interval.MIN30: 30 * MINUTE,
    Interval.MIN60: 60 * MINUTE,
    Interval.HOUR4: 240 * MINUTE,
    Interval.HOUR8: 480 * MINUTE,
    Interval.DAY1: DAY,
    Interval.WEEK1: 7 * DAY,
    Interval.MONTH1: 28 * DAY,
}
"""The least milliseconds between two candles of an interval; only months differ in length."""

_ZERO = Decimal(0)


def window(interval: Interval, at: Millis) -> tuple[Millis, Millis]:
    """When the candle that contains ``at`` opens and closes: in UTC, weeks from Monday on."""
    if interval not in {Interval.WEEK1, Interval.MONTH1}:
        length = SHORTEST[interval]
        opened = at // length * length
        return Millis(opened), Millis(opened + length)
    day = datetime.fromtimestamp(at // 1000, tz=UTC).replace(hour=0, minute=0, second=0)
    if interval is Interval.WEEK1:
        first = day - timedelta(days=day.weekday())
        following = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
    return _millis(first), _millis(following)


def single(trade: MarketTrade, opened: Millis, closed: Millis) -> Candle:
    """The candle of one trade."""
    price = trade.price
    return Candle(opened, price, price, price, price, trade.quantity, closed, exact_product(price, trade.quantity))


def joined(bars: Sequence[Candle], opened: Millis, closed: Millis) -> Candle:
    """One candle of several, oldest first."""
    return Candle(
        opened,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum((bar.volume for bar in bars), _ZERO),
        closed,
        sum((bar.quote_volume for bar in bars), _ZERO),
    )


def regrouped(bars: Sequence[Candle], interval: Interval) -> list[Candle]:
    """The candles of a longer ``interval`` made of those of a shorter one, oldest first; the first may lack its beginning."""
    longer: list[Candle] = []
    for (opened, closed), part in groupby(bars, lambda bar: window(interval, bar.open_time)):
        longer.append(joined(list(part), opened, closed))
    return longer


def _millis(instant: datetime) -> Millis:
    return Millis(int(instant.timestamp()) * 1000)
