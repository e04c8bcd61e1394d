"""How far each always-on guard is from its limit: the figures that ``policies.guards`` judges by, for people.

``controller.runtime.api`` shows them. Nothing is decided here; a guard that cannot be measured has no distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal, localcontext

from exchange.model import Millis
from policies.guards import (
    Breach,
    GuardMeasurements,
    GuardName,
    breached_guards,
    daily_loss_limit_eur,
    drawdown_fraction,
)
from policies.numbers import WIDE, text
from policies.ramp import cap_eur
from policies.schema import Policy
from policies.stage import Stage

_ZERO = Decimal(0)
_SHOWN = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Distance:
    """One guard. ``used`` is the part of the limit at which it halts that is used up, 1 at the limit; ``None``: not measured.

    ``breach`` is what the guard says now, if it is breached.
    """

    guard: GuardName
    measured: str
    limit: str
    used: Decimal | None
    breach: Breach | None = None


def distances(found: GuardMeasurements, policy: Policy, stage: Stage, step: int, now: Millis) -> tuple[Distance, ...]:
    """Every guard with a limit, in the order of ``policies.guards``. HALTED uses the cap of LIVE_€10, as the guards do."""
    breaches = {breach.guard: breach for breach in breached_guards(found, policy, stage, step, now)}
    cap = cap_eur(policy, stage, step) or policy.caps.live
    with localcontext(WIDE):
        rows = (
            _daily_loss(found, policy, cap),
            _drawdown(found, policy, cap),
            _quote(found, policy, now),
            _reconciliation(found, policy, now),
            _rejects(found, policy),
            _unknown(found, policy, now),
            _clock(found, policy),
        )
    return tuple(
        Distance(
            row.guard, row.measured, row.limit, None if _is_blind(breaches.get(row.guard)) else row.used, breaches.get(row.guard)
        )
        for row in rows
    )


def _is_blind(breach: Breach | None) -> bool:
    return breach is not None and breach.blind


def _written(value: Decimal | int) -> str:
    """A measure for people, rounded up, so that a limit that is reached never looks farther away."""
    exact = Decimal(value)
    return text(exact if exact == exact.to_integral_value() else exact.quantize(_SHOWN, rounding=ROUND_UP))


def _row(guard: GuardName, measured: Decimal | int | None, limit: Decimal | int, unit: str) -> Distance:
    """A row of a measure that halts when it reaches or exceeds its limit."""
    written = f"{text(Decimal(limit))}{unit}"
    if measured is None:
        return Distance(guard, "", written, None)
    used = max(_ZERO, Decimal(measured)) / Decimal(limit) if limit > 0 else Decimal(int(measured > 0))
    return Distance(guard, f"{_written(measured)}{unit}", written, used)


def _daily_loss(found: GuardMeasurements, policy: Policy, cap: Decimal) -> Distance:
    start, equity = found.day_start_equity_eur, found.equity_eur
    loss = None if start is None or equity is None else max(_ZERO, start.value - equity.value)
    return _row(GuardName.DAILY_LOSS, loss, daily_loss_limit_eur(policy, cap), " EUR")


def _drawdown(found: GuardMeasurements, policy: Policy, cap: Decimal) -> Distance:
    peak, equity = found.peak_equity_eur, found.equity_eur
    fall = None if peak is None or equity is None else drawdown_fraction(peak.value, equity.value, cap) * 100
    return _row(GuardName.DRAWDOWN, fall, policy.guards.drawdown_fraction * 100, " %")


def _quote(found: GuardMeasurements, policy: Policy, now: Millis) -> Distance:
    age = None if found.quote_age_ms is None else found.quote_age_ms.value + now - found.quote_age_ms.at
    return _row(GuardName.QUOTE_STALE, age, policy.guards.quote_stale.halt_ms, " ms")


def _reconciliation(found: GuardMeasurements, policy: Policy, now: Millis) -> Distance:
    """The age of the last comparison; or the differences, if there are any, because one too many halts."""
    rule, breaks = policy.guards.reconciliation, found.reconciliation_breaks
    guard = GuardName.RECONCILIATION
    if breaks is not None and breaks.value > 0:
        used = Decimal(breaks.value) / (rule.tolerated_breaks + 1)
        return Distance(guard, f"{breaks.value} differences", f"{rule.tolerated_breaks} differences", used)
    age = None if breaks is None else now - breaks.at
    return _row(guard, age, rule.max_age_ms + policy.guards.blind_deadline_ms, " ms")


def _rejects(found: GuardMeasurements, policy: Policy) -> Distance:
    rule, placed = policy.guards.reject_rate, found.placements
    limit = f"{text(rule.max_ratio * 100)} % of at least {rule.min_samples}"
    if placed is None:
        return Distance(GuardName.REJECT_RATE, "", limit, None)
    most = rule.max_ratio * max(placed.value.count, rule.min_samples)
    used = Decimal(placed.value.rejects) / most if most > 0 else Decimal(int(placed.value.rejects > 0))
    return Distance(GuardName.REJECT_RATE, f"{placed.value.rejects} of {placed.value.count}", limit, used)


def _unknown(found: GuardMeasurements, policy: Policy, now: Millis) -> Distance:
    oldest = found.oldest_unknown_ms
    age = None if oldest is None else oldest.value + now - oldest.at if oldest.value else 0
    return _row(GuardName.UNKNOWN_ORDER, age, policy.guards.unknown_order.max_age_ms, " ms")


def _clock(found: GuardMeasurements, policy: Policy) -> Distance:
    """The smallest difference that is certain, as the guard judges."""
    offset = found.clock_offset_ms
    least = None if offset is None else max(0, abs(offset.value) - found.clock_uncertainty_ms)
    return _row(GuardName.CLOCK_OFFSET, least, policy.guards.clock_offset.halt_ms, " ms")
