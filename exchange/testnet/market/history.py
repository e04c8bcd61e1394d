"""Keeps the testnet's public trades, candles and last day (mexc-spot-v3.md §3). REST and push channels read it.

Candles are kept by the minute and joined into longer ones on request; a minute without a trade has no candle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby, islice, takewhile

from exchange.candles import DAY, MINUTE, joined, single, window
from exchange.matching.saved import HistoryState
from exchange.model import MarketTrade, Millis, Quote
from exchange.wire.market import Candle, DayTicker, Interval

_TRADES = 5_000
_MINUTES = 45_000
_ZERO = Decimal(0)


class History:
    """The public trades of every symbol; the oldest are dropped first."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._trades: dict[str, deque[MarketTrade]] = {symbol: deque(maxlen=_TRADES) for symbol in symbols}
        self._minutes: dict[str, deque[Candle]] = {symbol: deque(maxlen=_MINUTES) for symbol in self._trades}

    def record(self, trade: MarketTrade) -> None:
        """Add the next trade."""
        self._trades[trade.symbol].append(trade)
        minutes = self._minutes[trade.symbol]
        opened = Millis(trade.at // MINUTE * MINUTE)
        one = single(trade, opened, Millis(opened + MINUTE))
        if minutes and minutes[-1].open_time >= opened:
            minutes[-1] = joined((minutes[-1], one), minutes[-1].open_time, minutes[-1].close_time)
        else:
            minutes.append(one)

    def state(self) -> tuple[HistoryState, ...]:
        """The history as values."""
        return tuple(HistoryState(one, tuple(self._trades[one]), tuple(self._minutes[one])) for one in self._trades)

    def load(self, states: Iterable[HistoryState]) -> None:
        """Replace the history by a saved one."""
        for one in states:
            self._trades[one.symbol] = deque(one.trades, maxlen=_TRADES)
            self._minutes[one.symbol] = deque(one.minutes, maxlen=_MINUTES)

    def trades(self, symbol: str, limit: int, start: Millis | None = None, end: Millis | None = None) -> list[MarketTrade]:
        """The latest trades, newest first; both bounds included."""
        found: list[MarketTrade] = []
        for trade in reversed(self._trades[symbol]):
            if len(found) >= limit or (start is not None and trade.at < start):
                break
            if end is None or trade.at <= end:
                found.append(trade)
        return found

    def candles(
        self, symbol: str, interval: Interval, *, limit: int, start: Millis | None = None, end: Millis | None = None
    ) -> list[Candle]:
        """Candles oldest first: the first ``limit`` from ``start``, else the last ones; ``end`` is exclusive (§3)."""
        if start is not None:
            later = takewhile(lambda bar: bar.open_time >= start, self._bars(symbol, interval))
            return [bar for bar in later if _within(bar, start, end)][::-1][:limit]
        return list(islice((bar for bar in self._bars(symbol, interval) if _within(bar, start, end)), limit))[::-1]

    def last_price(self, symbol: str) -> Decimal | None:
        """The price of the latest trade."""
        trades = self._trades[symbol]
        return trades[-1].price if trades else None

    def average_price(self, symbol: str, now: Millis, minutes: int = 5) -> Decimal | None:
        """The volume-weighted mean of the last minutes, or the last price if nothing traded in them."""
        recent = self._since(symbol, Millis(now - minutes * MINUTE))
        volume = sum((bar.volume for bar in recent), _ZERO)
        if not volume:
            return self.last_price(symbol)
        return sum((bar.quote_volume for bar in recent), _ZERO) / volume

    def day(self, symbol: str, quote: Quote | None, now: Millis) -> DayTicker | None:
        """The last 24 hours; before the first trade with the book's mid price. ``None`` without either."""
        opened = Millis(now - DAY)
        last = self.last_price(symbol)
        price = last if last is not None else (quote.mid if quote is not None else None)
        if price is None:
            return None
        whole = self.since(symbol, opened, now) or Candle(opened, price, price, price, price, _ZERO, now, _ZERO)
        return DayTicker(
            symbol=symbol,
            last=price,
            open=whole.open,
            high=whole.high,
            low=whole.low,
            volume=whole.volume,
            quote_volume=whole.quote_volume,
            bid=quote.bid if quote is not None else _ZERO,
            bid_quantity=quote.bid_quantity if quote is not None else _ZERO,
            ask=quote.ask if quote is not None else _ZERO,
            ask_quantity=quote.ask_quantity if quote is not None else _ZERO,
            open_time=opened,
            close_time=now,
        )

    def since(self, symbol: str, opened: Millis, now: Millis) -> Candle | None:
        """All trades since ``opened`` as one candle, to the minute; ``None`` if there are none."""
        recent = self._since(symbol, opened)
        return joined(recent, opened, now) if recent else None

    def close_before(self, symbol: str, instant: Millis) -> Decimal | None:
        """The last price before an instant, to the minute; ``None`` if nothing traded before it."""
        return next((bar.close for bar in reversed(self._minutes[symbol]) if bar.close_time <= instant), None)

    def _since(self, symbol: str, opened: Millis) -> list[Candle]:
        return list(takewhile(lambda bar: bar.close_time > opened, reversed(self._minutes[symbol])))[::-1]

    def _bars(self, symbol: str, interval: Interval) -> Iterator[Candle]:
        """Candles, newest first, because usually only the newest of a month of minutes is needed."""
        for (opened, closed), bars in groupby(reversed(self._minutes[symbol]), key=lambda bar: window(interval, bar.open_time)):
            yield joined(tuple(bars)[::-1], opened, closed)


def _within(bar: Candle, start: Millis | None, end: Millis | None) -> bool:
    return (start is None or bar.open_time >= start) and (end is None or bar.open_time < end)
