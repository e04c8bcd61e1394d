"""Reads and writes ``exchangeInfo``, and checks orders against it (mexc-spot-v3.md §3.1). Clients, testnet and gateway call it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from exchange.model import Millis, OrderIntent, OrderType, Side, SymbolRules
from exchange.wire.errors import ErrorCode, MalformedReply, WireError
from exchange.wire.fields import Fields
from exchange.wire.numbers import exact_product, plain, scale_of
from exchange.wire.orders import CLIENT_ID, NewOrder

_ONLINE = "1"
_BOTH, _BUY_ONLY, _SELL_ONLY, _CLOSED = 1, 2, 3, 4
_SIDES = {_BOTH: (True, True), _BUY_ONLY: (True, False), _SELL_ONLY: (False, True), _CLOSED: (False, False)}
_LISTED_TYPES = (OrderType.LIMIT, OrderType.MARKET, OrderType.LIMIT_MAKER)
_NEVER_LISTED = frozenset({OrderType.IMMEDIATE_OR_CANCEL, OrderType.FILL_OR_KILL})
_MAX_PRECISION = 18


def symbol_json(rules: SymbolRules) -> dict[str, object]:
    """One element of ``exchangeInfo.symbols``. IOC and FOK are never listed, as on MEXC."""
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


def accepts(rules: SymbolRules, order_type: OrderType) -> bool:
    """Whether the symbol accepts an order type. IOC and FOK are accepted wherever LIMIT is, although never listed (§3.1)."""
    return order_type in rules.order_types or (order_type in _NEVER_LISTED and OrderType.LIMIT in rules.order_types)


def validate(order: NewOrder | OrderIntent, rules: SymbolRules, reference_price: Decimal | None = None) -> WireError | None:
    """The error MEXC would give an order under a symbol's rules, or ``None``.

    ``reference_price`` values a MARKET order given in base; without it only that order's quantity is checked.
    """
    return (
        _check_symbol(order, rules)
        or _check_kind(order, rules)
        or _check_precision(order, rules)
        or _check_size(order, rules, reference_price)
    )


def _check_symbol(order: NewOrder | OrderIntent, rules: SymbolRules) -> WireError | None:
    if order.symbol != rules.symbol:
        return WireError.of(ErrorCode.BAD_SYMBOL, "Invalid symbol.")
    if not rules.trading:
        return WireError.of(ErrorCode.TRADING_DISABLED, "Trading disabled.")
    if not rules.api_allowed:
        return WireError.of(ErrorCode.SYMBOL_NOT_SUPPORT_API, "symbol not support api")
    if not (rules.buy_allowed if order.side is Side.BUY else rules.sell_allowed):
        return WireError.of(ErrorCode.SIDE_NOT_ALLOWED, "Current transaction direction is not allowed to place an order.")
    return None


def _check_kind(order: NewOrder | OrderIntent, rules: SymbolRules) -> WireError | None:
    if not accepts(rules, order.type):
        if order.type is OrderType.MARKET:
            return WireError.of(ErrorCode.API_MARKET_ORDER_DISABLED, "API market order is disabled.")
        return WireError.of(ErrorCode.TYPE_NOT_ALLOWED, "The current order type can not place order.")
    if order.client_id and CLIENT_ID.fullmatch(order.client_id) is None:
        return WireError.of(ErrorCode.ILLEGAL_CHARACTERS, "Illegal characters found in parameter 'newClientOrderId'.")
    return None


def _check_precision(order: NewOrder | OrderIntent, rules: SymbolRules) -> WireError | None:
    if order.quantity is None and order.quote_quantity is None:
        return WireError.of(ErrorCode.MISSING_PARAMETER, "Mandatory parameter 'quantity' was not sent.")
    if order.price is None and order.type is not OrderType.MARKET:
        return WireError.of(ErrorCode.MISSING_PARAMETER, "Mandatory parameter 'price' was not sent.")
    for name, value in (("quantity", order.quantity), ("quoteOrderQty", order.quote_quantity), ("price", order.price)):
        if value is not None and not value.is_finite():
            return WireError.of(ErrorCode.ILLEGAL_CHARACTERS, f"Illegal characters found in parameter '{name}'.")
    if order.quantity is not None and scale_of(order.quantity) > rules.quantity_precision:
        return WireError.of(ErrorCode.BAD_PARAMETER, "quantity scale is invalid")
    if order.price is not None and order.type is not OrderType.MARKET and scale_of(order.price) > rules.price_precision:
        return WireError.of(ErrorCode.BAD_PARAMETER, "price scale is invalid")
    return None


def _check_size(order: NewOrder | OrderIntent, rules: SymbolRules, reference_price: Decimal | None) -> WireError | None:
    market = order.type is OrderType.MARKET
    least = rules.min_notional_market if market else rules.min_notional
    most = rules.max_notional_market if market else rules.max_notional
    if order.quantity is not None and (order.quantity <= 0 or order.quantity < rules.min_quantity):
        return _below(rules.min_quantity, rules.base)
    if not market and order.price is not None and order.price <= 0:
        return WireError.of(ErrorCode.NO_VALID_PRICE, "No valid trade price.")
    notional = order.quote_quantity if market else None
    price = reference_price if market else order.price
    if notional is None and order.quantity is not None and price is not None:
        notional = exact_product(order.quantity, price)
    if notional is None:
        return None
    if notional <= 0 or notional < least:
        return _below(least, rules.quote)
    if notional > most:
        return WireError.of(
            ErrorCode.ABOVE_MAXIMUM, f"The maximum transaction volume cannot be greater than:{plain(most)}{rules.quote}"
        )
    return None


def _below(minimum: Decimal, asset: str) -> WireError:
    return WireError.of(ErrorCode.BELOW_MINIMUM, f"The minimum transaction volume cannot be less than:{plain(minimum)}{asset}")


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
