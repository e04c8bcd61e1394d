"""A metric: a measured value with its unit, number of observations, coverage, window and source. Evidence bundles consist of them.

Its kind and its direction belong to its name (``policies.rules``). NaN, infinities, a wrong unit and a count that is none are
refused here, so that no rule compares with them (gates-authority-journal.md §1.2).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from exchange.model import DataSource
from policies.numbers import Exact
from policies.rules import METRICS, Direction, Kind, MetricName, Unit, direction_of, kind_of
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
    fraction of the run in which it could be measured, 0 to 1. Its window is from ``window_from`` to ``measured_at``; without
    ``window_from`` it is that of the evidence. ``accelerated``: the run's clock was faster than real time.
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
    window_from: Annotated[int, Field(ge=0)] | None = None

    @property
    def kind(self) -> Kind:
        """How it comes about."""
        return kind_of(self.name)

    @property
    def direction(self) -> Direction:
        """Which values of it are better."""
        return direction_of(self.name)

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A bundle of an earlier version has to keep its bytes, which name it.
        written: dict[str, Any] = handler(self)
        if self.attestation is None:
            written.pop("attestation", None)
        if not self.detail:
            written.pop("detail", None)
        if self.window_from is None:
            written.pop("window_from", None)
        return written

    @model_validator(mode="after")
    def _right_unit(self) -> Self:
        expected = METRICS[self.name].unit
        if self.unit is not expected:
            raise ValueError(f"{self.name} is measured in {expected}, not {self.unit}")
        if self.unit is Unit.COUNT and self.value is not None and (self.value < 0 or self.value != int(self.value)):
            raise ValueError(f"{self.name} is {self.value}, and a count is a whole number of at least 0")
        if self.value is not None and self.error:
            raise ValueError(f"{self.name} has a value and an error: a failed measurement has no value")
        if self.window_from is not None and self.window_from > self.measured_at:
            raise ValueError(f"the window of {self.name} begins after it ends")
        return self
