"""Tallies: what the controller counts while a stage runs, and the metrics computed from it. The fold and ``gates.evidence`` use it.

A tally is an immutable value: each method returns a new tally. The state holds it, and a replay computes the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

from exchange.model import DataSource, Millis
from gates import collecting, integrity
from gates.collecting import Collected, Ended, Trade, Watched
from gates.integrity import Integrity
from gates.metric import DETAIL_MOST, Attestation, Metric
from gates.protection import Protection
from gates.series import RunSeries
from gates.signals import Signals
from gates.statistics import ratio_down, ratio_up, upper_bound
from gates.streams import Streams
from policies.guards import drawdown_fraction
from policies.numbers import GRID, WIDE, rounded_down, rounded_up
from policies.rules import METRICS, MetricName
from policies.stage import ON_THE_TESTNET, Environment, Stage
from policies.values import replace

DAY_MS = 86_400_000
SAMPLE_SPAN_MAX_MS = 5_000
"""The longest time before it that one sample covers. When the loop stood still for longer, no one knows what happened."""

UNSAMPLED = "nothing was measured: the controller was not running, or it stood still"
"""What began a gap without a sample."""


@dataclass(frozen=True)
class Tally:
    """The counts of one run of one stage.

    Money is EUR; ``cap_eur`` is the stage's cap; ``gap_ms`` is the gap still open at ``last_at``. ``attested_ms`` is the part of
    ``covered_ms`` that the testnet's own signature vouches for. ``midnights`` are those of UTC in covered time. ``form_rejects``
    are rejects for the form of an order, ``cancels_too_late`` orders that filled completely after they were to be cancelled.
    ``gap_why`` says what began the open gap, and ``longest_gap_why`` what began the longest one, which ended at
    ``longest_gap_at`` or lasts since then.
    """

    source: DataSource
    accelerated: bool
    started_at: Millis
    last_at: Millis
    cap_eur: Decimal
    samples: int = 0
    total_ms: int = 0
    covered_ms: int = 0
    attested_ms: int = 0
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
    account_failures: tuple[str, ...] = ()
    midnights: int = 0
    soft_breaches: int = 0
    form_rejects: int = 0
    cancels: int = 0
    cancels_too_late: int = 0
    looks: int = 0
    series: RunSeries = RunSeries(Millis(0), Decimal(0), Decimal(1))
    collected: Collected = Collected()
    gap_why: str = ""
    longest_gap_why: str = ""
    longest_gap_at: Millis = Millis(0)
    streams: Streams = Streams()
    protection: Protection = Protection()
    integrity: Integrity = Integrity()
    signals: Signals = Signals()

    @classmethod
    def begin(
        cls, source: DataSource, *, at: Millis, cap_eur: Decimal, accelerated: bool, quote_per_eur: Decimal = Decimal(1)
    ) -> Tally:
        """Start a run now. ``accelerated``: its clock is faster than real time. ``quote_per_eur`` values its costs."""
        return cls(source, accelerated, at, at, cap_eur, series=RunSeries(at, cap_eur, quote_per_eur))

    def with_order(self) -> Tally:
        """Count an order sent to the venue."""
        return replace(self, orders=self.orders + 1)

    def with_reject(self, *, for_its_form: bool = False) -> Tally:
        """Count an order that the venue rejected. ``for_its_form``: its precision, its signature or its size was wrong."""
        return replace(self, rejects=self.rejects + 1, form_rejects=self.form_rejects + for_its_form)

    def with_look(self) -> Tally:
        """Count a verdict of the run's gate that was asked for."""
        return replace(self, looks=self.looks + 1)

    def with_soft_breach(self) -> Tally:
        """Count a guard that reached CANCEL_ALL for something that it measured."""
        return replace(self, soft_breaches=self.soft_breaches + 1)

    def with_denial(self, count: int = 1) -> Tally:
        """Count orders that our limits denied."""
        return replace(self, denials=self.denials + count)

    def with_fill(self) -> Tally:
        """Count a booked trade."""
        return replace(self, fills=self.fills + 1)

    def with_trade(self, trade: Trade, watched: Watched | None, *, valued: bool) -> tuple[Tally, Watched | None]:
        """Count a booked trade, with what it cost and what it ended; ``watched`` is what is kept of its order while that is open.

        Without ``valued`` its fee has no known price. An order that is not watched any more ends a round trip of its own.
        """
        collected, closing = collecting.traded(self.collected, trade)
        collected = replace(collected, unvalued_fees=collected.unvalued_fees + (not valued))
        series = self.series
        if watched is not None:
            watched = replace(watched, fee=watched.fee + trade.fee, closing=collecting.joined(watched.closing, closing))
        else:
            series, collected = collecting.closed(series, collected, trade.symbol, closing)
        return replace(self.with_fill(), series=series, collected=collected), watched

    def with_ended(self, order: Ended, *, cancel_requested: bool) -> Tally:
        """Record an order of the run that has ended at its venue."""
        series, collected = collecting.ended(self.series, self.collected, order)
        return replace(
            self,
            series=series,
            collected=collected,
            cancels=self.cancels + cancel_requested,
            cancels_too_late=self.cancels_too_late + (cancel_requested and order.complete),
        )

    def with_gone(self, symbol: str, quantity: Decimal) -> Tally:
        """A quantity that the run bought is gone otherwise than by a sale of the bot."""
        return replace(self, collected=collecting.dropped(self.collected, symbol, quantity))

    def with_unit(self, factor: Decimal) -> Tally:
        """Go on after every amount in EUR was multiplied by ``factor``, because a person signed another rate."""
        unit = WIDE.divide(self.collected.unit, factor).quantize(GRID, context=WIDE)
        return replace(self, collected=replace(self.collected, unit=unit))

    def with_settled(self, age_ms: int) -> Tally:
        """Record that an unknown outcome became known after ``age_ms``."""
        return replace(self, longest_unknown_ms=max(self.longest_unknown_ms, age_ms))

    def with_reconciliation(self, breaks: int, count: int = 1) -> Tally:
        """Count ``count`` reconciliations, each of which found ``breaks`` differences."""
        return replace(
            self,
            reconciliations=self.reconciliations + count,
            reconciliation_breaks=self.reconciliation_breaks + max(breaks, 0) * count,
        )

    def with_clock(self, offset_ms: int, count: int = 1) -> Tally:
        """Record ``count`` differences to the venue's clock that are certain, and none larger than this one."""
        return replace(
            self, clock_samples=self.clock_samples + count, clock_offset_max_ms=max(self.clock_offset_max_ms, abs(offset_ms))
        )

    def with_shift(self, eur: Decimal) -> Tally:
        """Compare with every equity so far as if this much more had always been there: it came from outside."""
        start, peak, last = (None if one is None else one + eur for one in (self.equity_start, self.equity_peak, self.equity_last))
        shifted = self.collected.shifted_eur + WIDE.multiply(eur, self.collected.unit)
        collected = replace(self.collected, shifted_eur=shifted)
        return replace(self, equity_start=start, equity_peak=peak, equity_last=last, collected=collected)

    def with_account(self, checks: int, failures: tuple[str, ...]) -> Tally:
        """Record a check of the live account; only the latest one counts. Each failure is named, with what to do."""
        return replace(self, account_checks=checks, account_checks_failed=len(failures), account_failures=failures)

    def with_source(self, source: DataSource, *, accelerated: bool) -> Tally:
        """Record the source of the data. The source of a run is the least trustworthy one it has used."""
        worst = max(self.source, source, key=_TRUST.index)
        return replace(self, source=worst, accelerated=self.accelerated or accelerated)

    def with_protection(self, why: str, *, held: bool, interval_ms: int, at: Millis, count: int = 1) -> Tally:
        """Record whether what is ``held`` was protected until ``at``, and ``why`` not. Call it before ``with_sample``.

        As there, a sample speaks for ``interval_ms`` at most, and before that nobody looked.
        """
        if not held:
            return replace(self, protection=self.protection.without_position())
        elapsed, spanned = self._spans(interval_ms, at, count)
        found = self.protection.after(why, at=at, unseen_ms=elapsed - spanned, seen_ms=spanned, count=count)
        return replace(self, protection=found)

    def _spans(self, interval_ms: int, at: Millis, count: int) -> tuple[int, int]:
        """The time since the sample before, and the part of it that the one at ``at`` speaks for."""
        elapsed = max(at - self.last_at, 0)
        return elapsed, max(min(interval_ms, elapsed, SAMPLE_SPAN_MAX_MS * count), 0)

    def with_sample(
        self,
        equity_eur: Decimal | None,
        *,
        covered: bool,
        attested: bool = False,
        interval_ms: int,
        at: Millis,
        unknown_open: int,
        oldest_unknown_ms: int,
        count: int = 1,
        mid: Decimal | None = None,
        why: str = "",
    ) -> Tally:
        """Record a sample at ``at``. It covers the last ``interval_ms``, at most ``SAMPLE_SPAN_MAX_MS``, since the sample before.

        ``count``: so many samples in a row that differ in nothing else are recorded at once, and each may cover so much.

        Time before that, for example while the controller was down, is a gap. Time without a known equity is a gap too. After a
        clock was set back, no time passes until it has caught up. ``unknown_open`` and ``oldest_unknown_ms`` describe the orders
        whose outcome is not known now. ``attested``: the testnet's own signature vouches for this time. ``mid`` is the mid price of
        the first symbol. ``why`` says why this time is not covered.
        """
        equity = equity_eur if equity_eur is not None and equity_eur.is_finite() else None
        elapsed, spanned = self._spans(interval_ms, at, count)
        counts = covered and equity is not None
        gap = self.gap_ms + elapsed - spanned
        gap_why = self.gap_why or (UNSAMPLED if counts or elapsed - spanned > spanned else why)
        this_gap = gap if counts else gap + spanned
        is_longest = this_gap > self.longest_gap_ms
        series, collected = collecting.sampled(
            self.series, self.collected, last_at=self.last_at, at=at, before=self.equity_last, equity=equity, mid=mid
        )
        following = replace(
            self,
            series=series,
            collected=collected,
            midnights=self.midnights + (at // DAY_MS - (at - spanned) // DAY_MS if counts else 0),
            last_at=max(self.last_at, at),
            samples=self.samples + count,
            total_ms=self.total_ms + elapsed,
            covered_ms=self.covered_ms + (spanned if counts else 0),
            attested_ms=self.attested_ms + (spanned if counts and attested else 0),
            gap_ms=0 if counts else gap + spanned,
            longest_gap_ms=max(self.longest_gap_ms, this_gap),
            gap_why="" if counts else gap_why,
            longest_gap_why=gap_why if is_longest else self.longest_gap_why,
            longest_gap_at=at if is_longest else self.longest_gap_at,
            unknown_open=unknown_open,
            longest_unknown_ms=max(self.longest_unknown_ms, oldest_unknown_ms),
        )
        return following if equity is None else _with_equity(following, equity, count)


def _with_equity(tally: Tally, equity: Decimal, count: int) -> Tally:
    start = equity if tally.equity_start is None else tally.equity_start
    peak = equity if tally.equity_peak is None else max(tally.equity_peak, equity)
    return replace(
        tally,
        equity_samples=tally.equity_samples + count,
        equity_start=start,
        equity_peak=peak,
        equity_last=equity,
        drawdown=max(tally.drawdown, drawdown_fraction(peak, equity, tally.cap_eur)),
    )


_TRUST = (DataSource.LIVE, DataSource.RECORDED_L2, DataSource.RECONSTRUCTED_BARS, DataSource.SYNTHETIC)


def attestation_of(tally: Tally, stage: Stage) -> Attestation | None:
    """Whether a run's evidence is attested: all of its covered time, and there is some. ``None`` where no testnet makes it."""
    if stage not in ON_THE_TESTNET:
        return None
    return Attestation.ATTESTED if 0 < tally.covered_ms == tally.attested_ms else Attestation.UNATTESTED


def metrics(tally: Tally, environment: Environment, attestation: Attestation | None = None) -> tuple[Metric, ...]:
    """Return every metric of a run, sorted by name. A metric without observations has no value."""
    coverage = ratio_down(tally.covered_ms, tally.total_ms) or Decimal(0)
    profit = (
        None if tally.equity_last is None or tally.equity_start is None else rounded_down(tally.equity_last - tally.equity_start)
    )
    measured: dict[MetricName, tuple[Decimal | int | None, int]] = {
        MetricName.COVERED_MS: (tally.covered_ms, tally.samples),
        MetricName.ATTESTED_MS: (tally.attested_ms, tally.samples),
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
        MetricName.ROUND_TRIPS: (len(tally.series.round_trips), tally.samples),
        MetricName.MIDNIGHTS: (tally.midnights, tally.samples),
        MetricName.SOFT_BREACHES: (tally.soft_breaches, tally.samples),
        MetricName.FORM_REJECTS: (tally.form_rejects, tally.orders),
        MetricName.CANCEL_TOO_LATE_RATIO: (ratio_up(tally.cancels_too_late, tally.cancels), tally.cancels),
        MetricName.LONGEST_UNPROTECTED_MS: (tally.protection.longest_ms, tally.protection.samples),
        MetricName.UNPROTECTED_MS: (tally.protection.unprotected_ms, tally.protection.samples),
        MetricName.STREAM_ROTATIONS: (tally.streams.rotations, len(tally.streams.runs)),
        MetricName.LISTEN_KEY_RENEWALS: (tally.streams.renewals, len(tally.streams.runs)),
        MetricName.LONGEST_ROTATION_GAP_MS: (tally.streams.rotation_gap_ms, sum(one.rotations for one in tally.streams.runs)),
    }
    measured |= _costs(tally) | integrity.metrics(tally.integrity)
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
            detail=_detail(tally, name)[:DETAIL_MOST],
            attestation=attestation,
        )
        for name, (value, observations) in sorted(measured.items())
    )


def _detail(tally: Tally, name: MetricName) -> str:
    """What is behind a value, for people."""
    match name:
        case MetricName.ACCOUNT_CHECKS_FAILED:
            return "; ".join(tally.account_failures)
        case MetricName.LONGEST_UNPROTECTED_MS:
            return tally.protection.detail
        case _:
            return integrity.detail(tally.integrity, name)


def _costs(tally: Tally) -> dict[MetricName, tuple[Decimal | int | None, int]]:
    """What the orders of the run cost and brought, from exact running sums (execution-safety.md §4.1: IS, fill ratio)."""
    sums, series = tally.collected, tally.series
    ended, trips = len(series.executions), len(series.round_trips)
    known = not sums.unvalued_fees
    with localcontext(WIDE):
        fees, slippage = (rounded_up(amount / series.quote_per_eur) for amount in (sums.fees, sums.slippage))
        realised = rounded_down(sums.realised / series.quote_per_eur)
        filled = rounded_down(sums.filled / sums.ordered) if sums.ordered else None
        missed = rounded_up(sums.opportunity / sums.ordered * 10_000) if sums.ordered and not sums.opportunity_unknown else None
    return {
        MetricName.FEES_EUR: (fees if known else None, tally.fills),
        MetricName.SLIPPAGE_EUR: (slippage, tally.fills),
        MetricName.REALISED_PNL_EUR: (realised if known else None, trips),
        MetricName.FILL_RATIO: (filled, ended),
        MetricName.OPPORTUNITY_COST_BPS: (missed, ended),
    }
