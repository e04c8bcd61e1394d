"""A metric cannot hold what no rule should compare with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from exchange.model import DataSource
from gates.metric import Metric, MetricName, Unit
from policies.rules import METRICS
from policies.stage import Environment

FIELDS: dict[str, Any] = {
    "name": MetricName.ORDERS,
    "value": Decimal(3),
    "unit": Unit.COUNT,
    "samples": 1,
    "coverage": Decimal(1),
    "measured_at": 1,
    "source": DataSource.LIVE,
    "accelerated": False,
    "environment": Environment.REHEARSAL,
}


def metric(**changes: Any) -> Metric:
    return Metric(**{**FIELDS, **changes})


def test_a_metric_keeps_what_it_was_given() -> None:
    assert metric().value == 3


@pytest.mark.parametrize(
    "change",
    [
        {"value": Decimal("NaN")},
        {"value": Decimal("sNaN")},
        {"value": Decimal("Infinity")},
        {"value": Decimal("-Infinity")},
        {"value": 0.5},
        {"value": True},
        {"unit": Unit.RATIO},
        {"samples": -1},
        {"coverage": Decimal("1.01")},
        {"coverage": Decimal("NaN")},
        {"measured_at": -1},
        {"source": "hearsay"},
        {"waived": True},
    ],
    ids=str,
)
def test_an_invalid_metric_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        metric(**change)


def test_every_metric_has_a_unit_and_a_meaning() -> None:
    assert set(METRICS) == set(MetricName)
    assert all(spec.meaning for spec in METRICS.values())
