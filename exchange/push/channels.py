"""The content of the public channels' pushes (mexc-spot-v3.md §7.2, §7.4). The hubs of the testnet and of the gateway ask them.

A channel exists while a session is subscribed to it. It absorbs the market's events, and once per period its hub asks it for one
push. Depth changes and trades are *sequential*: each push has exactly the changes since the one before, and depth versions chain.
The other channels push the present state, and a newer push replaces an older one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol

from exchange.model import MarketTrade, Quote
from exchange.wire.market import BookTicker
from exchange.wire.push import Body, BookTickerBatch, DepthBatch, DepthLevels, DepthStep, DepthUpdate, TradeBatch
from exchange.wire.stream import Channel, Speed, Topic

SLOW_MS, FAST_MS, KLINE_MS = 100, 10, 1_000

MarketEvent = DepthUpdate | MarketTrade
"""What happens on a market: a book changed, or there was a trade."""

View = tuple[int, list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]
"""``(version, bids, asks)``, best first."""


class MarketNow(Protocol):
    """The present state of a market."""

    def quote(self, symbol: str) -> Quote | None:
        """Best prices; ``None`` while the book cannot be trusted."""
        ...

    def depth(self, symbol: str, limit: int) -> View | None:
        """The best levels; ``None`` without a book."""
        ...


class PublicChannel(Protocol):
    """One subscribed public channel. A periodic channel pushes every period, even without a change."""

    sequential: bool
    periodic: bool
    period_ms: int

    def absorb(self, event: MarketEvent) -> bool:
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

    def absorb(self, event: MarketEvent) -> bool:
        """Merge one book change."""
        if not isinstance(event, DepthUpdate) or event.symbol != self._symbol:
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
    period_ms = SLOW_MS

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._steps: list[DepthStep] = []

    def absorb(self, event: MarketEvent) -> bool:
        """Keep one change."""
        if not isinstance(event, DepthUpdate) or event.symbol != self._symbol:
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

    def absorb(self, event: MarketEvent) -> bool:
        """Keep one trade."""
        if not isinstance(event, MarketTrade) or event.symbol != self._symbol:
            return False
        self._trades.append(event)
        return True

    def body(self) -> Body | None:
        """The trades kept."""
        trades, self._trades = tuple(self._trades), []
        return TradeBatch(self._symbol, trades) if trades else None


class BestPrices:
    """The best bid and ask."""

    sequential = False
    periodic = False

    def __init__(self, symbol: str, period_ms: int, market: MarketNow) -> None:
        self.period_ms = period_ms
        self._symbol = symbol
        self._market = market

    def absorb(self, event: MarketEvent) -> bool:
        """Note that a change of the book may have moved them."""
        return isinstance(event, DepthUpdate) and event.symbol == self._symbol

    def body(self) -> Body | None:
        """The best prices now; nothing while the book cannot be trusted."""
        quote = self._market.quote(self._symbol)
        if quote is None:
            return None
        return BookTicker(self._symbol, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity, quote.version)


class BestPriceBatches:
    """Every best bid and ask since the last push."""

    sequential = True
    periodic = False
    period_ms = SLOW_MS

    def __init__(self, symbol: str, market: MarketNow) -> None:
        self._symbol = symbol
        self._market = market
        self._version = 0
        self._tickers: list[BookTicker] = []

    def absorb(self, event: MarketEvent) -> bool:
        """Keep the best prices if they changed."""
        if not isinstance(event, DepthUpdate) or event.symbol != self._symbol:
            return False
        quote = self._market.quote(self._symbol)
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
    period_ms = SLOW_MS

    def __init__(self, symbol: str, levels: int, market: MarketNow) -> None:
        self._symbol = symbol
        self._market = market
        self._levels = levels

    def absorb(self, event: MarketEvent) -> bool:
        """Note that a change of the book may have moved them."""
        return isinstance(event, DepthUpdate) and event.symbol == self._symbol

    def body(self) -> Body | None:
        """The levels now; nothing while there is no book."""
        view = self._market.depth(self._symbol, self._levels)
        if view is None:
            return None
        version, bids, asks = view
        return DepthLevels(self._symbol, version, tuple(bids), tuple(asks))


def open_channel(channel: Channel, market: MarketNow) -> PublicChannel | None:
    """The implementation of a public channel; ``None`` for those that summarise history, which their venue has its own way with."""
    maker = _MAKERS.get(channel.topic)
    return None if maker is None else maker(channel, market)


def _symbol(channel: Channel) -> str:
    return channel.symbol or ""


def _period(channel: Channel) -> int:
    return FAST_MS if channel.speed is Speed.MS10 else SLOW_MS


_MAKERS: Mapping[Topic, Callable[[Channel, MarketNow], PublicChannel]] = MappingProxyType(
    {
        Topic.AGGRE_DEPTH: lambda one, _: DepthChanges(_symbol(one), _period(one)),
        Topic.INCREASE_DEPTH_BATCH: lambda one, _: DepthSteps(_symbol(one)),
        Topic.AGGRE_DEALS: lambda one, _: Trades(_symbol(one), _period(one)),
        Topic.AGGRE_BOOK_TICKER: lambda one, market: BestPrices(_symbol(one), _period(one), market),
        Topic.BOOK_TICKER_BATCH: lambda one, market: BestPriceBatches(_symbol(one), market),
        Topic.LIMIT_DEPTH: lambda one, market: Snapshots(_symbol(one), one.levels or 5, market),
    }
)
