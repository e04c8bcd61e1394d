"""A metric: a measured value with its unit, number of observations, coverage, time and source. Evidence bundles consist of them.

NaN, infinities and a wrong unit are refused here, so that no rule compares with them (gates-authority-journal.md §1.2).
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exchange.model import DataSource
from policies.numbers import Exact
from policies.rules import METRICS, MetricName, Unit
from policies.stage import Environment

__all__ = ["DETAIL_MOST", "Metric", "MetricName", "Unit"]

DETAIL_MOST = 2_000
"""The most characters of a metric's detail."""


class Metric(BaseModel):
    """One measurement over one run.

    ``value`` is ``None`` when nothing was observed; ``error`` is not empty when the measurement failed. ``coverage`` is the
    fraction of the run in which it could be measured, 0 to 1. ``accelerated``: the run's clock was faster than real time.
    ``detail`` says what is behind a bad value and what to do, for people; no rule reads it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: MetricName
    value: Exact | None
    unit: Unit
    samples: Annotated[int, Field(ge=0)]
    coverage: Annotated[Exact, Field(ge=0, le=1)]
    measured_at: Annotated[int, Field(ge=0)]
    source: DataSource
    accelerated: bool
    environment: Environment
    error: Annotated[str, Field(max_length=200)] = ""
    detail: Annotated[str, Field(max_length=DETAIL_MOST)] = ""

    @model_validator(mode="after")
    def _right_unit(self) -> Self:
        expected = METRICS[self.name].unit
        if self.unit is not expected:
            raise ValueError(f"{self.name} is measured in {expected}, not {self.unit}")
        return self
