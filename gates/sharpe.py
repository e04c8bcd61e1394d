"""Sharpe ratios of returns on the grid of a run, and how sure they are (execution-safety.md §4.1).

All ratios are for one period of the grid where nothing else is said. Returns are changes of the equity as a fraction of the cap,
with the periods in which nothing happened. A function returns ``None`` where its figure does not exist, never NaN or an infinity.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gates.series import GRID_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PERIODS_A_DAY = 86_400_000 // GRID_MS
PERIODS_A_YEAR = 365 * PERIODS_A_DAY
"""A year of 365 days, because the market never closes: 105,120 periods of five minutes."""

HORIZON = 12
"""One hour: over so many periods returns may depend on each other; returns of different hours count as independent."""

_EULER = 0.5772156649015329
_CONSTANT = 1e-12


@dataclass(frozen=True, slots=True)
class Moments:
    """Number, mean, standard deviation (n - 1), skewness and raw kurtosis (3 for a normal distribution; both with n) of returns."""

    n: int
    mean: float
    deviation: float
    skewness: float
    kurtosis: float

    @property
    def ratio(self) -> float:
        """The Sharpe ratio of one period: mean by standard deviation."""
        return self.mean / self.deviation

    @property
    def error(self) -> float:
        """Standard error of the ratio: ``sqrt((1 - g3·SR + (g4 - 1)/4·SR²) / (n - 1))`` (Mertens 2002, as Bailey and López de
        Prado 2012 use it; execution-safety.md §4.1)."""
        return sqrt(self.shape / (self.n - 1))

    @property
    def shape(self) -> float:
        """``1 - g3·SR + (g4 - 1)/4·SR²``; it is 1 for small ratios of normal returns."""
        ratio = self.ratio
        return max(1 - self.skewness * ratio + (self.kurtosis - 1) / 4 * ratio * ratio, _CONSTANT)


def moments(returns: Floats) -> Moments | None:
    """The moments of returns; ``None`` for fewer than two, or where all are the same."""
    n = len(returns)
    if n < 2:
        return None
    mean = float(returns.mean())
    centred = returns - mean
    squares = centred * centred
    second = float(squares.mean())
    if sqrt(second) <= _CONSTANT * max(float(returns.max()), -float(returns.min())):
        return None
    third, fourth = _together(squares, centred) / n, _together(squares, squares) / n
    return Moments(n, mean, sqrt(second * n / (n - 1)), third / second**1.5, fourth / second**2)


def _together(one: Floats, other: Floats) -> float:
    """The sum of the products. ``einsum`` adds in the same order whatever the number of cores, which a dot product does not."""
    return float(np.einsum("i,i->", one, other))


def above(moments: Moments, benchmark: float = 0.0) -> float:
    """PSR: the probability that the true ratio is above ``benchmark``, a ratio of one period.

    ``Phi((SR - benchmark) · sqrt(n - 1) / sqrt(1 - g3·SR + (g4 - 1)/4·SR²))`` (Bailey and López de Prado 2012, "The Sharpe ratio
    efficient frontier"; execution-safety.md §4.1).
    """
    return float(special.ndtr((moments.ratio - benchmark) / moments.error))


def periods_needed(moments: Moments, error: float) -> float | None:
    """MinTRL: the periods after which a ratio like this one is above 0 but for an ``error``; ``None`` if it is not above 0.

    ``1 + (1 - g3·SR + (g4 - 1)/4·SR²) · (Phi⁻¹(1 - error) / SR)²`` (the same paper; execution-safety.md §4.1).
    """
    if moments.ratio <= 0:
        return None
    quantile = float(special.ndtri(1 - error))
    return 1 + moments.shape * (quantile / moments.ratio) ** 2


def best_by_chance(moments: Moments, variants: int) -> float:
    """The best ratio of one period that ``variants`` worthless variants are expected to reach: the benchmark of the DSR.

    ``sqrt(V) · ((1 - c)·Phi⁻¹(1 - 1/N) + c·Phi⁻¹(1 - 1/(N·e)))``, c = 0.5772 (Bailey and López de Prado 2014, "The deflated Sharpe
    ratio"; execution-safety.md §4.1). The ratios of the other variants are not known, so V is a convention: all N count as
    independent, and V is the error of a ratio over this run, that of this run or of normal returns, whichever is larger. Variants
    that resemble each other would reach less by chance, so this is against the bot; variants that truly differ could reach more.
    """
    if variants == 1:
        return 0.0
    spread = max(moments.error, sqrt(1 / (moments.n - 1)))
    first, second = special.ndtri(1 - 1 / variants), special.ndtri(1 - 1 / (variants * e))
    return spread * float((1 - _EULER) * first + _EULER * second)


def annual_factor(returns: Floats, moments: Moments) -> float:
    """What makes the ratio of one period one of a year of 365 days.

    Within an hour by Lo 2002, ``q / sqrt(q + 2·Σ(q - k)·rho_k)``, k from 1 to q - 1, because returns of neighbouring periods may
    depend on each other; from hours to a year by the square root (execution-safety.md §4.1). In a run of less than ten hours q is
    a tenth of it. The autocorrelations divide by n, so the sum is never negative.
    """
    q = max(1, min(HORIZON, moments.n // 10))
    centred = returns - moments.mean
    total = _together(centred, centred)
    together = sum((q - k) * _together(centred[:-k], centred[k:]) for k in range(1, q)) / total
    return q / sqrt(max(q + 2 * together, _CONSTANT)) * sqrt(PERIODS_A_YEAR / q)


def annual_error(moments: Moments) -> float:
    """Standard error of an annual ratio. It depends on the time that was observed, not on the length of a period."""
    return moments.error * sqrt(PERIODS_A_YEAR)


def drawdown(changes: Floats, start: float, cap: float) -> float:
    """The largest fall from a peak, as a fraction of the smaller of peak and cap; the first peak is ``start``, the equity before.

    ``changes`` are those of the equity. execution-safety.md §4.1; ``policies.guards.drawdown_fraction`` is the same for one pair.
    """
    if not len(changes):
        return 0.0
    # In place: over a long run the kernel takes longer to hand out a new array for each step than the step takes.
    equity = np.cumsum(changes)
    equity += start
    peaks = np.maximum.accumulate(equity)
    np.maximum(peaks, start, out=peaks)
    falls = np.subtract(peaks, equity, out=equity)
    falls /= np.minimum(peaks, cap, out=peaks)
    return float(falls.max())
