"""Says where canonical JSON is damaged: which byte, in which field, and what was expected."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from exchange.errors import IntegrityError
from policies import canonical

_MOST_TRIED = 80_000

Raise = Callable[[str], IntegrityError]
"""Makes the error of what is checked from what is wrong."""


def require_canonical(what: str, data: bytes, limit: int, error: Raise, kinds: Mapping[str, type]) -> Any:
    """Parse canonical JSON of an object with exactly these fields, each of its type (``object``: any).

    Raises what ``error`` makes, with the first wrong byte and its field, or the first wrong field.
    """
    try:
        value = canonical.decode(data, limit=limit)
    except IntegrityError as damaged:
        if (named := _renamed(data, kinds)) is not None:
            require_fields(what, named, kinds, error)
        raise error(f"{what} is not canonical JSON: {where(data, damaged.message)}") from None
    require_fields(what, value, kinds, error)
    return value


def _renamed(data: bytes, kinds: Mapping[str, type]) -> dict[str, Any] | None:
    """The object, if it can be read and only the names of its fields are wrong: then their order is, too."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.keys() != kinds.keys() else None


def require_fields(what: str, value: object, kinds: Mapping[str, type], error: Raise, prefix: str = "") -> None:
    """Check that an object has exactly these fields, each of its type. Raises what ``error`` makes, naming the first wrong one."""
    if not isinstance(value, dict):
        raise error(f"{what}: field {prefix.rstrip('.') or 'document'} is not an object")
    missing, unknown = sorted(kinds.keys() - value.keys()), sorted(value.keys() - kinds.keys())
    if missing or unknown:
        found = f", found {', '.join(prefix + str(name)[:40] for name in unknown)}" if unknown else ""
        raise error(f"{what}: expected field {', '.join(prefix + name for name in missing) or 'none beside the known ones'}{found}")
    for name, kind in kinds.items():
        if kind is not object and type(value[name]) is not kind:
            raise error(f"{what}: field {prefix}{name} is {str(value[name])[:60]!r}, expected {_KINDS[kind]}")


_KINDS: Mapping[type, str] = {str: "a text", int: "an integer", dict: "an object", list: "a list", bool: "true or false"}


def where(data: bytes, why: str) -> str:
    """The first byte that is wrong in what should be canonical JSON, with its field; ``why`` where it cannot be told."""
    try:
        content = data.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1}{_in(field_at(data[: error.start].decode(errors='replace')))} is not UTF-8"
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        at = len(content[: error.pos].encode())
        return f"{error.msg.lower().removesuffix(' at')} at byte {at + 1}{_in(field_at(content[: error.pos]))}"
    except (ValueError, RecursionError) as error:
        return str(error)
    try:
        expected = canonical.encode(value)
    except IntegrityError:
        return _fraction(content) or why
    at = first_difference(data, expected)
    wanted = f"expected {_some(expected[at:])}" if at < len(expected) else "expected the end"
    return f"byte {at + 1}{_in(field_at(data[:at].decode(errors='replace')))} is {_some(data[at:])}, {wanted}"


def _fraction(content: str) -> str:
    """Where a number with a fraction stands, which no document of gatehouse has."""
    found: list[str] = []
    json.loads(content, parse_float=found.append, parse_constant=found.append)
    if not found:
        return ""
    at = content.find(found[0])
    return f"{found[0][:40]} at byte {len(content[:at].encode()) + 1}{_in(field_at(content[:at]))} is no integer"


def flipped_bit(data: bytes, wanted: bytes, finish: Callable[[bytes], bytes] = bytes) -> tuple[int, str] | None:
    """The place of the one bit that changed, and the character that stood there, tried bit by bit: the lowest of every byte first.

    ``wanted`` is the SHA-256 that the right bytes have, or what ``finish`` makes of it. ``None`` if no single bit gives it.
    """
    if len(data) * 8 > _MOST_TRIED:
        return None
    before = [hashlib.sha256()]
    for byte in data:
        following = before[-1].copy()
        following.update(bytes((byte,)))
        before.append(following)
    for bit, place in itertools.product(range(8), range(len(data))):
        tried = before[place].copy()
        tried.update(bytes((data[place] ^ (1 << bit),)) + data[place + 1 :])
        if finish(tried.digest()) == wanted:
            return place, chr(data[place] ^ (1 << bit))
    return None


def first_difference(found: bytes, expected: bytes) -> int:
    """The place of the first byte that differs; the end of the shorter one if it begins the other."""
    pairs = enumerate(zip(found, expected, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(found), len(expected)))


def _some(data: bytes) -> str:
    return repr(data[:12].decode(errors="replace"))


def _in(field: str) -> str:
    return f" in field {field}" if field else " in the name of the first field, or before it"


def field_at(before: str) -> str:
    """The path of the field that begins or goes on where ``before``, the first part of a JSON text, ends."""
    path: list[str | int] = []
    place, named = 0, False
    while place < len(before):
        sign = before[place]
        if sign == '"':
            end = _string_end(before, place + 1)
            text, place = before[place + 1 : end], end
            if path and not isinstance(path[-1], int) and before[end + 1 : end + 2] in {":", ""} and named:
                path[-1] = text
            named = False
        elif sign == "{":
            path.append("")
            named = True
        elif sign == "[":
            path.append(0)
        elif sign in "}]" and path:
            path.pop()
        elif sign == ",":
            named = True
            if path and isinstance(last := path[-1], int):
                path[-1] = last + 1
        place += 1
    return ".".join(str(one) for one in path if one != "")


def _string_end(content: str, place: int) -> int:
    while place < len(content) and content[place] != '"':
        place += 2 if content[place] == "\\" else 1
    return place
