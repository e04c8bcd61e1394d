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
    STREAM_ROTATIONS = "stream_rotations"
    LISTEN_KEY_RENEWALS = "listen_key_renewals"
    LONGEST_ROTATION_GAP_MS = "longest_rotation_gap_ms"


class Unit(StrEnum):
    """The unit of a metric and of the threshold it is compared with."""

    MILLISECONDS = "ms"
    COUNT = "count"
    RATIO = "ratio"
    EUR = "eur"


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


def _drill_age(name: str) -> MetricSpec:
    return MetricSpec(Unit.MILLISECONDS, f"time since `gatehouse drill {name}` last passed, if nothing else happened to it since")


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
        MetricName.STREAM_ROTATIONS: MetricSpec(
            Unit.COUNT, "replacements of a connection before its 24 hours that every stream of the venue survived", accumulates=True
        ),
        MetricName.LISTEN_KEY_RENEWALS: MetricSpec(
            Unit.COUNT, "renewals of its listen key that the private stream survived", accumulates=True
        ),
        MetricName.LONGEST_ROTATION_GAP_MS: MetricSpec(
            Unit.MILLISECONDS, "the longest time around a rotation in which a stream was not subscribed or its book not in step"
        ),
    }
)
"""All metrics."""
