"""The public market endpoints (mexc-spot-v3.md §3). The app routes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from exchange.model import Millis, Quote, SymbolRules
from exchange.testnet.conditions.faults import Operation
from exchange.testnet.conditions.listings import offline_json, status_json
from exchange.testnet.http import openapi_parts as d
from exchange.testnet.http.endpoint import Call, Endpoint, Handler
from exchange.wire.errors import ErrorCode, refuse
from exchange.wire.market import (
    BookTicker,
    DepthReply,
    agg_trades_json,
    average_price_json,
    book_ticker_json,
    day_ticker_json,
    depth_json,
    klines_json,
    parse_depth_query,
    parse_klines_query,
    parse_trades_query,
    price_json,
    time_json,
    trades_json,
)
from exchange.wire.numbers import parse_integer, whole_second
from exchange.wire.orders import parse_symbol, parse_symbols
from exchange.wire.symbols import exchange_info_json, symbol_json

_MOST_SYMBOLS = 100


def listed(call: Call, symbol: str) -> SymbolRules:
    """The rules of a symbol. Raises ``WireRefusal`` (-1121) for one the venue does not list."""
    rules = call.venue.engine.rules.get(symbol)
    if rules is None:
        raise refuse(ErrorCode.BAD_SYMBOL, "Invalid symbol.")
    return rules


def _ping(_: Call) -> object:
    return {}


def _time(call: Call) -> object:
    return time_json(call.now)


def _exchange_info(call: Call) -> object:
    rules = call.venue.engine.rules
    if call.params.get("symbol"):
        chosen = [listed(call, parse_symbol(call.params))]
    elif call.params.get("symbols"):
        wanted = parse_symbols(call.params, name="symbols", most=_MOST_SYMBOLS)
        chosen = [rules[symbol] for symbol in wanted if symbol in rules]
    else:
        chosen = list(rules.values())
    reply = exchange_info_json(chosen, call.now)
    return {**reply, "symbols": [status_json(symbol_json(one), call.venue.listings[one.symbol]) for one in chosen]}


def _default_symbols(call: Call) -> object:
    """In the form of the recorded reply, which differs from the documented one (§3)."""
    names = [symbol for symbol, rules in call.venue.engine.rules.items() if rules.api_allowed]
    return {"data": names, "code": 0, "msg": "success", "timestamp": call.now}


def _offline(call: Call) -> object:
    return offline_json(call.venue.listings.all())


def _announcements(_: Call) -> object:
    return {"code": 0, "data": [], "msg": ""}


def _no_etf(_: Call) -> object:
    raise refuse(ErrorCode.INVALID_SYMBOL, "invalid symbol")


def _depth(call: Call) -> object:
    symbol, limit = parse_depth_query(call.params)
    version, bids, asks = call.venue.engine.depth(listed(call, symbol).symbol, limit)
    return depth_json(DepthReply(version, tuple(bids), tuple(asks), call.now))


def _trades(call: Call) -> object:
    symbol, limit = parse_trades_query(call.params)
    return trades_json(call.venue.history.trades(listed(call, symbol).symbol, limit))


def _agg_trades(call: Call) -> object:
    symbol, limit = parse_trades_query(call.params)
    start, end = (_instant(call.params, name) for name in ("startTime", "endTime"))
    trades = call.venue.history.trades(listed(call, symbol).symbol, limit, start, end)
    return agg_trades_json([replace(trade, at=whole_second(trade.at)) for trade in trades])


def _klines(call: Call) -> object:
    query = parse_klines_query(call.params)
    symbol = listed(call, query.symbol).symbol
    candles = call.venue.history.candles(symbol, query.interval, limit=query.limit, start=query.start, end=query.end)
    return klines_json(candles)


def _average_price(call: Call) -> object:
    rules = listed(call, parse_symbol(call.params))
    price = call.venue.history.average_price(rules.symbol, call.now)
    if price is None:
        quote = _quote(call, rules.symbol)
        price = quote.mid if quote is not None else None
    if price is None:
        raise refuse(ErrorCode.NO_VALID_PRICE, "no valid trade price")
    return average_price_json(rules.quantise_price(price))


def _per_symbol(one: Callable[[Call, str], object | None]) -> Handler:
    """One object for one symbol, or the list of all symbols that have data."""

    def answer(call: Call) -> object:
        if call.params.get("symbol"):
            symbol = listed(call, parse_symbol(call.params)).symbol
            value = one(call, symbol)
            if value is None:
                raise refuse(ErrorCode.NO_VALID_PRICE, "no valid trade price")
            return value
        return [value for value in (one(call, symbol) for symbol in call.venue.engine.rules) if value is not None]

    return answer


def _day_ticker(call: Call, symbol: str) -> object | None:
    ticker = call.venue.history.day(symbol, _quote(call, symbol), call.now)
    return None if ticker is None else day_ticker_json(ticker)


def _price(call: Call, symbol: str) -> object | None:
    ticker = call.venue.history.day(symbol, _quote(call, symbol), call.now)
    return None if ticker is None else price_json(symbol, ticker.last)


def _book_ticker(call: Call, symbol: str) -> object | None:
    quote = _quote(call, symbol)
    if quote is None:
        return None
    return book_ticker_json(BookTicker(symbol, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity))


def _contract_detail(_: Call) -> object:
    """There are no futures, but clients of the spot API query them while loading (§8.1)."""
    return {"success": True, "code": 0, "data": []}


def _quote(call: Call, symbol: str) -> Quote | None:
    return call.venue.engine.quote(symbol, call.now)


def _instant(params: Mapping[str, str], name: str) -> Millis | None:
    text = params.get(name, "")
    return Millis(parse_integer(name, text)) if text else None


_TRADES = (d.SYMBOL, d.LIMIT)
_ONE_OR_ALL = (d.optional(d.SYMBOL),)

ENDPOINTS = tuple(
    Endpoint("GET", path, Operation.MARKET, None, handler, summary, parameters, reply)
    for path, handler, summary, parameters, reply in (
        ("/api/v3/ping", _ping, "Nothing, quickly.", (), d.EMPTY),
        ("/api/v3/time", _time, "The venue's clock.", (), d.TIME),
        (
            "/api/v3/exchangeInfo",
            _exchange_info,
            "The rules of one symbol, some, or all.",
            (*_ONE_OR_ALL, d.SYMBOLS),
            d.EXCHANGE_INFO,
        ),
        ("/api/v3/defaultSymbols", _default_symbols, "Symbols open to the API.", (), d.DEFAULT_NAMES),
        ("/api/v3/symbol/offline", _offline, "Symbols that are suspended or delisted.", (), d.OFFLINE),
        ("/api/v3/announcements", _announcements, "None, ever.", (d.LANGUAGE, d.PAGE, d.LIMIT), d.ANNOUNCEMENTS),
        ("/api/v3/etf/info", _no_etf, "Always refused: no leveraged tokens are listed.", _ONE_OR_ALL, d.EMPTY),
        ("/api/v3/depth", _depth, "The book, at most 5000 levels a side.", (d.SYMBOL, d.LIMIT), d.DEPTH),
        ("/api/v3/trades", _trades, "Recent public trades, newest first.", _TRADES, d.TRADES),
        ("/api/v3/historicalTrades", _trades, "As trades.", _TRADES, d.TRADES),
        (
            "/api/v3/aggTrades",
            _agg_trades,
            "Public trades; startTime and endTime come together or not at all.",
            (d.SYMBOL, *d.WINDOW),
            d.AGG_TRADES,
        ),
        ("/api/v3/klines", _klines, "Candles, at most 500; endTime is exclusive.", (d.SYMBOL, d.INTERVAL, *d.WINDOW), d.KLINES),
        ("/api/v3/avgPrice", _average_price, "The mean price of five minutes.", (d.SYMBOL,), d.AVERAGE),
        ("/api/v3/ticker/24hr", _per_symbol(_day_ticker), "The last 24 hours.", _ONE_OR_ALL, d.DAY_TICKER),
        ("/api/v3/ticker/price", _per_symbol(_price), "The last price.", _ONE_OR_ALL, d.PRICE_TICKER),
        ("/api/v3/ticker/bookTicker", _per_symbol(_book_ticker), "The best prices.", _ONE_OR_ALL, d.BOOK_TICKER),
        ("/api/v1/contract/detail", _contract_detail, "No futures.", (), d.CONTRACTS),
    )
)
