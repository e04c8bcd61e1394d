"""Figures of round trips, against examples computed by hand."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

import numpy as np
import pytest
from scipy.stats import binomtest

from gates import trading
from gates.declared import Declared, Measurement
from policies.rules import MetricName
from tests.unit.gates.series_kit import named, series, trip

FIVE = np.array([3.0, -1.0, 0.0, 1.0, -1.0])
"""Won 4 with two, lost 2 with two, and one without either."""


def measured(*pnl: str, looks: int = 1, rate: str = "1") -> tuple[Measurement, ...]:
    trips = tuple(trip(one) for one in pnl)
    return trading.measure_trips(series(trips=trips, rate=rate), trips, Declared(looks=looks), 7)


def test_the_profit_factor_is_what_was_won_by_what_was_lost() -> None:
    assert trading.profit_factor(FIVE) == 2


def test_without_a_loss_there_is_no_profit_factor() -> None:
    assert trading.profit_factor(np.array([1.0, 0.0])) is None


def test_without_a_win_the_profit_factor_is_nothing() -> None:
    assert trading.profit_factor(np.array([-1.0, -2.0])) == 0


def test_the_break_even_rate_weighs_mean_losses_and_wins() -> None:
    assert trading.break_even_rate(FIVE) == pytest.approx(1 / (2 + 1))  # a mean win of 2, a mean loss of 1


@pytest.mark.parametrize("pnl", [[1.0, 2.0], [-1.0], [0.0]])
def test_without_wins_and_losses_nothing_breaks_even(pnl: list[float]) -> None:
    assert trading.break_even_rate(np.array(pnl)) is None


def test_wilsons_bound_by_hand() -> None:
    # p = 0.5, n = 100, z = 1.959964: (0.5 + 0.019207 - 1.959964 · sqrt(0.0025 + 0.000096036)) / 1.038415
    expected = (0.5 + 3.841459 / 200 - 1.959964 * sqrt(0.0025 + 3.841459 / 40_000)) / 1.03841459
    assert trading.wilson_lower(50, 100, 0.025) == pytest.approx(expected, abs=1e-6)
    assert round(expected, 4) == 0.4038


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (60, 100), (1, 400)])
def test_wilsons_bound_is_that_of_scipy(hits: int, trials: int) -> None:
    theirs = binomtest(hits, trials).proportion_ci(0.9, method="wilson").low
    assert trading.wilson_lower(hits, trials, 0.05) == pytest.approx(theirs, abs=1e-12)


def test_the_best_trade_is_compared_with_all_that_was_won() -> None:
    assert trading.best_share(FIVE) == 0.75


def test_where_nothing_was_won_there_is_no_best_trade() -> None:
    assert trading.best_share(np.array([-1.0, 0.0])) is None


def test_the_metrics_of_round_trips_by_hand() -> None:
    found = measured("3", "-1", "0", "1", "-1")
    assert {one.name: one.value for one in found} == {
        MetricName.PROFIT_FACTOR: Decimal(2),
        MetricName.EXPECTANCY_EUR: Decimal("0.4"),
        # Wilson: (0.4 + 0.270554 - 1.644854 · sqrt(0.048 + 0.027055)) / 1.541109 = 0.142706; break-even 1/3
        MetricName.HIT_RATE_EXCESS: Decimal("-0.190626862"),
        MetricName.BEST_TRADE_SHARE: Decimal("0.75"),
    }
    assert {one.samples for one in found} == {5}


def test_the_expectancy_is_in_euros_at_the_rate_of_the_run() -> None:
    assert named(measured("3", "-1", rate="1.25"), MetricName.EXPECTANCY_EUR).value == Decimal("0.8")


def test_figures_round_against_the_bot() -> None:
    found = measured("1", "1", "-3")
    assert named(found, MetricName.PROFIT_FACTOR).value == Decimal("0.666666666")
    assert named(found, MetricName.EXPECTANCY_EUR).value == Decimal("-0.333333334")
    assert named(measured("1", "1", "1", "-3"), MetricName.BEST_TRADE_SHARE).value == Decimal("0.333333334")


def test_more_looks_ask_for_a_higher_hit_rate() -> None:
    pnl = ["1", "-1"] * 50
    once, often = (named(measured(*pnl, looks=looks), MetricName.HIT_RATE_EXCESS) for looks in (1, 5))
    assert once.value is not None
    assert once.value == Decimal(str(trading.wilson_lower(50, 100, 0.05) - 0.5)).quantize(Decimal("1e-9"), rounding="ROUND_FLOOR")
    assert often.value is not None
    assert often.value < once.value
    assert "99 % bound" in often.detail


def test_no_round_trip_gives_no_figure() -> None:
    found = measured()
    assert {one.value for one in found} == {None}
    assert {one.detail for one in found} == {"no round trip has ended in this run"}


def test_all_wins_say_that_a_loss_is_missing() -> None:
    found = measured("1", "2")
    assert named(found, MetricName.PROFIT_FACTOR).value is None
    assert "none has lost" in named(found, MetricName.PROFIT_FACTOR).detail
    assert named(found, MetricName.HIT_RATE_EXCESS).value is None
    assert "no loss or no win" in named(found, MetricName.HIT_RATE_EXCESS).detail


def test_all_losses_fail_and_say_that_a_win_is_missing() -> None:
    found = measured("-1", "-2")
    assert named(found, MetricName.PROFIT_FACTOR).value == 0
    assert named(found, MetricName.BEST_TRADE_SHARE).value is None
    assert "none has won" in named(found, MetricName.BEST_TRADE_SHARE).detail


def test_few_round_trips_have_no_bounds_and_say_how_many_would() -> None:
    assert "20 are needed for bounds" in named(measured(*["1", "-1"] * 9), MetricName.EXPECTANCY_EUR).detail
    assert "20 are needed" not in named(measured(*["1", "-1"] * 10), MetricName.EXPECTANCY_EUR).detail


def test_the_bounds_of_the_expectancy_enclose_it() -> None:
    detail = named(measured(*["2", "-1", "1", "-1"] * 10), MetricName.EXPECTANCY_EUR).detail
    low, high = (float(part.split()[-1]) for part in (detail.partition(" and ")[0], detail.partition(" EUR")[0]))
    assert low < 0.25 < high
