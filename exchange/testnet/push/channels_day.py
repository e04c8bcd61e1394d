"""The mini ticker channels, which summarise a day of trading (mexc-spot-v3.md §7.2, §7.4). ``channels`` opens them.

The meaning of the figures is inferred: MEXC documents neither the start of the rates nor the four ``lastClose`` fields. Here the
latter start from the last price before the day instead of the first price in it, and their high and low include that price.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from exchange.matching.events import EngineEvent
from exchange.model import Millis
from exchange.ports import Clock
from exchange.testnet.market.history import History
from exchange.wire.push import Body, MiniTicker, MiniTickers

_PERIOD_MS = 3_000
_MINUTE = 60_000
_DAY = 86_400_000
_UTC_8 = "UTC+8"
_RATE_DIGITS = 4


def day_begins(zone: str, now: Millis) -> Millis:
    """When the day of a zone like ``24H``, ``UTC+8`` or ``UTC-3`` began."""
    if zone == "24H":
        return Millis(now - _DAY)
    hours, _, minutes = zone[4:].partition(":")
    offset = (int(hours) * 60 + int(minutes or 0)) * _MINUTE
    if zone[3] == "-":
        offset = -offset
    return Millis((now + offset) // _DAY * _DAY - offset)


def mini_ticker(symbol: str, zone: str, history: History, now: Millis) -> MiniTicker | None:
    """The day of one symbol, or ``None`` before its first trade."""
    price = history.last_price(symbol)
    if price is None:
        return None
    opened = day_begins(zone, now)
    day = history.since(symbol, opened, now)
    closed = history.close_before(symbol, opened)
    high, low = (day.high, day.low) if day is not None else (price, price)
    return MiniTicker(
        symbol=symbol,
        price=price,
        rate=_rate(price, _opening(symbol, day_begins(_UTC_8, now), history, now)),
        zoned_rate=_rate(price, _opening(symbol, opened, history, now)),
        high=high,
        low=low,
        quote_volume=day.quote_volume if day is not None else Decimal(0),
        volume=day.volume if day is not None else Decimal(0),
        last_close_rate=_rate(price, _closing(symbol, day_begins(_UTC_8, now), history, now)),
        last_close_zoned_rate=_rate(price, _closing(symbol, opened, history, now)),
        last_close_high=high if closed is None else max(high, closed),
        last_close_low=low if closed is None else min(low, closed),
    )


class MiniTickerChannel:
    """The day of one symbol."""

    sequential = False
    periodic = True
    period_ms = _PERIOD_MS

    def __init__(self, symbol: str, zone: str, history: History, clock: Clock) -> None:
        self._symbol = symbol
        self._zone = zone
        self._history = history
        self._clock = clock

    def absorb(self, event: EngineEvent) -> bool:  # noqa: ARG002 - it follows the clock
        """Events do not trigger a periodic push."""
        return False

    def body(self) -> Body | None:
        """The current day; nothing before the first trade."""
        return mini_ticker(self._symbol, self._zone, self._history, self._clock.now())


class MiniTickersChannel:
    """The day of every symbol."""

    sequential = False
    periodic = True
    period_ms = _PERIOD_MS

    def __init__(self, symbols: Mapping[str, object], zone: str, history: History, clock: Clock) -> None:
        self._symbols = symbols
        self._zone = zone
        self._history = history
        self._clock = clock

    def absorb(self, event: EngineEvent) -> bool:  # noqa: ARG002 - it follows the clock
        """Events do not trigger a periodic push."""
        return False

    def body(self) -> Body | None:
        """Every symbol that has traded."""
        now = self._clock.now()
        found = (mini_ticker(symbol, self._zone, self._history, now) for symbol in self._symbols)
        return MiniTickers(tuple(one for one in found if one is not None))


def _opening(symbol: str, opened: Millis, history: History, now: Millis) -> Decimal | None:
    day = history.since(symbol, opened, now)
    return None if day is None else day.open


def _closing(symbol: str, opened: Millis, history: History, now: Millis) -> Decimal | None:
    closed = history.close_before(symbol, opened)
    return closed if closed is not None else _opening(symbol, opened, history, now)


def _rate(price: Decimal, reference: Decimal | None) -> Decimal:
    return round(price / reference - 1, _RATE_DIGITS) if reference else Decimal(0)
