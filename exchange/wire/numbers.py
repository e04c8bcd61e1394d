"""Reads and writes numbers: strictly in requests, tolerantly in MEXC's replies. The parsers of this package call it."""

from __future__ import annotations

import re
from decimal import Context, Decimal

from exchange.decimals import exponent
from exchange.forms import DECIMALS, DIGITS
from exchange.model import Millis
from exchange.wire.errors import ErrorCode, MalformedReply, refuse

_STRICT = re.compile(rf"(?:0|[1-9][0-9]{{0,{DIGITS - 1}}})(?:\.[0-9]{{1,{DECIMALS}}})?")
_REPLY = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{0,60})?(?:[eE][+-]?[0-9]{1,2})?")
_WIDE = Context(prec=200)
_MAX_REPLY_TEXT = 110
_MAX_MAGNITUDE = 40
_MAX_SCALE = 60
_SECONDS = range(10**9, 10**11)
"""Instants of this century in seconds; as milliseconds they would be in the first years after 1970."""
_INTEGER = re.compile(r"[0-9]{1,15}")


def parse_decimal(name: str, text: str) -> Decimal:
    """Read a request's decimal: plain ASCII digits, at most 12 before and 18 after the point, no sign, exponent or NaN.

    Raises:
        WireRefusal: 700008 for anything else; ``name`` is the parameter named in the message.
    """
    if len(text) > DIGITS + DECIMALS + 1 or _STRICT.fullmatch(text) is None:
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, f"Illegal characters found in parameter '{name}'.")
    return Decimal(text)


def parse_integer(name: str, text: str) -> int:
    """Read a request's non-negative integer of at most 15 ASCII digits. Raises ``WireRefusal`` (700008) for anything else."""
    if _INTEGER.fullmatch(text) is None:
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, f"Illegal characters found in parameter '{name}'.")
    return int(text)


def reply_decimal(name: str, value: object) -> Decimal:
    """Read a decimal from a venue's reply: a string with any tail of digits, or a JSON number.

    30 trailing zeros occur (mexc-spot-v3.md §3.1).

    Raises:
        MalformedReply: absent, not a number, not finite, or too long.
    """
    if isinstance(value, str) and len(value) <= _MAX_REPLY_TEXT and _REPLY.fullmatch(value) is not None:
        value = Decimal(value)
    # An exponent may write 10**999999999 in ten characters: check the magnitude before printing it.
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < _MAX_MAGNITUDE and _scale(value) <= _MAX_SCALE:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_MAX_MAGNITUDE:
        return Decimal(value)
    raise MalformedReply(f"{name} is not a decimal: {_shown(value)}")


def reply_amount(name: str, value: object) -> Decimal:
    """As ``reply_decimal``, for an amount or a price: one below zero cannot be read either."""
    amount = reply_decimal(name, value)
    if amount < 0:
        raise MalformedReply(f"{name} is negative")
    return amount


def reply_integer(name: str, value: object) -> int:
    """Read an integer from a venue's reply, sent as a number or as decimal text. Raises ``MalformedReply``."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**20:
        return value
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 20:
        return int(value)
    raise MalformedReply(f"{name} is not an integer: {_shown(value)}")


def reply_millis(name: str, value: object) -> Millis:
    """Read an instant from a venue's reply.

    Raises:
        MalformedReply: not an integer, before 1970, or seconds instead of milliseconds: a trade in 1970 would be lost.
    """
    instant = reply_integer(name, value)
    if instant < 0:
        raise MalformedReply(f"{name} is before 1970: {instant}")
    if instant in _SECONDS:
        raise MalformedReply(f"{name} counts seconds: {instant}")
    return Millis(instant)


def whole_second(at: Millis) -> Millis:
    """The second in which an instant is, as MEXC's orders, ``myTrades`` and ``aggTrades`` show it (§3, §4.9)."""
    return Millis(at // 1_000 * 1_000)


def plain(value: Decimal) -> str:
    """A decimal as text without an exponent and without trailing zeros, as MEXC expects it (mexc-spot-v3.md §2.7)."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def exact_product(first: Decimal, second: Decimal) -> Decimal:
    """``first * second`` without the 28-digit rounding of the default context: limits are checked against the exact notional."""
    return _WIDE.multiply(first, second)


def _scale(value: Decimal) -> int:
    last = exponent(value)
    return 0 if last is None else -last


def _shown(value: object) -> str:
    return repr(value[:60]) if isinstance(value, str) else f"a {type(value).__name__}"
