"""The production floors: the loosest a policy may be when real money can be reached (architecture.md §1.6).

A policy can be stricter, never looser, and nothing switches a floor off. Numbers: execution-safety.md §4.3 (gates) and §6 (ramp
and guards). Rehearsal is free to compress time; the caps of ``policies.schema`` hold everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from policies.numbers import WIDE, text
from policies.rules import GateName, MetricName, Op
from policies.schema import GateRule, Policy
from policies.stage import Environment

_DAY_MS = 86_400_000
VALIDATION_COVERED_MS = 3 * _DAY_MS
"""72 covered hours."""


@dataclass(frozen=True, slots=True)
class Floor:
    """One bound on one number of a policy. ``op`` is ``<=`` or ``>=``; ``why`` completes "because …"."""

    path: str
    op: Op
    bound: Decimal
    why: str
    read: Callable[[Policy], Decimal | int]


@dataclass(frozen=True, slots=True)
class RequiredRule:
    """A rule every production policy must have in ``gate``, at least as strict as ``metric op bound``."""

    gate: GateName
    metric: MetricName
    op: Op
    bound: Decimal


@dataclass(frozen=True, slots=True)
class Violation:
    """Where a policy is looser than a floor."""

    path: str
    measured: str
    bound: str
    why: str


def _at_most(path: str, bound: str, why: str, read: Callable[[Policy], Decimal | int]) -> Floor:
    return Floor(path, Op.AT_MOST, Decimal(bound), why, read)


def _at_least(path: str, bound: str, why: str, read: Callable[[Policy], Decimal | int]) -> Floor:
    return Floor(path, Op.AT_LEAST, Decimal(bound), why, read)


FLOORS: tuple[Floor, ...] = (
    _at_most("caps.live", "10", "LIVE_€10 means ten euros", lambda p: p.caps.live),
    _at_most("caps.testnet", "10", "the testnet proves the live limits, not larger ones", lambda p: p.caps.testnet),
    _at_most(
        "eur_rate.quote_per_eur",
        "1.5",
        "a rate typed too high understates every exposure",
        lambda p: p.eur_rate.quote_per_eur,
    ),
    _at_most(
        "eur_rate.valid_until",
        str(31 * _DAY_MS),
        "a rate is good for 31 days (milliseconds after as_of)",
        lambda p: p.eur_rate.valid_until - p.eur_rate.as_of,
    ),
    _at_most(
        "limits.order_notional_max_eur",
        "25",
        "no single order is larger than the first step of a ramp",
        lambda p: p.limits.order_notional_max_eur,
    ),
    _at_most("limits.price_collar_bps", "500", "a price 5 % away is a mistake", lambda p: p.limits.price_collar_bps),
    _at_most("limits.quote_max_age_ms", "5000", "older data is stale", lambda p: p.limits.quote_max_age_ms),
    _at_most(
        "limits.order_rate",
        "6",
        "half of the venue's 12 orders a second stays free for cancels (orders a second)",
        lambda p: WIDE.divide(Decimal(p.limits.order_rate.count * 1000), Decimal(p.limits.order_rate.per_ms)),
    ),
    _at_most("limits.order_rate.per_ms", "10000", "a longer window lets a burst through", lambda p: p.limits.order_rate.per_ms),
    _at_most("limits.open_orders_max", "10", "a runaway bot shows in its open orders", lambda p: p.limits.open_orders_max),
    _at_least(
        "limits.min_order_factor", "1.2", "what was bought must be large enough to sell", lambda p: p.limits.min_order_factor
    ),
    _at_most("guards.daily_loss.max_eur", "5", "a day's loss is bounded", lambda p: p.guards.daily_loss.max_eur),
    _at_most(
        "guards.daily_loss.max_cap_fraction",
        "0.1",
        "one euro a day at LIVE_€10",
        lambda p: p.guards.daily_loss.max_cap_fraction,
    ),
    _at_most(
        "guards.drawdown_fraction", "0.2", "a fifth of the cap lost is a broken strategy", lambda p: p.guards.drawdown_fraction
    ),
    _at_most("guards.quote_stale.no_entry_ms", "5000", "older data is stale", lambda p: p.guards.quote_stale.no_entry_ms),
    _at_most(
        "guards.quote_stale.cancel_ms",
        "30000",
        "resting orders are blind after 30 s",
        lambda p: p.guards.quote_stale.cancel_ms,
    ),
    _at_most("guards.quote_stale.halt_ms", "300000", "five minutes blind needs a person", lambda p: p.guards.quote_stale.halt_ms),
    _at_most(
        "guards.reconciliation.tolerated_breaks",
        "0",
        "an unexplained difference is unknown exposure",
        lambda p: p.guards.reconciliation.tolerated_breaks,
    ),
    _at_most(
        "guards.reconciliation.max_age_ms",
        "60000",
        "books are compared every minute",
        lambda p: p.guards.reconciliation.max_age_ms,
    ),
    _at_most(
        "guards.reject_rate.max_ratio", "0.2", "a venue that refuses says something", lambda p: p.guards.reject_rate.max_ratio
    ),
    _at_most(
        "guards.reject_rate.min_samples",
        "20",
        "the guard must be able to speak early",
        lambda p: p.guards.reject_rate.min_samples,
    ),
    _at_least(
        "guards.reject_rate.window_ms",
        "60000",
        "a short window never gathers enough placements",
        lambda p: p.guards.reject_rate.window_ms,
    ),
    _at_most(
        "guards.unknown_order.max_age_ms",
        "60000",
        "an outcome unproven for a minute needs a person",
        lambda p: p.guards.unknown_order.max_age_ms,
    ),
    _at_most(
        "guards.clock_offset.no_entry_ms", "500", "the venue accepts at most 1 s", lambda p: p.guards.clock_offset.no_entry_ms
    ),
    _at_most("guards.clock_offset.halt_ms", "900", "the venue accepts at most 1 s", lambda p: p.guards.clock_offset.halt_ms),
    _at_most("guards.blind_deadline_ms", "30000", "a guard that cannot see is no guard", lambda p: p.guards.blind_deadline_ms),
    _at_least("settle.unknown_grace_ms", "10000", "the venue's lookups lag behind its orders", lambda p: p.settle.unknown_grace_ms),
    _at_least("settle.lookups_min", "3", "one not-found may be lag", lambda p: p.settle.lookups_min),
    _at_least(
        "validation.covered_ms",
        str(VALIDATION_COVERED_MS),
        "a validation lasts 72 covered hours",
        lambda p: p.validation.covered_ms,
    ),
    _at_most("evidence.ttl_ms", str(_DAY_MS), "evidence older than a day is about another day", lambda p: p.evidence.ttl_ms),
    _at_least(
        "authority.cooling_off_ms",
        "600000",
        "a veto needs ten minutes to arrive",
        lambda p: p.authority.cooling_off_ms,
    ),
)
"""Every numeric floor."""


def _required(gate: GateName, *rules: tuple[MetricName, Op, str]) -> tuple[RequiredRule, ...]:
    return tuple(RequiredRule(gate, metric, op, Decimal(bound)) for metric, op, bound in rules)


_NO_LOOSE_ENDS = (
    (MetricName.RECONCILIATION_BREAKS, Op.AT_MOST, "0"),
    (MetricName.UNKNOWN_ORDERS, Op.AT_MOST, "0"),
)

REQUIRED_RULES: tuple[RequiredRule, ...] = (
    *_required(
        GateName.TESTNET_READY,
        *_NO_LOOSE_ENDS,
        (MetricName.ORDERS, Op.AT_LEAST, "10"),
        (MetricName.REJECT_RATIO, Op.AT_MOST, "0.05"),
        (MetricName.COVERAGE_RATIO, Op.AT_LEAST, "0.95"),
    ),
    *_required(
        GateName.VALIDATION,
        *_NO_LOOSE_ENDS,
        (MetricName.COVERED_MS, Op.AT_LEAST, str(VALIDATION_COVERED_MS)),
        (MetricName.COVERAGE_RATIO, Op.AT_LEAST, "0.995"),
        (MetricName.LONGEST_GAP_MS, Op.AT_MOST, "120000"),
        (MetricName.ORDERS, Op.AT_LEAST, "100"),
        (MetricName.FILLS, Op.AT_LEAST, "60"),
        (MetricName.REJECT_RATIO, Op.AT_MOST, "0.01"),
        (MetricName.REJECT_RATIO_UPPER, Op.AT_MOST, "0.03"),
        (MetricName.LONGEST_UNKNOWN_MS, Op.AT_MOST, "60000"),
        (MetricName.CLOCK_OFFSET_MAX_MS, Op.AT_MOST, "900"),
        (MetricName.DRAWDOWN_FRACTION, Op.AT_MOST, "0.05"),
        (MetricName.NET_PNL_EUR, Op.AT_LEAST, "-0.1"),
    ),
    *_required(
        GateName.LIVE_READY,
        *_NO_LOOSE_ENDS,
        (MetricName.COVERED_MS, Op.AT_LEAST, "600000"),
        (MetricName.COVERAGE_RATIO, Op.AT_LEAST, "0.995"),
        (MetricName.DRAWDOWN_FRACTION, Op.AT_MOST, "0.05"),
        (MetricName.ACCOUNT_CHECKS_FAILED, Op.AT_MOST, "0"),
    ),
    *_required(
        GateName.RAMP_STEP,
        *_NO_LOOSE_ENDS,
        (MetricName.COVERED_MS, Op.AT_LEAST, str(VALIDATION_COVERED_MS)),
        (MetricName.COVERAGE_RATIO, Op.AT_LEAST, "0.995"),
        (MetricName.FILLS, Op.AT_LEAST, "30"),
        (MetricName.REJECT_RATIO, Op.AT_MOST, "0.01"),
        (MetricName.LONGEST_UNKNOWN_MS, Op.AT_MOST, "60000"),
        (MetricName.DRAWDOWN_FRACTION, Op.AT_MOST, "0.1"),
        (MetricName.NET_PNL_EUR, Op.AT_LEAST, "-1"),
    ),
    *_required(GateName.RESUME, *_NO_LOOSE_ENDS, (MetricName.COVERED_MS, Op.AT_LEAST, "60000")),
)
"""Every rule a production policy cannot do without."""

_SAME_SENSE = {Op.AT_MOST: {Op.AT_MOST, Op.BELOW, Op.EQUAL}, Op.AT_LEAST: {Op.AT_LEAST, Op.ABOVE, Op.EQUAL}}


def violations(policy: Policy) -> tuple[Violation, ...]:
    """Where ``policy`` is looser than the floors; always empty outside production."""
    if policy.environment is not Environment.PRODUCTION:
        return ()
    loose = [
        Violation(floor.path, text(Decimal(value)), f"{floor.op} {text(floor.bound)}", floor.why)
        for floor in FLOORS
        if not floor.op.holds(Decimal(value := floor.read(policy)), floor.bound)
    ]
    absent = [
        Violation(
            f"gates.{required.gate}",
            f"without a rule that strict on {required.metric}",
            f"{required.metric} {required.op} {text(required.bound)}",
            "production evidence must show it",
        )
        for required in REQUIRED_RULES
        if not any(_as_strict(rule, required) for rule in policy.gates.of(required.gate))
    ]
    return (*loose, *absent)


def _as_strict(rule: GateRule, required: RequiredRule) -> bool:
    return (
        rule.metric is required.metric and rule.op in _SAME_SENSE[required.op] and required.op.holds(rule.threshold, required.bound)
    )
