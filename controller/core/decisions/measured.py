"""Takes over the statistics of the run that were computed beside the writer. ``controller.core.decide`` calls it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal

from controller.core import events as e
from controller.core.decisions.draft import Draft
from controller.core.inputs import StatisticsComputed
from gates.computed import Statistic
from gates.metric import DETAIL_MOST
from policies.numbers import GRID
from policies.rules import METRICS, STATISTICS, Unit

_LARGEST = Decimal(10) ** 12
"""What a document can express."""


def statistics_computed(draft: Draft, report: StatisticsComputed) -> None:
    """Journal the figures, if they are about the present run. Those of another run are of no use to anybody."""
    tally = draft.after.tally
    if tally is None or tally.series.started_at != report.run_started_at or report.as_of_seq > draft.after.seq:
        return
    draft.emit(
        e.RunMeasured(
            run_started_at=report.run_started_at,
            as_of_seq=report.as_of_seq,
            as_of=report.as_of,
            covered_ms=report.covered_ms,
            series_digest=report.series_digest,
            figures=() if report.error else journalled(report.figures),
            error=report.error[:200],
        )
    )


def journalled(found: Iterable[Statistic]) -> tuple[e.Figure, ...]:
    """The figures as the journal has them. The auditor compares those of its own with these."""
    return tuple(_figure(one) for one in found if one.name in STATISTICS)


def _figure(one: Statistic) -> e.Figure:
    value, detail = one.value, one.detail
    if value is not None and not (value.is_finite() and abs(value) < _LARGEST):
        value, detail = None, f"the figure is {value}, which is no finite number of a usable size"
    if value is not None:
        step = Decimal(1) if METRICS[one.name].unit in {Unit.COUNT, Unit.MILLISECONDS} else GRID
        value = value.quantize(step, rounding=ROUND_FLOOR)
    return e.Figure(name=one.name, value=value, samples=max(one.samples, 0), detail=detail[:DETAIL_MOST])
