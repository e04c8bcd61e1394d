"""Sharpe ratios and what follows from them, against figures computed by hand and the table of execution-safety.md §4.2."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from gates import sharpe
from gates.sharpe import PERIODS_A_YEAR, Moments

FOUR = np.array([0.01, -0.01, 0.02, 0.0])
"""Mean 0.005; deviations 0.005, -0.015, 0.015, -0.005; their squares 25, 225, 225, 25 (e-6); their cubes cancel out."""
SKEWED = np.array([0.0, 0.0, 0.0, 4.0])
"""Mean 1; deviations -1, -1, -1, 3; squares 1, 1, 1, 9; cubes -1, -1, -1, 27; fourth powers 1, 1, 1, 81."""


def of(returns: np.ndarray) -> Moments:
    found = sharpe.moments(returns)
    assert found is not None
    return found


def normal(annual: float, days: float = 3) -> Moments:
    """The moments of normal returns with this annual Sharpe ratio."""
    return Moments(int(days * 288), annual / sqrt(PERIODS_A_YEAR), 1.0, 0.0, 3.0)


def test_the_year_has_365_days_of_24_hours() -> None:
    assert PERIODS_A_YEAR == 105_120


def test_the_deviation_divides_by_one_less() -> None:
    found = of(FOUR)
    assert (found.n, found.mean, found.deviation) == (4, pytest.approx(0.005), pytest.approx(sqrt(500e-6 / 3)))
    assert found.ratio == pytest.approx(0.387298, abs=1e-6)


def test_skewness_and_kurtosis_divide_by_n_and_are_raw() -> None:
    assert (of(FOUR).skewness, of(FOUR).kurtosis) == (pytest.approx(0, abs=1e-9), pytest.approx(1.64))
    assert (of(SKEWED).skewness, of(SKEWED).kurtosis) == (pytest.approx(6 / 3**1.5), pytest.approx(21 / 9))


@pytest.mark.parametrize("returns", [[], [0.1], [0.0] * 9, [0.1] * 7, [1e9] * 3])
def test_returns_that_are_all_the_same_have_no_moments(returns: list[float]) -> None:
    assert sharpe.moments(np.array(returns, dtype=float)) is None


def test_two_different_returns_have_moments() -> None:
    assert of(np.array([0.0, 1e-9])).ratio == pytest.approx(1 / sqrt(2))


def test_the_error_of_a_ratio_counts_skewness_and_kurtosis() -> None:
    # SR² = 0.15; 1 + (1.64 - 1)/4 · 0.15 = 1.024
    assert of(FOUR).error == pytest.approx(sqrt(1.024 / 3))
    # SR = 1/2; 1 - 6/3^1.5 · 1/2 + (21/9 - 1)/4 · 1/4 = 0.505983
    assert of(SKEWED).error == pytest.approx(sqrt(0.505983 / 3), abs=1e-6)


def test_the_probability_of_a_ratio_above_nothing() -> None:
    assert sharpe.above(of(FOUR)) == pytest.approx(0.746307, abs=1e-6)  # Phi(0.387298 / 0.584237)


def test_the_probability_of_a_ratio_above_a_benchmark() -> None:
    assert sharpe.above(of(FOUR), of(FOUR).ratio) == pytest.approx(0.5)
    assert sharpe.above(of(FOUR), 0.5) == pytest.approx(0.423517, abs=1e-6)  # Phi(-0.112702 / 0.584237)


@pytest.mark.parametrize(
    ("annual", "probability", "days"),
    [(1, 0.54, 987), (2, 0.57, 247), (3, 0.61, 110), (5, 0.67, 40), (10, 0.82, 10), (15, 0.91, 4.4), (20, 0.96, 2.5)],
)
def test_seventy_two_hours_prove_as_little_as_documented(annual: float, probability: float, days: float) -> None:
    found = normal(annual)
    assert round(sharpe.above(found), 2) == pytest.approx(probability, abs=0.011)
    needed = sharpe.periods_needed(found, 0.05)
    assert needed is not None
    assert needed / 288 == pytest.approx(days, rel=0.03)


def test_the_periods_that_a_ratio_needs() -> None:
    # 1 + 1.024 · 1.644854² / 0.15
    assert sharpe.periods_needed(of(FOUR), 0.05) == pytest.approx(19.46984, abs=1e-4)


def test_after_the_periods_it_needs_the_probability_is_95_percent() -> None:
    found = normal(10)
    needed = sharpe.periods_needed(found, 0.05)
    assert needed is not None
    assert sharpe.above(Moments(round(needed), found.mean, 1.0, 0.0, 3.0)) == pytest.approx(0.95, abs=1e-4)


@pytest.mark.parametrize("returns", [-FOUR, np.array([0.01, -0.01])])
def test_a_ratio_that_is_not_above_nothing_needs_no_number_of_periods(returns: np.ndarray) -> None:
    assert sharpe.periods_needed(of(returns), 0.05) is None


@pytest.mark.parametrize(("variants", "quantile"), [(10, 1.57), (50, 2.28), (100, 2.53)])
def test_the_best_of_many_worthless_variants(variants: int, quantile: float) -> None:
    found = normal(0)
    assert sharpe.best_by_chance(found, variants) / found.error == pytest.approx(quantile, abs=0.006)


def test_two_variants_reach_half_an_error() -> None:
    # (1 - 0.5772) · 0 + 0.5772 · Phi⁻¹(1 - 1/(2e)) = 0.5772 · 0.900453
    assert sharpe.best_by_chance(normal(0, 1), 2) == pytest.approx(0.5772157 * 0.900453 / sqrt(287), rel=1e-4)


def test_one_variant_has_nothing_to_deflate() -> None:
    assert sharpe.best_by_chance(of(FOUR), 1) == 0


def test_the_spread_of_variants_is_never_less_than_that_of_normal_returns() -> None:
    # the error of this one is sqrt(0.506/3), less than sqrt(1/3)
    assert sharpe.best_by_chance(of(SKEWED), 2) == pytest.approx(0.5772157 * 0.900453 / sqrt(3), rel=1e-4)


def test_independent_returns_grow_by_the_square_root() -> None:
    assert sharpe.annual_factor(FOUR, of(FOUR)) == pytest.approx(sqrt(PERIODS_A_YEAR))  # shorter than ten periods


def test_neighbours_that_repeat_each_other_make_an_annual_ratio_smaller() -> None:
    # 1, 1, 0, 0 five times: q = 2; ten of the 19 pairs agree and nine do not, of 20 squares: rho_1 = 0.05
    returns = np.array([1.0, 1.0, 0.0, 0.0] * 5)
    assert sharpe.annual_factor(returns, of(returns)) == pytest.approx(2 / sqrt(2 + 2 * 0.05) * sqrt(PERIODS_A_YEAR / 2))


def test_neighbours_that_cancel_out_make_an_annual_ratio_larger() -> None:
    # 1, 0 ten times: all 19 pairs disagree: rho_1 = -19/20
    returns = np.array([1.0, 0.0] * 10)
    assert sharpe.annual_factor(returns, of(returns)) == pytest.approx(2 / sqrt(2 - 2 * 0.95) * sqrt(PERIODS_A_YEAR / 2))


def test_neighbours_count_within_an_hour_only() -> None:
    returns = np.random.default_rng(5).normal(size=864)
    found = of(returns)
    centred = returns - returns.mean()
    rho = [float(centred[:-lag] @ centred[lag:] / (centred @ centred)) for lag in range(1, 12)]
    lo = 12 / sqrt(12 + 2 * sum((12 - lag) * rho[lag - 1] for lag in range(1, 12)))
    assert sharpe.annual_factor(returns, found) == pytest.approx(lo * sqrt(PERIODS_A_YEAR / 12), rel=1e-12)


def test_the_error_of_an_annual_ratio_is_that_of_the_time_observed() -> None:
    assert sharpe.annual_error(normal(0)) == pytest.approx(sqrt(365 / 3), rel=1e-3)  # 11.0 after 72 hours


def test_a_drawdown_is_measured_from_the_peak() -> None:
    assert sharpe.drawdown(np.array([2.0, -3.0, 1.0]), 10, 20) == pytest.approx(3 / 12)


def test_the_first_peak_is_the_start() -> None:
    assert sharpe.drawdown(np.array([-1.0, 0.5]), 10, 20) == pytest.approx(0.1)


def test_a_drawdown_is_a_fraction_of_the_cap_where_that_is_smaller() -> None:
    assert sharpe.drawdown(np.array([-1.0]), 100, 10) == pytest.approx(0.1)


@pytest.mark.parametrize("changes", [[], [0.0], [1.0, 2.0]])
def test_an_equity_that_never_falls_has_no_drawdown(changes: list[float]) -> None:
    assert sharpe.drawdown(np.array(changes), 10, 10) == 0
