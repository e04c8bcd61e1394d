"""Says where canonical JSON is damaged: which byte, in which field, and what was expected."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from exchange.errors import IntegrityError
from policies import canonical

Raise = Callable[[str], IntegrityError]
"""Makes the error of what is checked from what is wrong."""


def require_canonical(what: str, data: bytes, limit: int, error: Raise) -> Any:
    """Parse canonical JSON. Raises what ``error`` makes, with the first wrong byte and its field."""
    try:
        return canonical.decode(data, limit=limit)
    except IntegrityError as damaged:
        raise error(f"{what} is not canonical JSON: {where(data, damaged.message)}") from None


def require_fields(what: str, value: object, kinds: Mapping[str, type], error: Raise, prefix: str = "") -> None:
    """Check that an object has exactly these fields, each of its type. Raises what ``error`` makes, naming the first wrong one."""
    if not isinstance(value, dict):
        raise error(f"{what}: field {prefix.rstrip('.') or 'document'} is not an object")
    missing, unknown = sorted(kinds.keys() - value.keys()), sorted(value.keys() - kinds.keys())
    if missing or unknown:
        found = f", found {', '.join(prefix + str(name)[:40] for name in unknown)}" if unknown else ""
        raise error(f"{what}: expected field {', '.join(prefix + name for name in missing) or 'none beside the known ones'}{found}")
    for name, kind in kinds.items():
        if type(value[name]) is not kind:
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
        return f"{error.msg.lower()} at byte {at + 1}{_in(field_at(content[: error.pos]))}"
    except (ValueError, RecursionError) as error:
        return str(error)
    try:
        expected = canonical.encode(value)
    except IntegrityError:
        return why
    at = first_difference(data, expected)
    wanted = f"expected {_some(expected[at:])}" if at < len(expected) else "expected the end"
    return f"byte {at + 1}{_in(field_at(data[:at].decode(errors='replace')))} is {_some(data[at:])}, {wanted}"


def first_difference(found: bytes, expected: bytes) -> int:
    """The place of the first byte that differs; the end of the shorter one if it begins the other."""
    pairs = enumerate(zip(found, expected, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(found), len(expected)))


def _some(data: bytes) -> str:
    return repr(data[:12].decode(errors="replace"))


def _in(field: str) -> str:
    return f" in field {field}" if field else ""


def field_at(before: str) -> str:
    """The path of the field that begins or goes on where ``before``, the first part of a JSON text, ends."""
    path: list[str | int] = []
    place, key = 0, ""
    while place < len(before):
        sign = before[place]
        if sign == '"':
            end = _string_end(before, place + 1)
            text, place = before[place + 1 : end], end
            if before[end + 1 : end + 2] == ":":
                key = text
                if path and not isinstance(path[-1], int):
                    path[-1] = key
        elif sign == "{":
            path.append("")
        elif sign == "[":
            path.append(0)
        elif sign in "}]" and path:
            path.pop()
        elif sign == "," and path and isinstance(last := path[-1], int):
            path[-1] = last + 1
        place += 1
    return ".".join(str(one) for one in path if one != "")


def _string_end(content: str, place: int) -> int:
    while place < len(content) and content[place] != '"':
        place += 2 if content[place] == "\\" else 1
    return place
