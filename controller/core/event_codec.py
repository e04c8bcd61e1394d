"""The canonical bytes of an event, an order of magnitude sooner than by way of a dictionary of its JSON values.

Every order waits for them. They are RFC 8785's: names sorted, no spaces, the few escapes JSON demands, UTF-8. What is not text, a
number, a flag, an amount, or a list or object of these takes the general way through ``policies.canonical``.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from functools import cache
from json.encoder import encode_basestring as quoted
from typing import Any

from pydantic import TypeAdapter, ValidationError

from controller.core.events import Event
from exchange.errors import IntegrityError
from policies import canonical


def encode(event: Event) -> bytes:
    """The canonical body of an event. Raises ``IntegrityError`` as ``policies.canonical.encode``."""
    values = event.__dict__
    try:
        return ("{" + ",".join([start + _text(values[name]) for start, name in _layout(type(event))]) + "}").encode()
    except (_Uncommon, UnicodeEncodeError, KeyError):
        return canonical.encode(event.model_dump(mode="json"))


class _Uncommon(Exception):
    """A value that the short way does not write."""


@cache
def _layout(kind: type[Event]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{quoted(name)}:", name) for name in sorted(kind.model_fields))


def _text(value: Any) -> str:
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, StrEnum):
        return quoted(value.value)
    raise _Uncommon


def _integer(value: int) -> str:
    if abs(value) > canonical.MAX_SAFE_INTEGER:
        raise _Uncommon
    return str(value)


def _list(values: tuple[Any, ...] | list[Any]) -> str:
    return f"[{','.join(map(_text, values))}]"


def _object(values: dict[Any, Any]) -> str:
    if not all(type(name) is str and name.isascii() for name in values):
        raise _Uncommon
    return "{" + ",".join([f"{quoted(name)}:{_text(values[name])}" for name in sorted(values)]) + "}"


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: quoted,
    int: _integer,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    Decimal: lambda value: f'"{value:f}"',
    tuple: _list,
    list: _list,
    dict: _object,
}


def _adapters() -> dict[str, TypeAdapter[Event]]:
    return {cls.kind: TypeAdapter(cls) for cls in Event.__subclasses__()}


_ADAPTERS = _adapters()


def decode(kind: str, body: bytes) -> Event:
    """The event behind a journal entry.

    Raises:
        IntegrityError: the kind is not known to this version, or the body is not what the kind says.
    """
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        raise IntegrityError(
            f"the journal holds an event of kind {kind!r}, which this version does not know",
            code="unknown-event",
            remedy="Run the version of gatehouse that wrote this journal, or a later one.",
        )
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise IntegrityError(
            f"a {kind} entry does not parse: {error.errors()[0]['loc']}",
            code="malformed-event",
            remedy="Run `gatehouse journal verify`; restore the journal from a backup if it was edited.",
        ) from None
