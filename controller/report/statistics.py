"""The statistics of a run, as the journal holds them. ``document`` calls it."""

from __future__ import annotations

from typing import Any

from controller.report.collect import Collected
from controller.report.run import Run


def statistics(found: Collected, run: Run) -> dict[str, Any]:  # noqa: ARG001
    """Every statistic of the run; ``why_not`` says why there is none."""
    return {"rows": [], "bounds": [], "outlook": "", "as_of_seq": 0, "why_not": "The journal holds no statistics of this run."}
