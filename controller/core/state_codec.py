"""Encodes frozen dataclasses to JSON and back, from their type annotations.

Snapshots use it; a new field of the state needs no code.

``pack`` writes values as frames, so that a snapshot of a hundred megabytes is written piece by piece. A frame is a tag of one
byte, a length, a line feed, and that many bytes. ``V`` begins a value. ``J`` is JSON of one of its fields, or of a part of a long
tuple. Before a ``J`` come the compact maps that it refers to by number: each is an ``S`` with its size and any number of ``P``
with its content.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache, partial
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from immutables import Map
from pydantic import BaseModel, ValidationError

from controller.authority.roster import Roster, parse_roster_json
from controller.core.compact_map import CompactMap
from exchange.errors import GatehouseError, IntegrityError, UsageError
from policies.document import canonical_bytes, parse_journalled
from policies.schema import Policy

_PIECE = 100
"""How many items of a tuple are written in one frame."""


class Form(NamedTuple):
    """How one type is written and read. A written value consists of lists, strings, integers, booleans, nulls and compact maps."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    shape: str


def write(kind: Any, value: object) -> Any:
    """Return ``value`` of type ``kind`` as JSON values. Raises ``UsageError`` for a type that cannot be encoded."""
    return form_of(kind).write(value)


def read(kind: Any, value: Any) -> Any:
    """Return the value that was written. Raises ``IntegrityError`` (``frozen-malformed``) for JSON that is not of ``kind``."""
    try:
        return form_of(kind).read(value)
    except (TypeError, ValueError, KeyError, AttributeError, InvalidOperation, ValidationError, GatehouseError) as error:
        raise _malformed(kind, error) from error


def pack(*values: Any) -> Iterator[bytes]:
    """Return frozen dataclasses as frames."""
    for value in values:
        yield _frame(b"V", b"")
        hints = get_type_hints(type(value))
        for item in fields(value):
            part = getattr(value, item.name)
            long = isinstance(part, tuple) and get_args(hints[item.name])[-1:] == (Ellipsis,)
            for first in range(0, len(part) or 1, _PIECE) if long else (0,):
                yield from _frames(item.name, write(hints[item.name], part[first : first + _PIECE] if long else part))


def _frames(name: str, value: Any) -> Iterator[bytes]:
    maps: list[CompactMap] = []

    def refer(item: object) -> dict[str, int]:
        if not isinstance(item, CompactMap):
            raise TypeError(f"{item!r} is not part of a written value")
        maps.append(item)
        return {"map": len(maps) - 1}

    line = json.dumps([name, value], ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=refer).encode()
    for one in maps:
        yield _frame(b"S", b"%d" % len(one))
        yield from (_frame(b"P", part) for part in one.parts())
    yield _frame(b"J", line)


def _frame(tag: bytes, content: bytes) -> bytes:
    return tag + b"%d\n" % len(content) + content


def unpack(kinds: Sequence[Any], data: memoryview) -> list[Any]:
    """Return the values that were packed. Raises ``IntegrityError`` (``frozen-malformed``) for other bytes."""
    found = list[dict[str, Any]]()
    try:
        for name, written in _lines(data):
            if not name:
                hints = get_type_hints(kinds[len(found)])
                found.append({})
                continue
            part = read(hints[name], written)
            found[-1][name] = found[-1][name] + part if name in found[-1] else part
        return [kind(**values) for kind, values in zip(kinds, found, strict=True)]
    except (TypeError, ValueError, KeyError, IndexError, RecursionError) as error:
        raise _malformed(kinds, error) from error


def _lines(data: memoryview) -> Iterator[tuple[str, Any]]:
    at, maps = 0, list[tuple[int, list[bytes]]]()
    while at < len(data):
        head = bytes(data[at : at + 24])
        stop = head.index(b"\n")
        tag, begin = head[:1], at + stop + 1
        at = begin + int(head[1:stop])
        content = bytes(data[begin:at])
        if tag == b"V":
            yield "", None
        elif tag == b"S":
            maps.append((int(content), []))
        elif tag == b"P":
            maps[-1][1].append(content)
        else:
            found = [CompactMap.of_parts(size, parts) for size, parts in maps]
            name, written = json.loads(content, object_hook=partial(_referred, found))
            yield name, written
            maps.clear()


def _referred(maps: Sequence[CompactMap], reference: dict[str, int]) -> CompactMap:
    return maps[reference["map"]]


@cache
def form_of(kind: Any) -> Form:
    """Return the form of a type. Its ``shape`` changes whenever the written form may change."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if hasattr(kind, "__supertype__"):
        return form_of(kind.__supertype__)
    if (origin := get_origin(kind)) is not None:
        return _composed(origin, get_args(kind))
    return _of_class(kind)


def _plain(kind: type) -> Form:
    def read_plain(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is not of {kind}")
        return value

    return Form(lambda one: one, read_plain, kind.__name__)


_SIMPLE: dict[Any, Form] = {
    **{kind: _plain(kind) for kind in (str, int, bool, type(None), CompactMap)},
    Decimal: Form(str, Decimal, "decimal"),
    Policy: Form(lambda one: canonical_bytes(one).decode(), lambda one: parse_journalled(one.encode()), "policy"),
    Roster: Form(lambda one: one.canonical_bytes.decode(), lambda one: parse_roster_json(one.encode()), "roster"),
}


def _of_class(kind: Any) -> Form:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Form(lambda one: one.value, kind, f"{kind.__name__}{[one.value for one in kind]}")
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return Form(lambda one: one.model_dump_json(), kind.model_validate_json, f"{kind.__name__}{sorted(kind.model_fields)}")
    if is_dataclass(kind):
        return _of_dataclass(kind)
    raise UsageError(f"{kind} cannot be encoded", code="no-frozen-form", remedy="Use frozen dataclasses, tuples and Maps of them.")


def _composed(origin: Any, arguments: tuple[Any, ...]) -> Form:
    if origin in {Union, types.UnionType} and len(arguments) == 2 and type(None) in arguments:
        inner = form_of(next(one for one in arguments if one is not type(None)))
        return Form(
            lambda one: None if one is None else inner.write(one),
            lambda one: None if one is None else inner.read(one),
            f"{inner.shape}?",
        )
    if origin is tuple and arguments[-1] is Ellipsis:
        inner = form_of(arguments[0])
        return Form(lambda many: [inner.write(one) for one in many], lambda many: tuple(map(inner.read, many)), f"[{inner.shape}]")
    if origin is tuple:
        return _row(tuple, list(map(form_of, arguments)), lambda many: many, "tuple")
    if origin is Map:
        key, item = map(form_of, arguments)
        return Form(
            lambda one: sorted(
                ([key.write(name), item.write(value)] for name, value in one.items()), key=lambda pair: str(pair[0])
            ),
            lambda many: Map((key.read(name), item.read(value)) for name, value in many),
            f"{{{key.shape}:{item.shape}}}",
        )
    if is_dataclass(origin):
        return _of_dataclass(origin, dict(zip(getattr(origin, "__parameters__", ()), arguments, strict=True)))
    raise UsageError(f"{origin}{arguments} cannot be encoded", code="no-frozen-form", remedy="Use tuples, Maps and optionals.")


def _of_dataclass(kind: Any, arguments: Mapping[Any, Any] | None = None) -> Form:
    hints = get_type_hints(kind)
    names = [item.name for item in fields(kind)]
    for name in names if arguments else ():
        open_ = getattr(hints[name], "__parameters__", ())
        hints[name] = hints[name][tuple((arguments or {})[one] for one in open_)] if open_ else hints[name]
    shape = f"{kind.__name__}{names}"
    return _row(lambda values: kind(*values), [form_of(hints[name]) for name in names], _getter(names), shape)


def _getter(names: list[str]) -> Callable[[Any], Any]:
    return lambda one: [getattr(one, name) for name in names]


def _row(make: Callable[[Any], Any], forms: list[Form], parts: Callable[[Any], Any], shape: str) -> Form:
    writers, readers = [one.write for one in forms], [one.read for one in forms]

    def read_row(values: Any) -> Any:
        return make([reader(value) for reader, value in zip(readers, values, strict=True)])

    return Form(
        lambda one: [writer(part) for writer, part in zip(writers, parts(one), strict=True)],
        read_row,
        f"{shape}({','.join(one.shape for one in forms)})",
    )


def _malformed(kind: Any, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"these are not the values of {kind}: {error}",
        code="frozen-malformed",
        remedy="Delete the snapshot; the journal holds the same information.",
    )
