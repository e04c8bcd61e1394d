"""The stream channels that gatehouse itself never listens to and the testnet serves."""

from __future__ import annotations

from exchange.wire.market import Interval
from exchange.wire.stream import Channel, Speed, Topic


def book_ticker_channel(symbol: str, speed: Speed = Speed.MS100) -> Channel:
    """Best prices of one symbol."""
    return Channel(f"{Topic.AGGRE_BOOK_TICKER}@{speed}@{symbol}", Topic.AGGRE_BOOK_TICKER, symbol, speed=speed)


def limit_depth_channel(symbol: str, levels: int) -> Channel:
    """Snapshots of the best 5, 10 or 20 levels."""
    return Channel(f"{Topic.LIMIT_DEPTH}@{symbol}@{levels}", Topic.LIMIT_DEPTH, symbol, levels=levels)


def kline_channel(symbol: str, interval: Interval) -> Channel:
    """Candles of one symbol."""
    return Channel(f"{Topic.KLINE}@{symbol}@{interval.stream_name}", Topic.KLINE, symbol, interval=interval)


def book_ticker_batch_channel(symbol: str) -> Channel:
    """Best prices of one symbol, in batches."""
    return Channel(f"{Topic.BOOK_TICKER_BATCH}@{symbol}", Topic.BOOK_TICKER_BATCH, symbol)


def depth_batch_channel(symbol: str) -> Channel:
    """Incremental depth of one symbol, version by version, in batches."""
    return Channel(f"{Topic.INCREASE_DEPTH_BATCH}@{symbol}", Topic.INCREASE_DEPTH_BATCH, symbol)


def mini_ticker_channel(symbol: str, zone: str = "24H") -> Channel:
    """The day of one symbol, seen from a time zone."""
    return Channel(f"{Topic.MINI_TICKER}@{symbol}@{zone}", Topic.MINI_TICKER, symbol, zone=zone)


def mini_tickers_channel(zone: str = "24H") -> Channel:
    """The day of every symbol, seen from a time zone."""
    return Channel(f"{Topic.MINI_TICKERS}@{zone}", Topic.MINI_TICKERS, zone=zone)
