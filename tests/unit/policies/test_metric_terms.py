"""The terms of metrics: how each comes about, and which values of it are better."""

from __future__ import annotations

import pytest

from policies.rules import METRICS, STATISTIC_MAX_AGE_MS, STATISTICS, Direction, Kind, MetricName, Unit, direction_of, kind_of


@pytest.mark.parametrize(
    ("name", "kind", "direction"),
    [
        (MetricName.COVERED_MS, Kind.COUNTER, Direction.MORE),
        (MetricName.ROUND_TRIPS, Kind.COUNTER, Direction.MORE),
        (MetricName.LONGEST_GAP_MS, Kind.GAUGE, Direction.LESS),
        (MetricName.COVERAGE_RATIO, Kind.GAUGE, Direction.MORE),
        (MetricName.NET_PNL_EUR, Kind.GAUGE, Direction.MORE),
        (MetricName.LOOKS_USED, Kind.GAUGE, Direction.NEITHER),
        (MetricName.SHORTFALL_UPPER_BPS, Kind.STATISTIC, Direction.LESS),
        (MetricName.PSR, Kind.STATISTIC, Direction.MORE),
        (MetricName.FILL_RATIO_EXCESS, Kind.STATISTIC, Direction.NEITHER),
    ],
)
def test_a_metric_has_the_kind_and_the_direction_of_its_meaning(name: MetricName, kind: Kind, direction: Direction) -> None:
    assert (kind_of(name), direction_of(name)) == (kind, direction)


def test_no_statistic_only_grows() -> None:
    assert not any(METRICS[name].accumulates for name in STATISTICS)


def test_a_statistic_may_miss_one_hourly_computation() -> None:
    assert STATISTIC_MAX_AGE_MS == 2 * 3_600_000


@pytest.mark.parametrize("name", MetricName)
def test_the_name_of_a_metric_fits_its_unit(name: MetricName) -> None:
    endings = {"_ms": Unit.MILLISECONDS, "_eur": Unit.EUR, "_bps": Unit.BPS, "_days": Unit.DAYS}
    ending = next((one for one in endings if name.removesuffix("_low").removesuffix("_high").endswith(one)), None)
    if ending is not None:
        assert METRICS[name].unit is endings[ending]
