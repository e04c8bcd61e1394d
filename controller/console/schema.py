"""Every document of the operator API, one frozen model each. The console answers with them; the command line reads them.

Amounts are ``Decimal`` here and plain decimal strings in JSON; instants are integer milliseconds since the epoch, UTC.
``None`` means "not known", never zero, and an empty string means "there is none". Requests refuse unknown fields;
views ignore them, so an older command line can read a newer controller.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, computed_field, model_validator

from controller.authority.command import MAX_SUBJECT, Digest, Reason
from controller.console.alerts import AcknowledgedView, AlertView
from controller.console.backup_view import BackupView
from controller.console.bot_keys import BotKeyView
from controller.console.bot_view import BotView
from controller.console.closed_symbols import ClosedSymbolView
from controller.console.drills import DrillNeeded, DrillView
from controller.console.flatten import FlattenView, WayOutView
from controller.console.role import Role, StandbyView
from controller.console.run_view import CoverageView, needed, quantity
from controller.console.signer_view import SignerBudgetView
from controller.console.unreached_view import UnreachedView
from controller.console.view import View
from controller.console.watchdog_view import WatchdogView
from controller.console.wording import instant
from controller.core.causes import HaltClass
from exchange.model import DataSource, OrderStatus, OrderType, Side
from exchange.ports import VenueName
from policies.authority import Verb
from policies.numbers import Amount
from policies.stage import Environment, Mode, Stage


def _typed_stage(value: object) -> object:
    return Stage.LIVE_EUR10 if value == "LIVE_EUR10" else value


TypedStage = Annotated[Stage, BeforeValidator(_typed_stage)]
"""A stage as a person types it: ``LIVE_EUR10`` means ``LIVE_€10``."""


class Request(BaseModel):
    """Base of every request."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class QuoteView(View):
    """The best prices of the stage's venue. ``age_ms`` is the time since we received them."""

    symbol: str
    bid: Amount
    ask: Amount
    age_ms: int


class TestnetView(View):
    """Whether the testnet's own signature vouches for its data and for our books now, and when it was last asked for one that does.

    ``key`` is the fingerprint of the key that the policy names, and ``instance`` and ``run`` are what the testnet calls itself.
    """

    __test__: ClassVar[bool] = False

    attested: bool
    age_ms: int | None
    why: str
    key: str
    instance: str
    run: int | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """What a person reads about it."""
        if not self.attested:
            return f"unattested: {self.why}"
        late = f"; the last answer does not: {self.why}" if self.why else ""
        return f"attested {(self.age_ms or 0) // 1000} s ago by {self.key}{late}"


class CountersView(View):
    """What happened since the journal began."""

    orders: int
    fills: int
    denied: int
    rejected: int
    unknown: int = 0
    cancels: int = 0
    commands: int = 0
    refusals: int = 0
    breaches: int = 0


class PolicyView(View):
    """The policy in force."""

    name: str
    digest: str


class RosterView(View):
    """The roster in force."""

    digest: str
    persons: tuple[str, ...]
    version: int = 0


class ReleaseView(View):
    """The bot's identity."""

    name: str
    version: str
    digest: str


class HaltView(View):
    """How long the last halt took, in microseconds; -1 for what was not reached."""

    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    verified_empty: bool


class LandingView(View):
    """One thing that must be seen of the venue where a move up ends: its market, our account there, or its clock."""

    sight: str
    line: str
    ok: bool
    age_ms: int | None = None


class NextEdgeView(View):
    """A move that can be proposed now. ``gate`` is empty where no gate guards the edge; ``step`` is 0 except for RAMPING.

    A command is refused while one of ``landing`` is not ``ok``. ``leaves`` says what the bot has here and not there.
    """

    verb: Verb
    target: Stage
    step: int
    gate: str
    persons_needed: int
    landing: tuple[LandingView, ...] = ()
    leaves: tuple[str, ...] = ()

    @property
    def blind(self) -> str:
        """Why a command would be refused now although its gate passes; empty when the target is seen."""
        return "; ".join(fact.line for fact in self.landing if not fact.ok)


class HoldingsView(View):
    """The account in use, by asset: what the bot may use, and what is its owner's. An asset with nothing of it is left out."""

    bot: dict[str, Amount]
    owner: dict[str, Amount]


class PendingView(View):
    """A command in its cooling-off time. Any key can veto it until ``applies_at_ms``."""

    command_id: str
    verb: Verb
    target: str
    persons: tuple[str, ...]
    reason: str
    since_ms: int
    applies_at_ms: int
    payload_digest: str
    word_code: str = ""


class DocumentView(View):
    """A policy or release file that was found changed at a start and is not in force, and what it would change."""

    document: str
    digest: str
    changes: tuple[str, ...]
    since_ms: int


class CheckpointView(View):
    """One checkpoint target: how many entries it knows, when it last agreed, and its problem; empty while it agrees."""

    target: str
    size: int
    at_ms: int | None
    problem: str


class OversightView(View):
    """The status's ``oversight``: alerts, gateway keys, drills and closed symbols.

    ``alerts_lost`` counts older outstanding alerts, not listed. ``drills`` has the last drill of each kind, ``drills_needed`` what
    the gate asks for and has not run.
    """

    alerts: tuple[AlertView, ...] = ()
    alerts_lost: int = 0
    acknowledged: AcknowledgedView | None = None
    bot_keys: tuple[BotKeyView, ...] = ()
    drill: DrillView | None = None
    last_drill: DrillView | None = None
    drills: tuple[DrillView, ...] = ()
    drills_needed: tuple[DrillNeeded, ...] = ()
    closed_symbols: tuple[ClosedSymbolView, ...] = ()


class StatusView(View):
    """The deployment's status.

    ``validation_void`` says why only a reset ends the halt, ``pending_demotion`` which breach ends LIVE_€10. ``ways_out`` is empty
    unless HALTED; ``flatten`` is the running or the last one. ``armed`` is never true at HALTED: ``reconciled`` says there whether
    journal and account agree, as ``armed`` does elsewhere. ``not_armed_because`` is empty when armed; ``halted_from`` and
    ``halt_reason`` are empty unless HALTED; ``guard_level`` and ``guard_reason`` are empty when no guard is broken. ``venue`` is
    absent when new orders go nowhere, ``source`` when there is no market data. ``ramp_steps`` is how many steps the policy has.
    ``standby`` is present when this is not the leader, ``watchdog`` when the settings have one. ``decided_ms_ago`` is the age of
    the writer's last decided tick; above two seconds ``armed`` is false. ``eur_rate`` says which rate counts now, in words. A
    standby hears no ``bots``.
    """

    controller_id: str
    environment: Environment
    gatehouse_version: str
    epoch: int
    armed: bool
    not_armed_because: str
    reconciled: bool = False
    stage: Stage
    step: int
    ramp_steps: int = 0
    position: str
    stage_since_ms: int
    halted_from: str
    halt_reason: str
    halt_class: HaltClass | None = None
    validation_void: str = ""
    pending_demotion: str = ""
    seq: int
    head: str
    venue: VenueName | None
    source: DataSource | None
    simulated: bool
    symbols: tuple[str, ...]
    cap_eur: Amount
    exposure_eur: Amount | None
    equity_eur: Amount | None
    day_pnl_eur: Amount | None
    net_pnl_eur: Amount | None
    holdings: HoldingsView | None = None
    guard_level: str
    guard_reason: str
    quote: QuoteView | None
    decided_ms_ago: int | None = None
    working_orders: int
    unknown_orders: int
    unproven: tuple[str, ...] = ()
    coverage: CoverageView | None
    bots: tuple[BotView, ...] = ()
    unreached: tuple[UnreachedView, ...] = ()
    testnet: TestnetView | None = None
    counters: CountersView
    policy: PolicyView
    roster: RosterView
    release: ReleaseView
    account_fingerprint: str
    halt: HaltView | None
    next_edges: tuple[NextEdgeView, ...]
    now_ms: int
    pending: PendingView | None = None
    oversight: OversightView = OversightView()
    checkpoints: tuple[CheckpointView, ...] = ()
    proposals: tuple[DocumentView, ...] = ()
    mode: Mode = Mode.TEAM
    eur_rate: str = ""
    ways_out: tuple[WayOutView, ...] = ()
    flatten: FlattenView | None = None
    role: Role = Role.LEADER
    standby: StandbyView | None = None
    watchdog: WatchdogView | None = None
    signer_budget: SignerBudgetView | None = None
    backup: BackupView | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def standing(self) -> tuple[str, ...]:
        """What is pending or missing, one sentence each: a waiting command, a demotion, a void validation, the signer's budget."""
        sentences = []
        if (command := self.pending) is not None:
            sentences.append(
                f"{command.verb} to {command.target}, signed by {', '.join(command.persons)}, is applied at "
                f"{instant(command.applies_at_ms)} UTC unless someone vetoes command {command.command_id}: {command.reason}"
            )
        if self.pending_demotion:
            sentences.append(
                f"{self.position} ends: only sells are allowed, and VALIDATED follows once nothing is held: {self.pending_demotion}"
            )
        if self.validation_void:
            sentences.append(f"The validation is void, so only a reset is possible: {self.validation_void}")
        if self.signer_budget is not None and self.signer_budget.low:
            sentences.append(f"{self.signer_budget.sentence}. {self.signer_budget.remedy}")
        return tuple(sentences)


class RuleView(View):
    """One rule of a gate. ``measured`` is empty when there is nothing to measure.

    ``chance`` is what can become of it in this run: ``passes``, ``coming``, ``open`` or ``lost``; ``outlook`` says what it needs.
    ``missing`` and ``per_hour``, in ``unit`` or in observations, and ``by_ms`` are there where they are known. A journalled
    result has none of these.
    """

    id: str
    metric: str
    measured: str
    op: str
    threshold: str
    unit: str
    verdict: str
    explanation: str
    chance: str = ""
    outlook: str = ""
    missing: str = ""
    per_hour: str = ""
    by_ms: int | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def words(self) -> tuple[str, str, str]:
        """What a person reads: the measured value, what is needed, and what is missing or, where that is not known, why."""
        missing = "" if self.verdict == "PASS" else self.outlook or self.explanation
        return quantity(self.measured, self.unit), needed(self.op, self.threshold, self.unit), missing


class GateView(View):
    """A gate evaluated now: PASS only if every rule is PASS (architecture.md §6). ``landing`` is as in ``NextEdgeView``.

    ``attestation`` is ``attested`` or ``unattested`` for evidence of the testnet, and empty for other evidence. ``hopeless``
    says which rules can never pass in this run any more and what to do; it is empty while there are none. ``declared`` says how
    much is left of the looks or variants that the policy declares, and before real money how old the last backup is.
    """

    gate: str
    verb: Verb
    from_position: str
    to_position: str
    verdict: str
    evidence_digest: str
    rules: tuple[RuleView, ...]
    landing: tuple[LandingView, ...] = ()
    attestation: str = ""
    hopeless: str = ""
    declared: tuple[str, ...] = ()


class OrderView(View):
    """One order. A MARKET order has no price, and either ``quantity`` or ``quote_quantity``."""

    client_id: str
    bot: str
    bot_client_id: str
    venue: VenueName
    stage: Stage
    symbol: str
    side: Side
    type: OrderType
    price: Amount | None
    quantity: Amount | None
    quote_quantity: Amount | None = None
    executed: Amount
    status: OrderStatus
    at_ms: int


class FillView(View):
    """One trade of one order."""

    venue: VenueName
    trade_id: str
    client_id: str
    symbol: str
    side: Side
    price: Amount
    quantity: Amount
    quote: Amount
    fee: Amount
    fee_asset: str
    maker: bool
    at_ms: int


class BalanceView(View):
    """One asset of one venue account, free and locked together."""

    venue: VenueName
    asset: str
    total: Amount


class SampleView(View):
    """One point of the series: EUR, and whether the interval before it counts as covered."""

    at: int
    equity: Amount | None
    exposure: Amount | None
    cap: Amount | None
    covered: bool
    stage: Stage


class SeriesView(View):
    """Equity and worst-case exposure over time, column by column, oldest first."""

    at: tuple[int, ...]
    equity: tuple[Amount | None, ...]
    exposure: tuple[Amount | None, ...]
    cap: tuple[Amount | None, ...]
    covered: tuple[bool, ...]
    stage: tuple[Stage, ...]

    @model_validator(mode="after")
    def _rectangular(self) -> SeriesView:
        if len({len(column) for column in (self.at, self.equity, self.exposure, self.cap, self.covered, self.stage)}) != 1:
            raise ValueError("the columns of a series have one length")
        return self

    @classmethod
    def of(cls, samples: list[SampleView]) -> SeriesView:
        """The columns of some samples."""
        return cls(
            at=tuple(sample.at for sample in samples),
            equity=tuple(sample.equity for sample in samples),
            exposure=tuple(sample.exposure for sample in samples),
            cap=tuple(sample.cap for sample in samples),
            covered=tuple(sample.covered for sample in samples),
            stage=tuple(sample.stage for sample in samples),
        )


class EntryView(View):
    """One journal entry. ``summary`` is one line for a person; ``body`` is the event as journalled."""

    seq: int
    at_ms: int
    epoch: int
    kind: str
    hash: str
    summary: str
    body: dict[str, Any]


class ProposeRequest(Request):
    """Propose a command and get its payload. ``target`` and ``step`` may be omitted where the verb has only one target.

    ``subject`` is what a verb that is not a move is about; a veto without one is about the pending command.
    """

    verb: Verb
    target: TypedStage | None = None
    step: Annotated[int, Field(ge=1, le=64)] | None = None
    reason: Reason
    postmortem: Digest | None = None
    subject: Annotated[str, Field(max_length=MAX_SUBJECT)] | None = None


class ProposalView(View):
    """A command to sign: ``payload`` is canonical JSON text, ``word_code`` the digest as words to read aloud to a second person.

    ``leaves`` says what the bot has where the deployment is and will not have where the command leads.
    """

    payload: str
    payload_digest: str
    word_code: str
    summary: str
    gate: GateView | None
    persons_needed: int
    cooling_off_ms: int = 0
    leaves: tuple[str, ...] = ()


class HaltRequest(Request):
    """Halt now."""

    reason: Reason


class ReceiptView(View):
    """A command that was accepted: its journal entry, and the deployment's position now.

    ``pending`` is the command itself when it is in its cooling-off time and not applied yet. ``recorded`` is false for a halt that
    stops and cancels orders already, and that the journal does not hold yet.
    """

    seq: int
    hash: str
    position: str
    gate: GateView | None
    pending: PendingView | None = None
    recorded: bool = True


class ErrorDetail(View):
    """Why a request failed, and what to do. ``exit_code`` is the command line's."""

    code: str
    message: str
    remedy: str
    exit_code: int


class ErrorView(View):
    """The body of every answer that is not 2xx."""

    error: ErrorDetail
    gate: GateView | None = None
