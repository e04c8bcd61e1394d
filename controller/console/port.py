"""The port between the console and the running controller. ``controller.runtime.api`` implements it.

Every method may raise a ``GatehouseError``, which the API turns into its JSON error body. Reads never wait for the writer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from controller.console.inspection import Inspection
from controller.console.schema import (
    BalanceView,
    EntryView,
    FillView,
    GateView,
    OrderView,
    ProposalView,
    ProposeRequest,
    ReceiptView,
    SampleView,
    SeriesView,
    StatusView,
)
from controller.telemetry.health import Probe
from exchange.errors import Refused
from exchange.model import Millis

StreamItem = StatusView | EntryView | SampleView
"""One item of the live stream."""


LOCAL_SOCKET = "local socket"
"""Who asked for a halt there, in the journal."""


class GateRefused(Refused):
    """A gate refused a command. It has the gate's result, so that the refusal can be explained rule by rule."""

    def __init__(self, message: str, *, code: str, remedy: str, gate: GateView) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.gate = gate


class OperatorPort(Protocol):
    """One running controller, as an operator sees it. ``inspector`` reads what only the pages show."""

    @property
    def inspector(self) -> Inspection:
        """The reads of the pages."""
        ...

    def alive(self) -> Probe:
        """Whether the writer (on a standby: the follower) still runs; never waits."""
        ...

    async def status(self) -> StatusView:
        """The deployment now."""
        ...

    async def gates(self) -> Sequence[GateView]:
        """The gates of the edges that lead up from here, evaluated now."""
        ...

    async def orders(self, limit: int) -> Sequence[OrderView]:
        """The latest orders, newest first."""
        ...

    async def fills(self, limit: int) -> Sequence[FillView]:
        """The latest fills, newest first."""
        ...

    async def balances(self) -> Sequence[BalanceView]:
        """Every known balance of every venue."""
        ...

    async def series(self, after: Millis, until: Millis | None = None) -> SeriesView:
        """Samples taken after ``after`` and not after ``until``, oldest first; thinned out when there are very many."""
        ...

    async def journal(self, after: int, limit: int) -> Sequence[EntryView]:
        """At most ``limit`` entries with a sequence number greater than ``after``, in order."""
        ...

    async def propose(self, request: ProposeRequest, *, seal: bool) -> ProposalView:
        """The payload of a command, to be signed. Raises ``Refused`` for a move that does not exist.

        ``seal``: journal the evidence now; otherwise it is journalled when the signed command arrives (ADR 25).
        """
        ...

    async def submit(self, envelope_text: str) -> ReceiptView:
        """Verify and apply a signed command. Raises ``Unauthorised``, ``Refused`` or ``GateRefused``."""
        ...

    async def halt(self, reason: str, by: str = LOCAL_SOCKET) -> ReceiptView:
        """Halt without a signature. ``by`` says who asks: the local socket, or a browser of the same user (ADR 71)."""
        ...

    def subscribe(self) -> AsyncIterator[StreamItem]:
        """Changes from now on. Bounded: for a subscriber that is too slow the iterator ends; it connects again and reads again."""
        ...
