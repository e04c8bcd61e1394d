"""What each public channel pushes: the changes since its last push, or the present state (mexc-spot-v3.md §7.2, §7.4).

A channel lives as long as somebody listens to it. It absorbs the engine's events, and every so often (its period) the hub asks
it for one push. Depth changes and trades are *sequential*: each push carries exactly what happened since the one before, and
depth versions chain. The others state the present, and a newer push makes an older one worthless.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from exchange.model import MarketTrade
from exchange.ports import Clock
from exchange.testnet.events import BookChanged, EngineEvent, MarketTraded
from exchange.testnet.history import History
from exchange.testnet.matching import Engine
from exchange.wire.market import BookTicker, Interval
from exchange.wire.push import Body, DepthLevels, DepthUpdate, KlineUpdate, TradeBatch
from exchange.wire.stream import Channel, Speed, Topic

_SLOW_MS, _FAST_MS, _KLINE_MS = 100, 10, 1_000


class PublicChannel(Protocol):
    """One public channel that somebody listens to."""

    sequential: bool
    period_ms: int

    def absorb(self, event: EngineEvent) -> bool:
        """Take note of an event; whether there is something to push now."""
        ...

    def body(self) -> Body | None:
        """What to push, or ``None`` when there is nothing that can be said."""
        ...


def open_channel(channel: Channel, engine: Engine, history: History, clock: Clock) -> PublicChannel:
    """The working half of a public channel."""
    symbol = channel.symbol or ""
    period = _FAST_MS if channel.speed is Speed.MS10 else _SLOW_MS
    if channel.topic is Topic.AGGRE_DEPTH:
        return DepthChanges(symbol, period)
    if channel.topic is Topic.AGGRE_DEALS:
        return Trades(symbol, period)
    if channel.topic is Topic.AGGRE_BOOK_TICKER:
        return BestPrices(symbol, period, engine, clock)
    if channel.topic is Topic.LIMIT_DEPTH:
        return Snapshots(symbol, channel.levels or 5, engine)
    return Candles(symbol, channel.interval or Interval.MIN1, history)


class DepthChanges:
    """Absolute quantities of the levels changed since the last push."""

    sequential = True

    def __init__(self, symbol: str, period_ms: int) -> None:
        self.period_ms = period_ms
        self._symbol = symbol
        self._versions: tuple[int, int] | None = None
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}

    def absorb(self, event: EngineEvent) -> bool:
        """Merge one book change."""
        if not isinstance(event, BookChanged) or event.symbol != self._symbol:
            return False
        first = event.from_version if self._versions is None else self._versions[0]
        self._versions = (first, event.to_version)
        self._bids.update(event.bids)
        self._asks.update(event.asks)
        return True

    def body(self) -> Body | None:
        """Everything merged since the last push."""
        if self._versions is None:
            return None
        first, last = self._versions
        update = DepthUpdate(self._symbol, first, last, tuple(self._bids.items()), tuple(self._asks.items()))
        self._versions, self._bids, self._asks = None, {}, {}
        return update


class Trades:
    """The public trades since the last push, oldest first."""

    sequential = True

    def __init__(self, symbol: str, period_ms: int) -> None:
        self.period_ms = period_ms
        self._symbol = symbol
        self._trades: list[MarketTrade] = []

    def absorb(self, event: EngineEvent) -> bool:
        """Keep one trade."""
        if not isinstance(event, MarketTraded) or event.trade.symbol != self._symbol:
            return False
        self._trades.append(event.trade)
        return True

    def body(self) -> Body | None:
        """The trades kept."""
        trades, self._trades = tuple(self._trades), []
        return TradeBatch(self._symbol, trades) if trades else None


class BestPrices:
    """The best bid and ask."""

    sequential = False

    def __init__(self, symbol: str, period_ms: int, engine: Engine, clock: Clock) -> None:
        self.period_ms = period_ms
        self._symbol = symbol
        self._engine = engine
        self._clock = clock

    def absorb(self, event: EngineEvent) -> bool:
        """Any change of the book may have moved them."""
        return isinstance(event, BookChanged) and event.symbol == self._symbol

    def body(self) -> Body | None:
        """The best prices now; nothing while the book cannot be trusted."""
        quote = self._engine.quote(self._symbol, self._clock.now())
        if quote is None:
            return None
        return BookTicker(self._symbol, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity)


class Snapshots:
    """The best few levels of both sides."""

    sequential = False
    period_ms = _SLOW_MS

    def __init__(self, symbol: str, levels: int, engine: Engine) -> None:
        self._symbol = symbol
        self._engine = engine
        self._levels = levels

    def absorb(self, event: EngineEvent) -> bool:
        """Any change of the book may have moved them."""
        return isinstance(event, BookChanged) and event.symbol == self._symbol

    def body(self) -> Body | None:
        """The levels now; nothing while there is no book."""
        version, bids, asks = self._engine.depth(self._symbol, self._levels)
        if not version:
            return None
        return DepthLevels(self._symbol, version, tuple(bids), tuple(asks))


class Candles:
    """The current candle of one interval."""

    sequential = False
    period_ms = _KLINE_MS

    def __init__(self, symbol: str, interval: Interval, history: History) -> None:
        self._symbol = symbol
        self._interval = interval
        self._history = history

    def absorb(self, event: EngineEvent) -> bool:
        """A trade changes the candle."""
        return isinstance(event, MarketTraded) and event.trade.symbol == self._symbol

    def body(self) -> Body | None:
        """The candle as it stands; nothing before the first trade."""
        candles = self._history.candles(self._symbol, self._interval, limit=1)
        return KlineUpdate(self._symbol, self._interval, candles[-1]) if candles else None
