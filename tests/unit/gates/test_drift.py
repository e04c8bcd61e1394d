"""A bot's behaviour against what its owner claims, against examples computed by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gates import drift
from gates.declared import Claim, Declared, Measurement
from policies.rules import MetricName
from tests.unit.gates.series_kit import DAY_MS, HOUR_MS, named, order, series, trip

MINUTE_MS = 60_000


def measured(claim: Claim | None = None, *, held: list[int] | None = None, days: int = 3) -> tuple[Measurement, ...]:
    """Six orders of 10 EUR each, and one round trip for each holding time."""
    trips = tuple(trip("0", held_ms=one) for one in ([HOUR_MS] * 3 if held is None else held))
    orders = (order(mid="10", price="10", filled="1"),) * 6
    return drift.measure_behaviour(series(cap="10"), orders, trips, Declared(claim=claim), days * DAY_MS)


@pytest.mark.parametrize(("seen", "claimed", "times"), [("6", "2", "3"), ("2", "6", "3"), ("5", "5", "1")])
def test_a_factor_is_how_many_times_more_or_less(seen: str, claimed: str, times: str) -> None:
    assert drift.factor(Decimal(seen), Decimal(claimed)) == Decimal(times)


@pytest.mark.parametrize(("seen", "claimed"), [("0", "1"), ("1", "0"), ("-1", "1")])
def test_nothing_has_no_factor(seen: str, claimed: str) -> None:
    assert drift.factor(Decimal(seen), Decimal(claimed)) is None


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        (Claim(trades_per_day=Decimal(2)), "2"),  # one a day was seen
        (Claim(holding_ms=20 * MINUTE_MS), "3"),  # an hour was seen
        (Claim(turnover_per_day=Decimal(2)), "1"),  # 60 EUR of a cap of 10 in three days
        (Claim(turnover_per_day=Decimal("0.5"), trades_per_day=Decimal(1)), "4"),
    ],
)
def test_the_largest_factor_counts(claim: Claim, value: str) -> None:
    assert named(measured(claim), MetricName.BEHAVIOUR_DRIFT).value == Decimal(value)


def test_only_covered_days_count() -> None:
    assert named(measured(Claim(trades_per_day=Decimal(1)), days=1), MetricName.BEHAVIOUR_DRIFT).value == 3


def test_without_a_claim_there_is_no_drift() -> None:
    found = named(measured(), MetricName.BEHAVIOUR_DRIFT)
    assert found.value is None
    assert "the policy's claim names no" in found.detail


def test_a_bot_that_ends_no_round_trip_has_no_ratio_to_the_claim() -> None:
    found = named(measured(Claim(trades_per_day=Decimal(4)), held=[]), MetricName.BEHAVIOUR_DRIFT)
    assert (found.value, found.detail) == (None, "0 round trips a day were observed and 4 are claimed, which have no ratio")


def test_without_covered_time_there_is_no_drift() -> None:
    found = named(measured(Claim(trades_per_day=Decimal(4)), days=0), MetricName.BEHAVIOUR_DRIFT)
    assert (found.value, found.detail) == (None, "no time of this run is covered")


def test_samples_without_overlap_hardly_come_from_one_distribution() -> None:
    # of the 20 choose 10 ways to divide 20 different values, two divide them without overlap
    assert drift.same_distribution(range(10), range(10, 20)) == pytest.approx(2 / 184_756)


def test_the_same_sample_twice_comes_from_one_distribution() -> None:
    assert drift.same_distribution(range(10), range(10)) == 1


def test_holding_times_are_compared_with_those_that_are_claimed() -> None:
    claim = Claim(holding_times_ms=tuple(range(1, 11)))
    found = named(measured(claim, held=list(range(11, 21))), MetricName.BEHAVIOUR_KS_P)
    assert found.value == Decimal("0.000010825")
    assert found.detail == "10 holding times of the run against 10: those that are claimed"


def test_without_claimed_holding_times_the_halves_of_the_run_are_compared() -> None:
    found = named(measured(held=[*range(1, 11), *range(11, 22)]), MetricName.BEHAVIOUR_KS_P)
    assert "11 holding times of the run against 10: those of its first half" in found.detail
    assert found.value == Decimal("0.000005670")  # 2 of the 21 choose 10 = 352,716 ways


def test_nine_holding_times_are_too_few() -> None:
    found = named(measured(Claim(holding_times_ms=tuple(range(1, 11))), held=list(range(1, 10))), MetricName.BEHAVIOUR_KS_P)
    assert found.value is None
    assert "each side needs 10" in found.detail
