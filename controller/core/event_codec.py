"""Encodes events to canonical bytes for the journal, and decodes them. The writer encodes; every reader of a journal decodes.

The bytes are those of ``policies.canonical`` (RFC 8785). Every order waits for an encoding, so orjson encodes where it gives the
same bytes. It is used only for the types in ``_ORJSON_TYPES``, because it would also write floats, and because it sorts names
outside ASCII in another order. Everything else, and what orjson refuses (an integer beyond 2**53-1, text that is not valid
Unicode), is encoded by ``policies.canonical``, which may raise.

The first entry of a journal names its vocabulary (``controller.core.events.VOCABULARY``). ``decode`` refuses another one, so a
fold and a verification stop at the first entry with a clear error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from controller.core.events import VOCABULARY, DeploymentCreated, Event, OrderAdmitted, OrderDenied, Reconciled, Sampled
from exchange.errors import IntegrityError
from policies import canonical

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_ORJSON_TYPES = frozenset({str, int, bool, type(None), Decimal})
_NO_DEFAULT = object()


def _defaults(kind: type[Event]) -> dict[str, Any]:
    return {name: field.default for name, field in kind.model_fields.items() if not field.is_required()}


BRIEF: dict[type[Event], dict[str, Any]] = {
    **{kind: _defaults(kind) for kind in (Sampled, Reconciled)},
    **{kind: {"trace_id": ""} for kind in (OrderAdmitted, OrderDenied)},
}
"""The fields that are left out where they have this value: all of the kinds that a journal holds most of, and an absent trace."""


def encode(event: Event) -> bytes:
    """Return the canonical body of an event. Raises ``IntegrityError`` as ``policies.canonical.encode``."""
    values = event.__dict__
    brief = BRIEF.get(type(event))
    if brief is not None:
        values = {name: value for name, value in values.items() if value != brief.get(name, _NO_DEFAULT)}
    if _orjson_is_canonical(values.values()):
        try:
            # A copy, because orjson's own bytes occupy 4 KB and more of memory, and the newest 2,000 entries are kept.
            return bytes(memoryview(orjson.dumps(values, _plain, _OPTIONS)))
        except orjson.JSONEncodeError:
            pass
    return canonical.encode(event.model_dump(mode="json", include=set(values)))


def _orjson_is_canonical(values: Iterable[Any]) -> bool:
    """Whether orjson writes these values in canonical form."""
    for value in values:
        kind = type(value)
        if kind in _ORJSON_TYPES or isinstance(value, StrEnum):
            continue
        if kind is dict:
            if not (all(type(name) is str and name.isascii() for name in value) and _orjson_is_canonical(value.values())):
                return False
        elif kind not in {tuple, list} or not _orjson_is_canonical(value):
            return False
    return True


def _plain(value: Decimal) -> str:
    return f"{value:f}"


def _adapters() -> dict[str, TypeAdapter[Event]]:
    return {cls.kind: TypeAdapter(cls) for cls in Event.__subclasses__()}


_ADAPTERS = _adapters()
KINDS = tuple(sorted(_ADAPTERS))
"""Every kind of entry that this version reads."""


def decode(kind: str, body: bytes) -> Event:
    """Return the event of a journal entry.

    Raises:
        IntegrityError: the kind is not known to this version, the body does not fit the kind, or it is a first entry that names
        another
            vocabulary.
    """
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        raise IntegrityError(
            f"the journal holds an event of kind {kind!r}, which this version of gatehouse does not know",
            code="unknown-event",
            remedy="Run the version of gatehouse that wrote this journal, or a later one.",
        )
    if kind == DeploymentCreated.kind:
        _check_vocabulary(body)
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise IntegrityError(
            f"a {kind} entry cannot be decoded: field {'.'.join(map(str, error.errors()[0]['loc'])) or 'body'} is wrong",
            code="malformed-event",
            remedy="Run `gatehouse journal verify`; restore the journal from a backup if it was edited.",
        ) from None


def _check_vocabulary(body: bytes) -> None:
    try:
        first = json.loads(body)
    except ValueError:
        return  # The adapter reports a body that is not JSON.
    # Vocabulary 1 did not write its number.
    written = first.get("vocabulary", 1) if isinstance(first, dict) else VOCABULARY
    if written != VOCABULARY:
        raise IntegrityError(
            f"this journal was written in vocabulary {written}; this version reads {VOCABULARY}",
            code="other-vocabulary",
            remedy="Read it with the version of gatehouse that wrote it, or start a new deployment with an empty `data` directory.",
        )
