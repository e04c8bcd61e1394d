"""The always-on guards: ``breached_guards(measurements, …)`` returns every guard that is breached (architecture.md §6).

``controller.core.decisions.guards`` calls it at every tick. A guard without measurements is breached too: before its first
measurement it stops new entries, and after ``guards.blind_deadline_ms`` without a measurement it halts. Without real money a guard
that only does not see (``Breach.unseen_ms``) cancels where it would halt, and the gate judges the gap (ADR 39).

The two guards of losses have a soft level too: from the fraction ``guards.reduce.at`` of its limit a loss leaves only sells
(REDUCE), until it is below ``guards.reduce.until`` again. The other levels need no such hysteresis, because only people move a
deployment up again. At its limit a guard asks for HALT, or for FLATTEN where ``guards.on_breach`` says so. Source:
execution-safety.md §6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from enum import IntEnum, StrEnum
from typing import Generic, TypeVar

from exchange.model import Millis
from policies.exposure import sane
from policies.numbers import WIDE, rounded_up, text
from policies.ramp import cap_eur
from policies.schema import Policy
from policies.stage import WITHOUT_REAL_MONEY, Stage

T = TypeVar("T")


class Level(IntEnum):
    """What a breach requires, from least to most severe."""

    NO_ENTRY = 1
    REDUCE = 2
    CANCEL_ALL = 3
    FLATTEN = 4
    HALT = 5


class GuardName(StrEnum):
    """The names of the guards. ``FEE_ASSET`` is judged with every trade, all others by ``breached_guards``.

    ``TESTNET_IDENTITY`` judges at the testnet only, and only where the policy names its key.
    """

    DAILY_LOSS = "daily-loss"
    DRAWDOWN = "drawdown"
    QUOTE_STALE = "quote-stale"
    RECONCILIATION = "reconciliation"
    REJECT_RATE = "reject-rate"
    UNKNOWN_ORDER = "unknown-order"
    CLOCK_OFFSET = "clock-offset"
    FEE_ASSET = "fee-asset"
    TESTNET_IDENTITY = "testnet-identity"


LOSSES = frozenset({GuardName.DAILY_LOSS, GuardName.DRAWDOWN})
"""The guards of losses: the ones with a level REDUCE."""


@dataclass(frozen=True, slots=True)
class Breach:
    """One breached guard, with a message for the operator.

    ``blind``: the guard could not be measured. ``contradicted``: the venue's books contradict ours. ``unseen_ms``: nothing that is
    bad was measured, and what the guard judges by is that old or missing for that long; ``None``: something bad was measured.
    """

    guard: GuardName
    level: Level
    measured: str
    threshold: str
    message: str
    blind: bool = False
    contradicted: bool = False
    unseen_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Measured(Generic[T]):
    """A measured value and its time."""

    value: T
    at: Millis


CLOCK_DRIFT = 1_000
"""One part in this: each of two clocks may be slewed by 500 ppm (``adjtimex``), and quartz drifts far less."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Our clock minus the venue's as measured, and how far from the truth that can be: half the round trip of the question."""

    ms: int
    uncertainty_ms: int

    @property
    def least(self) -> int:
        """The smallest difference that the measurement allows: what is certain."""
        return max(0, abs(self.ms) - self.uncertainty_ms)

    @property
    def most(self) -> int:
        """The largest difference that the measurement allows."""
        return abs(self.ms) + self.uncertainty_ms

    def after(self, ms: int) -> ClockOffset:
        """What this measurement still proves so much later: two clocks drift apart by at most one part in ``CLOCK_DRIFT``."""
        return ClockOffset(self.ms, self.uncertainty_ms + -(-max(0, ms) // CLOCK_DRIFT))

    def contradicts(self, other: ClockOffset) -> bool:
        """Whether no offset fits both: one of the two clocks was set in between. A negative uncertainty fits nothing."""
        return min(self.uncertainty_ms, other.uncertainty_ms) < 0 or (
            abs(self.ms - other.ms) > self.uncertainty_ms + other.uncertainty_ms
        )

    def tells(self, limit_ms: int) -> bool:
        """Whether the difference is for certain above the limit, or for certain not. A negative uncertainty tells nothing."""
        return self.uncertainty_ms >= 0 and (self.least > limit_ms or self.most <= limit_ms)


@dataclass(frozen=True, slots=True)
class Placements:
    """How many orders were sent to the venue within ``guards.reject_rate.window_ms``, and how many of them it rejected."""

    count: int
    rejects: int


@dataclass(frozen=True, slots=True)
class GuardMeasurements:
    """All measurements of the guards. ``None``: not measured since ``since``, when guarding began.

    Money is EUR. ``quote_age_ms``: the age of the oldest quote of the symbols in use. ``reconciliation_breaks``: differences
    found by the reconciliation that ended at ``at``. ``oldest_unknown_ms``: 0 when every outcome is known. ``clock_offset_ms``:
    our clock minus the venue's, at most ``clock_uncertainty_ms`` from the truth; ``clock_good``: the last measurement of it that
    was certain enough for the guard; ``clock_since``: since when this venue's clock is guarded. ``reducing``: the guards whose loss
    leaves only sells since it reached ``guards.reduce.at``. ``unknown_seen_ms`` and ``unreconciled_seen_ms``: how long the outcome
    of an order has been unknown, and no reconciliation was without a difference, while the venue answered; ``None``: all the time.
    ``compared_since``: when the account last got a baseline, before which nothing is compared with the books of now.
    ``gap_ms``: the gap in the coverage up to now; ``None``: it is as long as a guard is blind. ``impostor``: who answers as the
    testnet without its key, in words. ``denied``: what the testnet signs about our orders that contradicts our books, in words.
    """

    since: Millis
    equity_eur: Measured[Decimal] | None = None
    day_start_equity_eur: Measured[Decimal] | None = None
    peak_equity_eur: Measured[Decimal] | None = None
    quote_age_ms: Measured[int] | None = None
    reconciliation_breaks: Measured[int] | None = None
    placements: Measured[Placements] | None = None
    oldest_unknown_ms: Measured[int] | None = None
    clock_offset_ms: Measured[int] | None = None
    clock_uncertainty_ms: int = 0
    clock_good: Measured[ClockOffset] | None = None
    clock_since: Millis | None = None
    reducing: frozenset[GuardName] = frozenset()
    unknown_seen_ms: int | None = None
    unreconciled_seen_ms: int | None = None
    compared_since: Millis | None = None
    gap_ms: int | None = None
    impostor: str = ""
    denied: str = ""


@dataclass(frozen=True, slots=True)
class _Inputs:
    measurements: GuardMeasurements
    policy: Policy
    cap: Decimal
    stage: Stage
    now: Millis


def breached_guards(measurements: GuardMeasurements, policy: Policy, stage: Stage, step: int, now: Millis) -> tuple[Breach, ...]:
    """Return every guard that is breached at ``now``, most severe first. HALTED uses the cap of LIVE_€10."""
    cap = cap_eur(policy, stage, step) or policy.caps.live
    inputs = _Inputs(measurements, policy, cap, stage, now)
    with localcontext(WIDE):
        found = [_patient(breach, inputs) for guard in _GUARDS if (breach := guard(inputs)) is not None]
    return tuple(sorted(found, key=lambda breach: (-breach.level, breach.unseen_ms is not None, breach.guard.value)))


def level_of_unseen(level: Level, stage: Stage, *, overdue: bool) -> Level:
    """The level of a guard that only does not see: without real money it cancels instead of halting, until it is overdue."""
    return min(level, Level.CANCEL_ALL) if stage in WITHOUT_REAL_MONEY and not overdue else level


def _patient(breach: Breach, inputs: _Inputs) -> Breach:
    if breach.unseen_ms is None:
        return breach
    deadline, gap = inputs.policy.guards.blind_halt_ms.of(inputs.stage), inputs.measurements.gap_ms
    longest = breach.unseen_ms if gap is None else min(breach.unseen_ms, gap)
    level = level_of_unseen(breach.level, inputs.stage, overdue=deadline is not None and longest > deadline)
    if level is breach.level:
        return breach
    until = "" if deadline is None else f" until the gap is longer than {deadline} ms"
    return replace(breach, level=level, message=f"{breach.message}; at {inputs.stage} it cancels and pauses the coverage{until}")


def daily_loss_limit_eur(policy: Policy, cap: Decimal) -> Decimal:
    """The loss since UTC midnight that halts: the smaller of the policy's amount and its fraction of the cap."""
    rule = policy.guards.daily_loss
    return min(rule.max_eur, cap * rule.max_cap_fraction)


def clock_fresh_ms(policy: Policy) -> int:
    """How old a measurement of the venue's clock may be to be the present one: two thirds of the deadline to be blind."""
    return policy.guards.blind_deadline_ms * 2 // 3


def reducing_after(breaches: tuple[Breach, ...], before: frozenset[GuardName]) -> frozenset[GuardName]:
    """The next ``GuardMeasurements.reducing``. A loss that cannot be measured now changes nothing."""
    found = {breach.guard: breach for breach in breaches if breach.guard in LOSSES}
    return frozenset(guard for guard in LOSSES if guard in (before if guard in found and found[guard].blind else found))


@dataclass(frozen=True, slots=True)
class _Loss:
    measured: Decimal
    limit: Decimal
    unit: str
    message: str


def _judged(guard: GuardName, loss: _Loss, inputs: _Inputs, action: str) -> Breach | None:
    """The breach of one loss: its hard level at the limit, REDUCE from a fraction of it on."""
    measured, limit = f"{text(loss.measured)}{loss.unit}", f"{text(loss.limit)}{loss.unit}"
    if loss.measured >= loss.limit:
        level = Level.FLATTEN if action == "flatten" else Level.HALT
        return Breach(guard, level, measured, limit, f"{loss.message}; the limit is {limit}")
    rule = inputs.policy.guards.reduce
    if rule is None:
        return None
    reducing = guard in inputs.measurements.reducing
    reduces = loss.measured > loss.limit * rule.until if reducing else loss.measured >= loss.limit * rule.at
    if not reduces:
        return None
    message = (
        f"{loss.message}; only sells are admitted from {text(rule.at)} of the limit of {limit} on, until it is below "
        f"{text(rule.until)} of it"
    )
    return Breach(guard, Level.REDUCE, measured, f"{text(rule.at)} of {limit}", message)


def drawdown_fraction(peak_eur: Decimal, equity_eur: Decimal, cap: Decimal) -> Decimal:
    """The fall from the peak as a fraction of the smaller of peak and cap, rounded up.

    The cap limits the base so that a large account does not hide the loss of a small cap. The peak starts at the first equity. If
    the base is not positive, any fall counts as 1.
    """
    if equity_eur >= peak_eur:
        return Decimal(0)
    base = min(peak_eur, cap)
    if base <= 0:
        return Decimal(1)
    with localcontext(WIDE):
        return rounded_up((peak_eur - equity_eur) / base)


def _unmeasured(guard: GuardName, measured: Measured[T] | None, inputs: _Inputs, *, since: Millis | None = None) -> Breach | None:
    deadline = inputs.policy.guards.blind_deadline_ms
    began = inputs.measurements.since if since is None else max(since, inputs.measurements.since)
    last = began if measured is None else measured.at
    age = inputs.now - last
    if measured is not None and 0 <= age <= deadline:
        return None
    waiting = measured is None and 0 <= age <= deadline
    if age < 0:
        what = "its last measurement is from the future"
    elif measured is None:
        what = f"it has not been measured in the {age} ms since guarding began"
    else:
        what = f"it was last measured {age} ms ago"
    return Breach(
        guard,
        Level.NO_ENTRY if waiting else Level.HALT,
        "not measured",
        f"{deadline} ms",
        f"{guard} cannot be judged: {what}; the deadline is {deadline} ms",
        blind=True,
        unseen_ms=age if age >= 0 else None,
    )


def _implausible(guard: GuardName, what: str) -> Breach:
    return Breach(guard, Level.HALT, what, "a plausible value", f"{guard} cannot be judged: {what}", blind=True)


def _money(guard: GuardName, inputs: _Inputs, *measurements: Measured[Decimal] | None) -> tuple[Decimal, ...] | Breach:
    values: list[Decimal] = []
    for measured in measurements:
        blind = _unmeasured(guard, measured, inputs)
        if blind is not None:
            return blind
        if measured is None or not (measured.value.is_zero() or sane(measured.value.copy_abs())):
            return _implausible(guard, "the equity is not a number")
        values.append(measured.value)
    return tuple(values)


def _daily_loss(inputs: _Inputs) -> Breach | None:
    guard = GuardName.DAILY_LOSS
    values = _money(guard, inputs, inputs.measurements.day_start_equity_eur, inputs.measurements.equity_eur)
    if isinstance(values, Breach):
        return values
    start, equity = values
    return _judged(guard, _loss_of_day(start, equity, inputs), inputs, inputs.policy.guards.on_breach.daily_loss)


def _loss_of_day(start: Decimal, equity: Decimal, inputs: _Inputs) -> _Loss:
    loss = start - equity
    return _Loss(loss, daily_loss_limit_eur(inputs.policy, inputs.cap), " EUR", f"the loss today is {text(loss)} EUR")


def _drawdown(inputs: _Inputs) -> Breach | None:
    guard = GuardName.DRAWDOWN
    values = _money(guard, inputs, inputs.measurements.peak_equity_eur, inputs.measurements.equity_eur)
    if isinstance(values, Breach):
        return values
    peak, equity = values
    return _judged(guard, _fall(peak, equity, inputs), inputs, inputs.policy.guards.on_breach.drawdown)


def _fall(peak: Decimal, equity: Decimal, inputs: _Inputs) -> _Loss:
    fall = drawdown_fraction(peak, equity, inputs.cap)
    message = f"equity fell from {text(peak)} to {text(equity)} EUR, {text(fall)} of the capital at risk"
    return _Loss(fall, inputs.policy.guards.drawdown_fraction, "", message)


def _quote_stale(inputs: _Inputs) -> Breach | None:
    guard = GuardName.QUOTE_STALE
    measured = inputs.measurements.quote_age_ms
    blind = _unmeasured(guard, measured, inputs)
    if blind is not None or measured is None:
        return blind
    if measured.value < 0:
        return _implausible(guard, f"a quote is {-measured.value} ms from the future")
    rule = inputs.policy.guards.quote_stale
    age = measured.value + (inputs.now - measured.at)
    steps = ((rule.halt_ms, Level.HALT), (rule.cancel_ms, Level.CANCEL_ALL), (rule.no_entry_ms, Level.NO_ENTRY))
    return _unless_seen(_by_steps(guard, age, steps, "the newest quote is {} ms old"), age)


def _reconciliation(inputs: _Inputs) -> Breach | None:
    guard = GuardName.RECONCILIATION
    measured = inputs.measurements.reconciliation_breaks
    rule = inputs.policy.guards.reconciliation
    if measured is not None and measured.value > rule.tolerated_breaks:
        return Breach(
            guard,
            Level.HALT,
            f"{measured.value} differences",
            f"{rule.tolerated_breaks} differences",
            f"our books and the venue's have {measured.value} differences; {rule.tolerated_breaks} are tolerated",
            contradicted=True,
        )
    seen, deadline = inputs.measurements.unreconciled_seen_ms, inputs.policy.guards.blind_deadline_ms
    if measured is None:
        blind = _unmeasured(guard, None, inputs, since=inputs.measurements.compared_since)
        return blind if blind is None else _unless_seen(blind, blind.unseen_ms, seen, deadline)
    if measured.value < 0:
        return _implausible(guard, f"{measured.value} differences")
    age = inputs.now - measured.at
    if age < 0:
        return _implausible(guard, "the last reconciliation is from the future")
    steps = ((rule.max_age_ms + deadline, Level.HALT), (rule.max_age_ms, Level.NO_ENTRY))
    breach = _by_steps(guard, age, steps, "the account was last reconciled {} ms ago")
    return _unless_seen(breach, age, seen, rule.max_age_ms + deadline)


def _reject_rate(inputs: _Inputs) -> Breach | None:
    guard = GuardName.REJECT_RATE
    measured = inputs.measurements.placements
    blind = _unmeasured(guard, measured, inputs)
    if blind is not None or measured is None:
        return blind
    rule = inputs.policy.guards.reject_rate
    placements = measured.value
    if not 0 <= placements.rejects <= placements.count:
        return _implausible(guard, f"{placements.rejects} rejections of {placements.count} placements")
    if placements.count < rule.min_samples or Decimal(placements.rejects) <= rule.max_ratio * placements.count:
        return None
    return Breach(
        guard,
        Level.FLATTEN if inputs.policy.guards.on_breach.reject_rate == "flatten" else Level.HALT,
        f"{placements.rejects} of {placements.count}",
        f"{text(rule.max_ratio)} of at least {rule.min_samples}",
        f"the venue rejected {placements.rejects} of the last {placements.count} orders; the limit is {text(rule.max_ratio)}",
    )


def _unknown_order(inputs: _Inputs) -> Breach | None:
    guard = GuardName.UNKNOWN_ORDER
    measured = inputs.measurements.oldest_unknown_ms
    blind = _unmeasured(guard, measured, inputs)
    if blind is not None or measured is None:
        return blind
    if measured.value < 0:
        return _implausible(guard, "an unknown order is from the future")
    age = measured.value + (inputs.now - measured.at) if measured.value else 0
    most, seen = inputs.policy.guards.unknown_order.max_age_ms, inputs.measurements.unknown_seen_ms
    breach = _by_steps(guard, age, ((most, Level.HALT),), "the outcome of an order has been unknown for {} ms")
    return _unless_seen(breach, age, seen, most)


def _clock_offset(inputs: _Inputs) -> Breach | None:
    """Breached only by an offset that is certain. One that may lie on either side of a limit cannot be judged."""
    guard = GuardName.CLOCK_OFFSET
    measured = inputs.measurements.clock_offset_ms
    if measured is None or inputs.measurements.clock_uncertainty_ms < 0:
        return _clock_unjudged(inputs, "there is no present measurement", None)
    blind = _unmeasured(guard, measured, inputs)
    if blind is not None:
        return blind
    rule = inputs.policy.guards.clock_offset
    offset = ClockOffset(measured.value, inputs.measurements.clock_uncertainty_ms)
    between = f"our clock and the venue's differ by {offset.least} to {offset.most} ms, and no quicker answer came"
    if not offset.tells(rule.halt_ms):
        return _clock_unjudged(inputs, between, offset)
    steps = ((rule.halt_ms, Level.HALT), (rule.no_entry_ms, Level.NO_ENTRY))
    certain = _by_steps(guard, offset.least, steps, "our clock and the venue's differ by at least {} ms")
    if certain is not None or offset.tells(rule.no_entry_ms):
        return certain
    message = f"{guard} cannot be judged: {between}; no entry until it is certain to be at most {rule.no_entry_ms} ms"
    return Breach(guard, Level.NO_ENTRY, f"{offset.least} to {offset.most} ms", f"{rule.no_entry_ms} ms", message, blind=True)


def _testnet_identity(inputs: _Inputs) -> Breach | None:
    """Somebody without the testnet's key answers, so nothing of the testnet is seen; or the testnet denies what we booked."""
    guard, found = GuardName.TESTNET_IDENTITY, inputs.measurements
    if found.denied:
        message = f"the testnet's statements contradict our books: {found.denied}"
        return Breach(guard, Level.HALT, "other orders and trades", "the same", message, contradicted=True)
    if found.impostor:
        message = f"{found.impostor}; no order goes there until the testnet answers itself"
        return Breach(guard, Level.CANCEL_ALL, "no valid signature", "the policy's key", message, unseen_ms=0)
    return None


def _clock_unjudged(inputs: _Inputs, what: str, present: ClockOffset | None) -> Breach:
    """The clock cannot be judged by a present measurement. The last good one still bounds it, by a drift that grows with its age.

    Until ``blind_deadline_ms`` since it was made entries stop. Then every order is cancelled for as long as the bound is within
    ``clock_offset.halt_ms``, and for ``reconciliation.max_age_ms`` more at most, which is when an account that is not read
    halts. A clock without a bound halts after ``blind_deadline_ms``.
    """
    guard, deadline = GuardName.CLOCK_OFFSET, inputs.policy.guards.blind_deadline_ms
    measurements, now = inputs.measurements, inputs.now
    since = measurements.since if measurements.clock_since is None else measurements.clock_since
    good, bounded = measurements.clock_good, False
    if good is None or not since <= good.at <= now:
        age = now - since
        last = f"it has not been measured well enough in the {age} ms since guarding of this venue began, at {_utc(since)}"
    else:
        age, read = now - good.at, f"our clock minus the venue's was {good.value.ms} ± {good.value.uncertainty_ms} ms"
        last = f"it was last measured well enough {age} ms ago, at {_utc(good.at)}: {read}"
        bound = good.value.after(age)
        set_since = present is not None and present.contradicts(bound)
        bounded = not set_since and good.value.uncertainty_ms >= 0 and bound.most <= inputs.policy.guards.clock_offset.halt_ms
        last += f", so it is now at most {bound.most} ms" if bounded else ""
    halts_after = deadline + inputs.policy.guards.reconciliation.max_age_ms if bounded else deadline
    level = Level.HALT
    if 0 <= age <= halts_after:
        level = Level.NO_ENTRY if age <= deadline else Level.CANCEL_ALL
    return Breach(
        guard,
        level,
        "not measured",
        f"{deadline} ms",
        f"{guard} cannot be judged: {what}; {last}; the deadline is {deadline} ms, and {halts_after} ms halt",
        blind=True,
        unseen_ms=age if age >= 0 else None,
    )


def _utc(at: Millis) -> str:
    """An instant as a person reads it; one that no calendar has stays a number."""
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"{at} ms"


def _unless_seen(breach: Breach | None, age: int | None, seen_ms: int | None = 0, most: int = 0) -> Breach | None:
    """Mark a breach as one of what is only not seen, unless the venue answered for longer than ``most`` and it was not better."""
    return None if breach is None else replace(breach, unseen_ms=None if seen_ms is None or seen_ms > most else age)


def _by_steps(guard: GuardName, measured: int, steps: tuple[tuple[int, Level], ...], sentence: str) -> Breach | None:
    """The breach of the first threshold that ``measured`` exceeds; ``steps`` go from most to least severe."""
    for threshold, level in steps:
        if measured > threshold:
            return Breach(
                guard, level, f"{measured} ms", f"{threshold} ms", f"{sentence.format(measured)}; {level.name} above {threshold} ms"
            )
    return None


_GUARDS: tuple[Callable[[_Inputs], Breach | None], ...] = (
    _daily_loss,
    _drawdown,
    _quote_stale,
    _reconciliation,
    _reject_rate,
    _unknown_order,
    _clock_offset,
    _testnet_identity,
)
