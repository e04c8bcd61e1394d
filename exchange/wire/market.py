"""Reads and writes the public market data of the REST API (mexc-spot-v3.md §3). Clients, testnet and gateway call it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from exchange.model import MarketTrade, Millis, Side
from exchange.wire.account import parse_limit
from exchange.wire.errors import ErrorCode, MalformedReply, missing, refuse
from exchange.wire.fields import Fields, as_list
from exchange.wire.numbers import exact_product, parse_integer, plain, reply_amount, reply_millis
from exchange.wire.orders import parse_symbol

Levels = tuple[tuple[Decimal, Decimal], ...]
"""``(price, quantity)`` pairs, best first."""

DEPTH_DEFAULT, DEPTH_MAX = 100, 5_000
TRADES_DEFAULT, TRADES_MAX = 500, 1_000
KLINES_DEFAULT, KLINES_MAX = 500, 500


class Interval(StrEnum):
    """Candle lengths. Values are REST's names; ``8h`` exists on the stream only (§3)."""

    MIN1 = "1m"
    MIN5 = "5m"
    MIN15 = "15m"
    MIN30 = "30m"
    MIN60 = "60m"
    HOUR4 = "4h"
    HOUR8 = "8h"
    DAY1 = "1d"
    WEEK1 = "1W"
    MONTH1 = "1M"

    @property
    def stream_name(self) -> str:
        """The stream's name for it, like ``Min15`` (§7.2)."""
        return self.name.capitalize()


@dataclass(frozen=True, slots=True)
class DepthReply:
    """``GET depth``: a book of version ``last_update_id``."""

    last_update_id: int
    bids: Levels
    asks: Levels
    at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Candle:
    """One bar; ``volume`` in base, ``quote_volume`` in quote. ``close_time`` is ``open_time`` plus the interval (§3)."""

    open_time: Millis
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time: Millis
    quote_volume: Decimal


@dataclass(frozen=True, slots=True)
class BookTicker:
    """The best prices of one symbol. ``version`` is the book's version, which only some pushes contain."""

    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    version: int | None = None


@dataclass(frozen=True, slots=True)
class DayTicker:
    """The last 24 hours of one symbol (§3.2). MEXC may leave the turnover out."""

    symbol: str
    last: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    quote_volume: Decimal | None
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    open_time: Millis
    close_time: Millis


@dataclass(frozen=True, slots=True)
class KlineQuery:
    """The parameters of ``klines``."""

    symbol: str
    interval: Interval
    limit: int
    start: Millis | None = None
    end: Millis | None = None


def time_json(now: Millis) -> dict[str, object]:
    """The ``time`` reply."""
    return {"serverTime": now}


def parse_time(decoded: object) -> Millis:
    """Read ``time``. Raises ``MalformedReply``."""
    return Fields("time", decoded).millis("serverTime")


def parse_depth_query(params: Mapping[str, str]) -> tuple[str, int]:
    """``(symbol, limit)`` of a depth request. Raises ``WireRefusal``."""
    return parse_symbol(params), parse_limit(params, DEPTH_DEFAULT, DEPTH_MAX)


def depth_json(snapshot: DepthReply) -> dict[str, object]:
    """The ``depth`` reply."""
    return {
        "lastUpdateId": snapshot.last_update_id,
        "bids": levels_json(snapshot.bids),
        "asks": levels_json(snapshot.asks),
        "timestamp": snapshot.at,
    }


def parse_depth(decoded: object) -> DepthReply:
    """Read ``depth``. Raises ``MalformedReply``."""
    fields = Fields("depth", decoded)
    return DepthReply(
        last_update_id=fields.integer("lastUpdateId"),
        bids=_levels("depth.bids", fields.items("bids")),
        asks=_levels("depth.asks", fields.items("asks")),
        at=fields.millis("timestamp") if fields.has("timestamp") else None,
    )


def parse_trades_query(params: Mapping[str, str]) -> tuple[str, int]:
    """``(symbol, limit)`` of ``trades`` or ``aggTrades``. Raises ``WireRefusal``; -1128 for one of start and end alone."""
    if bool(params.get("startTime")) != bool(params.get("endTime")):
        raise refuse(ErrorCode.BAD_COMBINATION, "Combination of optional parameters invalid.")
    return parse_symbol(params), parse_limit(params, TRADES_DEFAULT, TRADES_MAX)


def trades_json(trades: Iterable[MarketTrade]) -> list[dict[str, object]]:
    """The ``trades`` reply, in the order of ``trades`` (MEXC sends newest first)."""
    return [
        {
            "id": None,
            "price": plain(trade.price),
            "qty": plain(trade.quantity),
            "quoteQty": plain(exact_product(trade.price, trade.quantity)),
            "time": trade.at,
            "isBuyerMaker": trade.taker_side is Side.SELL,
            "isBestMatch": True,
            "tradeType": "BID" if trade.taker_side is Side.BUY else "ASK",
        }
        for trade in trades
    ]


def agg_trades_json(trades: Iterable[MarketTrade]) -> list[dict[str, object]]:
    """The ``aggTrades`` reply, in the order of ``trades``; every id is null, as on MEXC."""
    return [
        {
            "a": None,
            "f": None,
            "l": None,
            "p": plain(trade.price),
            "q": plain(trade.quantity),
            "T": trade.at,
            "m": trade.taker_side is Side.SELL,
            "M": True,
        }
        for trade in trades
    ]


def parse_klines_query(params: Mapping[str, str]) -> KlineQuery:
    """Read ``klines`` parameters. Raises ``WireRefusal``: 700004 missing, 33333 for an interval REST does not have, 700008."""
    symbol = parse_symbol(params)
    text = params.get("interval", "")
    if not text:
        raise missing("interval")
    if text not in {kind.value for kind in Interval if kind is not Interval.HOUR8}:
        raise refuse(ErrorCode.BAD_PARAMETER, "Invalid interval.")
    start, end = params.get("startTime", ""), params.get("endTime", "")
    return KlineQuery(
        symbol=symbol,
        interval=Interval(text),
        limit=parse_limit(params, KLINES_DEFAULT, KLINES_MAX),
        start=Millis(parse_integer("startTime", start)) if start else None,
        end=Millis(parse_integer("endTime", end)) if end else None,
    )


def klines_json(candles: Iterable[Candle]) -> list[list[object]]:
    """The ``klines`` reply: rows of eight."""
    return [kline_row(one) for one in candles]


def kline_row(candle: Candle) -> list[object]:
    """One row of the ``klines`` reply."""
    prices = (candle.open, candle.high, candle.low, candle.close)
    return [
        candle.open_time,
        *(plain(price) for price in prices),
        plain(candle.volume),
        candle.close_time,
        plain(candle.quote_volume),
    ]


def klines_params(query: KlineQuery) -> list[tuple[str, str]]:
    """The parameters of ``GET klines``."""
    bounds = (("startTime", query.start), ("endTime", query.end))
    return [
        ("symbol", query.symbol),
        ("interval", query.interval.value),
        *((name, str(at)) for name, at in bounds if at is not None),
        ("limit", str(query.limit)),
    ]


def parse_klines(decoded: object) -> tuple[Candle, ...]:
    """Read ``klines``. Raises ``MalformedReply``, also for rows that are not in the order of time or cannot be candles."""
    candles: list[Candle] = []
    for item in as_list("klines", decoded):
        row = as_list("kline", item)
        if len(row) < 8:
            raise MalformedReply("a kline has fewer than 8 columns")
        opening, high, low, close, volume = (reply_amount("kline", value) for value in row[1:6])
        candle = Candle(
            open_time=reply_millis("kline.openTime", row[0]),
            open=opening,
            high=high,
            low=low,
            close=close,
            volume=volume,
            close_time=reply_millis("kline.closeTime", row[6]),
            quote_volume=reply_amount("kline.quoteVolume", row[7]),
        )
        if candle.close_time <= candle.open_time or not low <= min(opening, close) <= max(opening, close) <= high:
            raise MalformedReply(f"the kline of {candle.open_time} is not a candle")
        if candles and candles[-1].open_time >= candle.open_time:
            raise MalformedReply(f"the kline of {candle.open_time} does not follow the one before")
        candles.append(candle)
    return tuple(candles)


def day_ticker_json(ticker: DayTicker) -> dict[str, object]:
    """The ``ticker/24hr`` object; the change in percent is a fraction, as on MEXC (§3.2)."""
    change = ticker.last - ticker.open
    return {
        "symbol": ticker.symbol,
        "priceChange": plain(change),
        "priceChangePercent": plain(round(change / ticker.open, 4)) if ticker.open else "0",
        "prevClosePrice": plain(ticker.open),
        "lastPrice": plain(ticker.last),
        "bidPrice": plain(ticker.bid),
        "bidQty": plain(ticker.bid_quantity),
        "askPrice": plain(ticker.ask),
        "askQty": plain(ticker.ask_quantity),
        "openPrice": plain(ticker.open),
        "highPrice": plain(ticker.high),
        "lowPrice": plain(ticker.low),
        "volume": plain(ticker.volume),
        "quoteVolume": plain(ticker.quote_volume) if ticker.quote_volume is not None else None,
        "openTime": ticker.open_time,
        "closeTime": ticker.close_time,
        "count": None,
    }


def parse_day_ticker(decoded: object) -> DayTicker:
    """Read one ``ticker/24hr`` object; an absent side of the book reads as 0. Raises ``MalformedReply``."""
    fields = Fields("ticker", decoded)
    return DayTicker(
        symbol=fields.text("symbol"),
        last=fields.amount("lastPrice"),
        open=fields.amount("openPrice"),
        high=fields.amount("highPrice"),
        low=fields.amount("lowPrice"),
        volume=fields.amount("volume"),
        quote_volume=fields.amount("quoteVolume") if fields.has("quoteVolume") else None,
        bid=_or_zero(fields, "bidPrice"),
        bid_quantity=_or_zero(fields, "bidQty"),
        ask=_or_zero(fields, "askPrice"),
        ask_quantity=_or_zero(fields, "askQty"),
        open_time=fields.millis("openTime"),
        close_time=fields.millis("closeTime"),
    )


def _or_zero(fields: Fields, name: str) -> Decimal:
    return Decimal(0) if fields.raw(name) in (None, "") else fields.amount(name)


def price_json(symbol: str, price: Decimal) -> dict[str, object]:
    """The ``ticker/price`` object."""
    return {"symbol": symbol, "price": plain(price)}


def average_price_json(price: Decimal) -> dict[str, object]:
    """The ``avgPrice`` reply."""
    return {"mins": 5, "price": plain(price)}


def parse_average_price(decoded: object) -> Decimal:
    """Read ``avgPrice``. Raises ``MalformedReply``."""
    return Fields("avgPrice", decoded).amount("price")


def book_ticker_json(ticker: BookTicker) -> dict[str, object]:
    """The ``ticker/bookTicker`` object."""
    return {
        "symbol": ticker.symbol,
        "bidPrice": plain(ticker.bid),
        "bidQty": plain(ticker.bid_quantity),
        "askPrice": plain(ticker.ask),
        "askQty": plain(ticker.ask_quantity),
    }


def parse_book_ticker(decoded: object) -> BookTicker | None:
    """Read one ``ticker/bookTicker`` object; ``None`` for a book with an empty side: there is no quote.

    Raises:
        MalformedReply: it cannot be read, also when a side has a price without a quantity.
    """
    fields = Fields("bookTicker", decoded)
    symbol = fields.text("symbol")
    if any(fields.raw(name) in (None, "") for name in ("bidPrice", "askPrice")):
        return None
    return BookTicker(
        symbol=symbol,
        bid=fields.amount("bidPrice"),
        bid_quantity=fields.amount("bidQty"),
        ask=fields.amount("askPrice"),
        ask_quantity=fields.amount("askQty"),
    )


def levels_json(levels: Iterable[tuple[Decimal, Decimal]]) -> list[list[str]]:
    """Book levels as ``[price, quantity]`` pairs of text."""
    return [[plain(price), plain(quantity)] for price, quantity in levels]


def _levels(what: str, items: Sequence[object]) -> Levels:
    levels: list[tuple[Decimal, Decimal]] = []
    for item in items:
        pair = as_list(what, item)
        if len(pair) < 2:
            raise MalformedReply(f"{what} has a level without a quantity")
        levels.append((reply_amount(what, pair[0]), reply_amount(what, pair[1])))
    return tuple(levels)
