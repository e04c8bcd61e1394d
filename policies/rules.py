"""The terms of gate rules: which metrics exist, in which unit, and how a rule compares them (architecture.md §6).

Policy files name metrics, so the terms belong to ``policies``; ``gates`` measures the metrics and judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType


class GateName(StrEnum):
    """The gates of the moves up and of a resume (architecture.md §3)."""

    TESTNET_READY = "testnet-ready"
    VALIDATION = "validation"
    LIVE_READY = "live-ready"
    RAMP_STEP = "ramp-step"
    RESUME = "resume"


class MetricName(StrEnum):
    """What a gate can measure of one run of one stage."""

    COVERED_MS = "covered_ms"
    ATTESTED_MS = "attested_ms"
    COVERAGE_RATIO = "coverage_ratio"
    LONGEST_GAP_MS = "longest_gap_ms"
    ORDERS = "orders"
    FILLS = "fills"
    REJECT_RATIO = "reject_ratio"
    REJECT_RATIO_UPPER = "reject_ratio_upper"
    DENIED_ORDERS = "denied_orders"
    RECONCILIATIONS = "reconciliations"
    RECONCILIATION_BREAKS = "reconciliation_breaks"
    UNKNOWN_ORDERS = "unknown_orders"
    LONGEST_UNKNOWN_MS = "longest_unknown_ms"
    DRAWDOWN_FRACTION = "drawdown_fraction"
    NET_PNL_EUR = "net_pnl_eur"
    CLOCK_OFFSET_MAX_MS = "clock_offset_max_ms"
    ACCOUNT_CHECKS_FAILED = "account_checks_failed"
    DRILL_KILL_AGE_MS = "drill_kill_age_ms"
    DRILL_CRASH_AGE_MS = "drill_crash_age_ms"
    DRILL_STALE_AGE_MS = "drill_stale_age_ms"
    DRILL_CLOCK_AGE_MS = "drill_clock_age_ms"
    DRILL_RATELIMIT_AGE_MS = "drill_ratelimit_age_ms"
    DRILL_AMBIGUOUS_AGE_MS = "drill_ambiguous_age_ms"
    DRILL_DISK_AGE_MS = "drill_disk_age_ms"
    DRILL_WATCHDOG_AGE_MS = "drill_watchdog_age_ms"
    DRILL_HANG_AGE_MS = "drill_hang_age_ms"
    DRILL_RESTORE_AGE_MS = "drill_restore_age_ms"
    ROUND_TRIPS = "round_trips"
    MIDNIGHTS = "midnights"
    DRILLS_IN_RUN = "drills_in_run"
    SOFT_BREACHES = "soft_breaches"
    LONGEST_UNPROTECTED_MS = "longest_unprotected_ms"
    UNPROTECTED_MS = "unprotected_ms"
    BOOK_CROSSED_RATIO = "book_crossed_ratio"
    BOOK_CROSSINGS = "book_crossings"
    BOOK_RESYNCS = "book_resyncs"
    LONGEST_RESYNC_MS = "longest_resync_ms"
    BOOK_DIVERGENCES = "book_divergences"
    BOOK_DIVERGENCE_MAX_BPS = "book_divergence_max_bps"
    RATE_LIMITED = "rate_limited"
    ADDRESS_BANS = "address_bans"
    RATE_LIMIT_USE_RATIO = "rate_limit_use_ratio"
    STREAM_ROTATIONS = "stream_rotations"
    LISTEN_KEY_RENEWALS = "listen_key_renewals"
    LONGEST_ROTATION_GAP_MS = "longest_rotation_gap_ms"
    ORDER_TESTS = "order_tests"
    ORDER_TEST_PARITY_RATIO = "order_test_parity_ratio"
    ORDER_TEST_PARITY_LOWER = "order_test_parity_lower"
    SHORTFALL_MEAN_BPS = "shortfall_mean_bps"
    SHORTFALL_UPPER_BPS = "shortfall_upper_bps"
    SHORTFALL_MEDIAN_BPS = "shortfall_median_bps"
    SHORTFALL_P95_BPS = "shortfall_p95_bps"
    OPPORTUNITY_COST_BPS = "opportunity_cost_bps"
    FILL_RATIO = "fill_ratio"
    FILL_RATIO_EXCESS = "fill_ratio_excess"
    FORM_REJECTS = "form_rejects"
    ACK_P50_MS = "ack_p50_ms"
    ACK_P99_MS = "ack_p99_ms"
    ACK_P50_RATIO = "ack_p50_ratio"
    ACK_P99_RATIO = "ack_p99_ratio"
    ACK_P50_RATIO_LOW = "ack_p50_ratio_low"
    ACK_P50_RATIO_HIGH = "ack_p50_ratio_high"
    ACK_P99_RATIO_LOW = "ack_p99_ratio_low"
    ACK_P99_RATIO_HIGH = "ack_p99_ratio_high"
    CANCEL_TOO_LATE_RATIO = "cancel_too_late_ratio"
    STRESSED_PNL_EUR = "stressed_pnl_eur"
    STRESSED_RETURN_LOWER = "stressed_return_lower"
    RETURN_LOWER = "return_lower"
    PSR = "psr"
    DSR = "dsr"
    MIN_TRL_DAYS = "min_trl_days"
    DAYS_MISSING = "days_missing"
    CLAIM_Z = "claim_z"
    DRAWDOWN_P95 = "drawdown_p95"
    DRAWDOWN_EXCESS = "drawdown_excess"
    PROFIT_FACTOR = "profit_factor"
    EXPECTANCY_EUR = "expectancy_eur"
    HIT_RATE_EXCESS = "hit_rate_excess"
    BEST_TRADE_SHARE = "best_trade_share"
    BEST_BLOCK_SHARE = "best_block_share"
    BEHAVIOUR_DRIFT = "behaviour_drift"
    BEHAVIOUR_KS_P = "behaviour_ks_p"
    REPLAY_PARITY_RATIO = "replay_parity_ratio"
    REPLAY_PARITY_LOWER = "replay_parity_lower"
    REPLAY_COVERAGE_RATIO = "replay_coverage_ratio"
    LOOKS_USED = "looks_used"
    VARIANTS_TRIED = "variants_tried"
    HOLDING_EXCESS_EUR = "holding_excess_eur"
    FEES_EUR = "fees_eur"
    SLIPPAGE_EUR = "slippage_eur"
    REALISED_PNL_EUR = "realised_pnl_eur"
    SHADOW_ORDERS = "shadow_orders"
    SHADOW_FILL_BIAS = "shadow_fill_bias"
    SHADOW_FILL_BIAS_LOW = "shadow_fill_bias_low"
    SHADOW_FILL_BIAS_HIGH = "shadow_fill_bias_high"
    SHADOW_PRICE_BIAS_BPS = "shadow_price_bias_bps"
    SHADOW_PRICE_BIAS_BPS_LOW = "shadow_price_bias_bps_low"
    SHADOW_PRICE_BIAS_BPS_HIGH = "shadow_price_bias_bps_high"
    SHADOW_LATENCY_BIAS_MS = "shadow_latency_bias_ms"
    SHADOW_LATENCY_BIAS_MS_LOW = "shadow_latency_bias_ms_low"
    SHADOW_LATENCY_BIAS_MS_HIGH = "shadow_latency_bias_ms_high"


class Kind(StrEnum):
    """How a metric comes about.

    COUNTER only grows during a run. GAUGE is a measured state or an extreme. STATISTIC is computed from the series of the run
    now and then (``gates.performance``), so it can be older than the evidence it stands in.
    """

    COUNTER = "counter"
    GAUGE = "gauge"
    STATISTIC = "statistic"


class Direction(StrEnum):
    """Which values of a metric are better. NEITHER: it is judged from both sides, or only shown."""

    MORE = "more"
    LESS = "less"
    NEITHER = "neither"


class Unit(StrEnum):
    """The unit of a metric and of the threshold it is compared with."""

    MILLISECONDS = "ms"
    COUNT = "count"
    RATIO = "ratio"
    EUR = "eur"
    BPS = "bps"
    DAYS = "days"
    NUMBER = "number"


class Op(StrEnum):
    """How a measured value is compared with the threshold."""

    AT_LEAST = ">="
    AT_MOST = "<="
    EQUAL = "=="
    BELOW = "<"
    ABOVE = ">"

    def holds(self, measured: Decimal, threshold: Decimal) -> bool:
        """Whether ``measured op threshold`` is true.

        Both are finite; documents with other values are refused when they are read.
        """
        match self:
            case Op.AT_LEAST:
                return measured >= threshold
            case Op.AT_MOST:
                return measured <= threshold
            case Op.EQUAL:
                return measured == threshold
            case Op.BELOW:
                return measured < threshold
            case Op.ABOVE:
                return measured > threshold


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric's unit and meaning.

    ``accumulates``: it only grows during a run, so a value that is too small may still become enough.
    """

    unit: Unit
    meaning: str
    accumulates: bool = False


STATISTIC_MAX_AGE_MS = 7_200_000
"""How much older than the end of its evidence a statistic may be. It is computed every hour and for every proposal."""

STATISTICS = frozenset({
    MetricName.SHORTFALL_MEAN_BPS, MetricName.SHORTFALL_UPPER_BPS, MetricName.SHORTFALL_MEDIAN_BPS, MetricName.SHORTFALL_P95_BPS,
    MetricName.FILL_RATIO_EXCESS, MetricName.ACK_P50_MS, MetricName.ACK_P99_MS, MetricName.STRESSED_PNL_EUR,
    MetricName.STRESSED_RETURN_LOWER, MetricName.RETURN_LOWER, MetricName.PSR, MetricName.DSR, MetricName.MIN_TRL_DAYS,
    MetricName.DAYS_MISSING, MetricName.CLAIM_Z, MetricName.DRAWDOWN_P95, MetricName.DRAWDOWN_EXCESS, MetricName.PROFIT_FACTOR,
    MetricName.EXPECTANCY_EUR, MetricName.HIT_RATE_EXCESS, MetricName.BEST_TRADE_SHARE, MetricName.BEST_BLOCK_SHARE,
    MetricName.BEHAVIOUR_DRIFT, MetricName.BEHAVIOUR_KS_P, MetricName.HOLDING_EXCESS_EUR,
    MetricName.ACK_P50_RATIO, MetricName.ACK_P99_RATIO,
    MetricName.ACK_P50_RATIO_LOW, MetricName.ACK_P50_RATIO_HIGH, MetricName.ACK_P99_RATIO_LOW, MetricName.ACK_P99_RATIO_HIGH,
})  # fmt: skip
"""The metrics that are computed from the series of a run."""

REPLAYED = frozenset({MetricName.REPLAY_PARITY_RATIO, MetricName.REPLAY_PARITY_LOWER, MetricName.REPLAY_COVERAGE_RATIO})
"""The metrics of a replay of the recorded market to the bot. They are computed now and then too, so they age as statistics do."""

_MORE = frozenset({
    MetricName.COVERAGE_RATIO, MetricName.NET_PNL_EUR, MetricName.ORDER_TEST_PARITY_RATIO, MetricName.ORDER_TEST_PARITY_LOWER,
    MetricName.FILL_RATIO, MetricName.STRESSED_PNL_EUR, MetricName.STRESSED_RETURN_LOWER, MetricName.RETURN_LOWER, MetricName.PSR,
    MetricName.DSR, MetricName.CLAIM_Z, MetricName.PROFIT_FACTOR, MetricName.EXPECTANCY_EUR, MetricName.HIT_RATE_EXCESS,
    MetricName.BEHAVIOUR_KS_P, MetricName.HOLDING_EXCESS_EUR, MetricName.REALISED_PNL_EUR,
    MetricName.REPLAY_PARITY_RATIO, MetricName.REPLAY_PARITY_LOWER, MetricName.REPLAY_COVERAGE_RATIO,
})  # fmt: skip

_NEITHER = frozenset({
    MetricName.ACK_P50_RATIO, MetricName.ACK_P99_RATIO,
    MetricName.ACK_P50_RATIO_LOW, MetricName.ACK_P50_RATIO_HIGH, MetricName.ACK_P99_RATIO_LOW, MetricName.ACK_P99_RATIO_HIGH,
    MetricName.FILL_RATIO_EXCESS, MetricName.LOOKS_USED, MetricName.VARIANTS_TRIED, MetricName.SHADOW_FILL_BIAS,
    MetricName.SHADOW_FILL_BIAS_LOW, MetricName.SHADOW_FILL_BIAS_HIGH, MetricName.SHADOW_PRICE_BIAS_BPS,
    MetricName.SHADOW_PRICE_BIAS_BPS_LOW, MetricName.SHADOW_PRICE_BIAS_BPS_HIGH, MetricName.SHADOW_LATENCY_BIAS_MS,
    MetricName.SHADOW_LATENCY_BIAS_MS_LOW, MetricName.SHADOW_LATENCY_BIAS_MS_HIGH,
})  # fmt: skip


def kind_of(name: MetricName) -> Kind:
    """How a metric comes about."""
    if name in STATISTICS or name in REPLAYED:
        return Kind.STATISTIC
    return Kind.COUNTER if METRICS[name].accumulates else Kind.GAUGE


def direction_of(name: MetricName) -> Direction:
    """Which values of a metric are better."""
    if METRICS[name].accumulates or name in _MORE:
        return Direction.MORE
    return Direction.NEITHER if name in _NEITHER else Direction.LESS


def _drill_age(name: str) -> MetricSpec:
    return MetricSpec(Unit.MILLISECONDS, f"time since `gatehouse drill {name}` last passed, if nothing else happened to it since")


def _of_declared(end: str, name: str, what: str) -> MetricSpec:
    meaning = f"{end} confidence bound of the {what} of the time to the venue's answer, divided by `performance.latency.{name}_ms`"
    return MetricSpec(Unit.NUMBER, meaning)


def _as_declared(name: str, what: str) -> MetricSpec:
    meaning = f"{what} of the time to the venue's answer, divided by `performance.latency.{name}_ms`, unless chance may explain it"
    return MetricSpec(Unit.NUMBER, meaning)


METRICS: Mapping[MetricName, MetricSpec] = MappingProxyType(
    {
        MetricName.COVERED_MS: MetricSpec(
            Unit.MILLISECONDS,
            "time with fresh market data, a connected bot and reconciled books",
            accumulates=True,
        ),
        MetricName.ATTESTED_MS: MetricSpec(
            Unit.MILLISECONDS, "the part of the covered time that the testnet's own signature vouches for", accumulates=True
        ),
        MetricName.COVERAGE_RATIO: MetricSpec(Unit.RATIO, "covered time as a fraction of all time in the run"),
        MetricName.LONGEST_GAP_MS: MetricSpec(Unit.MILLISECONDS, "the longest time without coverage"),
        MetricName.ORDERS: MetricSpec(Unit.COUNT, "orders sent to the venue", accumulates=True),
        MetricName.FILLS: MetricSpec(Unit.COUNT, "trades booked", accumulates=True),
        MetricName.REJECT_RATIO: MetricSpec(Unit.RATIO, "orders that the venue rejected, of all orders sent to it"),
        MetricName.REJECT_RATIO_UPPER: MetricSpec(Unit.RATIO, "upper 95 % confidence bound of the reject ratio (Clopper-Pearson)"),
        MetricName.DENIED_ORDERS: MetricSpec(Unit.COUNT, "orders that the limits denied, so that they were not sent"),
        MetricName.RECONCILIATIONS: MetricSpec(
            Unit.COUNT, "completed reconciliations of our books with the venue's", accumulates=True
        ),
        MetricName.RECONCILIATION_BREAKS: MetricSpec(Unit.COUNT, "differences found between our books and the venue's"),
        MetricName.UNKNOWN_ORDERS: MetricSpec(Unit.COUNT, "orders whose outcome is not known now"),
        MetricName.LONGEST_UNKNOWN_MS: MetricSpec(Unit.MILLISECONDS, "the longest time that the outcome of an order was not known"),
        MetricName.DRAWDOWN_FRACTION: MetricSpec(
            Unit.RATIO, "largest fall from a peak, as a fraction of the smaller of peak and cap"
        ),
        MetricName.NET_PNL_EUR: MetricSpec(Unit.EUR, "equity now less equity at the start of the run, after fees"),
        MetricName.CLOCK_OFFSET_MAX_MS: MetricSpec(
            Unit.MILLISECONDS, "largest certain difference between our clock and the venue's"
        ),
        MetricName.ACCOUNT_CHECKS_FAILED: MetricSpec(
            Unit.COUNT, "checks of the live account that failed: its rights, the symbol, minimums, fee, clock"
        ),
        MetricName.DRILL_KILL_AGE_MS: _drill_age("kill"),
        MetricName.DRILL_CRASH_AGE_MS: _drill_age("crash"),
        MetricName.DRILL_STALE_AGE_MS: _drill_age("stale"),
        MetricName.DRILL_CLOCK_AGE_MS: _drill_age("clock"),
        MetricName.DRILL_RATELIMIT_AGE_MS: _drill_age("ratelimit"),
        MetricName.DRILL_AMBIGUOUS_AGE_MS: _drill_age("ambiguous"),
        MetricName.DRILL_DISK_AGE_MS: _drill_age("disk"),
        MetricName.DRILL_WATCHDOG_AGE_MS: _drill_age("watchdog"),
        MetricName.DRILL_HANG_AGE_MS: _drill_age("hang"),
        MetricName.DRILL_RESTORE_AGE_MS: _drill_age("restore"),
        MetricName.ROUND_TRIPS: MetricSpec(
            Unit.COUNT, "sales that ended what was bought before, first in first out", accumulates=True
        ),
        MetricName.MIDNIGHTS: MetricSpec(Unit.COUNT, "UTC midnights that were covered", accumulates=True),
        MetricName.DRILLS_IN_RUN: MetricSpec(Unit.COUNT, "kinds of drills that passed during the run", accumulates=True),
        MetricName.SOFT_BREACHES: MetricSpec(Unit.COUNT, "breaches of a guard at CANCEL_ALL during the run"),
        MetricName.LONGEST_UNPROTECTED_MS: MetricSpec(
            Unit.MILLISECONDS, "the longest time in a row that a position was open and nothing could have stopped its loss"
        ),
        MetricName.UNPROTECTED_MS: MetricSpec(
            Unit.MILLISECONDS, "all time that a position was open and nothing could have stopped its loss"
        ),
        MetricName.BOOK_CROSSED_RATIO: MetricSpec(
            Unit.RATIO, "time in which the best bid was not below the best ask, of all time in which the book was in step"
        ),
        MetricName.BOOK_CROSSINGS: MetricSpec(Unit.COUNT, "times that the book became crossed"),
        MetricName.BOOK_RESYNCS: MetricSpec(Unit.COUNT, "changes of the book that were missing, so that it had to begin anew"),
        MetricName.LONGEST_RESYNC_MS: MetricSpec(
            Unit.MILLISECONDS, "the longest time from a missing change until the book was in step again"
        ),
        MetricName.BOOK_DIVERGENCES: MetricSpec(
            Unit.COUNT, "times that the mid price of the stream and that of REST were more than 20 bps apart for more than 5 s"
        ),
        MetricName.BOOK_DIVERGENCE_MAX_BPS: MetricSpec(
            Unit.BPS, "the largest distance of the mid price of REST from those of the stream before and after it was asked"
        ),
        MetricName.RATE_LIMITED: MetricSpec(Unit.COUNT, "answers 429 of the venue, drills left out"),
        MetricName.ADDRESS_BANS: MetricSpec(Unit.COUNT, "answers 418 and 403 of the venue, drills left out"),
        MetricName.RATE_LIMIT_USE_RATIO: MetricSpec(
            Unit.RATIO, "the largest part of one of the venue's limits that the requests of any 10 s used"
        ),
        MetricName.STREAM_ROTATIONS: MetricSpec(
            Unit.COUNT, "replacements of a connection before its 24 hours that every stream of the venue survived", accumulates=True
        ),
        MetricName.LISTEN_KEY_RENEWALS: MetricSpec(
            Unit.COUNT, "renewals of its listen key that the account stream survived", accumulates=True
        ),
        MetricName.LONGEST_ROTATION_GAP_MS: MetricSpec(
            Unit.MILLISECONDS, "the longest time around a rotation in which a stream was not subscribed or its book not in step"
        ),
        MetricName.ORDER_TESTS: MetricSpec(
            Unit.COUNT, "orders of the run that the real venue was asked about with `order/test`", accumulates=True
        ),
        MetricName.ORDER_TEST_PARITY_RATIO: MetricSpec(
            Unit.RATIO,
            "orders accepted by the testnet that the real venue's `order/test` accepts too, of all that it was asked about",
        ),
        MetricName.ORDER_TEST_PARITY_LOWER: MetricSpec(
            Unit.RATIO, "lower 95 % confidence bound of the `order/test` parity ratio (Clopper-Pearson)"
        ),
        MetricName.SHORTFALL_MEAN_BPS: MetricSpec(
            Unit.BPS, "implementation shortfall: mean cost of an order against the mid price at its decision, with fees"
        ),
        MetricName.SHORTFALL_UPPER_BPS: MetricSpec(
            Unit.BPS, "one-sided upper 95 % bootstrap bound of the mean implementation shortfall"
        ),
        MetricName.SHORTFALL_MEDIAN_BPS: MetricSpec(Unit.BPS, "median implementation shortfall of an order, with fees"),
        MetricName.SHORTFALL_P95_BPS: MetricSpec(
            Unit.BPS, "95th percentile of the implementation shortfall of an order, with fees"
        ),
        MetricName.OPPORTUNITY_COST_BPS: MetricSpec(
            Unit.BPS, "what the quantity that did not fill would have gained until its order ended, of all that was ordered"
        ),
        MetricName.FILL_RATIO: MetricSpec(Unit.RATIO, "quantity that filled, of the quantity that was ordered"),
        MetricName.FILL_RATIO_EXCESS: MetricSpec(Unit.RATIO, "fill ratio less the one that the policy's claim expects"),
        MetricName.FORM_REJECTS: MetricSpec(
            Unit.COUNT, "orders that the venue rejected for their form: precision, signature, or a minimum"
        ),
        MetricName.ACK_P50_MS: MetricSpec(Unit.MILLISECONDS, "median time from the decision to the venue's answer"),
        MetricName.ACK_P99_MS: MetricSpec(Unit.MILLISECONDS, "99th percentile of the time from the decision to the venue's answer"),
        MetricName.ACK_P50_RATIO: _as_declared("p50", "median"),
        MetricName.ACK_P99_RATIO: _as_declared("p99", "99th percentile"),
        MetricName.ACK_P50_RATIO_LOW: _of_declared("lower", "p50", "median"),
        MetricName.ACK_P50_RATIO_HIGH: _of_declared("upper", "p50", "median"),
        MetricName.ACK_P99_RATIO_LOW: _of_declared("lower", "p99", "99th percentile"),
        MetricName.ACK_P99_RATIO_HIGH: _of_declared("upper", "p99", "99th percentile"),
        MetricName.CANCEL_TOO_LATE_RATIO: MetricSpec(
            Unit.RATIO,
            "cancelled orders that filled completely before the cancellation arrived, of all that were asked to be cancelled",
        ),
        MetricName.STRESSED_PNL_EUR: MetricSpec(Unit.EUR, "net P&L with fees × 1.5 and slippage × 2"),
        MetricName.STRESSED_RETURN_LOWER: MetricSpec(
            Unit.RATIO, "lower end of the 90 % bootstrap interval of the net P&L with stressed costs, as a fraction of the cap"
        ),
        MetricName.RETURN_LOWER: MetricSpec(
            Unit.RATIO, "lower end of the 90 % bootstrap interval of the net P&L, as a fraction of the cap"
        ),
        MetricName.PSR: MetricSpec(Unit.RATIO, "probabilistic Sharpe ratio: probability that the true Sharpe ratio is above 0"),
        MetricName.DSR: MetricSpec(
            Unit.RATIO, "deflated Sharpe ratio: the same above the best that the tried variants reach by chance"
        ),
        MetricName.MIN_TRL_DAYS: MetricSpec(
            Unit.DAYS, "days that a run needs so that a Sharpe ratio like this one proves to be above 0 with 95 % confidence"
        ),
        MetricName.DAYS_MISSING: MetricSpec(Unit.DAYS, "the days that are missing of `min_trl_days`"),
        MetricName.CLAIM_Z: MetricSpec(Unit.NUMBER, "Sharpe ratio of the run less the claimed one, in standard errors"),
        MetricName.DRAWDOWN_P95: MetricSpec(
            Unit.RATIO, "95th percentile of the largest drawdown that a run of this length has under the claim (bootstrap)"
        ),
        MetricName.DRAWDOWN_EXCESS: MetricSpec(Unit.RATIO, "`drawdown_fraction` less `drawdown_p95`"),
        MetricName.PROFIT_FACTOR: MetricSpec(
            Unit.NUMBER, "profits of the winning round trips divided by the losses of the losing ones"
        ),
        MetricName.EXPECTANCY_EUR: MetricSpec(Unit.EUR, "mean net P&L of a round trip"),
        MetricName.HIT_RATE_EXCESS: MetricSpec(
            Unit.RATIO, "lower 95 % bound of the hit rate (Wilson) less the hit rate at which the run breaks even"
        ),
        MetricName.BEST_TRADE_SHARE: MetricSpec(Unit.RATIO, "share of the best round trip in the profits of all winning ones"),
        MetricName.BEST_BLOCK_SHARE: MetricSpec(
            Unit.RATIO, "share of the best 6 hours in the profits of all winning blocks of 6 hours"
        ),
        MetricName.BEHAVIOUR_DRIFT: MetricSpec(
            Unit.NUMBER, "largest factor between the bot's behaviour and the claim: trades per day, holding time, turnover"
        ),
        MetricName.BEHAVIOUR_KS_P: MetricSpec(
            Unit.RATIO, "p-value of the Kolmogorov-Smirnov test of the holding times against the claim"
        ),
        MetricName.REPLAY_PARITY_RATIO: MetricSpec(
            Unit.RATIO, "decisions that the run and a replay of the recorded market to the bot share, of all that one of them has"
        ),
        MetricName.REPLAY_PARITY_LOWER: MetricSpec(
            Unit.RATIO, "lower 95 % confidence bound of `replay_parity_ratio` (Clopper-Pearson)"
        ),
        MetricName.REPLAY_COVERAGE_RATIO: MetricSpec(
            Unit.RATIO, "decisions of the run that were made while the market was recorded, of all until the replay"
        ),
        MetricName.LOOKS_USED: MetricSpec(Unit.COUNT, "verdicts of the gate `validation` that were asked for in this run"),
        MetricName.VARIANTS_TRIED: MetricSpec(Unit.COUNT, "releases that began a validation, this one included"),
        MetricName.HOLDING_EXCESS_EUR: MetricSpec(Unit.EUR, "net P&L less the one of buying for the cap at the start and holding"),
        MetricName.FEES_EUR: MetricSpec(Unit.EUR, "fees of the run's fills"),
        MetricName.SLIPPAGE_EUR: MetricSpec(
            Unit.EUR, "what the run's fills cost more than the mid price at the decision; negative if they cost less"
        ),
        MetricName.REALISED_PNL_EUR: MetricSpec(Unit.EUR, "net P&L of the ended round trips"),
        MetricName.SHADOW_ORDERS: MetricSpec(Unit.COUNT, "real orders that were simulated as well", accumulates=True),
        MetricName.SHADOW_FILL_BIAS: MetricSpec(Unit.RATIO, "fill ratio of the simulated orders less that of the real ones"),
        MetricName.SHADOW_FILL_BIAS_LOW: MetricSpec(Unit.RATIO, "lower confidence bound of `shadow_fill_bias`"),
        MetricName.SHADOW_FILL_BIAS_HIGH: MetricSpec(Unit.RATIO, "upper confidence bound of `shadow_fill_bias`"),
        MetricName.SHADOW_PRICE_BIAS_BPS: MetricSpec(
            Unit.BPS, "price of the simulated fills against that of the real ones; positive if the simulation is too good"
        ),
        MetricName.SHADOW_PRICE_BIAS_BPS_LOW: MetricSpec(Unit.BPS, "lower confidence bound of `shadow_price_bias_bps`"),
        MetricName.SHADOW_PRICE_BIAS_BPS_HIGH: MetricSpec(Unit.BPS, "upper confidence bound of `shadow_price_bias_bps`"),
        MetricName.SHADOW_LATENCY_BIAS_MS: MetricSpec(
            Unit.MILLISECONDS, "time to the answer of the simulated orders less that of the real ones"
        ),
        MetricName.SHADOW_LATENCY_BIAS_MS_LOW: MetricSpec(Unit.MILLISECONDS, "lower confidence bound of `shadow_latency_bias_ms`"),
        MetricName.SHADOW_LATENCY_BIAS_MS_HIGH: MetricSpec(Unit.MILLISECONDS, "upper confidence bound of `shadow_latency_bias_ms`"),
    }
)
"""All metrics."""
