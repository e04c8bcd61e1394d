"""The events of the journal: what happened, as frozen values. Decisions make them, ``controller.core.fold`` applies them.

``controller.core.event_codec`` writes and reads them; in the journal they consist of strings, integers and booleans, and an
amount is a decimal string. The kinds and fields here are one vocabulary. Once released, a kind never changes its meaning, and a
new field needs a default. All kinds are in this one file, so the limit on the length of a file does not apply to it.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import zip_longest
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from controller.core.causes import Cause
from exchange.model import DataSource, OrderStatus, OrderType, Side
from exchange.ports import VenueName
from policies.authority import Verb
from policies.drills import DrillKind
from policies.eur import RateSource
from policies.numbers import Amount
from policies.rules import MetricName
from policies.stage import Environment, Stage

VOCABULARY = 2
"""The number of this vocabulary. The first entry of a journal names it, and a journal in another vocabulary is refused.

1: journals without this number. 2: ``alert_kind``, ``alert_id``, ``requested_by``, ``traded_at``, ``uncovered_reason``, and the
number itself.
"""


class Event(BaseModel):
    """Base of every journal event. ``kind`` is the class name in kebab-case."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("-")


# Deployment and governance


class DeploymentCreated(Event):
    """The first entry of every journal. ``vocabulary``: the vocabulary that all entries of the journal are written in."""

    vocabulary: int
    controller_id: str
    environment: Environment
    gatehouse_version: str


class PolicyAdopted(Event):
    """The policy in force from here on, as canonical JSON; ``command_id`` is empty when it was read from a file."""

    document: str
    digest: str
    command_id: str = ""


class PolicyApproved(Event):
    """A signed policy that a running controller cannot take over: the next start adopts the file that holds it."""

    document: str
    digest: str
    command_id: str


class DocumentProposed(Event):
    """A file was found changed at a start, and it is not in force. ``document`` is ``policy`` or ``release``."""

    document: str
    digest: str
    changes: tuple[str, ...]


class ProposalWithdrawn(Event):
    """The file holds again what is in force, or what it held when it was last adopted."""

    document: str


class RosterAdopted(Event):
    """The roster in force from here on, as canonical JSON; ``command_id`` is empty for the first one, read from a file."""

    document: str
    digest: str
    command_id: str = ""


class ReleaseAdopted(Event):
    """The bot's identity from here on; evidence is valid only for it.

    ``command_id`` is empty when it was read from the settings.
    """

    name: str
    version: str
    artifact: str
    digest: str
    command_id: str = ""


class AccountBound(Event):
    """The account used on a venue: a digest of the venue's address and the public API key."""

    venue: VenueName
    fingerprint: str


class ControllerStarted(Event):
    """A process took the journal over.

    It is not armed. Its mock executor is new, so the mock orders of the last process are gone. ``high_water``: it keeps the highest
    entry outside the journal too, so a file of that which is missing later was removed. ``unmarked``: but no such file could be
    written at this start. ``witnesses``: the checkpoint targets outside the deployment's folder.
    """

    epoch: int
    gatehouse_version: str
    high_water: bool = False
    unmarked: bool = False
    witnesses: tuple[str, ...] = ()


class Armed(Event):
    """The journal is verified, the state is folded and the venues are reconciled, so permits may be issued."""


class Disarmed(Event):
    """No permit is issued until the controller is armed again."""

    reason: str


class CommandAccepted(Event):
    """An operator's command was applied. ``evidence`` and ``result`` are canonical JSON, empty when no gate guards the edge."""

    command_id: str
    verb: Verb
    payload_digest: str
    persons: tuple[str, ...]
    envelope: str
    evidence: str
    evidence_digest: str
    result: str


class CommandRefused(Event):
    """An operator's command was refused, and why. It changed nothing."""

    command_id: str
    verb: str
    code: str
    message: str
    remedy: str
    exit_code: int
    persons: tuple[str, ...]
    envelope: str
    result: str


class CommandPending(Event):
    """A command waits until ``applies_at``, and any key can veto it until then. Then it is judged again."""

    command_id: str
    verb: Verb
    payload_digest: str
    persons: tuple[str, ...]
    envelope: str
    target_stage: Stage
    target_step: int
    reason: str
    applies_at: int


class CommandVoided(Event):
    """A waiting command was withdrawn. ``cause`` says by what."""

    command_id: str
    cause: Cause
    reason: str


class EvidenceSealed(Event):
    """An evidence bundle was shown to an operator. One command may name it until it expires.

    ``look``: it is one of the verdicts of ``validation`` that the policy declares (``performance.looks``).
    """

    gate: str
    evidence: str
    digest: str
    verdict: str
    expires_at: int
    look: bool = False


class StageChanged(Event):
    """The deployment moved. ``cause`` is an operator's verb or an automatic cause (``controller.core.causes``).

    ``lost_ms`` is the covered time of the run that ended with it, or with what caused it, where it does not lead up: it no longer
    counts.
    """

    from_stage: Stage
    from_step: int
    stage: Stage
    step: int
    cause: Cause
    reason: str
    command_id: str
    lost_ms: int = 0


# Guards


class BreachDetected(Event):
    """An always-on guard was breached, or could not be measured, and the controller halts or demotes the deployment."""

    guard: str
    level: str
    measured: str
    threshold: str
    message: str
    venue: VenueName


class GuardLevelChanged(Event):
    """The most severe guard level changed; ``level`` is empty when no guard is breached.

    HALT and FLATTEN are recorded here only while HALTED, where they refuse a resume. ``reducing`` names the guards whose loss
    leaves only sells until it is small enough again, ``unseen`` those that do not see what they judge by.
    """

    level: str
    reason: str
    guard: str = ""
    reducing: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


class HaltMeasured(Event):
    """How long a halt took, in microseconds on the monotonic clock; -1 where a step was not reached."""

    cause: str
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    verified_empty: bool


# Orders


class OrderAdmitted(Event):
    """An order passed every limit. The event is durable before the order is sent to the venue.

    ``conditions``: what the bot asked for that is not sent to the venue (``timeInForce``, ``stpMode``); ``None`` if not recorded.
    ``trace_id``: the trace that it is in (ADR 65); left out where there is none.
    """

    client_id: str
    bot: str
    bot_client_id: str
    venue: VenueName
    stage: Stage
    step: int
    symbol: str
    side: Side
    type: OrderType
    quantity: Amount | None
    quote_quantity: Amount | None
    price: Amount | None
    exposure_eur: Amount
    cap_eur: Amount
    bid: Amount
    ask: Amount
    conditions: str | None = None
    trace_id: str = ""


class OrderDenied(Event):
    """An order was denied and not sent, and the rule that denied it. ``trace_id`` as in ``OrderAdmitted``."""

    bot: str
    bot_client_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Amount | None
    quote_quantity: Amount | None
    price: Amount | None
    rule: str
    measured: str
    threshold: str
    message: str
    trace_id: str = ""


class OrdersDeniedAgain(Event):
    """Orders were denied like the last one that was journalled: the same bot, rule, symbol and limit, for the same fact (ADR 56).

    ``count`` of them came from ``since`` on; ``measured``, ``message`` and ``bot_client_id`` are those of the newest.
    """

    bot: str
    rule: str
    symbol: str
    threshold: str
    measured: str
    message: str
    bot_client_id: str
    since: int
    count: int


class OrderAcked(Event):
    """The venue accepted the order. ``price`` and ``quantity`` are what it made of a MARKET order, absent for others."""

    client_id: str
    order_id: str
    price: Amount | None = None
    quantity: Amount | None = None


class OrderRejected(Event):
    """The venue rejected the order, or it is proven that the order does not exist there (code -2013)."""

    client_id: str
    code: int
    message: str


class OrderUnknown(Event):
    """The outcome of a placement is not known. The exposure of the order stays reserved."""

    client_id: str
    reason: str


class LookupMissed(Event):
    """The venue does not list an order whose outcome is not known. ``asked_at``: when the look-up began, 0 if not recorded.

    Enough of these are one of the proofs that the order was never placed (``controller.core.decisions.absence``).
    """

    client_id: str
    asked_at: int = 0


class OrderReported(Event):
    """The venue reported the status of an order. ``price`` and ``quantity`` are as in ``OrderAcked``."""

    client_id: str
    order_id: str
    status: OrderStatus
    executed: Amount
    executed_quote: Amount
    price: Amount | None = None
    quantity: Amount | None = None


class FillBooked(Event):
    """One trade, booked once. ``traded_at`` is the venue's time of the trade.

    ``listed``: the id is that of the venue's trade lists, not of its private stream, which may number trades differently.
    """

    venue: VenueName
    trade_id: str
    order_id: str
    client_id: str
    symbol: str
    side: Side
    price: Amount
    quantity: Amount
    quote: Amount
    fee: Amount
    fee_asset: str
    maker: bool
    traded_at: int
    listed: bool = False


class FillRepeated(Event):
    """The venue told a booked trade again, in its other place. ``booked_as`` is the id it was booked with. It is not booked again.

    With the same id, it shows that both places number trades alike.
    """

    venue: VenueName
    trade_id: str
    order_id: str
    client_id: str
    booked_as: str
    listed: bool


class CancelRequested(Event):
    """The cancellation of an order was requested by a bot, or by gatehouse itself."""

    client_id: str
    requested_by: str


class CancelAccepted(Event):
    """The venue accepted the cancellation of an order. The order may still fill until the venue reports that it has ended."""

    client_id: str


class CancelRejected(Event):
    """The venue did not accept the cancellation of an order. ``code`` is MEXC's: -2011 means that it is unknown or has ended."""

    client_id: str
    code: int
    message: str


# Flatten


class FlattenStarted(Event):
    """gatehouse begins to sell what it bought of ``symbols`` on ``venue``. No bot's order is admitted until it ends.

    ``command_id`` and the command's ``subject`` are empty when a guard started it; ``guard`` is empty when a command did.
    """

    command_id: str = ""
    subject: str = ""
    guard: str = ""
    venue: VenueName
    symbols: tuple[str, ...]
    reason: str


class FlattenSliced(Event):
    """The order admitted beside it is the next sale of a flatten. ``widening`` counts the steps of ``flatten.widen_bps``."""

    client_id: str
    symbol: str
    widening: int


class FlattenWaits(Event):
    """A flatten sends no order for now. ``rule`` names what it waits for, ``reason`` says it in words."""

    rule: str
    reason: str


class FlattenEnded(Event):
    """A flatten is over: what it sold, what is left of what gatehouse bought, by symbol, and why.

    ``complete``: nothing that can be sold is left. ``command_id`` and ``subject`` are those of ``FlattenStarted``.
    """

    command_id: str = ""
    subject: str = ""
    venue: VenueName
    complete: bool
    sold: dict[str, Amount]
    left: dict[str, Amount]
    why: str


# Reconciliation and measurement


class BalancesBaselined(Event):
    """The balances of a venue account at its first reading, free plus locked. The ledger adds every later fill to them."""

    venue: VenueName
    totals: dict[str, Amount]
    known_trades: tuple[str, ...]
    cursor: int


class Rebaselined(Event):
    """A signed command made a venue's reading the baseline: ``books`` is what the ledger said before, ``reading`` what it says now.

    ``shift_eur`` is the difference in EUR at the quotes of that moment; every equity is compared as if it had been there always.
    ``known_trades`` and ``cursor`` are as in ``BalancesBaselined``. ``forgets_ids``: the venue is a simulated one and may have
    begun its ids anew, so an id means no order of before. ``lost_orders`` are the unsettled ones that it forgot; they are over.
    """

    command_id: str
    venue: VenueName
    books: dict[str, Amount]
    reading: dict[str, Amount]
    read_at: int
    shift_eur: Amount
    known_trades: tuple[str, ...]
    cursor: int
    forgets_ids: bool
    lost_orders: tuple[str, ...] = ()


class MoveBooked(BaseModel):
    """One deposit or withdrawal out of the venue's history. The amount of a withdrawal is negative."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    asset: str
    amount: Amount
    at: int


class CapitalMoved(Event):
    """Deposits and withdrawals explain a difference exactly. They are booked once, and are neither gain nor loss.

    ``shift_eur`` is as in ``Rebaselined``. ``taken`` is what is gone of what gatehouse had bought.
    """

    venue: VenueName
    moves: tuple[MoveBooked, ...]
    shift_eur: Amount
    taken: dict[str, Amount]


class Reconciled(Event):
    """The venue's account was compared with ours.

    A difference found once is ``suspected``, because a venue's lists are not read at one instant. Found twice in a row it is a
    break. ``gaps`` are what the venue may have more than we have, one for each moment that the balances may be of. ``pending``
    is what may be an order of ours that is being answered: the next reading has to know it.
    break. ``count``: how many comparisons in a row had this outcome; the newest was made at ``taken_at``, absent if with the entry.
    """

    venue: VenueName
    clean: bool
    breaks: tuple[str, ...]
    suspected: tuple[str, ...]
    open_orders: int
    gaps: tuple[dict[str, Amount], ...] = ()
    pending: tuple[str, ...] = ()
    count: int = 1
    taken_at: int | None = None


class AccountChecked(Event):
    """The live account was checked: how many checks were made, which failed, and for each of these what was found and helps."""

    venue: VenueName
    checks: int
    failed: tuple[str, ...]
    remedies: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Each failed check as a person reads it."""
        return tuple(f"{name}: {more}" if more else name for name, more in zip_longest(self.failed, self.remedies, fillvalue=""))


class Sampled(Event):
    """One measurement of a running stage: equity and worst-case exposure in EUR, and whether the interval counts as covered.

    ``uncovered_reason`` is empty when it does. The true clock offset is at most ``clock_uncertainty_ms`` from ``clock_offset_ms``.

    ``count`` measurements in a row may be one entry (ADR 42). Its figures are those of the newest, made at ``taken_at``, absent if
    with the entry; ``interval_ms`` is the sum; the lowest and highest figures are there where ``count`` is more than 1.

    ``attested``: the testnet's own signature vouches for it; absent at other venues. ``statement_at`` is when the statement that
    does so was asked for. ``unprotected`` says why nothing could stop the loss of a position now; empty where something can.
    """

    venue: VenueName
    source: DataSource
    accelerated: bool
    equity_eur: Amount | None
    exposure_eur: Amount | None
    bid: Amount | None
    ask: Amount | None
    interval_ms: int
    covered: bool
    uncovered_reason: str
    clock_offset_ms: int | None
    clock_uncertainty_ms: int = 0
    count: int = 1
    taken_at: int | None = None
    equity_low_eur: Amount | None = None
    equity_high_eur: Amount | None = None
    exposure_high_eur: Amount | None = None
    attested: bool | None = None
    statement_at: int | None = None
    unprotected: str = ""


class Figure(BaseModel):
    """One statistic of a run. ``value`` is absent where it cannot be computed, and ``detail`` says what is missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: MetricName
    value: Amount | None
    samples: int
    detail: str = ""


class RunMeasured(Event):
    """The statistics of the run that began at ``run_started_at``, computed from what the journal says up to entry ``as_of_seq``.

    ``as_of`` is that entry's time, ``covered_ms`` the covered time until then, and ``series_digest`` names the series. A replay
    of the journal up to that entry computes the same figures. ``error`` says why there are none, and is empty otherwise.
    """

    run_started_at: int
    as_of_seq: int
    as_of: int
    covered_ms: int
    series_digest: str
    figures: tuple[Figure, ...]
    error: str = ""


class SignalsReplayed(Event):
    """The recorded market was replayed to the bot of ``release``, under ``policy``, for the run that began at ``run_started_at``.

    ``as_of`` is the time of entry ``as_of_seq``, up to which it was. ``recording`` is the digest of what the bot read, ``spans``
    are the times in which everything was recorded, ``decisions`` what it decided, each ``TIME SYMBOL SIDE``. ``error`` says why
    there is nothing to compare, and is empty otherwise.
    """

    run_started_at: int
    as_of_seq: int
    as_of: int
    release: str
    policy: str
    recording: str
    spans: tuple[tuple[int, int], ...]
    decisions: tuple[str, ...]
    error: str = ""


class SymbolClosed(Event):
    """A symbol with open orders, or with a holding, can no longer be traded at its venue. ``why`` continues "because …"."""

    venue: VenueName
    symbol: str
    why: str
    orders: int
    held: Amount


class SymbolReopened(Event):
    """A closed symbol needs no attention any more, and why."""

    venue: VenueName
    symbol: str
    why: str


# The EUR rate


class EurRateRead(Event):
    """A source of the EUR rate said something new: one euro costs between ``low`` and ``high``, as of ``as_of``."""

    source: RateSource
    low: Amount
    high: Amount
    as_of: int


class EurRateSet(Event):
    """A signed command moved the centre of the band of rates. Stage, evidence and policy stay. ``before``: the centre until now."""

    quote_per_eur: Amount
    before: Amount
    command_id: str


# Bot keys, alerts and drills


class AdoptedKey(BaseModel):
    """One bot's gateway key as read from the settings, with a digest of its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bot: str
    key: str
    secret_digest: str


class BotKeysAdopted(Event):
    """The gateway keys that the settings listed at the first start. Every later key is issued by a signed command."""

    keys: tuple[AdoptedKey, ...]


class BotKeyIssued(Event):
    """A bot may use the gateway with this key and the secret with this digest. It replaces any earlier secret of the key."""

    bot: str
    key: str
    secret_digest: str
    command_id: str


class BotKeyRevoked(Event):
    """A gateway key was revoked for ever."""

    bot: str
    key: str
    command_id: str


class AlertRaised(Event):
    """An alert that has no other journal entry. ``alert_kind`` is an ``AlertKind``."""

    alert_kind: str
    title: str
    detail: str


class AlertAcknowledged(Event):
    """A person acknowledged an alert. Nothing else changes."""

    alert_id: str
    persons: tuple[str, ...]
    command_id: str


class AlertCleared(Event):
    """The condition behind an alert is over. ``proof`` says what showed it. The alert stays until it is acknowledged."""

    alert_kind: str
    title: str
    proof: str


class AlertEscalated(Event):
    """Nobody acknowledged a critical alert by its deadline. ``step`` counts its deadlines from 1."""

    alert_id: str
    step: int


class AlertHandedOver(Event):
    """A channel took an alert over. ``channel`` is its name in the settings."""

    alert_id: str
    channel: str


class ArchiveApproved(Event):
    """Persons let the entries up to ``upto``, whose hash is ``hash``, be moved to an archive while the controller is stopped."""

    upto: int
    hash: str
    persons: tuple[str, ...]
    command_id: str


class JournalArchived(Event):
    """The entries up to ``last``, whose hash is ``hash``, were copied to an archive, and may be removed from the journal (ADR 46).

    ``base`` is the document of ``controller.journal.base``. ``archive`` names the file, ``by`` the user and the host.
    """

    last: int
    hash: str
    archive: str
    by: str
    base: str


class DrillStarted(Event):
    """A drill started. It must be proven before ``deadline``, or the deployment halts.

    A drill of a halt lets no order be placed from here on, and every order of the venue is cancelled.
    """

    command_id: str
    venue: VenueName
    stage: Stage
    deadline: int
    drill: DrillKind = DrillKind.HALT


class DrillLatched(Event):
    """A thread practised a halt without the writer, and this is the writer's record of it: no order is placed from here on.

    ``suspended_us``: how long it took from the request until no permit counted, in microseconds.
    """

    command_id: str
    suspended_us: int


class DrillFinished(Event):
    """A drill passed.

    Durations are in microseconds on the monotonic clock, -1 in a drill that cancels nothing; ``denied`` counts the orders denied
    meanwhile. ``measured`` are the figures of its kind.
    """

    command_id: str
    venue: VenueName
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    denied: int
    verified_empty: bool
    drill: DrillKind = DrillKind.HALT
    measured: dict[str, int] = Field(default_factory=dict)


class DrillFailed(Event):
    """A drill ended without a result, because its fault could not be practised. It proves nothing, and nothing halts."""

    command_id: str
    venue: VenueName
    drill: DrillKind
    reason: str


class WatchdogLogAbsorbed(Event):
    """The watchdog's log up to its entry ``seq``, whose hash ties it to this journal. ``fired``: the dead man's switch fired since.

    ``broken``: it does not go on from the entry that the journal held before.
    """

    seq: int
    hash: str
    entries: int
    fired: bool
    reason: str
    broken: str


# Before and after the move to real money


class OrdersTested(Event):
    """The real venue was asked with ``order/test`` about orders that the testnet accepted; the answers of a few minutes.

    ``refused`` counts, in words, what it would not have taken; ``unjudged`` what says nothing about the order.
    """

    accepted: int
    refused: dict[str, int] = Field(default_factory=dict)
    unjudged: dict[str, int] = Field(default_factory=dict)


class ShadowCompared(Event):
    """A real order and its simulation have ended. Prices are means of all trades, absent without one; ``mid`` is the decision's.

    Times are in milliseconds from the decision to the acknowledgement and to the first trade, absent where there was none.
    """

    client_id: str
    mid: Amount
    filled: bool
    simulated_filled: bool
    price: Amount | None = None
    simulated_price: Amount | None = None
    ack_ms: int | None = None
    simulated_ack_ms: int | None = None
    fill_ms: int | None = None
    simulated_fill_ms: int | None = None


class ValidationRevoked(Event):
    """What was validated does not hold any more, and why. The deployment steps down to TESTNET_VALIDATING and validates again."""

    reason: str


# Streams


class StreamTotals(BaseModel):
    """One stream of a venue in the present run, as ``gates.streams.StreamRun`` describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    upto: int
    rotations: int = 0
    renewals: int = 0
    gaps: int = 0
    down_ms: int = 0
    longest_gap_ms: int = 0
    longest_gap_why: str = ""
    rotation_gap_ms: int | None = None
    down_since: int | None = None
    down_why: str = ""


class CallTotals(BaseModel):
    """The calls to a venue in the present run, as ``gates.integrity.CallRun`` describes them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upto: int
    slots: int
    requests: int
    limited: int = 0
    banned: int = 0
    use: dict[str, Amount] = Field(default_factory=dict)


class BookTotals(BaseModel):
    """The book of one symbol in the present run, as ``gates.integrity.BookRun`` describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str
    upto: int
    slots: int
    live_ms: int
    crossings: int = 0
    crossed_ms: int = 0
    resyncs: int = 0
    resync_ms: int = 0
    compared: int = 0
    apart_bps: Amount = Decimal(0)
    diverged: int = 0


class IntegrityObserved(Event):
    """What was measured of the books and calls of the venue in use since the run began: soon after something happened."""

    venue: VenueName
    calls: CallTotals
    books: tuple[BookTotals, ...]


class StreamsObserved(Event):
    """What happened to the streams of the venue in use since the run began. It is written when something did, minutes apart."""

    venue: VenueName
    streams: tuple[StreamTotals, ...]
