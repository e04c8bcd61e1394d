"""The metrics that are no tally: the statistics of the run, what is declared, and the drills inside it.

``controller.core.decisions.evidence`` adds them to the bundle, next to ``gates.measure.metrics``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from exchange.model import Millis
from gates.measure import Tally
from gates.metric import DETAIL_MOST, Attestation, Metric
from gates.statistics import ratio_down
from policies.numbers import rounded_up
from policies.rules import METRICS, STATISTICS, MetricName
from policies.stage import Environment


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic as the journal has it. ``value`` is ``None`` where it cannot be computed; ``detail`` says what is missing."""

    name: MetricName
    value: Decimal | None
    samples: int
    detail: str


@dataclass(frozen=True, slots=True)
class Run:
    """What is the same for every metric of a run."""

    tally: Tally
    environment: Environment
    attestation: Attestation | None

    def metric(
        self,
        name: MetricName,
        value: Decimal | int | None,
        samples: int,
        *,
        at: Millis | None = None,
        detail: str = "",
        error: str = "",
    ) -> Metric:
        """One metric of the run, measured ``at`` or with its last sample. Without observations it has no value."""
        tally = self.tally
        return Metric(
            name=name,
            value=Decimal(value) if value is not None and samples > 0 and not error else None,
            unit=METRICS[name].unit,
            samples=samples,
            coverage=ratio_down(tally.covered_ms, tally.total_ms) or Decimal(0),
            measured_at=tally.last_at if at is None else at,
            source=tally.source,
            accelerated=tally.accelerated,
            environment=self.environment,
            error=error,
            detail=detail[:DETAIL_MOST],
            attestation=self.attestation,
            window_from=min(tally.started_at, tally.last_at if at is None else at),
        )


def statistics(run: Run, found: Iterable[Statistic], at: Millis, error: str) -> tuple[Metric, ...]:
    """The statistics of the run, computed from what was known ``at``. With ``error`` their computation failed."""
    if error:
        return tuple(run.metric(name, None, 0, at=at, error=error) for name in sorted(STATISTICS))
    # An older journal has figures among them that are no statistics any more.
    by_name = {one.name: one for one in found if one.name in STATISTICS}
    metrics = {name: run.metric(name, one.value, one.samples, at=at, detail=one.detail) for name, one in by_name.items()}
    excess = _drawdown_excess(run.tally, by_name)
    if excess is not None:
        metrics[MetricName.DRAWDOWN_EXCESS] = run.metric(
            MetricName.DRAWDOWN_EXCESS, excess.value, excess.samples, at=at, detail=excess.detail
        )
    return tuple(metrics.values())


def _drawdown_excess(tally: Tally, found: Mapping[MetricName, Statistic]) -> Statistic | None:
    """How much deeper the run fell than 95 % of the runs would under the claim (execution-safety.md §4.3 C5)."""
    claimed = found.get(MetricName.DRAWDOWN_P95)
    if claimed is None:
        return None
    if claimed.value is None or not tally.equity_samples:
        return Statistic(MetricName.DRAWDOWN_EXCESS, None, claimed.samples, claimed.detail)
    detail = f"the largest fall was {tally.drawdown:.4f}, and under the claim 95 % of the runs stay below {claimed.value:.4f}"
    return Statistic(MetricName.DRAWDOWN_EXCESS, rounded_up(tally.drawdown - claimed.value), claimed.samples, detail)


def counted(run: Run, *, drills: int, variants: int) -> tuple[Metric, ...]:
    """How many kinds of drills passed in the run, and how often it was tried."""
    return (
        run.metric(MetricName.DRILLS_IN_RUN, drills, run.tally.samples),
        run.metric(MetricName.LOOKS_USED, run.tally.looks, run.tally.samples),
        run.metric(MetricName.VARIANTS_TRIED, variants, run.tally.samples),
    )
