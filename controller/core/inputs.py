"""What can reach the single writer. Values only: everything measured comes in here, so ``decide`` needs no clock and no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.authority.command import VerifiedCommand
from controller.core.causes import Cause
from controller.core.effects import AlertKind
from controller.core.lifecycle import Position
from exchange.model import Balance, DataSource, Fill, Millis, OrderIntent, OrderReport, Quote, SymbolRules
from exchange.ports import PlaceOutcome, VenueName
from policies.authority import Verb
from policies.stage import Environment


@dataclass(frozen=True, slots=True)
class Release:
    """The bot's identity."""

    name: str
    version: str
    artifact: str
    digest: str


@dataclass(frozen=True, slots=True)
class BotKeyFound:
    """A bot's gateway key as the settings have it, and the digest of the secret that was found for it."""

    bot: str
    key: str
    secret_digest: str


@dataclass(frozen=True, slots=True)
class Boot:
    """A process took the journal over, with these documents on disk. Both documents are canonical JSON."""

    controller_id: str
    environment: Environment
    gatehouse_version: str
    epoch: int
    policy: str
    roster: str
    release: Release
    accounts: Mapping[VenueName, str]
    bots: tuple[BotKeyFound, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderRequested:
    """A bot wants an order. ``intent.client_id`` is the bot's own id, or empty; market data is what ``venue``'s feed shows now.

    ``key`` is the gateway key that signed the request.
    """

    bot: str
    intent: OrderIntent
    quotes: Mapping[str, Quote]
    rules: Mapping[str, SymbolRules]
    venue: VenueName
    key: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A bot wants one of its orders cancelled."""

    bot: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Placed:
    """The one send of an order ended this way."""

    client_id: str
    outcome: PlaceOutcome


@dataclass(frozen=True, slots=True)
class Looked:
    """The answer to a ``LookUp``. ``absent_everywhere``: neither the open orders nor the fills know the order either."""

    client_id: str
    report: OrderReport | None
    absent_everywhere: bool


@dataclass(frozen=True, slots=True)
class VenueReported:
    """A private event from a venue."""

    venue: VenueName
    event: OrderReport | Fill


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """A venue account read twice with the same balances, so that it belongs to one moment."""

    open_orders: tuple[OrderReport, ...]
    fills: tuple[Fill, ...]
    balances: Mapping[str, Balance]


@dataclass(frozen=True, slots=True)
class Swept:
    """One reconciliation sweep. ``fills_before`` and ``started_at`` say what we knew when it began."""

    venue: VenueName
    snapshot: AccountSnapshot
    fills_before: int
    started_at: Millis


@dataclass(frozen=True, slots=True)
class AccountExamined:
    """A venue account was asked whether it is fit to trade: how many questions, and which it did not pass."""

    venue: VenueName
    checks: int
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Market:
    """What one venue's feed shows now. A symbol without a trustworthy book has no quote; ``seen_at`` says when it last had one."""

    source: DataSource
    accelerated: bool
    quotes: Mapping[str, Quote]
    seen_at: Mapping[str, Millis]
    rules: Mapping[str, SymbolRules]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed, or a market moved. ``clock_offset_ms`` is per venue; ``bot_seen_at`` the last request of any bot."""

    markets: Mapping[VenueName, Market]
    clock_offset_ms: Mapping[VenueName, int] = field(default_factory=dict)
    bot_seen_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class ProposalAsked:
    """An operator wants a payload to sign; the evidence it will name is sealed into the journal."""

    verb: Verb
    target: Position
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A command whose signatures are good. ``anchored``: the entry it names is in this journal with that hash."""

    verified: VerifiedCommand
    anchored: bool


@dataclass(frozen=True, slots=True)
class SubmissionInvalid:
    """An envelope that did not get as far as a verified command."""

    envelope: str
    code: str
    message: str
    remedy: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class HaltAsked:
    """Somebody at the local socket, or the shell itself, wants everything stopped. ``cause`` says which of the two, and why."""

    by: str
    reason: str
    cause: Cause = Cause.HALT


@dataclass(frozen=True, slots=True)
class Latched:
    """A halt ran its course; durations in microseconds, -1 where not reached."""

    cause: str
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    verified_empty: bool


@dataclass(frozen=True, slots=True)
class DrillMeasured:
    """The venue of a drill was emptied; durations in microseconds, -1 where not reached."""

    command_id: str
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    verified_empty: bool


@dataclass(frozen=True, slots=True)
class Noticed:
    """The shell saw something that a human must answer for: a venue's lockout, a witness that refuses."""

    kind: AlertKind
    title: str
    detail: str


Input = (
    Boot
    | OrderRequested
    | CancelAsked
    | Placed
    | Looked
    | VenueReported
    | Swept
    | AccountExamined
    | Tick
    | ProposalAsked
    | Submitted
    | SubmissionInvalid
    | HaltAsked
    | Latched
    | DrillMeasured
    | Noticed
)
