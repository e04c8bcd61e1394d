"""Tallies: what the controller counts while a stage runs, and the metrics that come out of it.

A tally is a value: each method returns the next one, so the controller's state can hold it and a replay gives it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchange.model import DataSource, Millis
from gates.metric import Metric
from gates.statistics import ratio_down, ratio_up, upper_bound
from policies.guards import drawdown_fraction
from policies.numbers import rounded_down
from policies.rules import METRICS, MetricName
from policies.stage import Environment
from policies.values import replace

VOUCH_MAX_MS = 5_000
"""How much of the time before it one sample can speak for. A loop that stood still longer has not seen what happened."""


@dataclass(frozen=True)
class Tally:
    """One run of one stage, counted. Money is EUR, ``cap_eur`` the stage's cap, ``gap_ms`` the gap still open at ``last_at``."""

    source: DataSource
    accelerated: bool
    started_at: Millis
    last_at: Millis
    cap_eur: Decimal
    samples: int = 0
    total_ms: int = 0
    covered_ms: int = 0
    gap_ms: int = 0
    longest_gap_ms: int = 0
    orders: int = 0
    fills: int = 0
    rejects: int = 0
    denials: int = 0
    reconciliations: int = 0
    reconciliation_breaks: int = 0
    unknown_open: int = 0
    longest_unknown_ms: int = 0
    clock_samples: int = 0
    clock_offset_max_ms: int = 0
    equity_samples: int = 0
    equity_start: Decimal | None = None
    equity_peak: Decimal | None = None
    equity_last: Decimal | None = None
    drawdown: Decimal = Decimal(0)
    account_checks: int = 0
    account_checks_failed: int = 0

    @classmethod
    def begin(cls, source: DataSource, *, at: Millis, cap_eur: Decimal, accelerated: bool) -> Tally:
        """A run that starts now. ``accelerated``: time runs faster than a wall clock."""
        return cls(source, accelerated, at, at, cap_eur)

    def with_order(self) -> Tally:
        """One more order handed to the venue."""
        return replace(self, orders=self.orders + 1)

    def with_reject(self) -> Tally:
        """One of the orders was refused by the venue."""
        return replace(self, rejects=self.rejects + 1)

    def with_denial(self) -> Tally:
        """One order was denied by our own limits."""
        return replace(self, denials=self.denials + 1)

    def with_fill(self) -> Tally:
        """One more trade booked."""
        return replace(self, fills=self.fills + 1)

    def with_settled(self, age_ms: int) -> Tally:
        """An unknown outcome was proven after ``age_ms``."""
        return replace(self, longest_unknown_ms=max(self.longest_unknown_ms, age_ms))

    def with_reconciliation(self, breaks: int) -> Tally:
        """Our books were compared with the venue's and ``breaks`` differences found."""
        return replace(
            self, reconciliations=self.reconciliations + 1, reconciliation_breaks=self.reconciliation_breaks + max(breaks, 0)
        )

    def with_clock(self, offset_ms: int) -> Tally:
        """The distance to the venue's clock was measured."""
        return replace(
            self, clock_samples=self.clock_samples + 1, clock_offset_max_ms=max(self.clock_offset_max_ms, abs(offset_ms))
        )

    def with_account(self, checks: int, failed: int) -> Tally:
        """The live account was examined; only the latest examination counts."""
        return replace(self, account_checks=checks, account_checks_failed=failed)

    def with_source(self, source: DataSource, *, accelerated: bool) -> Tally:
        """The data changed during the run: the least trustworthy source it ever had is the run's source."""
        worst = max(self.source, source, key=_TRUST.index)
        return replace(self, source=worst, accelerated=self.accelerated or accelerated)

    def with_sample(
        self,
        equity_eur: Decimal | None,
        *,
        covered: bool,
        interval_ms: int,
        at: Millis,
        unknown_open: int,
        oldest_unknown_ms: int,
    ) -> Tally:
        """What held up to ``at``, for the last ``interval_ms``, but no more than ``VOUCH_MAX_MS``, since the sample before it.

        Earlier time nobody saw, as when the controller was down, is a gap; so is time without a known equity. While a clock that
        was set back catches up, no time passes. ``unknown_open`` and ``oldest_unknown_ms`` describe the outcomes open now.
        """
        equity = equity_eur if equity_eur is not None and equity_eur.is_finite() else None
        elapsed = max(at - self.last_at, 0)
        vouched = max(min(interval_ms, elapsed, VOUCH_MAX_MS), 0)
        counts = covered and equity is not None
        gap = self.gap_ms + elapsed - vouched
        longest = max(self.longest_gap_ms, gap if counts else gap + vouched)
        following = replace(
            self,
            last_at=max(self.last_at, at),
            samples=self.samples + 1,
            total_ms=self.total_ms + elapsed,
            covered_ms=self.covered_ms + (vouched if counts else 0),
            gap_ms=0 if counts else gap + vouched,
            longest_gap_ms=longest,
            unknown_open=unknown_open,
            longest_unknown_ms=max(self.longest_unknown_ms, oldest_unknown_ms),
        )
        return following if equity is None else _with_equity(following, equity)


def _with_equity(tally: Tally, equity: Decimal) -> Tally:
    start = equity if tally.equity_start is None else tally.equity_start
    peak = equity if tally.equity_peak is None else max(tally.equity_peak, equity)
    return replace(
        tally,
        equity_samples=tally.equity_samples + 1,
        equity_start=start,
        equity_peak=peak,
        equity_last=equity,
        drawdown=max(tally.drawdown, drawdown_fraction(peak, equity, tally.cap_eur)),
    )


_TRUST = (DataSource.LIVE, DataSource.RECORDED_L2, DataSource.RECONSTRUCTED_BARS, DataSource.SYNTHETIC)


def metrics(tally: Tally, environment: Environment) -> tuple[Metric, ...]:
    """Every metric of a run, in the order of their names. What was never observed has no value."""
    coverage = ratio_down(tally.covered_ms, tally.total_ms) or Decimal(0)
    profit = (
        None if tally.equity_last is None or tally.equity_start is None else rounded_down(tally.equity_last - tally.equity_start)
    )
    measured: dict[MetricName, tuple[Decimal | int | None, int]] = {
        MetricName.COVERED_MS: (tally.covered_ms, tally.samples),
        MetricName.COVERAGE_RATIO: (ratio_down(tally.covered_ms, tally.total_ms), tally.samples),
        MetricName.LONGEST_GAP_MS: (tally.longest_gap_ms, tally.samples),
        MetricName.ORDERS: (tally.orders, tally.samples),
        MetricName.FILLS: (tally.fills, tally.samples),
        MetricName.REJECT_RATIO: (ratio_up(tally.rejects, tally.orders), tally.orders),
        MetricName.REJECT_RATIO_UPPER: (upper_bound(tally.rejects, tally.orders), tally.orders),
        MetricName.DENIED_ORDERS: (tally.denials, tally.samples),
        MetricName.RECONCILIATIONS: (tally.reconciliations, tally.reconciliations),
        MetricName.RECONCILIATION_BREAKS: (tally.reconciliation_breaks, tally.reconciliations),
        MetricName.UNKNOWN_ORDERS: (tally.unknown_open, tally.samples),
        MetricName.LONGEST_UNKNOWN_MS: (tally.longest_unknown_ms, tally.samples),
        MetricName.DRAWDOWN_FRACTION: (tally.drawdown, tally.equity_samples),
        MetricName.NET_PNL_EUR: (profit, tally.equity_samples),
        MetricName.CLOCK_OFFSET_MAX_MS: (tally.clock_offset_max_ms, tally.clock_samples),
        MetricName.ACCOUNT_CHECKS_FAILED: (tally.account_checks_failed, tally.account_checks),
    }
    return tuple(
        Metric(
            name=name,
            value=Decimal(value) if value is not None and observations > 0 else None,
            unit=METRICS[name].unit,
            samples=observations,
            coverage=coverage,
            measured_at=tally.last_at,
            source=tally.source,
            accelerated=tally.accelerated,
            environment=environment,
        )
        for name, (value, observations) in sorted(measured.items())
    )
