"""Our figures against those of quantstats and empyrical on the same returns, and how far off those are where they are wrong."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pandas as pd
import pytest

from gates import sharpe, trading
from gates.sharpe import PERIODS_A_YEAR, Moments
from tests.support.libraries import empyrical, quantstats

DICE = np.random.default_rng(23)
RETURNS = DICE.standard_t(5, 864) * 0.001 + 0.00002
INDEX = pd.date_range("2026-10-01 00:05", periods=len(RETURNS), freq="5min")
SERIES = pd.Series(RETURNS, INDEX)


def moments(returns: np.ndarray = RETURNS) -> Moments:
    found = sharpe.moments(returns)
    assert found is not None
    return found


def test_the_ratio_is_that_of_quantstats_and_empyrical() -> None:
    annual = moments().ratio * sqrt(PERIODS_A_YEAR)
    assert quantstats.sharpe(SERIES, periods=PERIODS_A_YEAR) == pytest.approx(annual, rel=1e-9)
    assert empyrical.sharpe_ratio(SERIES, annualization=PERIODS_A_YEAR) == pytest.approx(annual, rel=1e-9)


def test_their_usual_year_makes_an_annual_ratio_20_times_too_small() -> None:
    # both take 252 periods a year where nothing else is said: sqrt(105,120 / 252) = 20.42
    annual = moments().ratio * sqrt(PERIODS_A_YEAR)
    assert annual / quantstats.sharpe(SERIES) == pytest.approx(20.42, abs=0.01)
    assert annual / empyrical.sharpe_ratio(SERIES) == pytest.approx(20.42, abs=0.01)


def test_the_psr_is_that_of_quantstats_but_for_the_bias_of_its_moments() -> None:
    # quantstats takes the bias-corrected skewness and kurtosis of pandas, the formula's authors those of the sample
    theirs = quantstats.probabilistic_sharpe_ratio(SERIES)
    assert sharpe.above(moments()) == pytest.approx(theirs, abs=1e-5)
    of, n = moments(), len(RETURNS)
    skewness = of.skewness * sqrt(n * (n - 1)) / (n - 2)
    kurtosis = ((n + 1) * (of.kurtosis - 3) + 6) * (n - 1) / ((n - 2) * (n - 3)) + 3
    corrected = Moments(n, of.mean, of.deviation, skewness, kurtosis)
    assert sharpe.above(corrected) == pytest.approx(theirs, rel=1e-12)


def test_the_drawdown_of_a_compounded_equity_is_theirs() -> None:
    # they compound; the same equity, as changes in EUR of an account of 1 EUR that is smaller than its cap
    equity = np.cumprod(1 + RETURNS)
    ours = sharpe.drawdown(np.diff(np.concatenate(([1.0], equity))), 1.0, 1e9)
    assert -quantstats.max_drawdown(SERIES) == pytest.approx(ours, rel=1e-9)
    assert -empyrical.max_drawdown(SERIES) == pytest.approx(ours, rel=1e-9)


def test_both_libraries_count_a_first_fall_too() -> None:
    falls = pd.Series([-0.1, 0.05, 0.01], INDEX[:3])
    ours = sharpe.drawdown(np.array([-0.1, 0.045, 0.00945]), 1.0, 1e9)
    assert ours == pytest.approx(0.1)
    assert -quantstats.max_drawdown(falls) == pytest.approx(0.1)
    assert -empyrical.max_drawdown(falls) == pytest.approx(0.1)


def test_the_profit_factor_is_that_of_quantstats() -> None:
    assert quantstats.profit_factor(SERIES) == pytest.approx(trading.profit_factor(RETURNS), rel=1e-12)


def test_quantstats_calls_a_profit_factor_without_a_loss_infinite() -> None:
    assert quantstats.profit_factor(pd.Series([0.01, 0.02, 0.0], INDEX[:3])) == float("inf")
    assert trading.profit_factor(np.array([0.01, 0.02, 0.0])) is None


def test_the_ratio_of_constant_returns_is_no_number_in_quantstats() -> None:
    constant = np.full(40, 0.001)
    with np.errstate(all="ignore"):
        theirs = quantstats.sharpe(pd.Series(constant, INDEX[:40]))
    assert not theirs < 1e12  # infinite, no number, or what rounding leaves
    assert sharpe.moments(constant) is None


def test_the_smart_ratio_of_quantstats_punishes_returns_that_cancel_out() -> None:
    # Lo's sum has the sign of the autocorrelation: returns that alternate make a longer period less risky, and the ratio larger.
    # quantstats takes the absolute value of the first one, so it makes the ratio smaller.
    noise = DICE.normal(size=865) * 0.001
    alternating = 0.00002 + noise[1:] - 0.6 * noise[:-1]
    of = moments(alternating)
    ours = sharpe.annual_factor(alternating, of) / sqrt(PERIODS_A_YEAR)
    theirs = quantstats.sharpe(pd.Series(alternating, INDEX), smart=True) / quantstats.sharpe(pd.Series(alternating, INDEX))
    assert ours > 1.4
    assert theirs < 0.75
