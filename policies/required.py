"""Rules that every production policy must have: their form, and those of a validation. ``policies.floors`` checks them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from policies.rules import GateName, MetricName, Op


@dataclass(frozen=True, slots=True)
class RequiredRule:
    """A rule that ``gate`` must have in every production policy, at least as strict as ``metric op bound``."""

    gate: GateName
    metric: MetricName
    op: Op
    bound: Decimal


def required(gate: GateName, *rules: tuple[MetricName, Op, str]) -> tuple[RequiredRule, ...]:
    """The rules of one gate, each as its metric, comparison and bound."""
    return tuple(RequiredRule(gate, metric, op, Decimal(bound)) for metric, op, bound in rules)


VALIDATION_RULES: tuple[RequiredRule, ...] = required(
    GateName.VALIDATION,
    # A: integrity.
    (MetricName.ROUND_TRIPS, Op.AT_LEAST, "30"),
    (MetricName.MIDNIGHTS, Op.AT_LEAST, "3"),
    (MetricName.DRILLS_IN_RUN, Op.AT_LEAST, "7"),
    (MetricName.STREAM_ROTATIONS, Op.AT_LEAST, "3"),
    (MetricName.LISTEN_KEY_RENEWALS, Op.AT_LEAST, "72"),
    (MetricName.LONGEST_ROTATION_GAP_MS, Op.AT_MOST, "30000"),
    (MetricName.BOOK_CROSSED_RATIO, Op.AT_MOST, "0.0001"),
    (MetricName.LONGEST_RESYNC_MS, Op.AT_MOST, "10000"),
    (MetricName.BOOK_DIVERGENCES, Op.AT_MOST, "0"),
    (MetricName.ORDER_TEST_PARITY_RATIO, Op.AT_LEAST, "0.999"),
    (MetricName.ORDER_TEST_PARITY_LOWER, Op.AT_LEAST, "0.95"),
    # B: execution. A taker of the reference venue pays 5 bps of fees and half a spread; 2, 5 and 10 bps more are allowed.
    (MetricName.SHORTFALL_MEDIAN_BPS, Op.AT_MOST, "8"),
    (MetricName.SHORTFALL_UPPER_BPS, Op.AT_MOST, "11"),
    (MetricName.SHORTFALL_P95_BPS, Op.AT_MOST, "16"),
    (MetricName.FILL_RATIO_EXCESS, Op.AT_LEAST, "-0.15"),
    (MetricName.FILL_RATIO_EXCESS, Op.AT_MOST, "0.15"),
    (MetricName.FORM_REJECTS, Op.AT_MOST, "0"),
    (MetricName.ACK_P50_MS, Op.AT_MOST, "300"),
    (MetricName.ACK_P99_MS, Op.AT_MOST, "1500"),
    (MetricName.ACK_P50_RATIO, Op.AT_LEAST, "0.75"),
    (MetricName.ACK_P50_RATIO, Op.AT_MOST, "1.25"),
    (MetricName.ACK_P99_RATIO, Op.AT_LEAST, "0.75"),
    (MetricName.ACK_P99_RATIO, Op.AT_MOST, "1.25"),
    (MetricName.RATE_LIMITED, Op.AT_MOST, "0"),
    (MetricName.ADDRESS_BANS, Op.AT_MOST, "0"),
    (MetricName.RATE_LIMIT_USE_RATIO, Op.AT_MOST, "0.5"),
    (MetricName.LONGEST_UNPROTECTED_MS, Op.AT_MOST, "5000"),
    # C: performance, as a veto: it proves no profit, it refuses what is worse than claimed.
    (MetricName.STRESSED_PNL_EUR, Op.AT_LEAST, "0"),
    (MetricName.STRESSED_RETURN_LOWER, Op.AT_LEAST, "-0.01"),
    (MetricName.CLAIM_Z, Op.AT_LEAST, "-1.64"),
    (MetricName.PSR, Op.AT_LEAST, "0.5"),
    (MetricName.DRAWDOWN_EXCESS, Op.AT_MOST, "0"),
    (MetricName.PROFIT_FACTOR, Op.AT_LEAST, "1.1"),
    (MetricName.EXPECTANCY_EUR, Op.AT_LEAST, "0"),
    (MetricName.HIT_RATE_EXCESS, Op.AT_LEAST, "-0.05"),
    (MetricName.BEST_TRADE_SHARE, Op.AT_MOST, "0.5"),
    (MetricName.BEST_BLOCK_SHARE, Op.AT_MOST, "0.7"),
    (MetricName.BEHAVIOUR_DRIFT, Op.AT_MOST, "2"),
    (MetricName.BEHAVIOUR_KS_P, Op.AT_LEAST, "0.01"),
)
"""What a validation proves of the execution and does not find of the performance (execution-safety.md §4.3).

As with the rules about drills, a production policy in an older journal may lack them.
"""

REPLAY_RULES: tuple[RequiredRule, ...] = required(
    GateName.VALIDATION,
    (MetricName.REPLAY_PARITY_RATIO, Op.AT_LEAST, "1"),
    (MetricName.REPLAY_PARITY_LOWER, Op.AT_LEAST, "0.95"),
    (MetricName.REPLAY_COVERAGE_RATIO, Op.AT_LEAST, "0.995"),
)
"""C10, for a bot that offers a replay of its signals: identical decisions, from enough of them, over a market that was recorded."""
