"""The fields of a policy. ``policies.document`` reads and writes it; limits, guards, gates and decisions use it.

Every field is required: a missing limit is an error and never means "no limit". The fields that later versions added are optional
here, because journals hold policies without them; a policy file must have them (``policies.document``). Rules for every environment
are validated here; rules for ``production`` only are in ``policies.floors``.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from exchange.model import SYMBOL, Millis, symbol_fault
from policies.numbers import Exact, text
from policies.rules import METRICS, GateName, MetricName, Op, Unit
from policies.stage import WITHOUT_REAL_MONEY, Environment, Mode, Stage

LIVE_CAP_MAX_EUR = Decimal(10)
"""LIVE_€10 allows at most ten euros. No policy in any environment can raise this."""

FIRST_STEP_MAX_EUR = Decimal(25)
STEP_FACTOR_MAX = Decimal(2)
"""The bounds of the ramp in every environment (execution-safety.md §6)."""

GUARD_BEFORE_GATE = "guard_before_gate"
"""The type of the error about a guard that would halt on a gap that its stage's gate tolerates; its context names the field."""

SILENCE_MIN_MS = 1_000
"""The shortest allowed silence of a bot: coverage is sampled once a second."""

_DAY_MS = 86_400_000


def _symbol(value: object) -> object:
    """Refuses a symbol with a reason in words, before its pattern would."""
    if isinstance(value, str) and (fault := symbol_fault(value)):
        raise ValueError(fault)
    return value


SymbolName = Annotated[str, Field(pattern=f"^{SYMBOL}$"), BeforeValidator(_symbol)]
Positive = Annotated[Exact, Field(gt=0)]
Fraction = Annotated[Exact, Field(gt=0, le=1)]
DurationMs = Annotated[int, Field(ge=1, le=366 * _DAY_MS)]
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{1,4000}={0,2}$")]
ED25519_LINE = r"^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-P][A-Za-z0-9+/]{42}$"
BreachAction = Literal["hold", "flatten"]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Instant = Annotated[
    int,
    Field(ge=0),
    AfterValidator(Millis),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}]}),
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


BAND_PERCENT_MIN, BAND_PERCENT_MAX = Decimal("0.5"), Decimal(10)
"""How far from the signed rate a reading may be. A narrower band denies on a normal day; a wider one says little."""

_DOLLARS = frozenset({"USD", "USDT", "USDC"})
"""The quote assets that are counted as US dollars, the currency of the ECB's reference rate."""


class Follow(_Section):
    """Where a rate renews itself from, without a signature (``policies.eur``): the ECB's daily reference rate for the US dollar.

    A reading counts while it is within ``band_percent`` of the signed rate and younger than ``ecb_max_age_ms``, from the start of
    the day that the ECB names. ``venue_max_age_ms`` adds the live venue's own pair of EUR and the quote asset.
    """

    band_percent: Annotated[Exact, Field(ge=BAND_PERCENT_MIN, le=BAND_PERCENT_MAX)]
    ecb_max_age_ms: DurationMs
    venue_max_age_ms: DurationMs | None = None


class EurRate(_Section):
    """The rate that converts the quote asset to euros.

    Without ``follow`` it is fixed, and outside ``[as_of, valid_until)`` every order is denied. With ``follow`` it is the centre of
    a band and does not end: the rate itself comes from the sources.
    """

    asset: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,10}$")]
    quote_per_eur: Positive
    as_of: Instant
    follow: Follow | None = None
    valid_until: Annotated[Instant | None, Field(validate_default=True)] = None

    @field_validator("valid_until")
    @classmethod
    def _ends(cls, value: Millis | None, info: ValidationInfo) -> Millis | None:
        if value is None and "follow" in info.data and info.data["follow"] is None:
            raise PydanticCustomError("missing", "is missing")
        return value

    @model_validator(mode="after")
    def _ends_or_follows(self) -> Self:
        if self.follow is not None and self.valid_until is not None:
            raise ValueError("a rate that follows a source has no valid_until")
        if self.follow is not None and self.asset not in _DOLLARS:
            raise ValueError(f"{self.asset} cannot follow the ECB: only {', '.join(sorted(_DOLLARS))} count as US dollars")
        if self.valid_until is not None and self.valid_until <= self.as_of:
            raise ValueError("valid_until must be later than as_of")
        return self


class Caps(_Section):
    """Worst-case exposure in EUR: ``testnet`` for MOCK to VALIDATED, ``live`` for LIVE_€10."""

    testnet: Positive
    live: Annotated[Exact, Field(gt=0, le=LIVE_CAP_MAX_EUR)]


class Ramp(_Section):
    """The caps in EUR of RAMPING 1, 2, …; with an empty list the deployment has no ramp."""

    steps: Annotated[tuple[Positive, ...], Field(max_length=64)]

    @model_validator(mode="after")
    def _gentle(self) -> Self:
        for number, step in enumerate(self.steps, start=1):
            if number == 1:
                if step > FIRST_STEP_MAX_EUR:
                    raise ValueError(f"the first step may be at most {FIRST_STEP_MAX_EUR} EUR")
                continue
            before = self.steps[number - 2]
            if step <= before:
                raise ValueError(f"step {number} must be above step {number - 1}")
            if step > before * STEP_FACTOR_MAX:
                raise ValueError(f"step {number} may be at most {STEP_FACTOR_MAX} times step {number - 1}")
        return self


class OrderRate(_Section):
    """At most ``count`` orders in any ``per_ms``."""

    count: Count
    per_ms: DurationMs


class Limits(_Section):
    """The limits of every single order.

    What is bought must stay large enough to be sold again. ``exit_stop_fraction`` is the fall of the price that is allowed for.
    What the holding is worth after that fall and after the fee must be at least ``min_order_factor`` times the venue's minimum.
    """

    order_notional_max_eur: Positive
    price_collar_bps: Annotated[Exact, Field(gt=0, lt=10_000)]
    quote_max_age_ms: DurationMs
    order_rate: OrderRate
    open_orders_max: Count
    min_order_factor: Annotated[Exact, Field(ge=1)]
    exit_stop_fraction: Annotated[Exact, Field(ge=0, lt=1)] | None = None


class DailyLoss(_Section):
    """The loss since UTC midnight that halts: the smaller of an amount and a fraction of the stage's cap."""

    max_eur: Positive
    max_cap_fraction: Fraction


class QuoteStale(_Section):
    """The ages of a quote that stop entries, cancel all orders, and halt."""

    no_entry_ms: DurationMs
    cancel_ms: DurationMs
    halt_ms: DurationMs

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.no_entry_ms < self.cancel_ms < self.halt_ms:
            raise ValueError("no_entry_ms < cancel_ms < halt_ms must hold")
        return self


class ReconciliationGuard(_Section):
    """How many differences with the venue are tolerated, and how old a reconciliation may be."""

    tolerated_breaks: Annotated[int, Field(ge=0)]
    max_age_ms: DurationMs


class RejectRate(_Section):
    """Halt when the venue rejected more than ``max_ratio`` of at least ``min_samples`` placements in the time window."""

    window_ms: DurationMs
    min_samples: Count
    max_ratio: Annotated[Exact, Field(ge=0, lt=1)]


class UnknownOrder(_Section):
    """How long the outcome of an order may stay unknown before the deployment halts."""

    max_age_ms: DurationMs


class ClockOffset(_Section):
    """The differences between our clock and the venue's that stop entries and that halt."""

    no_entry_ms: DurationMs
    halt_ms: DurationMs

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.no_entry_ms < self.halt_ms:
            raise ValueError("no_entry_ms < halt_ms must hold")
        return self


class Reduce(_Section):
    """When a loss leaves only sells: from the fraction ``at`` of the daily-loss limit or of the drawdown limit.

    It ends below the fraction ``until``, so that a loss that moves around the limit does not switch it on and off.
    """

    at: Annotated[Exact, Field(gt=0, lt=1)]
    until: Annotated[Exact, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if not self.until < self.at:
            raise ValueError("until < at must hold")
        return self


class OnBreach(_Section):
    """What a guard that halts does with what gatehouse bought: hold it, or sell it (``flatten``).

    To sell, prices and books must be right. So the guards that doubt them can only hold.
    """

    daily_loss: BreachAction = "hold"
    drawdown: BreachAction = "hold"
    reject_rate: BreachAction = "hold"
    quote_stale: BreachAction = "hold"
    reconciliation: BreachAction = "hold"
    unknown_order: BreachAction = "hold"
    clock_offset: BreachAction = "hold"

    @model_validator(mode="after")
    def _only_what_trusts_the_market(self) -> Self:
        for name in ("quote_stale", "reconciliation", "unknown_order", "clock_offset"):
            if getattr(self, name) == "flatten":
                raise ValueError(f"{name} must be hold: this guard doubts the prices or the books, and a sale needs both")
        return self


class BlindHalt(_Section):
    """When a guard that only does not see halts, for each stage without real money. Without a number it pauses and cancels only.

    Both its blindness and the gap in the coverage must be longer, so it never halts on a gap that the stage's gate tolerates.
    """

    mock: DurationMs | None = None
    testnet_validating: DurationMs | None = None
    validated: DurationMs | None = None

    def of(self, stage: Stage) -> int | None:
        """The deadline of a stage without real money."""
        match stage:
            case Stage.MOCK:
                return self.mock
            case Stage.TESTNET_VALIDATING:
                return self.testnet_validating
            case Stage.VALIDATED:
                return self.validated
            case _:
                return None


class Guards(_Section):
    """The always-on guards. ``blind_deadline_ms``: after this time without a measurement a guard halts.

    At stages without real money it pauses and cancels instead; ``blind_halt_ms`` says when it halts there.
    """

    daily_loss: DailyLoss
    drawdown_fraction: Fraction
    quote_stale: QuoteStale
    reconciliation: ReconciliationGuard
    reject_rate: RejectRate
    unknown_order: UnknownOrder
    clock_offset: ClockOffset
    blind_deadline_ms: DurationMs
    reduce: Reduce | None = None
    on_breach: OnBreach = OnBreach()
    blind_halt_ms: BlindHalt = BlindHalt()


class Flatten(_Section):
    """How gatehouse sells what it bought (``gatehouse flatten``).

    It sends one order at a time, worth at most ``slice_eur_max``, at most every ``every_ms``. Each is an immediate-or-cancel order
    at the best bid less the first of ``widen_bps``. One that did not fill is followed by one with the next, wider distance. After
    ``give_up_after_ms`` it stops, says what is left, and calls a person.
    """

    slice_eur_max: Positive
    widen_bps: Annotated[tuple[Annotated[Exact, Field(ge=0, lt=10_000)], ...], Field(min_length=1, max_length=16)]
    every_ms: DurationMs
    give_up_after_ms: DurationMs

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(after <= before for before, after in pairwise(self.widen_bps)):
            raise ValueError("widen_bps must rise from one step to the next")
        if not self.every_ms < self.give_up_after_ms:
            raise ValueError("every_ms < give_up_after_ms must hold")
        return self


class Settle(_Section):
    """An UNKNOWN order counts as not placed only after this time and this many look-ups, and if the account agrees."""

    unknown_grace_ms: DurationMs
    lookups_min: Count


class Validation(_Section):
    """How much covered time a validation run needs."""

    covered_ms: DurationMs


class Evidence(_Section):
    """How long evidence is valid after its last sample."""

    ttl_ms: DurationMs


class Authority(_Section):
    """The cooling-off period in solo mode, in which any key can veto a command that adds risk.

    ``attestation_roots``: the makers of security keys whose attestation proves a touch, as base64 of their DER certificates. With
    none, a signature that says it was touched is believed.
    """

    cooling_off_ms: DurationMs
    attestation_roots: Annotated[tuple[Base64, ...], Field(max_length=8)] = ()


class Live(_Section):
    """What of the live account is its owner's. ``baseline`` is what the account holds that gatehouse did not buy.

    ``refuse``: no move to real money while the baseline is worth more than the target's cap. ``keep``: it may be worth anything,
    since it is never sold, never counted and never shown to the bot.
    """

    baseline: Literal["refuse", "keep"] = "refuse"


class Testnet(_Section):
    """The testnet whose evidence counts: the public half of its own key, as one line of OpenSSH (ADR 47).

    ``gatehouse keys show`` prints it of ``testnet.key`` in the testnet's directory. Without it the evidence is unattested.
    """

    __test__: ClassVar[bool] = False

    key: Annotated[str, Field(pattern=ED25519_LINE)] | None = None


class Bot(_Section):
    """What the policy says about one bot, by the name that its gateway keys have.

    ``silence_max_ms``: for how long it may say nothing and still count as connected, with open orders and without
    (``policies.silence``). Once a policy names bots, no time counts as covered while one of them is not connected.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    silence_max_ms: Annotated[int, Field(ge=SILENCE_MIN_MS, le=366 * _DAY_MS)] | None = None


class Claim(_Section):
    """What the owner says that the bot does, from its backtest. The gate ``validation`` compares the run with it.

    ``annual_sharpe`` is for a year of 365 days. ``fill_ratio`` is the part of the ordered quantity that fills. ``trades_per_day``
    counts round trips, ``holding_ms`` is the mean time from a purchase to its sale, ``turnover_per_day`` what is bought and sold in
    a day as a multiple of the cap. ``holding_times_ms`` are single holding times of the backtest. Each may be absent; a rule about
    an absent one has no data, and does not pass.
    """

    annual_sharpe: Annotated[Exact, Field(ge=-100, le=100)] | None = None
    fill_ratio: Fraction | None = None
    trades_per_day: Annotated[Exact, Field(gt=0, le=100_000)] | None = None
    holding_ms: DurationMs | None = None
    turnover_per_day: Annotated[Exact, Field(gt=0, le=100_000)] | None = None
    holding_times_ms: Annotated[tuple[DurationMs, ...], Field(max_length=1_000)] = ()


class Latency(_Section):
    """How fast the venue answers an order, from the decision on: the latency model that a validation is compared with."""

    p50_ms: DurationMs
    p99_ms: DurationMs

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p99_ms < self.p50_ms:
            raise ValueError(f"p99_ms is {self.p99_ms}, below p50_ms, which is {self.p50_ms}")
        return self


class Replay(_Section):
    """Whether the bot offers a replay of its signals: the recorded market in, its decisions out (ADR 67).

    ``tolerance_ms``: an order of the run comes at most so long after the market data that it was decided from. One that comes later
    than 10 s may have another cause, in a rehearsal too.
    """

    offered: bool
    tolerance_ms: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.offered is (self.tolerance_ms is None):
            raise ValueError("tolerance_ms belongs to a bot that offers a replay, and only to that one")
        return self


class Performance(_Section):
    """What is declared before a validation begins, so that nobody tries until chance passes the gate (ADR 60).

    ``looks``: how many verdicts of the gate ``validation`` may be asked for in one run, once its minima of time, orders and fills
    are met. The error of every bound is divided by it. ``variants``: how many releases may begin a validation, this one included.
    """

    looks: Annotated[int, Field(ge=1, le=100)]
    variants: Count
    claim: Claim | None = None
    latency: Latency | None = None
    replay: Replay | None = None


class GateRule(_Section):
    """One comparison. ``min_samples``: with fewer observations behind the metric, the rule is inconclusive.

    ``above_eur``: the rule is asked only for a step of the ramp whose cap is above this.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    metric: MetricName
    op: Op
    threshold: Exact
    unit: Unit
    min_samples: Annotated[int, Field(ge=1)]
    above_eur: Positive | None = None

    @model_validator(mode="after")
    def _right_unit(self) -> Self:
        expected = METRICS[self.metric].unit
        if self.unit is not expected:
            raise ValueError(f"{self.metric} is measured in {expected}, not {self.unit}")
        return self


Rules = Annotated[tuple[GateRule, ...], Field(min_length=1, max_length=64)]


class Gates(_Section):
    """The rules of every gate. A gate without rules cannot exist."""

    testnet_ready: Annotated[Rules, Field(alias=GateName.TESTNET_READY.value)]
    validation: Rules
    live_ready: Annotated[Rules, Field(alias=GateName.LIVE_READY.value)]
    ramp_step: Annotated[Rules, Field(alias=GateName.RAMP_STEP.value)]
    resume: Rules

    def of(self, gate: GateName) -> tuple[GateRule, ...]:
        """The rules of one gate."""
        match gate:
            case GateName.TESTNET_READY:
                return self.testnet_ready
            case GateName.VALIDATION:
                return self.validation
            case GateName.LIVE_READY:
                return self.live_ready
            case GateName.RAMP_STEP:
                return self.ramp_step
            case GateName.RESUME:
                return self.resume

    def gap_tolerated_ms(self, gate: GateName) -> Decimal | None:
        """The longest gap in the coverage that a gate tolerates; ``None`` where it has no rule about that."""
        bounds = {Op.AT_MOST, Op.BELOW, Op.EQUAL}
        return min((r.threshold for r in self.of(gate) if r.metric is MetricName.LONGEST_GAP_MS and r.op in bounds), default=None)

    @model_validator(mode="after")
    def _distinct_ids(self) -> Self:
        for gate in GateName:
            ids = [rule.id for rule in self.of(gate)]
            if len(set(ids)) != len(ids):
                raise ValueError(f"two rules of {gate} have the same id")
            if gate is not GateName.RAMP_STEP and any(rule.above_eur is not None for rule in self.of(gate)):
                raise ValueError(f"a rule of {gate} has above_eur, which only the steps of the ramp have")
        return self


_GATE_UP = dict(zip(WITHOUT_REAL_MONEY, (GateName.TESTNET_READY, GateName.VALIDATION, GateName.LIVE_READY), strict=True))
"""The gate that judges the evidence of each stage without real money."""


class Shadow(_Section):
    """How far the simulation of the real orders may be from them before it proves that the testnet validated another market.

    Each band is the largest difference to either side: of the probability of a fill, of the mean fill price in basis points of the
    mid price, of the mean time to the acknowledgement. A bound from fewer than ``orders_min`` pairs is not judged. Outside a band
    the validation is revoked (ADR 64). Defaults: execution-safety.md §4.3, B2, B1 and B4.
    """

    fill_band: Annotated[Exact, Field(gt=0, lt=1)] = Decimal("0.15")
    price_band_bps: Annotated[Exact, Field(gt=0, lt=10_000)] = Decimal(5)
    latency_band_ms: DurationMs = 300
    orders_min: Annotated[int, Field(ge=10, le=1_000_000)] = 30


class OnStop(StrEnum):
    """What an orderly stop of the controller does with open orders."""

    CANCEL = "cancel"
    KEEP = "keep"


class Policy(_Section):
    """All limits of a deployment and all rules of its gates. LIVE_€10 trades only the first of ``symbols``.

    ``on_stop`` is what SIGTERM does with open orders: without the field they are cancelled, since nothing watches them afterwards.
    """

    version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    environment: Environment
    mode: Mode
    symbols: Annotated[tuple[SymbolName, ...], Field(min_length=1, max_length=32)]
    eur_rate: EurRate
    caps: Caps
    ramp: Ramp
    limits: Limits
    guards: Guards
    settle: Settle
    validation: Validation
    evidence: Evidence
    authority: Authority
    gates: Gates
    on_stop: OnStop = OnStop.CANCEL
    flatten: Flatten | None = None
    live: Live = Live()
    testnet: Testnet = Testnet()
    bots: Annotated[tuple[Bot, ...], Field(max_length=64)] = ()
    shadow: Shadow = Shadow()
    performance: Performance | None = None

    @field_validator("bots")
    @classmethod
    def _one_entry_each(cls, value: tuple[Bot, ...]) -> tuple[Bot, ...]:
        if len({one.name for one in value}) != len(value):
            raise ValueError("two entries have the same name")
        return value

    @model_validator(mode="after")
    def _flatten_fits(self) -> Self:
        if self.flatten is None:
            if self.guards.on_breach != OnBreach():
                raise ValueError("guards.on_breach asks for a flatten, so a section flatten is needed")
            return self
        if self.flatten.slice_eur_max > self.limits.order_notional_max_eur:
            raise ValueError("flatten.slice_eur_max may be at most limits.order_notional_max_eur")
        if self.flatten.widen_bps[-1] >= self.limits.price_collar_bps:
            raise ValueError(
                f"flatten.widen_bps ends with {self.flatten.widen_bps[-1]} and must stay below limits.price_collar_bps, "
                f"which is {self.limits.price_collar_bps}"
            )
        return self

    @model_validator(mode="after")
    def _guards_tolerate_what_gates_tolerate(self) -> Self:
        for stage, gate in _GATE_UP.items():
            deadline, gap = self.guards.blind_halt_ms.of(stage), self.gates.gap_tolerated_ms(gate)
            if deadline is not None and gap is not None and deadline < gap:
                raise PydanticCustomError(
                    GUARD_BEFORE_GATE,
                    "is {deadline} ms, and gate {gate} tolerates a gap of {gap} ms: a guard must not halt on it",
                    {
                        "path": f"guards.blind_halt_ms.{stage.lower()}",
                        "deadline": deadline,
                        "gate": gate.value,
                        "gap": text(gap),
                    },
                )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols names a symbol twice")
        other_quotes = [symbol for symbol in self.symbols if not symbol.endswith(self.eur_rate.asset)]
        if other_quotes:
            raise ValueError(f"symbols: {other_quotes[0]} is not quoted in {self.eur_rate.asset}, the asset eur_rate converts")
        if self.ramp.steps and self.ramp.steps[0] <= self.caps.live:
            raise ValueError("ramp.steps must start above caps.live")
        if not any(
            rule.metric is MetricName.COVERED_MS
            and rule.op in {Op.AT_LEAST, Op.ABOVE}
            and rule.threshold >= self.validation.covered_ms
            for rule in self.gates.validation
        ):
            raise ValueError("gates.validation needs a rule covered_ms >= validation.covered_ms")
        return self
