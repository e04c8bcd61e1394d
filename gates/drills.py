"""The metrics about drills: how old the last green one of each kind is. ``controller.core.decisions.evidence`` adds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from exchange.model import DataSource, Millis
from gates.metric import Metric
from policies.drills import DRILLS, DrillKind
from policies.rules import METRICS
from policies.stage import Environment


@dataclass(frozen=True, slots=True)
class GreenDrill:
    """When a drill passed, and on which market data it ran."""

    at: Millis
    source: DataSource
    accelerated: bool


def drill_metrics(
    green: Mapping[DrillKind, GreenDrill], as_of: Millis, source: DataSource, environment: Environment, *, accelerated: bool
) -> tuple[Metric, ...]:
    """Return one metric for each kind that a gate can ask for. A kind that is not in ``green`` has no value.

    ``source`` and ``accelerated`` are those of the present run; they fill the metrics without a value.
    """
    found = []
    for kind, spec in DRILLS.items():
        if spec.metric is None:
            continue
        drill = green.get(kind)
        found.append(
            Metric(
                name=spec.metric,
                value=None if drill is None else Decimal(max(0, as_of - drill.at)),
                unit=METRICS[spec.metric].unit,
                samples=0 if drill is None else 1,
                coverage=Decimal(0) if drill is None else Decimal(1),
                measured_at=as_of,
                source=source if drill is None else drill.source,
                accelerated=accelerated if drill is None else drill.accelerated,
                environment=environment,
            )
        )
    return tuple(found)
