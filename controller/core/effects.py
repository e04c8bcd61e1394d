"""Effects: what the shell must do once a decision is durable. Decisions return them, ``controller.runtime.venues.perform`` acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from exchange.model import Millis, OrderIntent
from exchange.ports import VenueName


@dataclass(frozen=True, slots=True)
class Place:
    """Send one order, once. Only ever returned beside its ``OrderAdmitted``."""

    venue: VenueName
    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class PlaceExit:
    """Send one sale of ours, once, under a permit for this order alone. Only ever returned beside its ``OrderAdmitted``.

    ``controller.core.decisions.flatten`` alone returns it; no bot's order leads to one.
    """

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
    """Cancel every order of a venue's symbols, and repeat until the venue shows none twice in a row."""

    venue: VenueName
    symbols: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask the venue for the status of an order whose outcome is not known. No trade of it is older than ``since``."""

    venue: VenueName
    symbol: str
    client_id: str
    since: Millis = field(default=Millis(0), compare=False)


@dataclass(frozen=True, slots=True)
class ReadAccount:
    """Read the account of a venue now, because what it shows now may be gone at the next reading."""

    venue: VenueName


@dataclass(frozen=True, slots=True)
class Latch:
    """Revoke the permit to place orders at once. Carried out before every other effect, even before the journal is written."""

    reason: str


class AlertKind(StrEnum):
    """What an alert is about. ``controller.core.alert_catalogue`` says what each means."""

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
    NOT_EMPTY = "not-empty"
    TAKEOVER = "takeover"
    FLATTEN = "flatten"
    WATCHDOG = "watchdog"
    SIGNER = "signer"
    SYMBOL = "symbol"
    TESTNET = "testnet"
    PROPOSAL = "proposal"
    RATE = "rate"
    PAUSED = "paused"
    RELEASE = "release"
    ATTESTATION = "attestation"
    BACKGROUND = "background"
    STEP_DOWN = "step-down"
    UNKNOWN_OVERDUE = "unknown-overdue"
    CLOCK = "clock"
    STREAMS = "streams"
    COVERAGE = "coverage"
    VALIDATION = "validation"
    DRILL_FAILED = "drill-failed"
    WATCHDOG_LOST = "watchdog-lost"
    KEY_EXPIRY = "key-expiry"
    CERTIFICATE = "certificate"
    BACKUP = "backup"
    CRASH = "crash"
    LEASE = "lease"
    CHANNEL = "channel"
    COMMAND = "command"
    CAPITAL = "capital"


@dataclass(frozen=True, slots=True)
class Alert:
    """Notify people. An alert never carries a secret and never blocks anything.

    ``step``: how often it was escalated, because nobody acknowledged it; 0 for one that is raised.
    """

    kind: AlertKind
    title: str
    detail: str
    step: int = 0


Effect = Place | PlaceExit | Cancel | CancelAll | LookUp | ReadAccount | Latch | Alert
