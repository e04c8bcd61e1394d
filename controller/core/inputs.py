"""Inputs: everything that can reach the writer, as values. The runtime creates them, ``controller.core.decide`` decides on them.

An input carries every measurement its decision needs, so ``decide`` needs no clock and no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from controller.authority.command import VerifiedCommand
from controller.core.causes import Cause
from controller.core.effects import AlertKind
from controller.core.lifecycle import Position
from exchange.model import (
    Balance,
    CapitalMove,
    DataSource,
    Fill,
    ForeignOrder,
    ListedOrder,
    Millis,
    OrderIntent,
    OrderReport,
    Quote,
    SymbolRules,
)
from exchange.ports import CancelOutcome, PlaceOutcome, VenueName
from exchange.statement import Refused, Statement
from exchange.stream_life import StreamLife
from exchange.venue_slots import VenueSlots
from gates.computed import Statistic
from gates.series import Decision
from gates.signals import Span
from policies.authority import Verb
from policies.eur import RateSource
from policies.guards import ClockOffset, Measured
from policies.limit_types import Deny
from policies.silence import Heard
from policies.stage import Environment


@dataclass(frozen=True, slots=True)
class Release:
    """The identity of the bot: its name, version, artifact digest, and the digest of all three."""

    name: str
    version: str
    artifact: str
    digest: str


@dataclass(frozen=True, slots=True)
class BotKeyFound:
    """A bot's gateway key as the settings list it, and the digest of the secret found for it."""

    bot: str
    key: str
    secret_digest: str


@dataclass(frozen=True, slots=True)
class Boot:
    """A process took the journal over and read these documents from disk. ``policy`` and ``roster`` are canonical JSON.

    ``witnesses``: the checkpoint targets that can be read back and are not in the deployment's folder. ``unmarked``: no file
    outside the journal could take its highest entry.
    """

    controller_id: str
    environment: Environment
    gatehouse_version: str
    epoch: int
    policy: str
    roster: str
    release: Release
    accounts: Mapping[VenueName, str]
    bots: tuple[BotKeyFound, ...] = ()
    witnesses: tuple[str, ...] = ()
    unmarked: bool = False


@dataclass(frozen=True, slots=True)
class OrderRequested:
    """A bot requests an order.

    ``intent.client_id`` is the bot's own id, or empty. ``quotes`` and ``rules`` are what the feed of ``venue`` shows now. ``key``
    is the gateway key that signed the request. ``conditions``: what the bot asked for that is not sent to the venue, as text.
    ``trace_id``: the trace it is in, for the journal; nothing depends on it.
    """

    bot: str
    intent: OrderIntent
    quotes: Mapping[str, Quote]
    rules: Mapping[str, SymbolRules]
    venue: VenueName
    key: str
    conditions: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class DeniedEarly:
    """An order was denied without a decision, because no order may leave now or the signer would not sign it (ADR 56).

    ``again`` is 0 for the first of its kind; otherwise so many came from ``since`` on, and the rest is of the newest.
    """

    bot: str
    intent: OrderIntent
    denial: Deny
    again: int = 0
    since: Millis = Millis(0)


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A bot requests the cancellation of one of its orders."""

    bot: str
    client_id: str


@dataclass(frozen=True, slots=True)
class PlacementAnswered:
    """The venue's answer to a ``Place``, or how the request failed. Each order is sent once."""

    client_id: str
    outcome: PlaceOutcome


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """The venue's answer to a ``Cancel``. It does not prove that the order has ended; only the venue's report of the order does."""

    client_id: str
    outcome: CancelOutcome


@dataclass(frozen=True, slots=True)
class LookupAnswered:
    """The answer to a ``LookUp``. ``absent_everywhere``: the open orders and the fills do not list the order either.

    ``asked_at``: when the look-up began.
    """

    client_id: str
    report: OrderReport | None
    absent_everywhere: bool
    asked_at: Millis = Millis(0)


@dataclass(frozen=True, slots=True)
class VenueReported:
    """An event from a venue's private stream. ``listed``: it is a trade out of the venue's trade list instead."""

    venue: VenueName
    event: OrderReport | ForeignOrder | Fill
    listed: bool = False


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """A venue account: its balances, and the lists that were read before them."""

    open_orders: tuple[ListedOrder, ...]
    fills: tuple[Fill, ...]
    balances: Mapping[str, Balance]


@dataclass(frozen=True, slots=True)
class MovesRead:
    """The venue's history of deposits and withdrawals, or why it cannot be read, and the quotes that value them.

    ``refused``: it cannot be read later either, as where the key may not.
    """

    moves: tuple[CapitalMove, ...] = ()
    problem: str = ""
    quotes: Mapping[str, Quote] = field(default_factory=dict)
    refused: bool = False


@dataclass(frozen=True, slots=True)
class AccountRead:
    """The result of one reconciliation sweep. ``fills_before``: how many fills were booked when it began, at ``started_at``.

    ``still``: the balances were the same before the lists, so all of it belongs to one moment. Otherwise ``later`` are the trades
    that were listed after the balances. ``answered_at``: when the balances were there.
    ``fees``: the highest fee rate of each symbol whose rules are known. A venue may lock a buy's fee with the buy.
    ``moved``: what came and went, read because the balances are other ones than ours; ``None`` when it was not asked for.
    """

    venue: VenueName
    snapshot: AccountSnapshot
    fills_before: int
    started_at: Millis
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    still: bool = True
    later: tuple[Fill, ...] = ()
    answered_at: Millis | None = None
    moved: MovesRead | None = None


@dataclass(frozen=True, slots=True)
class AccountExamined:
    """The result of checking whether a venue account can trade: how many checks were made, which failed, and what helps each."""

    venue: VenueName
    checks: int
    failed: tuple[str, ...]
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Market:
    """What one venue's feed shows now. A symbol without a valid order book has no quote; ``seen_at`` says when it last had one."""

    source: DataSource
    accelerated: bool
    quotes: Mapping[str, Quote]
    seen_at: Mapping[str, Millis]
    rules: Mapping[str, SymbolRules]


@dataclass(frozen=True, slots=True)
class Asked:
    """The last question for a statement of the testnet and what came of it, checked against ``key``, the policy's.

    ``found`` is ``None`` when no answer came; ``why`` says why.
    """

    key: str
    asked_at: Millis
    answered_at: Millis
    found: Statement | Refused | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed, or a market moved.

    ``clock_offset_ms`` is per venue, and at most ``clock_uncertainty_ms`` from the truth; a venue whose clock was not measured
    lately has none. ``clock_good`` is the last measurement by which the guard could judge, however old. ``bots`` says when
    each bot was last heard. ``accounts`` has the last reading of each account, ``testnet`` the testnet's last statement.
    ``streams`` and ``slots`` are those of the market and of the account of each venue, as far as it has any.
    """

    markets: Mapping[VenueName, Market]
    clock_offset_ms: Mapping[VenueName, int] = field(default_factory=dict)
    bots: Mapping[str, Heard] = field(default_factory=dict)
    clock_uncertainty_ms: Mapping[VenueName, int] = field(default_factory=dict)
    clock_good: Mapping[VenueName, Measured[ClockOffset]] = field(default_factory=dict)
    accounts: Mapping[VenueName, AccountRead] = field(default_factory=dict)
    testnet: Asked | None = None
    streams: Mapping[VenueName, tuple[StreamLife, ...]] = field(default_factory=dict)
    slots: Mapping[VenueName, VenueSlots] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProposalAsked:
    """An operator requests a payload to sign. The evidence that the payload names is sealed into the journal.

    Without ``seal`` nothing is journalled: the reply has the evidence, and ``CommandSubmitted`` brings it once signed (ADR 25).
    ``seen`` is what is measured now: a move up needs to see where it lands, and ``None`` sees nothing.
    """

    verb: Verb
    target: Position
    subject: str = ""
    seal: bool = True
    seen: Tick | None = None


@dataclass(frozen=True, slots=True)
class CommandSubmitted:
    """An operator's command with valid signatures. ``anchored``: the entry it names is in this journal, with the hash it names.

    ``shown``: the evidence that its proposal showed without sealing it, as canonical text; empty when it is sealed or not known.
    ``seen`` is as in ``ProposalAsked``.
    """

    verified: VerifiedCommand
    anchored: bool
    shown: str = ""
    seen: Tick | None = None


@dataclass(frozen=True, slots=True)
class SubmissionInvalid:
    """An envelope that did not verify, and the reason."""

    envelope: str
    code: str
    message: str
    remedy: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class HaltAsked:
    """An operator at the local socket, or the shell itself, requests a halt. ``cause`` says which of the two, and why."""

    by: str
    reason: str
    cause: Cause = Cause.HALT


@dataclass(frozen=True, slots=True)
class HaltCompleted:
    """The shell finished the effects of a halt. Durations are in microseconds, -1 where a step was not reached."""

    cause: str
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    verified_empty: bool


@dataclass(frozen=True, slots=True)
class DrillMeasured:
    """The shell finished the effects of a halt drill. Durations are in microseconds, -1 where a step was not reached."""

    command_id: str
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    verified_empty: bool


@dataclass(frozen=True, slots=True)
class HaltPractised:
    """A thread has stopped orders and begun to cancel them, for a drill. ``suspended_us``: how long until no permit counted."""

    command_id: str
    suspended_us: int


@dataclass(frozen=True, slots=True)
class FaultReported:
    """The shell has practised a fault and ended it.

    ``problem`` says why the drill is not proven; empty when it is. Without ``exercised`` the fault could not be practised at all.
    """

    command_id: str
    measured: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""
    exercised: bool = True


@dataclass(frozen=True, slots=True)
class AlertNoticed:
    """The shell found something that a person must acknowledge, such as a venue's lockout or a witness that refuses.

    ``announce``: nobody was notified yet.
    """

    kind: AlertKind
    title: str
    detail: str
    announce: bool = False


@dataclass(frozen=True, slots=True)
class AlertEnded:
    """The shell found that the condition behind an alert is over. ``proof`` says what shows it."""

    kind: AlertKind
    title: str
    proof: str


@dataclass(frozen=True, slots=True)
class AlertDelivered:
    """A channel took an alert over."""

    kind: AlertKind
    title: str
    channel: str


@dataclass(frozen=True, slots=True)
class WatchdogLogRead:
    """The watchdog's log up to entry ``seq``, verified from where the journal holds it.

    ``fired``: an entry among the new ones says that the dead man's switch fired. ``broken`` says why the log is not the one that
    was absorbed before, and is empty when it goes on from there.
    """

    seq: int
    hash: str
    entries: int
    fired: bool = False
    reason: str = ""
    broken: str = ""


@dataclass(frozen=True, slots=True)
class RateRead:
    """A source of the EUR rate was read: the quote asset for one euro is between ``low`` and ``high``, as of ``at``."""

    source: RateSource
    low: Decimal
    high: Decimal
    at: Millis


@dataclass(frozen=True, slots=True)
class OrderTestsAnswered:
    """What the real venue's ``order/test`` said since the last of these; as in ``OrdersTested``."""

    accepted: int
    refused: Mapping[str, int] = field(default_factory=dict)
    unjudged: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShadowEnded:
    """The simulation of a real order has ended, and the order too. Fields as in ``ShadowCompared``; the books have the rest."""

    client_id: str
    mid: Decimal
    filled: bool
    price: Decimal | None
    ack_ms: int | None
    fill_ms: int | None
    real_ack_ms: int | None
    real_fill_ms: int | None


@dataclass(frozen=True, slots=True)
class StatisticsComputed:
    """The statistics of a run were computed from the state at entry ``as_of_seq``. Fields as in ``RunMeasured``."""

    run_started_at: Millis
    as_of_seq: int
    as_of: Millis
    covered_ms: int
    series_digest: str
    figures: tuple[Statistic, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class SignalsReplayed:
    """The recorded market was replayed to the bot, from the state at entry ``as_of_seq``. Fields as in the event of that name."""

    run_started_at: Millis
    as_of_seq: int
    as_of: Millis
    release: str
    policy: str
    recording: str = ""
    spans: tuple[Span, ...] = ()
    decisions: tuple[Decision, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The process is about to end. What is held back is journalled, so that a planned stop loses no measurement."""


Input = (
    Boot
    | OrderRequested
    | DeniedEarly
    | CancelAsked
    | PlacementAnswered
    | CancelAnswered
    | LookupAnswered
    | VenueReported
    | AccountRead
    | AccountExamined
    | Tick
    | ProposalAsked
    | CommandSubmitted
    | SubmissionInvalid
    | HaltAsked
    | HaltCompleted
    | DrillMeasured
    | HaltPractised
    | FaultReported
    | AlertNoticed
    | AlertEnded
    | AlertDelivered
    | WatchdogLogRead
    | RateRead
    | StatisticsComputed
    | SignalsReplayed
    | Stopping
    | OrderTestsAnswered
    | ShadowEnded
)
