"""The mini ticker, which summarises a day of trading (mexc-spot-v3.md §7.2, §7.4). The testnet and the gateway make it alike.

The meaning of the figures is inferred: MEXC documents neither the start of the rates nor the four ``lastClose`` fields. Here the
latter start from the last price before the day instead of the first price in it, and their high and low include that price.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchange.model import Millis
from exchange.wire.market import Candle
from exchange.wire.push import MiniTicker

PERIOD_MS = 3_000
"""How often it is pushed."""

UTC_8 = "UTC+8"
"""The zone of ``rate``, whatever the channel's zone is."""

_MINUTE, _DAY = 60_000, 86_400_000
_RATE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Day:
    """A symbol's day in one zone: all its trades as one candle, and the last price before it. Each is ``None`` without a trade."""

    whole: Candle | None
    closed: Decimal | None


def day_begins(zone: str, now: Millis) -> Millis:
    """When the day of a zone like ``24H``, ``UTC+8`` or ``UTC-3`` began."""
    if zone == "24H":
        return Millis(now - _DAY)
    hours, _, minutes = zone[4:].partition(":")
    offset = (int(hours) * 60 + int(minutes or 0)) * _MINUTE
    if zone[3] == "-":
        offset = -offset
    return Millis((now + offset) // _DAY * _DAY - offset)


def mini_ticker(symbol: str, price: Decimal, eastern: Day, zoned: Day) -> MiniTicker:
    """The day of a symbol whose last price is ``price``: ``eastern`` is that of ``UTC_8``, ``zoned`` that of the channel's zone."""
    whole, closed = zoned.whole, zoned.closed
    high, low = (max(whole.high, price), min(whole.low, price)) if whole is not None else (price, price)
    return MiniTicker(
        symbol=symbol,
        price=price,
        rate=_rate(price, _opening(eastern)),
        zoned_rate=_rate(price, _opening(zoned)),
        high=high,
        low=low,
        quote_volume=whole.quote_volume if whole is not None else Decimal(0),
        volume=whole.volume if whole is not None else Decimal(0),
        last_close_rate=_rate(price, _closing(eastern)),
        last_close_zoned_rate=_rate(price, _closing(zoned)),
        last_close_high=high if closed is None else max(high, closed),
        last_close_low=low if closed is None else min(low, closed),
    )


def _opening(day: Day) -> Decimal | None:
    return None if day.whole is None else day.whole.open


def _closing(day: Day) -> Decimal | None:
    return day.closed if day.closed is not None else _opening(day)


def _rate(price: Decimal, reference: Decimal | None) -> Decimal:
    return round(price / reference - 1, _RATE_DIGITS) if reference else Decimal(0)
