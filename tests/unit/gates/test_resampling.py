"""The stationary bootstrap: ours is the one of arch, with the interval of arch."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length

from gates import resampling

RETURNS = np.random.default_rng(3).normal(0.001, 0.01, 300)
TREND = np.convolve(np.random.default_rng(4).normal(size=320), np.ones(20), "valid")[:300]
"""Each value is a sum of 20, so neighbours depend on each other over twenty periods."""


def test_the_bounds_are_those_of_arch() -> None:
    drawn = resampling.resampled(RETURNS, np.mean, 9, length=4).ravel()
    theirs = StationaryBootstrap(4, RETURNS, seed=np.random.default_rng(9)).conf_int(np.mean, reps=5_000, size=0.9, method="basic")
    ours = resampling.lower(RETURNS.mean(), drawn, 0.05), resampling.upper(RETURNS.mean(), drawn, 0.05)
    assert ours == pytest.approx(tuple(theirs.ravel()), rel=1e-12)


def test_a_one_sided_bound_by_hand() -> None:
    drawn = np.arange(101.0)
    assert (resampling.lower(50, drawn, 0.05), resampling.upper(60, drawn, 0.05)) == (5, 115)


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (resampling.resampled(RETURNS, np.mean, seed, length=4) for seed in (9, 9, 10))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_series_side_by_side_are_drawn_together() -> None:
    drawn = resampling.resampled(np.column_stack((RETURNS, 2 * RETURNS)), lambda one: one.sum(axis=0), 9, length=4)
    assert drawn.shape == (5_000, 2)
    assert drawn[:, 1].tolist() == pytest.approx((2 * drawn[:, 0]).tolist())


def test_a_block_is_as_long_as_arch_recommends() -> None:
    theirs = float(optimal_block_length(TREND)["stationary"].iloc[0])
    assert resampling.block_length(TREND) == int(np.ceil(theirs)) > 10
    assert resampling.block_length(np.column_stack((RETURNS, TREND))) == int(np.ceil(theirs))


def test_a_block_is_at_most_half_of_what_there_is() -> None:
    assert resampling.block_length(np.arange(20.0)) <= 10


def test_constant_columns_have_blocks_of_one() -> None:
    assert resampling.block_length(np.ones((30, 2))) == 1


def test_dependence_widens_the_bounds() -> None:
    alone, blocks = (resampling.resampled(TREND, np.mean, 9, length=length).std() for length in (1, 20))
    assert blocks > 2.5 * alone


@pytest.mark.parametrize(
    ("n", "times"), [(864, 5_000), (8_000, 5_000), (10_000, 4_000), (40_000, 1_000), (259_200, 1_000), (0, 5_000)]
)
def test_long_runs_are_drawn_less_often(n: int, times: int) -> None:
    assert resampling.repeats(n) == times


def test_the_lower_bound_of_a_known_mean_is_wrong_about_as_often_as_it_says() -> None:
    # 200 samples of 100 with a mean of 0: at 5 % about 10 bounds are above it; more than 24 have a probability below 1e-4
    dice = np.random.default_rng(17)
    wrong = 0
    for number in range(200):
        sample = dice.normal(size=100)
        bootstrap = StationaryBootstrap(1, sample, seed=np.random.default_rng(number))
        wrong += resampling.lower(sample.mean(), bootstrap.apply(np.mean, 200).ravel(), 0.05) > 0
    assert 1 <= wrong <= 24
