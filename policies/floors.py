"""The production floors: the loosest limits a production policy may have (architecture.md §1.6). ``policies.document`` checks them.

A policy can be stricter but never looser, and no setting turns a floor off. A field that a policy in an older journal does not have
counts as at its floor; a policy file must have it. Numbers: execution-safety.md §4.3 (gates) and §6
(ramp and guards). A rehearsal may use shorter times; the caps in ``policies.schema`` apply everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from policies.drills import DRILLS, GREEN_FOR_MS
from policies.numbers import WIDE, text
from policies.required import REPLAY_RULES, VALIDATION_RULES, RequiredRule, required
from policies.rules import GateName, MetricName, Op
from policies.schema import FIRST_STEP_MAX_EUR, GateRule, Policy
from policies.stage import WITHOUT_REAL_MONEY, Environment, Stage

_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_RATE_DAYS, _ECB_DAYS = 31, 6
VALIDATION_COVERED_MS = 3 * _DAY_MS
"""72 covered hours."""

LOOKS_MAX = 10
"""How many verdicts of one validation may be declared at most."""

GAP_TOLERATED_MS = 120_000
"""The longest gap that the gate ``validation`` tolerates."""

SILENCE_CEILING_MS = 900_000
"""A quarter of an hour. A bot that has nothing to do for longer sends a heartbeat."""


@dataclass(frozen=True, slots=True)
class Floor:
    """One bound on one number of a policy. ``op`` is ``<=`` or ``>=``; ``why`` gives the reason."""

    path: str
    op: Op
    bound: Decimal
    why: str
    read: Callable[[Policy], Decimal | int]


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where a policy is looser than a floor."""

    path: str
    measured: str
    bound: str
    why: str


def _at_most(path: str, bound: str, why: str, read: Callable[[Policy], Decimal | int]) -> Floor:
    return Floor(path, Op.AT_MOST, Decimal(bound), why, read)


def _at_least(path: str, bound: str, why: str, read: Callable[[Policy], Decimal | int]) -> Floor:
    return Floor(path, Op.AT_LEAST, Decimal(bound), why, read)


def _silence_max_ms(policy: Policy) -> int:
    return max((one.silence_max_ms for one in policy.bots if one.silence_max_ms is not None), default=SILENCE_CEILING_MS)


def _blind_halt_ms(stage: Stage, policy: Policy) -> int:
    deadline = policy.guards.blind_halt_ms.of(stage)
    return GAP_TOLERATED_MS if deadline is None else deadline


FLOORS: tuple[Floor, ...] = (
    _at_most("caps.live", "10", "LIVE_€10 allows at most ten euros", lambda p: p.caps.live),
    _at_most("caps.testnet", "10", "the testnet must test the live limits, not larger ones", lambda p: p.caps.testnet),
    _at_most(
        "eur_rate.quote_per_eur",
        "1.5",
        "a rate that is too high understates every exposure",
        lambda p: p.eur_rate.quote_per_eur,
    ),
    _at_most(
        "eur_rate.valid_until",
        str(_RATE_DAYS * _DAY_MS),
        "a rate that follows no source is valid for at most 31 days (milliseconds after as_of)",
        lambda p: _RATE_DAYS * _DAY_MS if p.eur_rate.valid_until is None else p.eur_rate.valid_until - p.eur_rate.as_of,
    ),
    _at_most(
        "eur_rate.follow.band_percent",
        "5",
        "a reading further from the signed rate needs a person",
        lambda p: Decimal(5) if p.eur_rate.follow is None else p.eur_rate.follow.band_percent,
    ),
    _at_most(
        "eur_rate.follow.ecb_max_age_ms",
        str(_ECB_DAYS * _DAY_MS),
        "the ECB publishes on every working day, and over the longest holiday after five days",
        lambda p: _ECB_DAYS * _DAY_MS if p.eur_rate.follow is None else p.eur_rate.follow.ecb_max_age_ms,
    ),
    _at_most(
        "eur_rate.follow.venue_max_age_ms",
        str(_HOUR_MS),
        "a book of an hour ago says nothing about now",
        lambda p: _HOUR_MS if p.eur_rate.follow is None else p.eur_rate.follow.venue_max_age_ms or _HOUR_MS,
    ),
    _at_most(
        "limits.order_notional_max_eur",
        "25",
        "no single order may be larger than the first ramp step",
        lambda p: p.limits.order_notional_max_eur,
    ),
    _at_most(
        "limits.price_collar_bps", "500", "a price more than 5 % from the market is a mistake", lambda p: p.limits.price_collar_bps
    ),
    _at_most("limits.quote_max_age_ms", "5000", "older data is stale", lambda p: p.limits.quote_max_age_ms),
    _at_most(
        "limits.order_rate",
        "6",
        "half of the venue's 12 orders per second must stay free for cancels (orders per second)",
        lambda p: WIDE.divide(Decimal(p.limits.order_rate.count * 1000), Decimal(p.limits.order_rate.per_ms)),
    ),
    _at_most("limits.order_rate.per_ms", "10000", "a longer window allows a burst", lambda p: p.limits.order_rate.per_ms),
    _at_most("limits.open_orders_max", "10", "many open orders are a sign of a faulty bot", lambda p: p.limits.open_orders_max),
    _at_least("limits.min_order_factor", "1.2", "a holding must be large enough to sell", lambda p: p.limits.min_order_factor),
    _at_least(
        "limits.exit_stop_fraction",
        "0.1",
        "a holding must still be large enough to sell after the price fell",
        lambda p: Decimal("0.1") if p.limits.exit_stop_fraction is None else p.limits.exit_stop_fraction,
    ),
    _at_most(
        "guards.reduce.at",
        "0.8",
        "a loss must leave only sells well before it halts",
        lambda p: Decimal("0.8") if p.guards.reduce is None else p.guards.reduce.at,
    ),
    _at_most(
        "flatten.give_up_after_ms",
        "3600000",
        "after an hour without success a person must look",
        lambda p: 3_600_000 if p.flatten is None else p.flatten.give_up_after_ms,
    ),
    _at_most("guards.daily_loss.max_eur", "5", "the loss of one day must be limited", lambda p: p.guards.daily_loss.max_eur),
    _at_most(
        "guards.daily_loss.max_cap_fraction",
        "0.1",
        "at LIVE_€10 the loss limit is one euro per day",
        lambda p: p.guards.daily_loss.max_cap_fraction,
    ),
    _at_most(
        "guards.drawdown_fraction",
        "0.2",
        "a loss of a fifth of the cap means that the strategy fails",
        lambda p: p.guards.drawdown_fraction,
    ),
    _at_most("guards.quote_stale.no_entry_ms", "5000", "older data is stale", lambda p: p.guards.quote_stale.no_entry_ms),
    _at_most(
        "guards.quote_stale.cancel_ms",
        "30000",
        "resting orders without market data are unsafe after 30 s",
        lambda p: p.guards.quote_stale.cancel_ms,
    ),
    _at_most(
        "guards.quote_stale.halt_ms",
        "300000",
        "five minutes without market data need a person",
        lambda p: p.guards.quote_stale.halt_ms,
    ),
    _at_most(
        "guards.reconciliation.tolerated_breaks",
        "0",
        "an unexplained difference is unknown exposure",
        lambda p: p.guards.reconciliation.tolerated_breaks,
    ),
    _at_most(
        "guards.reconciliation.max_age_ms",
        "60000",
        "the account must be reconciled every minute",
        lambda p: p.guards.reconciliation.max_age_ms,
    ),
    _at_most(
        "guards.reject_rate.max_ratio",
        "0.2",
        "frequent rejections mean that something is wrong",
        lambda p: p.guards.reject_rate.max_ratio,
    ),
    _at_most(
        "guards.reject_rate.min_samples",
        "20",
        "the guard must be able to halt early",
        lambda p: p.guards.reject_rate.min_samples,
    ),
    _at_least(
        "guards.reject_rate.window_ms",
        "60000",
        "a shorter window rarely contains enough placements",
        lambda p: p.guards.reject_rate.window_ms,
    ),
    _at_most(
        "guards.unknown_order.max_age_ms",
        "60000",
        "an outcome that is unknown for a minute needs a person",
        lambda p: p.guards.unknown_order.max_age_ms,
    ),
    _at_most(
        "guards.clock_offset.no_entry_ms", "500", "the venue accepts at most 1 s", lambda p: p.guards.clock_offset.no_entry_ms
    ),
    _at_most("guards.clock_offset.halt_ms", "900", "the venue accepts at most 1 s", lambda p: p.guards.clock_offset.halt_ms),
    _at_most(
        "guards.blind_deadline_ms", "30000", "a guard without measurements does not protect", lambda p: p.guards.blind_deadline_ms
    ),
    *(
        _at_least(
            f"guards.blind_halt_ms.{stage.lower()}",
            str(GAP_TOLERATED_MS),
            "without real money a restart of the venue is a gap for the gate to judge, and no halt",
            partial(_blind_halt_ms, stage),
        )
        for stage in WITHOUT_REAL_MONEY
    ),
    _at_most(
        "bots.silence_max_ms",
        str(SILENCE_CEILING_MS),
        "a bot that is not heard for a quarter of an hour may have ended; one that has nothing to do can send a heartbeat",
        _silence_max_ms,
    ),
    _at_least(
        "settle.unknown_grace_ms", "10000", "the venue's look-ups lag behind its orders", lambda p: p.settle.unknown_grace_ms
    ),
    _at_least("settle.lookups_min", "3", "a single look-up that finds nothing may be lag", lambda p: p.settle.lookups_min),
    _at_least(
        "validation.covered_ms",
        str(VALIDATION_COVERED_MS),
        "a validation needs 72 covered hours",
        lambda p: p.validation.covered_ms,
    ),
    _at_most(
        "performance.looks",
        str(LOOKS_MAX),
        "a verdict that is asked for often enough passes by chance",
        lambda p: LOOKS_MAX if p.performance is None else p.performance.looks,
    ),
    _at_most("evidence.ttl_ms", str(_DAY_MS), "evidence must not be older than a day", lambda p: p.evidence.ttl_ms),
    _at_least(
        "authority.cooling_off_ms",
        "600000",
        "people need ten minutes to veto",
        lambda p: p.authority.cooling_off_ms,
    ),
    _at_most(
        "shadow.fill_band",
        "0.2",
        "a simulation that fills 20 points too often or too rarely shows another strategy",
        lambda p: p.shadow.fill_band,
    ),
    _at_most(
        "shadow.price_band_bps", "10", "a larger error of the price hides what an order costs", lambda p: p.shadow.price_band_bps
    ),
    _at_most(
        "shadow.latency_band_ms",
        "1500",
        "a simulated answer that early or late is of another venue",
        lambda p: p.shadow.latency_band_ms,
    ),
    _at_most("shadow.orders_min", "50", "a wrong simulation must be found at LIVE_€10", lambda p: p.shadow.orders_min),
)
"""All numeric floors."""


_NO_OPEN_ISSUES = (
    (MetricName.RECONCILIATION_BREAKS, Op.AT_MOST, "0"),
    (MetricName.UNKNOWN_ORDERS, Op.AT_MOST, "0"),
)

REQUIRED_RULES: tuple[RequiredRule, ...] = (
    *required(
        GateName.TESTNET_READY,
        *_NO_OPEN_ISSUES,
        (MetricName.ORDERS, Op.AT_LEAST, "10"),
        (MetricName.REJECT_RATIO, Op.AT_MOST, "0.05"),
        (MetricName.COVERAGE_RATIO, Op.AT_LEAST, "0.95"),
    ),
    *required(
        GateName.VALIDATION,
        *_NO_OPEN_ISSUES,
        (MetricName.COVERED_MS, Op.AT_LEAST, str(VALIDATION_COVERED_MS)),
        (MetricName.COVERAGE_RATIO, Op.AT_LEAST, "0.995"),
        (MetricName.LONGEST_GAP_MS, Op.AT_MOST, str(GAP_TOLERATED_MS)),
        (MetricName.ORDERS, Op.AT_LEAST, "100"),
        (MetricName.FILLS, Op.AT_LEAST, "60"),
        (MetricName.REJECT_RATIO, Op.AT_MOST, "0.01"),
        (MetricName.REJECT_RATIO_UPPER, Op.AT_MOST, "0.03"),
        (MetricName.LONGEST_UNKNOWN_MS, Op.AT_MOST, "60000"),
        (MetricName.CLOCK_OFFSET_MAX_MS, Op.AT_MOST, "900"),
        (MetricName.DRAWDOWN_FRACTION, Op.AT_MOST, "0.05"),
        (MetricName.NET_PNL_EUR, Op.AT_LEAST, "-0.1"),
    ),
    *required(
        GateName.LIVE_READY,
        *_NO_OPEN_ISSUES,
        (MetricName.COVERED_MS, Op.AT_LEAST, "600000"),
        (MetricName.COVERAGE_RATIO, Op.AT_LEAST, "0.995"),
        (MetricName.DRAWDOWN_FRACTION, Op.AT_MOST, "0.05"),
        (MetricName.ACCOUNT_CHECKS_FAILED, Op.AT_MOST, "0"),
    ),
    *required(
        GateName.RAMP_STEP,
        *_NO_OPEN_ISSUES,
        (MetricName.COVERED_MS, Op.AT_LEAST, str(VALIDATION_COVERED_MS)),
        (MetricName.COVERAGE_RATIO, Op.AT_LEAST, "0.995"),
        (MetricName.FILLS, Op.AT_LEAST, "30"),
        (MetricName.REJECT_RATIO, Op.AT_MOST, "0.01"),
        (MetricName.LONGEST_UNKNOWN_MS, Op.AT_MOST, "60000"),
        (MetricName.DRAWDOWN_FRACTION, Op.AT_MOST, "0.1"),
        (MetricName.NET_PNL_EUR, Op.AT_LEAST, "-1"),
    ),
    *required(GateName.RESUME, *_NO_OPEN_ISSUES, (MetricName.COVERED_MS, Op.AT_LEAST, "60000")),
)
"""Every gate rule that a production policy must have."""

DRILL_RULES: tuple[RequiredRule, ...] = required(
    GateName.LIVE_READY,
    *((spec.metric, Op.AT_MOST, str(GREEN_FOR_MS)) for spec in DRILLS.values() if spec.metric is not None),
)
"""The rules about drills. A production policy in an older journal may lack them; one that comes into force must have them."""

LIVE_RULES: tuple[RequiredRule, ...] = (
    *required(
        GateName.LIVE_READY,
        (MetricName.ORDER_TESTS, Op.AT_LEAST, "30"),
        (MetricName.ORDER_TEST_PARITY_RATIO, Op.AT_LEAST, "0.999"),
        (MetricName.ORDER_TEST_PARITY_LOWER, Op.AT_LEAST, "0.9"),
    ),
    *required(
        GateName.RAMP_STEP,
        (MetricName.SOFT_BREACHES, Op.AT_MOST, "0"),
        (MetricName.SHADOW_ORDERS, Op.AT_LEAST, "30"),
        (MetricName.SHADOW_FILL_BIAS_LOW, Op.AT_LEAST, "-0.25"),
        (MetricName.SHADOW_FILL_BIAS_HIGH, Op.AT_MOST, "0.25"),
        (MetricName.SHADOW_PRICE_BIAS_BPS_LOW, Op.AT_LEAST, "-10"),
        (MetricName.SHADOW_PRICE_BIAS_BPS_HIGH, Op.AT_MOST, "10"),
        (MetricName.SHADOW_LATENCY_BIAS_MS_LOW, Op.AT_LEAST, "-1500"),
        (MetricName.SHADOW_LATENCY_BIAS_MS_HIGH, Op.AT_MOST, "1500"),
    ),
)
"""The rules about the real venue (ADR 64): parity before real money, and before more of it a bias that is proven to be small. The
whole interval has to be inside these bounds, which are wider than the bands that revoke, so that some 60 orders can prove it. As
``DRILL_RULES``, older journals may lack them."""
_SAME_SENSE = {Op.AT_MOST: {Op.AT_MOST, Op.BELOW, Op.EQUAL}, Op.AT_LEAST: {Op.AT_LEAST, Op.ABOVE, Op.EQUAL}}


def violations(policy: Policy, *, journalled: bool = False) -> tuple[Violation, ...]:
    """Return every place where ``policy`` is looser than the floors; always empty outside production.

    ``journalled``: it may be of an older version, which had neither ``DRILL_RULES``, ``VALIDATION_RULES``, ``LIVE_RULES`` nor
    ``performance``.
    """
    if policy.environment is not Environment.PRODUCTION:
        return ()
    loose = [
        Violation(floor.path, text(Decimal(value)), f"{floor.op} {text(floor.bound)}", floor.why)
        for floor in FLOORS
        if not floor.op.holds(Decimal(value := floor.read(policy)), floor.bound)
    ]
    absent = [
        Violation(
            f"gates.{one.gate}",
            f"without a rule that strict on {one.metric}",
            f"{one.metric} {one.op} {text(one.bound)}",
            "production evidence must prove it",
        )
        for one in (*REQUIRED_RULES, *(() if journalled else _newer_rules(policy)))
        if not any(rule.above_eur is None and _as_strict(rule, one) for rule in policy.gates.of(one.gate))
    ]
    return (*loose, *_undeclared(policy, journalled=journalled), *absent, *_unrecorded(policy, journalled=journalled))


def _newer_rules(policy: Policy) -> tuple[RequiredRule, ...]:
    """The rules that a policy in an older journal may lack."""
    replay = None if policy.performance is None else policy.performance.replay
    offered = replay is not None and replay.offered
    return (*DRILL_RULES, *VALIDATION_RULES, *LIVE_RULES, *(REPLAY_RULES if offered else ()))


def _unrecorded(policy: Policy, *, journalled: bool) -> tuple[Violation, ...]:
    """A ramp beyond the first step's most needs a record that is not explained by chance (execution-safety.md §4.3 C4)."""
    needed = RequiredRule(GateName.RAMP_STEP, MetricName.DSR, Op.AT_LEAST, Decimal("0.95"))
    small = all(step <= FIRST_STEP_MAX_EUR for step in policy.ramp.steps)
    asks = (_as_strict(rule, needed) and (rule.above_eur or 0) <= FIRST_STEP_MAX_EUR for rule in policy.gates.of(needed.gate))
    if journalled or small or any(asks):
        return ()
    measured = f"without a rule that strict on {needed.metric} for steps above {FIRST_STEP_MAX_EUR} EUR"
    return (Violation("gates.ramp-step", measured, "dsr >= 0.95", "more needs a record that chance does not explain"),)


def _undeclared(policy: Policy, *, journalled: bool) -> tuple[Violation, ...]:
    """What a validation in production has to declare before it begins, and does not."""
    if journalled:
        return ()
    if policy.performance is None:
        return (
            Violation("performance", "absent", "declared: looks, variants and a claim", "tries that nobody counts pass by chance"),
        )
    claim = policy.performance.claim
    behaviour = claim is not None and (claim.trades_per_day, claim.holding_ms, claim.turnover_per_day) != (None, None, None)
    if claim is None or claim.annual_sharpe is None or claim.fill_ratio is None or not behaviour:
        needed = "an annual_sharpe, a fill_ratio, and trades_per_day, holding_ms or turnover_per_day"
        return (Violation("performance.claim", "incomplete", needed, "a run is compared with what was claimed before it"),)
    if policy.performance.latency is None:
        why = "a run is compared with the latency that its venue is said to have"
        return (Violation("performance.latency", "absent", "declared: p50_ms and p99_ms", why),)
    if policy.performance.replay is None:
        why = "a bot without a replay of its signals must not pass for one that has shown it"
        return (Violation("performance.replay", "absent", "declared: offered = true with tolerance_ms, or offered = false", why),)
    return ()


def _as_strict(rule: GateRule, required: RequiredRule) -> bool:
    return (
        rule.metric is required.metric and rule.op in _SAME_SENSE[required.op] and required.op.holds(rule.threshold, required.bound)
    )
