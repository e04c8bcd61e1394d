"""Exact decimal numbers in documents: read and written as plain decimal text, never a float, never NaN. Policies and gates use it.

A number has at most twelve digits before the point and twelve after it. That is enough for every amount in gatehouse, and a
product of two such numbers is exact in ``WIDE``.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$"
_PLAIN = re.compile(PATTERN)

WIDE = Context(prec=60, rounding=ROUND_CEILING)
"""The arithmetic context for risk: exact for all realistic amounts; otherwise it rounds up."""

GRID = Decimal("0.000000000001")
"""The smallest step that a document can express."""


def text(value: Decimal) -> str:
    """Write a finite decimal in its canonical form: no exponent, no trailing zeros, no minus zero."""
    plain = format(value, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


def parse(value: object) -> Decimal:
    """Read decimal text or an integer. Floats, booleans, NaN, infinities, exponents and too large numbers raise ``ValueError``."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is not a finite number")
        plain = text(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        plain = str(value)
    elif isinstance(value, str):
        plain = value
    else:
        raise ValueError(f"a {type(value).__name__} is not an exact number; write it as decimal text")  # noqa: TRY004 (pydantic)
    if not _PLAIN.match(plain) or plain.endswith("\n"):
        raise ValueError(f"{plain[:40]!r} is not a plain decimal number with at most 12 digits on each side of the point")
    return Decimal(plain)


def rounded_up(value: Decimal) -> Decimal:
    """Round up to the grid of documents: for quantities where less is better."""
    return value.quantize(GRID, rounding=ROUND_CEILING, context=WIDE)


def rounded_down(value: Decimal) -> Decimal:
    """Round down to the grid of documents: for quantities where more is better."""
    return value.quantize(GRID, rounding=ROUND_FLOOR, context=WIDE)


Exact = Annotated[
    Decimal,
    BeforeValidator(parse),
    PlainSerializer(text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": PATTERN}, {"type": "number"}]}),
]
"""A ``Decimal`` field of a document, written as decimal text."""

Amount = Annotated[Decimal, PlainSerializer(lambda value: format(value, "f"), when_used="json")]
"""A ``Decimal`` field of a journal event or of a view: in JSON it is written without an exponent."""
