"""Always-on rules: ``watch(readings, …)`` says which are broken now and what has to happen (architecture.md §6).

A guard that cannot be measured is broken too: never measured yet means no new entries, and unmeasured for longer than
``guards.blind_deadline_ms`` halts. There is no hysteresis; only people go back up. Source: execution-safety.md §6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import IntEnum, StrEnum
from typing import Generic, TypeVar

from exchange.model import Millis
from policies.exposure import sane
from policies.numbers import WIDE, rounded_up, text
from policies.ramp import cap_eur
from policies.schema import Policy
from policies.stage import Stage

T = TypeVar("T")


class Level(IntEnum):
    """What a breach demands, from least to most."""

    NO_ENTRY = 1
    REDUCE = 2
    CANCEL_ALL = 3
    FLATTEN = 4
    HALT = 5


class GuardName(StrEnum):
    """The guards there are."""

    DAILY_LOSS = "daily-loss"
    DRAWDOWN = "drawdown"
    QUOTE_STALE = "quote-stale"
    RECONCILIATION = "reconciliation"
    REJECT_RATE = "reject-rate"
    UNKNOWN_ORDER = "unknown-order"
    CLOCK_OFFSET = "clock-offset"


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken guard, in words an operator can act on.

    ``blind``: it is broken because it could not be measured. ``contradicted``: somebody else's books say something else.
    """

    guard: GuardName
    level: Level
    measured: str
    threshold: str
    message: str
    blind: bool = False
    contradicted: bool = False


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A measurement and when it was taken."""

    value: T
    at: Millis


@dataclass(frozen=True, slots=True)
class Placements:
    """Orders handed to the venue within ``guards.reject_rate.window_ms``, and how many of them it refused."""

    count: int
    rejects: int


@dataclass(frozen=True, slots=True)
class GuardMeasurements:
    """Everything the guards look at. ``None``: not measured since ``since``, when watching began.

    Money is EUR. ``quote_age_ms``: the oldest quote among the symbols in use. ``reconciliation_breaks``: differences found by the
    comparison that ended at ``at``. ``oldest_unknown_ms``: 0 when no outcome is open. ``clock_offset_ms``: ours minus the venue's.
    """

    since: Millis
    equity_eur: Reading[Decimal] | None = None
    day_start_equity_eur: Reading[Decimal] | None = None
    peak_equity_eur: Reading[Decimal] | None = None
    quote_age_ms: Reading[int] | None = None
    reconciliation_breaks: Reading[int] | None = None
    placements: Reading[Placements] | None = None
    oldest_unknown_ms: Reading[int] | None = None
    clock_offset_ms: Reading[int] | None = None


@dataclass(frozen=True, slots=True)
class _Scene:
    readings: GuardMeasurements
    policy: Policy
    cap: Decimal
    now: Millis


def watch(readings: GuardMeasurements, policy: Policy, stage: Stage, step: int, now: Millis) -> tuple[Breach, ...]:
    """Every guard that is broken at ``now``, most severe first. HALTED is watched with LIVE_€10's cap."""
    cap = cap_eur(policy, stage, step) or policy.caps.live
    scene = _Scene(readings, policy, cap, now)
    with localcontext(WIDE):
        found = [breach for guard in _GUARDS if (breach := guard(scene)) is not None]
    return tuple(sorted(found, key=lambda breach: (-breach.level, breach.guard.value)))


def daily_loss_limit_eur(policy: Policy, cap: Decimal) -> Decimal:
    """The loss since UTC midnight that halts at a cap: the smaller of the amount and the part of the cap."""
    rule = policy.guards.daily_loss
    return min(rule.max_eur, cap * rule.max_cap_fraction)


def drawdown_fraction(peak_eur: Decimal, equity_eur: Decimal, cap: Decimal) -> Decimal:
    """The fall from the peak as a part of the smaller of peak and cap, rounded up: a large account cannot hide a lost cap.

    The peak is seeded with the starting equity. Without a positive base any fall counts as total.
    """
    if equity_eur >= peak_eur:
        return Decimal(0)
    base = min(peak_eur, cap)
    if base <= 0:
        return Decimal(1)
    with localcontext(WIDE):
        return rounded_up((peak_eur - equity_eur) / base)


def _blindness(guard: GuardName, reading: Reading[T] | None, scene: _Scene) -> Breach | None:
    deadline = scene.policy.guards.blind_deadline_ms
    last = scene.readings.since if reading is None else reading.at
    age = scene.now - last
    if reading is not None and 0 <= age <= deadline:
        return None
    waiting = reading is None and 0 <= age <= deadline
    if age < 0:
        what = "its last measurement is from the future"
    elif reading is None:
        what = f"it has not been measured in the {age} ms since watching began"
    else:
        what = f"it was last measured {age} ms ago"
    return Breach(
        guard,
        Level.NO_ENTRY if waiting else Level.HALT,
        "not measured",
        f"{deadline} ms",
        f"{guard} cannot be judged: {what}; the deadline is {deadline} ms",
        blind=True,
    )


def _nonsense(guard: GuardName, what: str) -> Breach:
    return Breach(guard, Level.HALT, what, "a plausible value", f"{guard} cannot be judged: {what}", blind=True)


def _money(guard: GuardName, scene: _Scene, *readings: Reading[Decimal] | None) -> tuple[Decimal, ...] | Breach:
    values: list[Decimal] = []
    for reading in readings:
        blind = _blindness(guard, reading, scene)
        if blind is not None:
            return blind
        if reading is None or not (reading.value.is_zero() or sane(reading.value.copy_abs())):
            return _nonsense(guard, "equity is not a number")
        values.append(reading.value)
    return tuple(values)


def _daily_loss(scene: _Scene) -> Breach | None:
    guard = GuardName.DAILY_LOSS
    values = _money(guard, scene, scene.readings.day_start_equity_eur, scene.readings.equity_eur)
    if isinstance(values, Breach):
        return values
    start, equity = values
    limit = daily_loss_limit_eur(scene.policy, scene.cap)
    loss = start - equity
    if loss < limit:
        return None
    return Breach(
        guard, Level.HALT, f"{text(loss)} EUR", f"{text(limit)} EUR", f"{text(loss)} EUR were lost today; {text(limit)} EUR halt"
    )


def _drawdown(scene: _Scene) -> Breach | None:
    guard = GuardName.DRAWDOWN
    values = _money(guard, scene, scene.readings.peak_equity_eur, scene.readings.equity_eur)
    if isinstance(values, Breach):
        return values
    peak, equity = values
    limit = scene.policy.guards.drawdown_fraction
    fall = drawdown_fraction(peak, equity, scene.cap)
    if fall < limit:
        return None
    return Breach(
        guard,
        Level.HALT,
        text(fall),
        text(limit),
        f"equity fell from {text(peak)} to {text(equity)} EUR, {text(fall)} of the capital at risk; {text(limit)} halts",
    )


def _quote_stale(scene: _Scene) -> Breach | None:
    guard = GuardName.QUOTE_STALE
    reading = scene.readings.quote_age_ms
    blind = _blindness(guard, reading, scene)
    if blind is not None or reading is None:
        return blind
    if reading.value < 0:
        return _nonsense(guard, f"a quote is {-reading.value} ms from the future")
    rule = scene.policy.guards.quote_stale
    age = reading.value + (scene.now - reading.at)
    steps = ((rule.halt_ms, Level.HALT), (rule.cancel_ms, Level.CANCEL_ALL), (rule.no_entry_ms, Level.NO_ENTRY))
    return _by_steps(guard, age, steps, "the newest quote is {} ms old")


def _reconciliation(scene: _Scene) -> Breach | None:
    guard = GuardName.RECONCILIATION
    reading = scene.readings.reconciliation_breaks
    rule = scene.policy.guards.reconciliation
    if reading is not None and reading.value > rule.tolerated_breaks:
        return Breach(
            guard,
            Level.HALT,
            f"{reading.value} differences",
            f"{rule.tolerated_breaks} differences",
            f"our books and the venue's differ in {reading.value} places; {rule.tolerated_breaks} are tolerated",
            contradicted=True,
        )
    if reading is None:
        return _blindness(guard, reading, scene)
    if reading.value < 0:
        return _nonsense(guard, f"{reading.value} differences")
    age = scene.now - reading.at
    if age < 0:
        return _nonsense(guard, "the last comparison is from the future")
    steps = ((rule.max_age_ms + scene.policy.guards.blind_deadline_ms, Level.HALT), (rule.max_age_ms, Level.NO_ENTRY))
    return _by_steps(guard, age, steps, "our books were last compared with the venue's {} ms ago")


def _reject_rate(scene: _Scene) -> Breach | None:
    guard = GuardName.REJECT_RATE
    reading = scene.readings.placements
    blind = _blindness(guard, reading, scene)
    if blind is not None or reading is None:
        return blind
    rule = scene.policy.guards.reject_rate
    seen = reading.value
    if not 0 <= seen.rejects <= seen.count:
        return _nonsense(guard, f"{seen.rejects} rejections of {seen.count} placements")
    if seen.count < rule.min_samples or Decimal(seen.rejects) <= rule.max_ratio * seen.count:
        return None
    return Breach(
        guard,
        Level.HALT,
        f"{seen.rejects} of {seen.count}",
        f"{text(rule.max_ratio)} of at least {rule.min_samples}",
        f"the venue refused {seen.rejects} of the last {seen.count} orders; at most {text(rule.max_ratio)} of them may be",
    )


def _unknown_order(scene: _Scene) -> Breach | None:
    guard = GuardName.UNKNOWN_ORDER
    reading = scene.readings.oldest_unknown_ms
    blind = _blindness(guard, reading, scene)
    if blind is not None or reading is None:
        return blind
    if reading.value < 0:
        return _nonsense(guard, "an open outcome is from the future")
    age = reading.value + (scene.now - reading.at) if reading.value else 0
    steps = ((scene.policy.guards.unknown_order.max_age_ms, Level.HALT),)
    return _by_steps(guard, age, steps, "an order's outcome has been unproven for {} ms")


def _clock_offset(scene: _Scene) -> Breach | None:
    guard = GuardName.CLOCK_OFFSET
    reading = scene.readings.clock_offset_ms
    blind = _blindness(guard, reading, scene)
    if blind is not None or reading is None:
        return blind
    rule = scene.policy.guards.clock_offset
    steps = ((rule.halt_ms, Level.HALT), (rule.no_entry_ms, Level.NO_ENTRY))
    return _by_steps(guard, abs(reading.value), steps, "our clock and the venue's are {} ms apart")


def _by_steps(guard: GuardName, measured: int, steps: tuple[tuple[int, Level], ...], sentence: str) -> Breach | None:
    """The most severe step that ``measured`` is above; ``steps`` go from most to least severe."""
    for threshold, level in steps:
        if measured > threshold:
            return Breach(
                guard, level, f"{measured} ms", f"{threshold} ms", f"{sentence.format(measured)}; {level.name} above {threshold} ms"
            )
    return None


_GUARDS: tuple[Callable[[_Scene], Breach | None], ...] = (
    _daily_loss,
    _drawdown,
    _quote_stale,
    _reconciliation,
    _reject_rate,
    _unknown_order,
    _clock_offset,
)
