"""Everything that was measured of a run besides its statistics, also what no rule judges. ``document`` calls it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.core.decisions.evidence import gated_moves, gather
from controller.core.state import State
from controller.report.collect import Signed
from controller.report.run import Run
from gates import evidence as bundles
from gates.measure import metrics
from gates.metric import Metric
from policies.numbers import text
from policies.rules import METRICS, STATISTICS


def measured(state: State, run: Run, command: Signed | None) -> list[dict[str, Any]]:
    """The metrics in the evidence of a command or of the present gate or, where there is no gate, of the run alone."""
    return [_row(one) for one in _metrics(state, run, command) if one.name not in STATISTICS]


def _metrics(state: State, run: Run, command: Signed | None) -> Iterable[Metric]:
    if command is not None:
        return bundles.parse(command.accepted.evidence.encode()).metrics
    gates = [gate for _, _, gate in gated_moves(state)]
    evidence = gather(state, state.policy, gates[0]) if gates and state.policy is not None else None
    if evidence is not None and run.until is None:
        return evidence.metrics
    return metrics(run.tally, state.environment) if run.tally is not None else ()


def _row(one: Metric) -> dict[str, Any]:
    return {
        "name": one.name.value,
        "meaning": METRICS[one.name].meaning,
        "value": "" if one.value is None else text(one.value),
        "unit": one.unit.value,
        "samples": one.samples,
        "detail": one.error or one.detail,
    }
