"""Opens the testnet's public channels: those of ``exchange.push`` on its engine, and those that summarise its history."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.matching.engine import Engine
from exchange.matching.events import BookChanged, EngineEvent, MarketTraded
from exchange.model import MarketTrade, Quote
from exchange.ports import Clock
from exchange.push.channels import KLINE_MS, MarketEvent, PublicChannel, View
from exchange.push.channels import open_channel as open_plain
from exchange.testnet.market.history import History
from exchange.testnet.push.channels_day import MiniTickerChannel, MiniTickersChannel
from exchange.wire.market import Interval
from exchange.wire.push import Body, DepthUpdate, KlineUpdate
from exchange.wire.stream import Channel, Topic


def market_event(event: EngineEvent) -> MarketEvent | None:
    """The engine's event as the channels absorb it; ``None`` for an account's event."""
    if isinstance(event, BookChanged):
        return DepthUpdate(event.symbol, event.from_version, event.to_version, event.bids, event.asks)
    return event.trade if isinstance(event, MarketTraded) else None


class Candles:
    """The current candle of one interval."""

    sequential = False
    periodic = False
    period_ms = KLINE_MS

    def __init__(self, symbol: str, interval: Interval, history: History) -> None:
        self._symbol = symbol
        self._interval = interval
        self._history = history

    def absorb(self, event: MarketEvent) -> bool:
        """A trade changes the candle."""
        return isinstance(event, MarketTrade) and event.symbol == self._symbol

    def body(self) -> Body | None:
        """The current candle; nothing before the first trade."""
        candles = self._history.candles(self._symbol, self._interval, limit=1)
        return KlineUpdate(self._symbol, self._interval, candles[-1]) if candles else None


@dataclass(frozen=True, slots=True)
class EngineNow:
    """The engine's books as ``MarketNow``."""

    engine: Engine
    clock: Clock

    def quote(self, symbol: str) -> Quote | None:
        """Best prices; ``None`` while the book cannot be trusted."""
        return self.engine.quote(symbol, self.clock.now())

    def depth(self, symbol: str, limit: int) -> View | None:
        """The best levels; ``None`` while there is no book."""
        version, bids, asks = self.engine.depth(symbol, limit)
        return (version, bids, asks) if version else None


def open_channel(channel: Channel, engine: Engine, history: History, clock: Clock) -> PublicChannel:
    """The implementation of a public channel."""
    symbol, zone = channel.symbol or "", channel.zone or "24H"
    if channel.topic is Topic.KLINE:
        return Candles(symbol, channel.interval or Interval.MIN1, history)
    if channel.topic is Topic.MINI_TICKER:
        return MiniTickerChannel(symbol, zone, history, clock)
    plain = open_plain(channel, EngineNow(engine, clock))
    return plain or MiniTickersChannel(engine.rules, zone, history, clock)
