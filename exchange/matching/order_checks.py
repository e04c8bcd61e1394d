"""Checks an order for the engine before it reaches the book, with MEXC's codes (mexc-spot-v3.md §1.6)."""

from __future__ import annotations

from decimal import Decimal

from exchange.matching.events import Refusal
from exchange.model import OrderIntent, SymbolRules
from exchange.wire.errors import ErrorCode
from exchange.wire.order_errors import order_error

MAX_OPEN_ORDERS = 500
"""Open orders per account (mexc-spot-v3.md §1.6, 30029; §10, 16)."""


def refused(code: ErrorCode, message: str) -> Refusal:
    """A refusal with one of the documented codes."""
    return Refusal(int(code), message)


def check(rules: SymbolRules, intent: OrderIntent, best: Decimal | None) -> Refusal | None:
    """Whether the symbol accepts this order, whatever the account holds; ``best`` is the other side's best price, if any."""
    error = order_error(intent, rules, best)
    return None if error is None else Refusal(error.code, error.msg)
