"""The interface for traces: spans of orders and commands. ``runtime`` uses it; ``otel`` implements it.

Every field that can be attached is listed in ``Fields``, so the data that may leave the process is a closed list that mypy checks.
No method blocks, waits or raises. ``OFF`` does nothing; a process without a collector uses it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypedDict, Unpack

from controller.telemetry.w3c import Origin


class Fields(TypedDict, total=False):
    """The fields a span may have. Never an envelope, a signature or a key."""

    client_id: str
    bot: str
    symbol: str
    side: str
    type: str
    quantity: Decimal | None
    price: Decimal | None
    venue: str
    stage: str
    step: int
    rule: str
    guard: str
    outcome: str
    code: int | str
    exposure_eur: Decimal
    cap_eur: Decimal
    command_id: str
    verb: str
    persons: int
    seq: int
    batch: int
    gate: str
    verdict: str
    drill: str
    trade: str


class OrderPhase(StrEnum):
    """The parts of one order (architecture.md §4)."""

    REQUEST = "request"
    ADMISSION = "admission"
    JOURNAL = "journal"
    SEND = "send"
    FILL = "fill"
    OUTCOME = "outcome"


class CommandPhase(StrEnum):
    """The parts of one command (architecture.md §5)."""

    VERIFY = "verify"
    APPLY = "apply"


class HaltPhase(StrEnum):
    """The parts of a halt or of a drill that halts."""

    LATCH = "latch"
    CANCEL = "cancel"


class Traced(StrEnum):
    """What has a trace of its own besides orders and commands."""

    GATE = "gate"
    RECONCILIATION = "reconciliation"
    HALT = "halt"
    DRILL = "drill"


Phase = OrderPhase | CommandPhase | HaltPhase


class Trace(Protocol):
    """The trace of one order, command or other thing. Phases become child spans."""

    @property
    def trace_id(self) -> str:
        """Its id, 32 hexadecimal digits; empty when nothing is traced."""
        ...

    def about(self, **fields: Unpack[Fields]) -> None:
        """Add what became known since it began."""
        ...

    def phase(self, phase: Phase, **fields: Unpack[Fields]) -> AbstractContextManager[None]:
        """Measure a phase as it happens. An exception passes through and marks the span."""
        ...

    def mark(self, phase: Phase, start_ns: int, end_ns: int, **fields: Unpack[Fields]) -> None:
        """Record a phase that was measured elsewhere, such as one commit for a whole batch. Nanoseconds since the epoch."""
        ...

    def finish(self, result: str, /, *, failed: bool = False, **fields: Unpack[Fields]) -> None:
        """End the trace; ``result`` becomes the field ``outcome``. Only the first call has an effect."""
        ...


class Telemetry(Protocol):
    """The receiver of traces."""

    @property
    def enabled(self) -> bool:
        """Whether traces are exported; lets a caller skip costly preparations."""
        ...

    def order(self, origin: Origin | None = None, /, **fields: Unpack[Fields]) -> Trace:
        """Begin to trace an order, as a part of the trace that ``origin`` names if there is one."""
        ...

    def command(self, **fields: Unpack[Fields]) -> Trace:
        """Begin to trace a command."""
        ...

    def begin(self, what: Traced, start_ns: int, **fields: Unpack[Fields]) -> Trace:
        """Begin to trace something that began at ``start_ns``, nanoseconds since the epoch."""
        ...

    async def aclose(self) -> None:
        """Send what is queued, for at most a few seconds."""
        ...


class _NoTrace:
    trace_id = ""
    _nothing: AbstractContextManager[None] = nullcontext()

    def about(self, **fields: Unpack[Fields]) -> None:
        pass

    def phase(self, phase: Phase, **fields: Unpack[Fields]) -> AbstractContextManager[None]:  # noqa: ARG002 - off
        return self._nothing

    def mark(self, phase: Phase, start_ns: int, end_ns: int, **fields: Unpack[Fields]) -> None:
        pass

    def finish(self, result: str, /, *, failed: bool = False, **fields: Unpack[Fields]) -> None:
        pass


NO_TRACE: Trace = _NoTrace()


class _Off:
    enabled = False

    def order(self, origin: Origin | None = None, /, **fields: Unpack[Fields]) -> Trace:  # noqa: ARG002 - off
        return NO_TRACE

    def begin(self, what: Traced, start_ns: int, **fields: Unpack[Fields]) -> Trace:  # noqa: ARG002 - off
        return NO_TRACE

    def command(self, **fields: Unpack[Fields]) -> Trace:  # noqa: ARG002 - off
        return NO_TRACE

    async def aclose(self) -> None:
        pass


OFF: Telemetry = _Off()
"""Telemetry that is switched off."""
