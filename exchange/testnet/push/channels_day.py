"""The testnet's mini ticker channels, made of its history. ``channels`` opens them."""

from __future__ import annotations

from collections.abc import Mapping

from exchange.model import Millis
from exchange.ports import Clock
from exchange.push import day
from exchange.push.channels import MarketEvent
from exchange.push.day import PERIOD_MS, UTC_8, Day, day_begins
from exchange.testnet.market.history import History
from exchange.wire.push import Body, MiniTicker, MiniTickers


def mini_ticker(symbol: str, zone: str, history: History, now: Millis) -> MiniTicker | None:
    """The day of one symbol, or ``None`` before its first trade."""
    price = history.last_price(symbol)
    return (
        None
        if price is None
        else day.mini_ticker(symbol, price, _day(symbol, UTC_8, history, now), _day(symbol, zone, history, now))
    )


def _day(symbol: str, zone: str, history: History, now: Millis) -> Day:
    opened = day_begins(zone, now)
    return Day(history.since(symbol, opened, now), history.close_before(symbol, opened))


class MiniTickerChannel:
    """The day of one symbol."""

    sequential = False
    periodic = True
    period_ms = PERIOD_MS

    def __init__(self, symbol: str, zone: str, history: History, clock: Clock) -> None:
        self._symbol = symbol
        self._zone = zone
        self._history = history
        self._clock = clock

    def absorb(self, event: MarketEvent) -> bool:  # noqa: ARG002 - it follows the clock
        """Events do not trigger a periodic push."""
        return False

    def body(self) -> Body | None:
        """The current day; nothing before the first trade."""
        return mini_ticker(self._symbol, self._zone, self._history, self._clock.now())


class MiniTickersChannel:
    """The day of every symbol."""

    sequential = False
    periodic = True
    period_ms = PERIOD_MS

    def __init__(self, symbols: Mapping[str, object], zone: str, history: History, clock: Clock) -> None:
        self._symbols = symbols
        self._zone = zone
        self._history = history
        self._clock = clock

    def absorb(self, event: MarketEvent) -> bool:  # noqa: ARG002 - it follows the clock
        """Events do not trigger a periodic push."""
        return False

    def body(self) -> Body | None:
        """Every symbol that has traded."""
        now = self._clock.now()
        found = (mini_ticker(symbol, self._zone, self._history, now) for symbol in self._symbols)
        return MiniTickers(tuple(one for one in found if one is not None))
