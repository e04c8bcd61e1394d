"""Events to canonical bytes and back: what the journal stores. The bytes are those of ``policies.canonical``.

The writer encodes, and every reader of a journal decodes. Each order waits for the encoding, so orjson writes wherever it writes
the same: RFC 8785, names sorted, no spaces, the few escapes JSON demands, UTF-8. It is asked only for the types named here,
because it would also write floats, and it sorts names beyond ASCII in another order. What it is not asked for or refuses (an
integer beyond 2**53-1, text that has no UTF-8) takes the general way, which writes it or raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from controller.core.events import Event
from exchange.errors import IntegrityError
from policies import canonical

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_WRITTEN_ALIKE = frozenset({str, int, bool, type(None), Decimal})


def encode(event: Event) -> bytes:
    """The canonical body of an event. Raises ``IntegrityError`` as ``policies.canonical.encode``."""
    values = event.__dict__
    if _alike(values.values()):
        try:
            return orjson.dumps(values, _plain, _OPTIONS)
        except orjson.JSONEncodeError:
            pass
    return canonical.encode(event.model_dump(mode="json"))


def _alike(values: Iterable[Any]) -> bool:
    """Whether orjson writes nothing but the canonical form of these."""
    for value in values:
        kind = type(value)
        if kind in _WRITTEN_ALIKE or isinstance(value, StrEnum):
            continue
        if kind is dict:
            if not (all(type(name) is str and name.isascii() for name in value) and _alike(value.values())):
                return False
        elif kind not in {tuple, list} or not _alike(value):
            return False
    return True


def _plain(value: Decimal) -> str:
    return f"{value:f}"


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
