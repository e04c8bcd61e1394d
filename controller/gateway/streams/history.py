"""The public channels that summarise history: candles and mini tickers (mexc-spot-v3.md §7.2). The hub opens and asks them.

They read what REST reads, so a stream and ``klines`` or ``ticker/24hr`` agree. A venue may have to be asked, so they are asked by a
task and fail with the market's own error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from controller.gateway.port import GatewayPort
from exchange.candles import DAY, joined, regrouped
from exchange.errors import VenueError
from exchange.model import MarketTrade, Millis
from exchange.push.channels import KLINE_MS, MarketEvent
from exchange.push.day import PERIOD_MS, UTC_8, Day, day_begins, mini_ticker
from exchange.wire.errors import load_json
from exchange.wire.market import Candle, Interval, KlineQuery, parse_klines
from exchange.wire.push import Body, KlineUpdate, MiniTicker, MiniTickers
from exchange.wire.stream import Channel, Topic

_QUARTERS = 97
"""The quarters of an hour that a day can touch: every zone begins its day on one."""


class HistoryChannel(ABC):
    """One subscribed channel of this kind. ``stale``: something happened since it was last asked."""

    sequential = True
    periodic = False
    period_ms = KLINE_MS
    stale = False

    @abstractmethod
    def absorb(self, event: MarketEvent) -> bool:
        """Read an event; returns whether there is something to push."""

    def begin(self) -> None:  # noqa: B027 - a candle channel has nothing to do
        """A stream joins."""

    async def check(self) -> None:
        """Raise ``GatehouseError`` when the channel cannot be served now."""
        await self.bodies()

    @abstractmethod
    async def bodies(self) -> Sequence[Body]:
        """The pushes, oldest first. Raises ``GatehouseError`` while the market does not answer."""


class Candles(HistoryChannel):
    """The candle that forms, and each candle once more when it has closed."""

    def __init__(self, symbol: str, interval: Interval, port: GatewayPort) -> None:
        self._symbol = symbol
        self._interval = interval
        self._port = port
        self._pushed: Candle | None = None

    def absorb(self, event: MarketEvent) -> bool:
        """A trade changes the candle."""
        self.stale = self.stale or isinstance(event, MarketTrade)
        return self.stale

    async def check(self) -> None:
        """Raise when ``klines`` has no such candles now."""
        await self._last()

    def begin(self) -> None:
        """The stream that joins gets the candle of now; for the others it is the same again."""
        self._pushed = None

    async def bodies(self) -> Sequence[Body]:
        """The candle of now, after the one before it where that closed with other figures than were pushed."""
        self.stale = False
        rows = await self._last()
        before = self._pushed
        fresh = rows[-1:] if before is None else tuple(row for row in rows if row.open_time >= before.open_time and row != before)
        self._pushed = rows[-1] if rows else before
        return [KlineUpdate(self._symbol, self._interval, row) for row in fresh]

    async def _last(self) -> tuple[Candle, ...]:
        """The last two candles. ``klines`` has none of 8 hours (mexc-spot-v3.md §3): of four of 4 hours, the last two are whole."""
        if self._interval is Interval.HOUR8:
            bars = await _candles(self._port, KlineQuery(self._symbol, Interval.HOUR4, 4, None, None))
            return tuple(regrouped(bars, Interval.HOUR8)[-2:])
        return await _candles(self._port, KlineQuery(self._symbol, self._interval, 2, None, None))


@dataclass(frozen=True, slots=True)
class DayReader:
    """Reads the day of a symbol as it is in a zone."""

    port: GatewayPort

    async def mini(self, symbol: str, zone: str) -> MiniTicker:
        """The mini ticker of one symbol. Raises ``VenueError`` while the market does not answer, or before its first trade."""
        latest = self.port.trades(symbol, 1)
        if not latest:
            raise VenueError(f"nothing has been traded in {symbol} yet", code="no-trade", remedy="Subscribe again later.")
        now = self.port.now()
        eastern = await self._day(symbol, UTC_8, now)
        zoned = eastern if zone == UTC_8 else await self._day(symbol, zone, now)
        return mini_ticker(symbol, latest[0].price, eastern, zoned)

    async def _day(self, symbol: str, zone: str, now: Millis) -> Day:
        opened = day_begins(zone, now)
        if zone == "24H":
            whole: Candle | None = await self._rolling(symbol)
            before = await _candles(self.port, KlineQuery(symbol, Interval.MIN1, 1, None, opened))
        else:
            rows = await _candles(self.port, KlineQuery(symbol, Interval.MIN15, _QUARTERS, opened, None))
            whole = joined(rows, opened, Millis(opened + DAY)) if rows else None
            before = await _candles(self.port, KlineQuery(symbol, Interval.MIN15, 1, None, opened))
        return Day(whole, before[-1].close if before else None)

    async def _rolling(self, symbol: str) -> Candle:
        """The last 24 hours, as ``ticker/24hr`` has them."""
        day = await self.port.day(symbol)
        if day.quote_volume is None:
            raise VenueError(f"the market does not say the turnover of {symbol}", code="no-turnover", remedy="Take another zone.")
        return Candle(
            day.open_time, day.open, max(day.high, day.open), day.low, day.last, day.volume, day.close_time, day.quote_volume
        )


class Mini(HistoryChannel):
    """The day of one symbol, or of every symbol."""

    sequential = False
    periodic = True
    period_ms = PERIOD_MS

    def __init__(self, symbol: str | None, zone: str, port: GatewayPort) -> None:
        self._symbol = symbol
        self._zone = zone
        self._port = port
        self._reader = DayReader(port)

    def absorb(self, event: MarketEvent) -> bool:  # noqa: ARG002 - it follows the clock
        """Events do not trigger a periodic push."""
        return False

    async def bodies(self) -> Sequence[Body]:
        """The present day."""
        if self._symbol is not None:
            return [await self._reader.mini(self._symbol, self._zone)]
        traded = [symbol for symbol in sorted(self._port.rules(None)) if self._port.trades(symbol, 1)]
        return [MiniTickers(tuple([await self._reader.mini(one, self._zone) for one in traded]))]


def open_history(channel: Channel, port: GatewayPort) -> HistoryChannel:
    """The implementation of a channel that ``exchange.push.channels`` leaves to its venue."""
    if channel.topic is Topic.KLINE:
        return Candles(channel.symbol or "", channel.interval or Interval.MIN1, port)
    return Mini(channel.symbol, channel.zone or "24H", port)


async def _candles(port: GatewayPort, query: KlineQuery) -> tuple[Candle, ...]:
    view = await port.candles(query)
    return parse_klines(load_json(b"[" + b",".join(view.rows) + b"]"))
