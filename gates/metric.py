"""A metric: a measured value with its unit, number of observations, coverage, time and source. Evidence bundles consist of them.

NaN, infinities and a wrong unit are refused here, so that no rule compares with them (gates-authority-journal.md §1.2).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from exchange.model import DataSource
from policies.numbers import Exact
from policies.rules import METRICS, MetricName, Unit
from policies.stage import Environment

__all__ = ["DETAIL_MOST", "Attestation", "Metric", "MetricName", "Unit"]

DETAIL_MOST = 2_000
"""The most characters of a metric's detail."""


class Attestation(StrEnum):
    """Whether the testnet's own signature vouches for what was measured on it (ADR 47)."""

    ATTESTED = "attested"
    UNATTESTED = "unattested"


class Metric(BaseModel):
    """One measurement over one run.

    ``value`` is ``None`` when nothing was observed; ``error`` is not empty when the measurement failed. ``coverage`` is the
    fraction of the run in which it could be measured, 0 to 1. ``accelerated``: the run's clock was faster than real time.
    ``detail`` says what is behind a bad value and what to do, for people; no rule reads it.
    ``attestation`` is absent where no testnet makes the evidence, and in bundles of versions that did not know it.
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
    attestation: Attestation | None = None

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A bundle of an earlier version has to keep its bytes, which name it.
        written: dict[str, Any] = handler(self)
        if self.attestation is None:
            written.pop("attestation", None)
        if not self.detail:
            written.pop("detail", None)
        return written

    @model_validator(mode="after")
    def _right_unit(self) -> Self:
        expected = METRICS[self.name].unit
        if self.unit is not expected:
            raise ValueError(f"{self.name} is measured in {expected}, not {self.unit}")
        return self
