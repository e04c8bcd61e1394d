"""Checks an order for the engine before it reaches the book, with MEXC's codes (mexc-spot-v3.md §1.6, §3.1, §4.1-4.3).

MEXC answers too many decimals with ``{"msg":" amount scale is invalid","code":400}``; the texts for price and quantity
follow that form.
"""

from __future__ import annotations

from decimal import Decimal

from exchange.matching.events import Refusal
from exchange.model import OrderIntent, OrderType, Side, SymbolRules
from exchange.wire.errors import ErrorCode

SCALE_INVALID = 400
"""The body code of a number with too many decimals."""

MAX_OPEN_ORDERS = 500
"""Open orders per account (mexc-spot-v3.md §1.6, 30029; §10, 16)."""


def refused(code: ErrorCode, message: str) -> Refusal:
    """A refusal with one of the documented codes."""
    return Refusal(int(code), message)


def check(rules: SymbolRules, intent: OrderIntent) -> Refusal | None:
    """Whether the symbol accepts this order, without looking at balance or book. ``None`` means yes."""
    return _permission(rules, intent) or _shape(intent) or _scale(rules, intent) or _size(rules, intent)


def _permission(rules: SymbolRules, intent: OrderIntent) -> Refusal | None:
    if not rules.trading:
        return refused(ErrorCode.TRADING_SUSPENDED, "trading is suspended for the symbol")
    if not rules.api_allowed:
        return refused(ErrorCode.SYMBOL_NOT_SUPPORT_API, "symbol not support api")
    if not (rules.buy_allowed or rules.sell_allowed):
        return refused(ErrorCode.TRADING_DISABLED, "trading is disabled")
    if not (rules.buy_allowed if intent.side is Side.BUY else rules.sell_allowed):
        return refused(ErrorCode.SIDE_NOT_ALLOWED, "this trade side is not allowed")
    return _kind(rules, intent)


def _kind(rules: SymbolRules, intent: OrderIntent) -> Refusal | None:
    if intent.type is OrderType.MARKET:
        listed = OrderType.MARKET in rules.order_types
        return None if listed else refused(ErrorCode.API_MARKET_ORDER_DISABLED, "api market order is disabled")
    # IOC and FOK are never listed but accepted wherever limit orders are (§3.1).
    needed = OrderType.LIMIT_MAKER if intent.type is OrderType.LIMIT_MAKER else OrderType.LIMIT
    return None if needed in rules.order_types else refused(ErrorCode.TYPE_NOT_ALLOWED, "this order type is not allowed now")


def _shape(intent: OrderIntent) -> Refusal | None:
    if intent.type is OrderType.MARKET:
        if (intent.quantity is None) == (intent.quote_quantity is None):
            return refused(ErrorCode.BAD_PARAMETER, "either quantity or quoteOrderQty is required")
    elif intent.quantity is None or intent.price is None or intent.quote_quantity is not None:
        return refused(ErrorCode.BAD_PARAMETER, "quantity and price are required")
    return None


def _scale(rules: SymbolRules, intent: OrderIntent) -> Refusal | None:
    numbers = (
        ("price", None if intent.type is OrderType.MARKET else intent.price, rules.price_precision),
        ("quantity", intent.quantity, rules.quantity_precision),
        ("amount", intent.quote_quantity, rules.price_precision),
    )
    for name, value, precision in numbers:
        if value is None:
            continue
        if not value.is_finite() or value <= 0:
            return refused(ErrorCode.BAD_PARAMETER, f"{name} must be positive")
        if decimals(value) > precision:
            return Refusal(SCALE_INVALID, f" {name} scale is invalid")
    return None


def _size(rules: SymbolRules, intent: OrderIntent) -> Refusal | None:
    if intent.quantity is not None and intent.quantity < rules.min_quantity:
        return refused(
            ErrorCode.BELOW_MINIMUM, f"The minimum transaction volume cannot be less than:{rules.min_quantity:f}{rules.base}"
        )
    if intent.type is not OrderType.MARKET and intent.quantity is not None and intent.price is not None:
        return notional(rules, intent.quantity * intent.price, market=False)
    if intent.quote_quantity is not None:
        return notional(rules, intent.quote_quantity, market=True)
    return None


def notional(rules: SymbolRules, amount: Decimal, *, market: bool) -> Refusal | None:
    """Whether an amount in the quote asset is within the symbol's bounds."""
    least = rules.min_notional_market if market else rules.min_notional
    most = rules.max_notional_market if market else rules.max_notional
    if amount < least:
        return refused(ErrorCode.BELOW_MINIMUM, f"The minimum transaction volume cannot be less than:{least:f}{rules.quote}")
    if amount > most:
        return refused(ErrorCode.ABOVE_MAXIMUM, f"The maximum transaction volume cannot be more than:{most:f}{rules.quote}")
    return None


def decimals(value: Decimal) -> int:
    """How many decimals a finite number needs, trailing zeros not counted."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
