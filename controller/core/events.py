"""What happened, as the journal remembers it: frozen, versioned, and nothing but strings, integers and booleans once written.

State is a fold over these (``controller.core.fold``). A kind, once released, never changes its meaning; a field is only ever added
with a default. Amounts are Decimal here and plain decimal strings in the journal. ``controller.core.event_codec`` writes and reads
them. One vocabulary, one file: the limit on a file's length does not hold for it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, PlainSerializer

from controller.core.causes import Cause
from exchange.model import DataSource, OrderStatus, OrderType, Side
from exchange.ports import VenueName
from policies.authority import Verb
from policies.stage import Environment, Stage

Amount = Annotated[Decimal, PlainSerializer(lambda value: format(value, "f"), when_used="json")]
"""A Decimal that is written without an exponent."""


class Event(BaseModel):
    """Base of every journal event. ``kind`` is the class name in kebab-case."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("-")


# Deployment and governance


class DeploymentCreated(Event):
    """The first entry of every journal."""

    controller_id: str
    environment: Environment
    gatehouse_version: str


class PolicyAdopted(Event):
    """The policy in force from here on, as canonical JSON; ``command_id`` is empty when it was read from a file."""

    document: str
    digest: str
    command_id: str = ""


class RosterAdopted(Event):
    """The roster in force from here on, as canonical JSON; ``command_id`` is empty for the first one, read from a file."""

    document: str
    digest: str
    command_id: str = ""


class ReleaseAdopted(Event):
    """The bot's identity from here on; validation binds to it. ``command_id`` is empty when it was read from the settings."""

    name: str
    version: str
    artifact: str
    digest: str
    command_id: str = ""


class AccountBound(Event):
    """The account behind a venue: a digest of the venue's address and the public API key."""

    venue: VenueName
    fingerprint: str


class ControllerStarted(Event):
    """A process took the journal over. It is not armed, and its mock executor is new: the orders of the last one ended with it."""

    epoch: int
    gatehouse_version: str


class Armed(Event):
    """The journal is verified, the state folded and the venues reconciled: permits may be issued."""


class Disarmed(Event):
    """Permits stop until the cause is gone."""

    reason: str


class CommandAccepted(Event):
    """An operator's command, applied. ``evidence`` and ``result`` are canonical JSON, empty where no gate guards the edge."""

    command_id: str
    verb: Verb
    payload_digest: str
    persons: tuple[str, ...]
    envelope: str
    evidence: str
    evidence_digest: str
    result: str


class CommandRefused(Event):
    """An operator's command that changed nothing, and why."""

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
    """A command that one person signed and that any key can veto until ``applies_at``; then everything is judged again."""

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
    """A waiting command that will not be applied. ``cause`` is what ended it."""

    command_id: str
    cause: Cause
    reason: str


class EvidenceSealed(Event):
    """An evidence bundle as it was shown to an operator; one command may name it until it expires."""

    gate: str
    evidence: str
    digest: str
    verdict: str
    expires_at: int


class StageChanged(Event):
    """The deployment moved. ``cause`` is a verb, or what moved it by itself (``controller.core.causes``)."""

    from_stage: Stage
    from_step: int
    stage: Stage
    step: int
    cause: Cause
    reason: str
    command_id: str


# Guards


class BreachDetected(Event):
    """An always-on rule was broken, or could not be measured, and something was done about it: a halt, or a rung taken away."""

    guard: str
    level: str
    measured: str
    threshold: str
    message: str
    venue: VenueName


class GuardLevelChanged(Event):
    """The severest breach that is in force; empty when none is. HALT stands only while HALTED, where it refuses a resume."""

    level: str
    reason: str
    guard: str = ""


class HaltMeasured(Event):
    """How long a halt took, in microseconds on the monotonic clock; -1 where it was not reached."""

    cause: str
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    verified_empty: bool


# Orders


class OrderAdmitted(Event):
    """An order passed every limit. It is durable before any byte leaves for the venue."""

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


class OrderDenied(Event):
    """An order that no venue will see, and the rule that stopped it."""

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


class OrderAcked(Event):
    """The venue accepted the order."""

    client_id: str
    order_id: str


class OrderRejected(Event):
    """The venue refused the order, or proved that it never existed (code -2013)."""

    client_id: str
    code: int
    message: str


class OrderUnknown(Event):
    """The outcome of a placement is not known. Its exposure stays reserved."""

    client_id: str
    reason: str


class LookupMissed(Event):
    """The venue said it does not know an order whose outcome is open; one of the proofs it takes to release it."""

    client_id: str


class OrderReported(Event):
    """The venue's word on an order."""

    client_id: str
    order_id: str
    status: OrderStatus
    executed: Amount
    executed_quote: Amount


class FillBooked(Event):
    """One trade, booked once, by (venue, trade id)."""

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
    venue_at: int


class CancelRequested(Event):
    """Somebody asked for an order's cancellation: a bot, or gatehouse itself."""

    client_id: str
    by: str


# Reconciliation and measurement


class BalancesBaselined(Event):
    """A venue account as first seen; the ledger adds every fill to it. Amounts are totals, free and locked."""

    venue: VenueName
    totals: dict[str, Amount]
    known_trades: tuple[str, ...]
    cursor: int


class Reconciled(Event):
    """The venue's own account compared with ours.

    A difference seen once is ``suspected``, because a venue's lists are not read in one instant; seen twice it is a break.
    """

    venue: VenueName
    clean: bool
    breaks: tuple[str, ...]
    suspected: tuple[str, ...]
    open_orders: int


class AccountChecked(Event):
    """The live account was examined: how many questions were asked, and which it did not pass."""

    venue: VenueName
    checks: int
    failed: tuple[str, ...]


class Sampled(Event):
    """One measurement of a running stage: equity and worst-case exposure in EUR, and whether the interval counts as covered."""

    venue: VenueName
    source: DataSource
    accelerated: bool
    equity_eur: Amount | None
    exposure_eur: Amount | None
    bid: Amount | None
    ask: Amount | None
    interval_ms: int
    covered: bool
    uncovered_because: str
    clock_offset_ms: int | None


# Bot keys, alerts and drills


class AdoptedKey(BaseModel):
    """One bot's gateway key as it was read from the settings; of its secret the journal holds a digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bot: str
    key: str
    secret_digest: str


class BotKeysAdopted(Event):
    """The gateway keys found in the settings by a journal that had never heard of any; from here on keys need a signature."""

    keys: tuple[AdoptedKey, ...]


class BotKeyIssued(Event):
    """A bot may use the gateway with this key and the secret of this digest, in place of any secret the key had before."""

    bot: str
    key: str
    secret_digest: str
    command_id: str


class BotKeyRevoked(Event):
    """A gateway key is dead for ever."""

    bot: str
    key: str
    command_id: str


class AlertRaised(Event):
    """Something a human must answer for that no other entry says. ``about`` is an ``AlertKind``."""

    about: str
    title: str
    detail: str


class AlertAcknowledged(Event):
    """A human has seen an alert and answers for it. Nothing else changes."""

    alert: str
    persons: tuple[str, ...]
    command_id: str


class DrillStarted(Event):
    """A halt is practised: no permit, every order of the venue cancelled, until it is verified empty or ``deadline`` is over."""

    command_id: str
    venue: VenueName
    stage: Stage
    deadline: int


class DrillFinished(Event):
    """The venue is verified empty: how long that took, in microseconds on the monotonic clock, and how many orders were denied."""

    command_id: str
    venue: VenueName
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    denied: int
    verified_empty: bool
