"""The content of each public channel's pushes (mexc-spot-v3.md §7.2, §7.4). The hub opens and asks the channels.

A channel exists while a session is subscribed to it. It reads the engine's events, and once per period the hub asks it for one
push. Depth changes and trades are *sequential*: each push has exactly the changes since the one before, and depth versions chain.
The other channels push the present state, and a newer push replaces an older one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol

from exchange.matching.engine import Engine
from exchange.matching.events import BookChanged, EngineEvent, MarketTraded
from exchange.model import MarketTrade
from exchange.ports import Clock
from exchange.testnet.market.history import History
from exchange.testnet.push.channels_day import MiniTickerChannel, MiniTickersChannel
from exchange.wire.market import BookTicker, Interval
from exchange.wire.push import (
    Body,
    BookTickerBatch,
    DepthBatch,
    DepthLevels,
    DepthStep,
    DepthUpdate,
    KlineUpdate,
    TradeBatch,
)
from exchange.wire.stream import Channel, Speed, Topic

_SLOW_MS, _FAST_MS, _KLINE_MS = 100, 10, 1_000


class PublicChannel(Protocol):
    """One subscribed public channel. A periodic channel pushes every period, even without a change."""

    sequential: bool
    periodic: bool
    period_ms: int

    def absorb(self, event: EngineEvent) -> bool:
        """Read an event; returns whether there is something to push."""
        ...

    def body(self) -> Body | None:
        """The push, or ``None`` if there is nothing to push."""
        ...


class DepthChanges:
    """Absolute quantities of the levels changed since the last push."""

    sequential = True
    periodic = False

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


class DepthSteps:
    """The levels changed since the last push, one step per change of the book."""

    sequential = True
    periodic = False
    period_ms = _SLOW_MS

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._steps: list[DepthStep] = []

    def absorb(self, event: EngineEvent) -> bool:
        """Keep one change."""
        if not isinstance(event, BookChanged) or event.symbol != self._symbol:
            return False
        self._steps.append(DepthStep(event.to_version, event.bids, event.asks))
        return True

    def body(self) -> Body | None:
        """The changes kept."""
        steps, self._steps = tuple(self._steps), []
        return DepthBatch(self._symbol, steps) if steps else None


class Trades:
    """The public trades since the last push, oldest first."""

    sequential = True
    periodic = False

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
    periodic = False

    def __init__(self, symbol: str, period_ms: int, engine: Engine, clock: Clock) -> None:
        self.period_ms = period_ms
        self._symbol = symbol
        self._engine = engine
        self._clock = clock

    def absorb(self, event: EngineEvent) -> bool:
        """Note that a change of the book may have moved them."""
        return isinstance(event, BookChanged) and event.symbol == self._symbol

    def body(self) -> Body | None:
        """The best prices now; nothing while the book cannot be trusted."""
        quote = self._engine.quote(self._symbol, self._clock.now())
        if quote is None:
            return None
        return BookTicker(self._symbol, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity, quote.version)


class BestPriceBatches:
    """Every best bid and ask since the last push."""

    sequential = True
    periodic = False
    period_ms = _SLOW_MS

    def __init__(self, symbol: str, engine: Engine, clock: Clock) -> None:
        self._symbol = symbol
        self._engine = engine
        self._clock = clock
        self._version = 0
        self._tickers: list[BookTicker] = []

    def absorb(self, event: EngineEvent) -> bool:
        """Keep the best prices if they changed."""
        if not isinstance(event, BookChanged) or event.symbol != self._symbol:
            return False
        quote = self._engine.quote(self._symbol, self._clock.now())
        if quote is None:
            return False
        self._version = quote.version
        ticker = BookTicker(self._symbol, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity)
        if not self._tickers or self._tickers[-1] != ticker:
            self._tickers.append(ticker)
        return True

    def body(self) -> Body | None:
        """The prices kept."""
        tickers, self._tickers = tuple(self._tickers), []
        return BookTickerBatch(self._symbol, tickers, self._version) if tickers else None


class Snapshots:
    """The best few levels of both sides."""

    sequential = False
    periodic = False
    period_ms = _SLOW_MS

    def __init__(self, symbol: str, levels: int, engine: Engine) -> None:
        self._symbol = symbol
        self._engine = engine
        self._levels = levels

    def absorb(self, event: EngineEvent) -> bool:
        """Note that a change of the book may have moved them."""
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
    periodic = False
    period_ms = _KLINE_MS

    def __init__(self, symbol: str, interval: Interval, history: History) -> None:
        self._symbol = symbol
        self._interval = interval
        self._history = history

    def absorb(self, event: EngineEvent) -> bool:
        """A trade changes the candle."""
        return isinstance(event, MarketTraded) and event.trade.symbol == self._symbol

    def body(self) -> Body | None:
        """The current candle; nothing before the first trade."""
        candles = self._history.candles(self._symbol, self._interval, limit=1)
        return KlineUpdate(self._symbol, self._interval, candles[-1]) if candles else None


@dataclass(frozen=True, slots=True)
class _Sources:
    engine: Engine
    history: History
    clock: Clock


def open_channel(channel: Channel, engine: Engine, history: History, clock: Clock) -> PublicChannel:
    """The implementation of a public channel."""
    return _MAKERS[channel.topic](channel, _Sources(engine, history, clock))


def _symbol(channel: Channel) -> str:
    return channel.symbol or ""


def _period(channel: Channel) -> int:
    return _FAST_MS if channel.speed is Speed.MS10 else _SLOW_MS


_MAKERS: Mapping[Topic, Callable[[Channel, _Sources], PublicChannel]] = MappingProxyType(
    {
        Topic.AGGRE_DEPTH: lambda one, _: DepthChanges(_symbol(one), _period(one)),
        Topic.INCREASE_DEPTH_BATCH: lambda one, _: DepthSteps(_symbol(one)),
        Topic.AGGRE_DEALS: lambda one, _: Trades(_symbol(one), _period(one)),
        Topic.AGGRE_BOOK_TICKER: lambda one, of: BestPrices(_symbol(one), _period(one), of.engine, of.clock),
        Topic.BOOK_TICKER_BATCH: lambda one, of: BestPriceBatches(_symbol(one), of.engine, of.clock),
        Topic.LIMIT_DEPTH: lambda one, of: Snapshots(_symbol(one), one.levels or 5, of.engine),
        Topic.KLINE: lambda one, of: Candles(_symbol(one), one.interval or Interval.MIN1, of.history),
        Topic.MINI_TICKER: lambda one, of: MiniTickerChannel(_symbol(one), one.zone or "24H", of.history, of.clock),
        Topic.MINI_TICKERS: lambda one, of: MiniTickersChannel(of.engine.rules, one.zone or "24H", of.history, of.clock),
    }
)
