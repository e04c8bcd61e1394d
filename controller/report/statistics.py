"""The statistics of a run as the journal holds them, and how long a run would have to be to prove them. ``document`` calls it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from controller.core.events import Figure, RunMeasured
from controller.report.run import Run
from controller.report.words import grouped
from policies.numbers import text
from policies.rules import METRICS, MetricName

BOUNDS = {
    MetricName.RETURN_LOWER: "lower bound against doing nothing, as a part of the cap",
    MetricName.STRESSED_RETURN_LOWER: "the same with fees × 1.5 and slippage × 2",
    MetricName.HOLDING_EXCESS_EUR: "against holding, on the statistics' grid of 5 minutes",
}
"""The statistics that bound the result of the run or compare it, and what the comparison calls them."""


def statistics(run: Run) -> dict[str, Any]:
    """Every statistic of the run; ``why_not`` says why there is none."""
    measured = run.measured
    if measured is None or measured.error:
        why = (
            f"Their computation failed: {measured.error}"
            if measured is not None
            else "The journal holds no statistics of this run yet."
        )
        return {"rows": [], "bounds": [], "outlook": "", "as_of_seq": 0, "as_of": 0, "series_digest": "", "why_not": why}
    by_name = {one.name: one for one in measured.figures}
    return {
        "rows": [_row(one) for one in measured.figures],
        "bounds": [{**_row(by_name[name]), "name": title} for name, title in BOUNDS.items() if name in by_name],
        "outlook": _outlook(measured),
        "as_of_seq": measured.as_of_seq,
        "as_of": measured.as_of,
        "series_digest": measured.series_digest,
        "why_not": "",
    }


def _row(one: Figure) -> dict[str, Any]:
    spec = METRICS[one.name]
    return {
        "name": one.name.value,
        "meaning": spec.meaning,
        "value": "" if one.value is None else text(one.value),
        "unit": spec.unit.value,
        "samples": one.samples,
        "detail": one.detail,
    }


def _outlook(measured: RunMeasured) -> str:
    """How many more days a run needs before its return says something, in one sentence."""
    days = next((one for one in measured.figures if one.name is MetricName.DAYS_MISSING), None)
    if days is None:
        return "How long a run would have to be to prove its return was not computed."
    if days.value is None:
        return f"How long a run would have to be to prove its return cannot be said: {days.detail}."
    if days.value <= Decimal(0):
        return "The run is long enough to tell its return from zero at the confidence of the policy."
    return f"The return is not proven: at this pace the run would need {grouped(days.value, 1)} more days to tell it from zero."
