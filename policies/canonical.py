"""Canonical JSON (RFC 8785) of strings, integers, booleans, lists and objects, and its digest. Everything signed or hashed uses it.

Floats are refused: a number with a fraction is a decimal string, so that every machine writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson
import rfc8785

from exchange.errors import IntegrityError

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_ORJSON_TYPES = frozenset({str, int, bool, type(None)})

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that every reader of JSON can represent exactly."""


def encode(value: object) -> bytes:
    """Return the canonical bytes of ``value``. Raises ``IntegrityError`` for floats and integers beyond 2**53-1."""
    if _orjson_is_canonical(value):
        try:
            return orjson.dumps(value, option=_OPTIONS)
        except orjson.JSONEncodeError:
            pass  # What it refuses gets its error below.
    _refuse_inexact(value)
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except rfc8785.CanonicalizationError as error:
        raise _not_canonical(str(error)) from None


def decode(data: bytes, *, limit: int = 1 << 20) -> Any:
    """Parse canonical bytes. Duplicate keys, floats, NaN and every byte that ``encode`` would not write are refused.

    Raises:
        IntegrityError: not JSON, not canonical, or longer than ``limit`` bytes.
    """
    if len(data) > limit:
        raise _not_canonical(f"{len(data)} bytes is more than {limit}")
    try:
        value = json.loads(data, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise _not_canonical(str(error)) from None
    if encode(value) != data:
        raise _not_canonical("the bytes are not in canonical form")
    return value


def digest(data: bytes) -> str:
    """Return ``sha256:<hex>`` of the bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _no_float(text: str) -> Any:
    raise ValueError(f"{text[:40]} is not a string or an integer")


def _orjson_is_canonical(value: object) -> bool:
    """Whether orjson writes the value in canonical form: it would also write floats, and sorts names outside ASCII otherwise."""
    kind = type(value)
    if kind in _ORJSON_TYPES:
        return True
    if kind is dict:
        assert isinstance(value, dict)
        return all(type(name) is str and name.isascii() and _orjson_is_canonical(item) for name, item in value.items())
    return kind in {tuple, list} and isinstance(value, tuple | list) and all(map(_orjson_is_canonical, value))


def _refuse_inexact(value: object) -> None:
    if isinstance(value, float):
        raise _not_canonical("it contains a float; use a decimal string")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_SAFE_INTEGER:
        raise _not_canonical("it contains an integer beyond 2**53-1; use a string")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_inexact(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_inexact(item)


def _not_canonical(why: str) -> IntegrityError:
    return IntegrityError(
        f"not canonical JSON: {why}",
        code="not-canonical",
        remedy="Create the document with gatehouse, and do not edit it afterwards.",
    )
