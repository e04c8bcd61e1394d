"""The statistics of a long run without its bootstraps: a curve of 259,200 points, one for each second of 72 hours.

From the equity in EUR: moments, Sharpe ratio, PSR, DSR, MinTRL, the annual ratio with its error, and the drawdown. Peers compute
the same: numpy with the formulae as they are written down, and quantstats with its own functions for PSR, annual ratio (with its
autocorrelation) and drawdown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import e, sqrt
from typing import TYPE_CHECKING

from ops.bench.measure import Contest, Figures, Goal, Line, Round, seconds, turns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_POINTS = 259_200
_CAP = 10.0
_VARIANTS = 10
_REPEATED = 3
"""How often each computes it in a round."""


def _ours(equity: NDArray[np.float64]) -> float:
    import numpy as np

    from gates import sharpe

    changes = np.diff(equity)
    returns = changes / _CAP
    of = sharpe.moments(returns)
    assert of is not None
    return (
        sharpe.above(of)
        + sharpe.above(of, sharpe.best_by_chance(of, _VARIANTS))
        + (sharpe.periods_needed(of, 0.05) or 0.0)
        + of.ratio * sharpe.annual_factor(returns, of)
        + sharpe.annual_error(of)
        + sharpe.drawdown(changes, float(equity[0]), _CAP)
    )


def _plain(equity: NDArray[np.float64]) -> float:
    import numpy as np
    from scipy.stats import norm

    returns = np.diff(equity) / _CAP
    n, mean, deviation = len(returns), returns.mean(), returns.std(ddof=1)
    skewness = ((returns - mean) ** 3).mean() / returns.std() ** 3
    kurtosis = ((returns - mean) ** 4).mean() / returns.std() ** 4
    ratio = mean / deviation
    error = np.sqrt((1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2) / (n - 1))
    chance = error * ((1 - 0.5772) * norm.ppf(1 - 1 / _VARIANTS) + 0.5772 * norm.ppf(1 - 1 / (_VARIANTS * e)))
    needed = 1 + error**2 * (n - 1) * (norm.ppf(0.95) / ratio) ** 2
    lags = [np.mean((returns[:-lag] - mean) * (returns[lag:] - mean)) / returns.var() for lag in range(1, 12)]
    annual = ratio * 12 / np.sqrt(12 + 2 * sum((12 - lag) * one for lag, one in enumerate(lags, 1))) * sqrt(105_120 / 12)
    peaks = np.maximum.accumulate(equity)
    fall = ((peaks - equity) / np.minimum(peaks, _CAP)).max()
    return float(norm.cdf(ratio / error) + norm.cdf((ratio - chance) / error) + needed + annual + error * sqrt(105_120) + fall)


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """A seeded walk, and the same as returns with an index of times for quantstats."""
    import numpy as np
    import pandas as pd

    from tests.support.libraries import quantstats

    points = max(500, int(_POINTS * size))
    steps = np.random.default_rng(7).standard_t(5, points - 1) * 0.0003 + 0.000002
    equity = np.concatenate(([_CAP], _CAP + np.cumsum(steps)))
    returns = pd.Series(np.diff(equity) / equity[:-1], pd.date_range("2026-10-01", periods=points - 1, freq="s"))

    def theirs() -> object:
        psr = quantstats.probabilistic_sharpe_ratio(returns, periods=105_120)
        return psr, quantstats.smart_sharpe(returns, periods=105_120), quantstats.max_drawdown(returns)

    def one_round(number: int) -> Figures:
        both = turns(
            number,
            lambda: {"ours": seconds(lambda: [_ours(equity) for _ in range(_REPEATED)]) * 1_000 / _REPEATED},
            lambda: {"plain": seconds(lambda: [_plain(equity) for _ in range(_REPEATED)]) * 1_000 / _REPEATED},
        )
        return {**both, "quantstats": seconds(theirs) * 1_000}

    yield one_round


CONTEST = Contest(
    "statistics",
    (
        Line(
            "statistics: ratios and drawdown of a curve of 259,200 points",
            "ms",
            "ours",
            "plain",
            "plain numpy",
            (Goal("≤ 1.5 ×", lambda _, ratio: ratio <= 1.5),),
        ),
        Line(
            "statistics: the same",
            "ms",
            "ours",
            "quantstats",
            "quantstats, ratio, PSR and drawdown only",
            (Goal("≤ 0.2 ×", lambda _, ratio: ratio <= 0.2),),
        ),
    ),
    opened,
)
