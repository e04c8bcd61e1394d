"""A denial as MEXC's error: a code that makes clients raise the right exception, and the rule's name (architecture.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from controller.gateway.throttled import Throttled
from exchange.wire.errors import ErrorCode, WireRefusal, refuse
from policies.limit_types import Deny

CODE_OF_RULE: Mapping[str, ErrorCode] = MappingProxyType(
    {
        "bot-key": ErrorCode.BAD_ACCESS_KEY,
        "client-id": ErrorCode.INVALID_ORDER_IDS,
        "drill": ErrorCode.TRADING_DISABLED,
        "flatten": ErrorCode.TRADING_DISABLED,
        "not-armed": ErrorCode.TRADING_DISABLED,
        "not-ready": ErrorCode.TRADING_DISABLED,
        "moved": ErrorCode.TRADING_DISABLED,
        "stage": ErrorCode.TRADING_DISABLED,
        "guard": ErrorCode.TRADING_DISABLED,
        "holdings": ErrorCode.TRADING_DISABLED,
        "symbol": ErrorCode.SYMBOL_NOT_SUPPORT_API,
        "symbol-rules": ErrorCode.TYPE_NOT_ALLOWED,
        "eur-rate": ErrorCode.NO_VALID_PRICE,
        "eur-rate-band": ErrorCode.NO_VALID_PRICE,
        "quote": ErrorCode.NO_VALID_PRICE,
        "client-id-form": ErrorCode.ILLEGAL_CHARACTERS,
        "price": ErrorCode.NO_VALID_PRICE,
        "quantity": ErrorCode.BELOW_MINIMUM,
        "min-notional": ErrorCode.BELOW_MINIMUM,
        "venue-maximum": ErrorCode.ABOVE_MAXIMUM,
        "order-notional": ErrorCode.ABOVE_MAXIMUM,
        "price-collar": ErrorCode.PRICE_OUT_OF_RANGE,
        "order-rate": ErrorCode.TOO_MANY_REQUESTS,
        "unknown-order": ErrorCode.TOO_MANY_REQUESTS,
        "open-orders": ErrorCode.TOO_MANY_OPEN_ORDERS,
        "balance": ErrorCode.INSUFFICIENT_POSITION,
        "exposure": ErrorCode.MAX_POSITION,
        "signer-budget": ErrorCode.TRADING_DISABLED,
    }
)
"""MEXC's code for each rule that can deny (mexc-spot-v3.md §1.6). A rule not listed here is shown as 26, operation not allowed."""


def denial(deny: Deny) -> WireRefusal:
    """The refusal a bot gets: HTTP 400, or 429 where waiting is enough. ``gateway.orders`` raises it."""
    code = CODE_OF_RULE.get(deny.rule, ErrorCode.OPERATION_NOT_ALLOWED)
    if code is ErrorCode.TOO_MANY_REQUESTS:
        return Throttled(explain(deny), 1)
    return refuse(code, explain(deny))


def explain(deny: Deny) -> str:
    """``gatehouse: RULE: what is wrong (measured value; limit). What would change the answer.``"""
    shown = deny.measured in deny.message and deny.threshold in deny.message
    measured = "" if shown else f" (measured: {deny.measured}; limit: {deny.threshold})"
    return f"gatehouse: {deny.rule}: {deny.message.rstrip('.')}{measured}. {deny.remedy}"
