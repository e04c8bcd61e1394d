"""Reads and writes ``exchangeInfo`` (mexc-spot-v3.md §3.1). Clients, testnet and gateway call it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from exchange.model import Millis, OrderType, SymbolRules
from exchange.wire.errors import MalformedReply
from exchange.wire.fields import Fields
from exchange.wire.numbers import plain

_ONLINE = "1"
_BOTH, _BUY_ONLY, _SELL_ONLY, _CLOSED = 1, 2, 3, 4
_SIDES = {_BOTH: (True, True), _BUY_ONLY: (True, False), _SELL_ONLY: (False, True), _CLOSED: (False, False)}
_LISTED_TYPES = (OrderType.LIMIT, OrderType.MARKET, OrderType.LIMIT_MAKER)
_NEVER_LISTED = frozenset({OrderType.IMMEDIATE_OR_CANCEL, OrderType.FILL_OR_KILL})
_MAX_PRECISION = 18


def symbol_json(rules: SymbolRules) -> dict[str, object]:
    """One element of ``exchangeInfo.symbols``. IOC and FOK are never listed, as on MEXC.

    ``st`` marks a token under assessment, and ``contractAddress`` is where its contract is; nothing of ours has either.
    """
    return {
        "symbol": rules.symbol,
        "status": _ONLINE if rules.trading else "2",
        "baseAsset": rules.base,
        "baseAssetPrecision": rules.quantity_precision,
        "quoteAsset": rules.quote,
        "quotePrecision": rules.price_precision,
        "quoteAssetPrecision": rules.price_precision,
        "baseCommissionPrecision": rules.quantity_precision,
        "quoteCommissionPrecision": rules.price_precision,
        "orderTypes": [kind.value for kind in _LISTED_TYPES if kind in rules.order_types],
        "isSpotTradingAllowed": rules.api_allowed,
        "isMarginTradingAllowed": False,
        "quoteAmountPrecision": plain(rules.min_notional),
        "baseSizePrecision": plain(rules.min_quantity),
        "permissions": ["SPOT"],
        "filters": [],
        "maxQuoteAmount": plain(rules.max_notional),
        "makerCommission": plain(rules.maker_fee),
        "takerCommission": plain(rules.taker_fee),
        "quoteAmountPrecisionMarket": plain(rules.min_notional_market),
        "maxQuoteAmountMarket": plain(rules.max_notional_market),
        "fullName": rules.base,
        "contractAddress": "",
        "st": False,
        "tradeSideType": next(kind for kind, sides in _SIDES.items() if sides == (rules.buy_allowed, rules.sell_allowed)),
    }


def exchange_info_json(rules: Iterable[SymbolRules], server_time: Millis) -> dict[str, object]:
    """The ``exchangeInfo`` reply."""
    return {
        "timezone": "CST",
        "serverTime": server_time,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [symbol_json(one) for one in rules],
    }


def parse_symbol_rules(decoded: object) -> SymbolRules:
    """Read one element of ``exchangeInfo.symbols``. What it does not tell is not allowed: SPOT trading, or MARKET orders.

    Raises:
        MalformedReply: a rule is missing or impossible.
    """
    fields = Fields("symbol", decoded)
    side_type = fields.integer("tradeSideType")
    if side_type not in _SIDES:
        raise MalformedReply(f"symbol.tradeSideType is {side_type}")
    buy_allowed, sell_allowed = _SIDES[side_type]
    permissions = fields.items("permissions") if fields.has("permissions") else ()
    return SymbolRules(
        symbol=fields.text("symbol"),
        base=fields.text("baseAsset"),
        quote=fields.text("quoteAsset"),
        quantity_precision=_precision(fields, "baseAssetPrecision"),
        price_precision=_precision(fields, "quotePrecision"),
        min_quantity=fields.amount("baseSizePrecision"),
        min_notional=fields.amount("quoteAmountPrecision"),
        min_notional_market=_market_limit(fields, "quoteAmountPrecision"),
        max_notional=fields.amount("maxQuoteAmount"),
        max_notional_market=_market_limit(fields, "maxQuoteAmount"),
        maker_fee=fields.decimal("makerCommission"),
        taker_fee=fields.decimal("takerCommission"),
        order_types=_order_types(fields),
        trading=str(fields.raw("status")) == _ONLINE,
        api_allowed=fields.flag("isSpotTradingAllowed") and "SPOT" in permissions,
        buy_allowed=buy_allowed,
        sell_allowed=sell_allowed,
    )


def parse_exchange_info(decoded: object, symbols: Collection[str] | None = None) -> Mapping[str, SymbolRules]:
    """Read the wanted symbols of ``exchangeInfo``: one unreadable listing among thousands must not hide the others.

    Raises:
        MalformedReply: not an ``exchangeInfo`` reply, or a wanted symbol that cannot be read.
    """
    found: dict[str, SymbolRules] = {}
    for item in Fields("exchangeInfo", decoded).items("symbols"):
        name = Fields("symbol", item).text("symbol")
        if symbols is None or name in symbols:
            found[name] = parse_symbol_rules(item)
    return found


def _market_limit(fields: Fields, limit: str) -> Decimal:
    # Without both limits of MARKET the symbol takes no MARKET orders. Those of LIMIT then stand in, and nothing uses them.
    return fields.amount(f"{limit}Market" if fields.has(f"{limit}Market") else limit)


def _order_types(fields: Fields) -> frozenset[OrderType]:
    listed = {str(item) for item in fields.items("orderTypes")}
    if not (fields.has("quoteAmountPrecisionMarket") and fields.has("maxQuoteAmountMarket")):
        listed.discard(OrderType.MARKET)
    types = {kind for kind in OrderType if kind.value in listed}
    return frozenset(types | _NEVER_LISTED if OrderType.LIMIT in types else types)


def _precision(fields: Fields, name: str) -> int:
    value = fields.integer(name)
    if not 0 <= value <= _MAX_PRECISION:
        raise MalformedReply(f"symbol.{name} is {value}")
    return value
