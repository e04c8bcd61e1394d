"""Judges a simulated run by the gate ``validation`` of the example policy, with the statistics that a real run gets.

What a simulation has nothing to say about (coverage, drills, rejects, the venue's ``order/test``) is at its threshold, so only the
trading decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from pathlib import Path
from unittest.mock import patch

import policies
from exchange.model import DataSource, Millis
from gates import resampling
from gates.computed import Run, Statistic, statistics
from gates.engine import GateResult, evaluate
from gates.evidence import Evidence, subject_of
from gates.measure import Tally
from gates.metric import Attestation
from gates.performance import Claim, Declared, measure
from gates.series import RunSeries
from gates.verdict import Verdict
from ops.power import bots
from ops.power.bots import Bot
from policies.document import load_policy
from policies.guards import drawdown_fraction
from policies.rules import STATISTICS, GateName, MetricName
from policies.schema import Policy
from policies.stage import Stage
from policies.values import replace

DAY_MS = 86_400_000
FIRST_LOOK_DAYS = 3
_BACKTEST_DAYS, _BACKTEST_SEED = 30, 1_000_003
_FEW = 200
"""Holding times of the backtest that are declared."""
_ENOUGH_TRIPS = 56
"""The gate wants 100 orders, two for each round trip; a few more, because runs differ."""
REPEATS = 1_000
"""Repetitions of a bootstrap: a real run has 5,000."""
_MANY = 1_000_000
_RELEASE = "sha256:" + "0" * 64

LATENCY_AS_DECLARED = frozenset({
    MetricName.ACK_P50_RATIO, MetricName.ACK_P99_RATIO, MetricName.ACK_P50_RATIO_LOW, MetricName.ACK_P50_RATIO_HIGH,
    MetricName.ACK_P99_RATIO_LOW, MetricName.ACK_P99_RATIO_HIGH,
})  # fmt: skip
"""A simulation without a venue has nothing to say about them."""
EXECUTION = frozenset({
    MetricName.SHORTFALL_MEDIAN_BPS, MetricName.SHORTFALL_UPPER_BPS, MetricName.SHORTFALL_P95_BPS, MetricName.FILL_RATIO_EXCESS,
    MetricName.ACK_P50_MS, MetricName.ACK_P99_MS, *LATENCY_AS_DECLARED,
})  # fmt: skip
PERFORMANCE = STATISTICS - EXECUTION
"""Family C."""

DRAWN = frozenset({
    MetricName.SHORTFALL_UPPER_BPS, MetricName.STRESSED_RETURN_LOWER, MetricName.RETURN_LOWER, MetricName.DRAWDOWN_P95,
    MetricName.DRAWDOWN_EXCESS,
})  # fmt: skip
"""What a bootstrap gives."""


def policy_of_the_example() -> Policy:
    """``policies/examples/solo.toml``."""
    return load_policy((Path(policies.__file__).parent / "examples" / "solo.toml").read_bytes())


def claim_of(bot: Bot, annual_sharpe: Decimal) -> Claim:
    """What its owner says of a bot: an annual Sharpe ratio, and its behaviour in a backtest on another path."""
    backtest = bots.run(bot, _BACKTEST_DAYS, _BACKTEST_SEED)
    held = [trip.closed_at - trip.opened_at for trip in backtest.round_trips]
    traded = sum((order.filled_quote for order in backtest.executions), Decimal(0))
    return Claim(
        annual_sharpe=annual_sharpe,
        fill_ratio=Decimal(1),
        trades_per_day=Decimal(len(held)) / _BACKTEST_DAYS,
        holding_ms=sum(held) // len(held),
        turnover_per_day=traded / bots.CAP_EUR / _BACKTEST_DAYS,
        holding_times_ms=tuple(held[:_FEW]),
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict of the gate, and the rules of family C that do not pass."""

    verdict: Verdict
    round_trips: int
    vetoes: tuple[str, ...]


def judge(series: RunSeries, days: float, policy: Policy, claim: Claim, repeats: int = REPEATS) -> Judged:
    """The verdict over the first ``days`` of a run.

    Where a rule that needs no bootstrap fails already, the bootstraps are left out: they cannot change the verdict.
    """
    seen, declared = bots.until(series, days), Declared(looks_of(policy), 1, claim)
    with patch.object(resampling, "repeats", lambda _: 2):
        result = _result(seen, days, policy, declared)
    if not any(rule.verdict is Verdict.FAIL and rule.metric not in DRAWN for rule in result.rules):
        with patch.object(resampling, "repeats", lambda _: repeats):
            result = _result(seen, days, policy, declared)
    vetoes = tuple(rule.rule for rule in result.rules if rule.metric in PERFORMANCE and rule.verdict is not Verdict.PASS)
    return Judged(result.verdict, len(seen.round_trips), vetoes)


def looks_of(policy: Policy) -> int:
    """How often a verdict may be asked for."""
    if policy.performance is None:
        raise ValueError("the policy declares no looks")
    return policy.performance.looks


def _result(seen: RunSeries, days: float, policy: Policy, declared: Declared) -> GateResult:
    measured = measure(seen, declared, covered_ms=round(days * DAY_MS))
    end = Millis(seen.started_at + round(days * DAY_MS))
    run = Run(_tally(seen, end), policy.environment, Attestation.ATTESTED)
    found = {one.name: one for one in statistics(run, [Statistic(m.name, m.value, m.samples, m.detail) for m in measured], end, "")}
    counts = {
        MetricName.ORDERS: Decimal(len(seen.executions)),
        MetricName.FILLS: Decimal(len(seen.executions)),
        MetricName.ROUND_TRIPS: Decimal(len(seen.round_trips)),
        MetricName.DRAWDOWN_FRACTION: run.tally.drawdown,
        MetricName.NET_PNL_EUR: _net(seen),
    }
    for rule in policy.gates.of(GateName.VALIDATION):
        if rule.metric not in found or rule.metric in LATENCY_AS_DECLARED:
            found[rule.metric] = run.metric(rule.metric, counts.get(rule.metric, rule.threshold), _MANY)
    evidence = Evidence(
        version=1,
        gate=GateName.VALIDATION,
        subject=subject_of(
            policy,
            controller_id="power",
            stage=Stage.TESTNET_VALIDATING,
            step=0,
            release_digest=_RELEASE,
            gatehouse_version="0.1.0",
        ),
        window_from_ms=seen.started_at,
        window_to_ms=end,
        expires_at_ms=end + policy.evidence.ttl_ms,
        journal_seq=1,
        metrics=tuple(found[name] for name in sorted(found)),
    )
    return evaluate(GateName.VALIDATION, policy, evidence, end)


def _tally(seen: RunSeries, end: Millis) -> Tally:
    points = tuple(seen.equity)
    peak, fall = points[0].equity_eur, Decimal(0)
    for point in points:
        peak = max(peak, point.equity_eur)
        fall = max(fall, drawdown_fraction(peak, point.equity_eur, seen.cap_eur))
    elapsed = end - seen.started_at
    return replace(
        Tally.begin(DataSource.LIVE, at=seen.started_at, cap_eur=seen.cap_eur, accelerated=False),
        last_at=end,
        samples=_MANY,
        total_ms=elapsed,
        covered_ms=elapsed,
        attested_ms=elapsed,
        equity_samples=_MANY,
        drawdown=fall,
    )


def _net(seen: RunSeries) -> Decimal:
    points = tuple(seen.equity)
    return points[-1].equity_eur - points[0].equity_eur


@dataclass(frozen=True, slots=True)
class Tried:
    """How a run fared: whether a look promoted it, what the first one said, and the net P&L of the whole run in EUR."""

    promoted: bool
    first: Judged
    net: float


def days_until_enough(bot: Bot) -> int:
    """The first look: after three days, or when the bot has ended enough orders and round trips for the gate."""
    return max(FIRST_LOOK_DAYS, ceil(_ENOUGH_TRIPS / bot.round_trips_a_day))


def try_run(bot: Bot, seed: int, policy: Policy, claim: Claim) -> Tried:
    """One run: it is looked at as often as the policy declares, a day apart, until a look promotes it."""
    looks, first_day = looks_of(policy), days_until_enough(bot)
    series = bots.run(bot, first_day + looks - 1, seed)
    judged = []
    for day in range(first_day, first_day + looks):
        judged.append(judge(series, day, policy, claim))
        if judged[-1].verdict is Verdict.PASS:
            break
    return Tried(judged[-1].verdict is Verdict.PASS, judged[0], float(_net(series)))
