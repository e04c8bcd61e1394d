"""MEXC's error for an order that a symbol does not accept (mexc-spot-v3.md §1.6, §3.1, §4.1-4.3).

The gateway's ``order/test`` and the matching engine call it, and ``exchange.wire.orders`` for the numbers that are missing. What
is wrong with a form, ``exchange.forms`` decides; this module only gives it MEXC's code and text.

MEXC answers too many decimals with ``{"msg":" amount scale is invalid","code":400}``; the texts for price and quantity follow that
form. For other flaws of a number no source names a code, so they get the generic ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from exchange.forms import Fault, Field, Flaw, OrderForm, fault
from exchange.model import OrderType, Side, SymbolRules
from exchange.wire.errors import ErrorCode, WireError
from exchange.wire.numbers import plain

SCALE_INVALID = 400
"""The body code of a number with too many decimals."""

_SCALE_NAMES: Mapping[Field, str] = MappingProxyType(
    {Field.PRICE: "price", Field.QUANTITY: "quantity", Field.AMOUNT: "amount"},
)


def order_error(order: OrderForm, rules: SymbolRules, best: Decimal | None = None) -> WireError | None:
    """The error MEXC would give an order, without looking at balances, or ``None``; ``best`` is as for ``forms.fault``."""
    refused = permission_error(order, rules)
    if refused is not None:
        return refused
    found = fault(order, rules, best)
    return None if found is None else form_error(found, rules)


def permission_error(order: OrderForm, rules: SymbolRules) -> WireError | None:
    """Whether the symbol is open to this order at all."""
    if not rules.trading:
        return WireError.of(ErrorCode.TRADING_SUSPENDED, "trading is suspended for the symbol")
    if not rules.api_allowed:
        return WireError.of(ErrorCode.SYMBOL_NOT_SUPPORT_API, "symbol not support api")
    if not (rules.buy_allowed or rules.sell_allowed):
        return WireError.of(ErrorCode.TRADING_DISABLED, "trading is disabled")
    if not (rules.buy_allowed if order.side is Side.BUY else rules.sell_allowed):
        return WireError.of(ErrorCode.SIDE_NOT_ALLOWED, "this trade side is not allowed")
    if order.type is OrderType.MARKET:
        listed = OrderType.MARKET in rules.order_types
        return None if listed else WireError.of(ErrorCode.API_MARKET_ORDER_DISABLED, "api market order is disabled")
    # IOC and FOK are never listed but accepted wherever limit orders are (§3.1).
    needed = OrderType.LIMIT_MAKER if order.type is OrderType.LIMIT_MAKER else OrderType.LIMIT
    allowed = needed in rules.order_types
    return None if allowed else WireError.of(ErrorCode.TYPE_NOT_ALLOWED, "this order type is not allowed now")


def form_error(found: Fault, rules: SymbolRules) -> WireError:
    """MEXC's code and text for a flaw of the form."""
    name, limit = found.field, plain(found.limit) if found.limit is not None else ""
    asset = rules.quote if name is Field.WORTH else rules.base
    match found.flaw:
        case Flaw.MISSING | Flaw.NOT_TAKEN:
            return misfit_error(found)
        case Flaw.ILLEGAL:
            return WireError.of(ErrorCode.ILLEGAL_CHARACTERS, f"Illegal characters found in parameter '{name}'.")
        case Flaw.NOT_POSITIVE:
            return WireError.of(ErrorCode.BAD_PARAMETER, f"{name} must be positive")
        case Flaw.DECIMALS:
            return WireError(SCALE_INVALID, f" {_SCALE_NAMES[name]} scale is invalid")
        case Flaw.BELOW:
            return WireError.of(ErrorCode.BELOW_MINIMUM, f"The minimum transaction volume cannot be less than:{limit}{asset}")
        case Flaw.ABOVE:
            return WireError.of(ErrorCode.ABOVE_MAXIMUM, f"The maximum transaction volume cannot be more than:{limit}{asset}")


def misfit_error(found: Fault) -> WireError:
    """MEXC's code and text for a number that is missing, or that the order type does not take."""
    if found.flaw is Flaw.MISSING:
        return WireError.of(
            ErrorCode.MISSING_PARAMETER, f"Mandatory parameter '{found.field}' was not sent, was empty/null, or malformed."
        )
    if found.field is Field.AMOUNT:
        return WireError.of(ErrorCode.BAD_PARAMETER, "Send either quantity or quoteOrderQty.")
    return WireError.of(ErrorCode.BAD_PARAMETER, f"This order type does not take '{found.field}'.")
