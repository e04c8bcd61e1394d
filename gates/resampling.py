"""The stationary bootstrap of ``arch``, seeded, and bounds from it (execution-safety.md §4.1).

Politis and Romano 1994, "The stationary bootstrap"; the block length is that of Politis and White 2004 as corrected in 2009. Blocks
keep the dependence between neighbouring observations, which single draws would lose.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from arch.bootstrap import StationaryBootstrap, optimal_block_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST = 20
"""Fewer observations say nothing about how they depend on each other."""

REPEATS, _FEWEST_REPEATS, _WORK = 5_000, 1_000, 40_000_000


def repeats(n: int) -> int:
    """How often ``n`` observations are drawn again: 5,000 times, above 8,000 observations fewer, at least 1,000."""
    return max(_FEWEST_REPEATS, min(REPEATS, _WORK // max(n, 1)))


def block_length(columns: Floats) -> int:
    """The mean length of a block, rounded up: the largest optimum of the columns. At least 1, at most half of the observations."""
    n = len(columns)
    lengths = [
        float(optimal_block_length(column)["stationary"].iloc[0]) for column in columns.reshape(n, -1).T if np.ptp(column) > 0
    ]
    finite = [length for length in lengths if np.isfinite(length)]
    return max(1, min(ceil(max(finite, default=1.0)), n // 2))


def resampled(columns: Floats, figure: Callable[[Floats], Any], seed: int, *, length: int | None = None) -> Floats:
    """``figure`` of each of the resampled series: an array with a row for each. The same seed gives the same rows.

    ``columns`` is one series or several side by side, which are drawn together. ``length`` is the mean length of a block.
    """
    size = block_length(columns) if length is None else length
    bootstrap = StationaryBootstrap(size, columns, seed=np.random.default_rng(seed))
    return np.asarray(bootstrap.apply(figure, repeats(len(columns))), dtype=np.float64)


def lower(observed: float, drawn: Floats, error: float) -> float:
    """The one-sided lower bound, wrong with probability ``error``: twice the figure less the upper quantile ("basic" in arch)."""
    return 2 * observed - float(np.quantile(drawn, 1 - error))


def upper(observed: float, drawn: Floats, error: float) -> float:
    """The one-sided upper bound, wrong with probability ``error``."""
    return 2 * observed - float(np.quantile(drawn, error))
