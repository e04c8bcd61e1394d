"""The canonical bytes of an event, as ``policies.canonical`` writes them, from orjson wherever orjson writes the same.

Every order waits for them. They are RFC 8785's: names sorted, no spaces, the few escapes JSON demands, UTF-8. orjson is asked only
for the types named here, because it would also write floats, and it sorts names beyond ASCII in another order. What it is not
asked for or refuses (an integer beyond 2**53-1, text that has no UTF-8) takes the general way, which writes it or raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson

from controller.event import Event
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
