"""Public endpoints of the gateway (mexc-spot-v3.md §3). ``gateway.app`` routes to it.

A price is shown only while its book is fresh and unbroken. Candles and statistics are the market's that prices the stage. While
they cannot be had, an error says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from controller.gateway.port import GatewayPort
from controller.gateway.requests import Call, Shown
from exchange.errors import GatehouseError
from exchange.model import SymbolRules
from exchange.wire.account import symbol_list_json
from exchange.wire.errors import ErrorCode, WireRefusal, refuse
from exchange.wire.market import (
    BookTicker,
    DepthReply,
    agg_trades_json,
    average_price_json,
    book_ticker_json,
    day_ticker_json,
    depth_json,
    parse_depth_query,
    parse_klines_query,
    parse_trades_query,
    price_json,
    time_json,
    trades_json,
)
from exchange.wire.numbers import parse_integer
from exchange.wire.orders import parse_symbol, parse_symbols
from exchange.wire.symbols import exchange_info_json

_MAX_SYMBOLS_ASKED = 100

MARKET_HEADER, BEGINS_HEADER = b"x-gatehouse-market", b"x-gatehouse-history-begins"
"""Which market a ``klines`` reply is of and, for a testnet, when its first candle opened (ms): MEXC's rows have no place for it."""


class MarketViews:
    """The public endpoints of one gateway."""

    def __init__(self, port: GatewayPort) -> None:
        self._port = port

    async def ping(self, call: Call) -> object:  # noqa: ARG002 - every endpoint has one signature
        """``ping``: an empty object."""
        return {}

    async def time(self, call: Call) -> object:  # noqa: ARG002
        """``time``: the clock that checks the time of requests."""
        return time_json(self._port.now())

    async def exchange_info(self, call: Call) -> object:
        """``exchangeInfo`` of one symbol, of several, or of every symbol traded here."""
        return exchange_info_json(self._asked(call.params).values(), self._port.now())

    async def default_symbols(self, call: Call) -> object:  # noqa: ARG002
        """``defaultSymbols``: the symbols that may be traded here."""
        return symbol_list_json(sorted(self._port.rules(None)))

    async def depth(self, call: Call) -> object:
        """``depth``; 503 while the book cannot be trusted."""
        symbol, limit = parse_depth_query(call.params)
        self._listed(symbol)
        view = self._port.depth(symbol, limit)
        if view is None:
            raise _no_book(symbol)
        version, bids, asks = view
        return depth_json(DepthReply(version, tuple(bids), tuple(asks), self._port.now()))

    async def trades(self, call: Call) -> object:
        """``trades``, newest first."""
        symbol, limit = parse_trades_query(call.params)
        self._listed(symbol)
        return trades_json(self._port.trades(symbol, limit))

    async def agg_trades(self, call: Call) -> object:
        """``aggTrades``, newest first, only those between ``startTime`` and ``endTime`` when given."""
        symbol, limit = parse_trades_query(call.params)
        self._listed(symbol)
        trades = self._port.trades(symbol, limit)
        if call.params.get("startTime"):
            start, end = (parse_integer(name, call.params[name]) for name in ("startTime", "endTime"))
            trades = [trade for trade in trades if start <= trade.at <= end]
        return agg_trades_json(trades)

    async def klines(self, call: Call) -> object:
        """``klines``: the market's candles; the last one is the forming one. 503 while they cannot be had."""
        query = parse_klines_query(call.params)
        self._listed(query.symbol)
        try:
            view = await self._port.candles(query)
        except GatehouseError as error:
            raise _away("candles", error) from error
        begins = () if view.begins is None else ((BEGINS_HEADER, str(view.begins).encode()),)
        return Shown(b"[" + b",".join(view.rows) + b"]", ((MARKET_HEADER, view.market.encode()), *begins))

    async def average_price(self, call: Call) -> object:
        """``avgPrice``: the mean price of five minutes. 503 while it cannot be had."""
        symbol = parse_symbol(call.params)
        self._listed(symbol)
        try:
            return average_price_json(await self._port.average_price(symbol))
        except GatehouseError as error:
            raise _away("average", error) from error

    async def day_ticker(self, call: Call) -> object:
        """``ticker/24hr``: the last and the best prices of now, and the day's statistics, a few seconds old.

        503 while there is no fresh price, or no statistics, of the symbol; the list leaves such a symbol out.
        """
        if call.params.get("symbol"):
            symbol = parse_symbol(call.params)
            self._listed(symbol)
            return await self._day_ticker(symbol)
        shown: list[object] = []
        failures: list[WireRefusal] = []
        for symbol in sorted(self._port.rules(None)):
            try:
                shown.append(await self._day_ticker(symbol))
            except WireRefusal as refusal:
                failures.append(refusal)
        if failures and not shown:
            raise failures[0]
        return shown

    async def price(self, call: Call) -> object:
        """``ticker/price``: the last trade's price."""
        return self._each(call.params, self._price)

    async def book_ticker(self, call: Call) -> object:
        """``ticker/bookTicker``: the best prices."""
        return self._each(call.params, self._book_ticker)

    def _each(self, params: Mapping[str, str], view: Callable[[str], dict[str, object] | None]) -> object:
        if params.get("symbol"):
            symbol = parse_symbol(params)
            self._listed(symbol)
            shown = view(symbol)
            if shown is None:
                raise _no_book(symbol)
            return shown
        return [shown for symbol in sorted(self._port.rules(None)) if (shown := view(symbol)) is not None]

    async def _day_ticker(self, symbol: str) -> dict[str, object]:
        try:
            day = await self._port.day(symbol)
        except GatehouseError as error:
            raise _away("statistics", error) from error
        quote, latest = self._port.quote(symbol), self._port.trades(symbol, 1)
        if quote is None or not latest:
            raise _no_book(symbol)
        last = latest[0].price
        return day_ticker_json(
            replace(
                day,
                last=last,
                high=max(day.high, last),
                low=min(day.low, last),
                bid=quote.bid,
                bid_quantity=quote.bid_quantity,
                ask=quote.ask,
                ask_quantity=quote.ask_quantity,
            )
        )

    def _price(self, symbol: str) -> dict[str, object] | None:
        latest = self._port.trades(symbol, 1)
        return price_json(symbol, latest[0].price) if latest else None

    def _book_ticker(self, symbol: str) -> dict[str, object] | None:
        quote = self._port.quote(symbol)
        if quote is None:
            return None
        return book_ticker_json(BookTicker(symbol, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity))

    def _asked(self, params: Mapping[str, str]) -> Mapping[str, SymbolRules]:
        if params.get("symbol"):
            symbol = parse_symbol(params)
            return {symbol: self._listed(symbol)}
        if params.get("symbols"):
            return self._port.rules(parse_symbols(params, name="symbols", most=_MAX_SYMBOLS_ASKED))
        return self._port.rules(None)

    def _listed(self, symbol: str) -> SymbolRules:
        rules = self._port.rules((symbol,)).get(symbol)
        if rules is None:
            listed = ", ".join(sorted(self._port.rules(None)))
            raise refuse(ErrorCode.BAD_SYMBOL, f"Invalid symbol. gatehouse: symbol: {symbol} is not traded here; {listed} may be.")
        return rules


def _no_book(symbol: str) -> WireRefusal:
    return refuse(
        ErrorCode.SERVICE_UNAVAILABLE, f"gatehouse: market-data: {symbol} has no fresh price now. Send the request again."
    )


def _away(what: str, error: GatehouseError) -> WireRefusal:
    return refuse(
        ErrorCode.SERVICE_UNAVAILABLE,
        f"gatehouse: {what}: {error.message.rstrip('.')}. Old ones may be wrong, so none are shown. Send the request again later.",
    )
