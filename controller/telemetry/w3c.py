"""The header ``traceparent`` of W3C Trace Context (level 1): which trace a bot's request belongs to.

The gateway reads it and says in ``x-gatehouse-trace-id`` which trace the order is in; ``runtime.api.bots`` takes it from
``REQUEST``, which belongs to the task that answers the request. A header that is not well formed counts as absent, as W3C asks.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass, field

TRACE_ID_HEADER = b"x-gatehouse-trace-id"
TRACEPARENT_HEADER = b"traceparent"

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class Origin:
    """The caller's span: its trace, its own id, and whether the caller records the trace. Both ids are hexadecimal."""

    trace_id: str
    span_id: str
    sampled: bool


@dataclass(slots=True)
class RequestTrace:
    """The trace of one request: where it comes from, and the traces that its orders are in."""

    origin: Origin | None = None
    trace_ids: list[str] = field(default_factory=list)


REQUEST: ContextVar[RequestTrace | None] = ContextVar("gatehouse_request_trace", default=None)
"""The request that the present task answers."""


def parse_traceparent(value: bytes) -> Origin | None:
    """The origin that a header names; ``None`` for one that is malformed, of version ``ff``, or has an id of zeros."""
    if len(value) > _LONGEST:
        return None
    match = _TRACEPARENT.fullmatch(value.decode("latin-1").strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Origin(trace_id, span_id, sampled=bool(int(flags, 16) & 1))
