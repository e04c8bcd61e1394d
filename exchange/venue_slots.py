"""What a venue client and a market feed count, in slots of time: calls and their limits, and whether books can be trusted.

The adapters fill the slots (``exchange.mexc.call_meter``, ``exchange.mexc.book_meter``), a run's evidence adds them up
(``gates.integrity``): execution-safety.md §4.3, rows A3 and B5. A slot belongs to a run or to a drill by its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, runtime_checkable

from exchange.model import Millis

SLOT_MS = 10_000
"""The length of a slot. One that nobody looked at may be longer."""

KEPT = 90
"""How many slots are kept, 15 minutes. What needs them reads them every few minutes."""


@dataclass(frozen=True, slots=True)
class CallSlot:
    """The calls of a venue client from ``begin`` to ``end``. ``number`` counts up from 1 in this process.

    ``limited`` and ``banned`` are answers 429, and 418 or 403. ``use`` is the largest part of each of the venue's limits
    that the calls of any 10 s used.
    """

    number: int
    begin: Millis
    end: Millis
    requests: int = 0
    limited: int = 0
    banned: int = 0
    use: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BookSlot:
    """One symbol's book from ``begin`` to ``end``.

    ``live_ms`` is the time in step, ``crossed_ms`` the part of it in which the best bid was not below the best ask; ``crossings``
    began here. ``resyncs`` began here, because a change was missing, and ``resync_ms`` is the longest that lasted or ended here.
    ``compared`` counts comparisons with REST, ``apart_bps`` is the largest distance, ``diverged`` how often it lasted too long.
    """

    number: int
    begin: Millis
    end: Millis
    symbol: str
    live_ms: int = 0
    crossings: int = 0
    crossed_ms: int = 0
    resyncs: int = 0
    resync_ms: int = 0
    compared: int = 0
    apart_bps: Decimal = Decimal(0)
    diverged: int = 0


@dataclass(frozen=True, slots=True)
class VenueSlots:
    """The closed slots of one venue, oldest first: of its calls, and of the books of its symbols."""

    calls: tuple[CallSlot, ...] = ()
    books: tuple[BookSlot, ...] = ()


@runtime_checkable
class MeteredCalls(Protocol):
    """A venue client that counts its calls."""

    @property
    def call_slots(self) -> tuple[CallSlot, ...]:
        """The closed slots."""
        ...


@runtime_checkable
class MeteredBooks(Protocol):
    """A market feed that measures its books."""

    @property
    def book_slots(self) -> tuple[BookSlot, ...]:
        """The closed slots of every symbol."""
        ...
