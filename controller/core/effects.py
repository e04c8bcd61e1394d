"""What the shell must do after a decision is durable. Values only; ``controller.runtime.venues.perform`` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exchange.model import OrderIntent
from exchange.ports import VenueName


@dataclass(frozen=True, slots=True)
class Place:
    """Send one order, once. Only ever returned beside its ``OrderAdmitted``."""

    venue: VenueName
    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the venue to cancel one order."""

    venue: VenueName
    symbol: str
    client_id: str


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Cancel everything on a venue's symbols and keep at it until the venue shows none twice."""

    venue: VenueName
    symbols: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask the venue what became of an order whose outcome is open."""

    venue: VenueName
    symbol: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Latch:
    """Revoke every permit at once. Carried out before anything else, even before the journal is written."""

    reason: str


class AlertKind(StrEnum):
    """What is worth telling somebody."""

    BREACH = "breach"
    HALTED = "halted"
    UNKNOWN_ORDER = "unknown-order"
    RECONCILIATION = "reconciliation"
    STAGE = "stage"
    VENUE_LOCKOUT = "venue-lockout"
    CHECKPOINT = "checkpoint"
    BOT_KEY = "bot-key"
    DRILL = "drill"
    DISK = "disk"
    TAKEOVER = "takeover"


INFORMS = frozenset({AlertKind.UNKNOWN_ORDER, AlertKind.STAGE, AlertKind.DRILL})
"""The kinds nobody has to answer for: what they tell of was asked for, or resolves itself. All others stay until acknowledged."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell people. Never carries a secret, never blocks anything."""

    kind: AlertKind
    title: str
    detail: str


Effect = Place | Cancel | CancelAll | LookUp | Latch | Alert
