"""What an answer to ``POST /api/v3/order/test`` says about the order (mexc-spot-v3.md §4.4). The parity with the testnet uses it.

A refusal counts against the testnet unless it is about something else than the order. The list is short on purpose: a refusal that
is not on it is a disagreement, whatever its code, and so is a code that nobody documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exchange.model import OrderIntent
from exchange.wire.errors import Certainty, ErrorCode, WireError
from exchange.wire.numbers import plain

PARITY_ID = "gh-parity"
"""The client id of every question. An order with it was placed by nobody: it would halt the deployment as a stranger's."""

_BALANCE = "the live account holds too little for it"
_BOOK = "the live book has no price at this moment"
_ACCOUNT = "the live account's own orders or holdings fill a limit"
_KEY = "the key cannot ask"

NOT_ABOUT_THE_ORDER: Mapping[int, str] = MappingProxyType(
    {
        ErrorCode.INSUFFICIENT_BALANCE: _BALANCE,
        ErrorCode.INSUFFICIENT_POSITION: _BALANCE,
        ErrorCode.INSUFFICIENT_POSITION_2: _BALANCE,
        ErrorCode.OVERSOLD: _BALANCE,
        ErrorCode.NO_VALID_PRICE: _BOOK,
        ErrorCode.NO_OPPOSING_ORDER: _BOOK,
        ErrorCode.TOO_MANY_OPEN_ORDERS: _ACCOUNT,
        ErrorCode.MAX_POSITION: _ACCOUNT,
        ErrorCode.API_KEY_REQUIRED: _KEY,
        ErrorCode.NO_AUTHORITY: _KEY,
        ErrorCode.API_KEY_EXPIRED: _KEY,
        ErrorCode.IP_NOT_ALLOWED: _KEY,
        ErrorCode.SIGNATURE_FAILED: _KEY,
        ErrorCode.USER_DOES_NOT_EXIST: _KEY,
        ErrorCode.BAD_ACCESS_KEY: _KEY,
        ErrorCode.BAD_API_KEY: _KEY,
        ErrorCode.BAD_SIGNATURE: _KEY,
        ErrorCode.IP_NOT_WHITELISTED: _KEY,
        ErrorCode.NO_PERMISSION: _KEY,
    }
)
"""The codes that say nothing about the order, each with the reason (mexc-spot-v3.md §1.6). Calls refused for their number, their
time or a maintenance are found by what they prove (``WireError.certainty``), not by their code."""


def not_about_the_order(error: WireError) -> str:
    """Why an answer says nothing about the order; empty when the venue refuses the order itself.

    The code 400 is two things: a missing key, and, with the text that a scale is invalid, a number with too many decimals.
    """
    if error.code == ErrorCode.API_KEY_REQUIRED and "scale" in error.msg:
        return ""
    if (reason := NOT_ABOUT_THE_ORDER.get(error.code)) is not None and error.coded:
        return reason
    if error.certainty is Certainty.TEMPORARY or not error.coded or error.http_status >= 500:
        return "the venue did not look at it"
    return ""


def disagreement(intent: OrderIntent, error: WireError) -> str:
    """A refusal of the order itself in words, alike for all orders of this kind: ``30002 on LIMIT BUY BTCUSDT: the text``."""
    return f"{error.code} on {intent.type} {intent.side} {intent.symbol}: {error.msg[:120]}"


def amounts(intent: OrderIntent) -> str:
    """The numbers of an order in words, as in ``quantity 0.001, price 60000``."""
    named = (("quantity", intent.quantity), ("quoteOrderQty", intent.quote_quantity), ("price", intent.price))
    return ", ".join(f"{name} {plain(value)}" for name, value in named if value is not None)
