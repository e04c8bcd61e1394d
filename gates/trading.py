"""Figures of round trips: profit factor, expectancy, hit rate and concentration (execution-safety.md §4.1, §4.3 C6 to C8).

All take the net P&L of each round trip, fees included. A function returns ``None`` where its figure does not exist.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gates import resampling
from gates.declared import Declared, Measurement, less_is_better, missing, more_is_better
from gates.series import RoundTrip, RunSeries
from policies.rules import MetricName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NAMES = (MetricName.PROFIT_FACTOR, MetricName.EXPECTANCY_EUR, MetricName.HIT_RATE_EXCESS, MetricName.BEST_TRADE_SHARE)


def profit_factor(pnl: Floats) -> float | None:
    """What the winners won, divided by what the losers lost; ``None`` if nothing was lost (execution-safety.md §4.1)."""
    won, lost = _won(pnl), _won(-pnl)
    return won / lost if lost > 0 else None


def wilson_lower(hits: int, trials: int, error: float) -> float:
    """The lower bound of a proportion that is wrong with probability ``error``: Wilson 1927, the score interval.

    ``(p + z²/2n - z·sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n)`` (execution-safety.md §4.1).
    """
    z, p = float(special.ndtri(1 - error)), hits / trials
    return (p + z * z / (2 * trials) - z * sqrt(p * (1 - p) / trials + (z / trials) ** 2 / 4)) / (1 + z * z / trials)


def break_even_rate(pnl: Floats) -> float | None:
    """The hit rate at which wins and losses of these mean sizes cancel out: ``mean loss / (mean win + mean loss)``.

    ``None`` without a winner or without a loser (execution-safety.md §4.1). A trip without profit or loss has no part in it.
    """
    wins, losses = pnl[pnl > 0], -pnl[pnl < 0]
    if not len(wins) or not len(losses):
        return None
    return float(losses.mean() / (wins.mean() + losses.mean()))


def best_share(pnl: Floats) -> float | None:
    """The best one's share in what all winners won; ``None`` without a winner (execution-safety.md §4.3 C8)."""
    won = _won(pnl)
    return float(pnl.max()) / won if won > 0 else None


def _won(pnl: Floats) -> float:
    return float(pnl[pnl > 0].sum())


def measure_trips(series: RunSeries, trips: tuple[RoundTrip, ...], declared: Declared, seed: int) -> tuple[Measurement, ...]:
    """The metrics of the round trips, in EUR at the run's rate."""
    n = len(trips)
    if n == 0:
        return tuple(missing(name, 0, "no round trip has ended in this run") for name in _NAMES)
    pnl = np.array([float(trip.pnl_quote / series.quote_per_eur) for trip in trips])
    factor_bounds, mean_bounds = _bounds(pnl, declared, seed)
    factor, hits = profit_factor(pnl), int((pnl > 0).sum())
    of = f"{n} round trips, {hits} with a profit"
    return (
        more_is_better(_NAMES[0], factor, n, f"{of}{factor_bounds}" if factor is not None else f"{of}: none has lost"),
        more_is_better(_NAMES[1], float(pnl.mean()), n, f"mean of {of}{mean_bounds}"),
        _hit_rate(pnl, hits, declared),
        less_is_better(
            _NAMES[3], best_share(pnl), n, f"the best of {of}, brought {pnl.max():.4g} EUR" if hits else f"{of}: none has won"
        ),
    )


def _hit_rate(pnl: Floats, hits: int, declared: Declared) -> Measurement:
    n, even = len(pnl), break_even_rate(pnl)
    if even is None:
        return missing(_NAMES[2], n, f"{hits} of {n} round trips won, so there is no loss or no win to compare sizes with")
    bound = wilson_lower(hits, n, declared.error)
    return more_is_better(
        _NAMES[2],
        bound - even,
        n,
        f"{hits} of {n} round trips won, {hits / n:.1%}; by the lower {declared.confidence_text} bound {bound:.1%}; "
        f"wins and losses of this size break even at {even:.1%}",
    )


def _bounds(pnl: Floats, declared: Declared, seed: int) -> tuple[str, str]:
    """The bounds of profit factor and expectancy, as the ends of sentences."""
    if len(pnl) < resampling.FEWEST:
        few = f"; {resampling.FEWEST} are needed for bounds"
        return few, few
    drawn = resampling.resampled(pnl, _both, seed)
    factors = drawn[:, 0][np.isfinite(drawn[:, 0])]
    low, high = resampling.lower(pnl.mean(), drawn[:, 1], declared.error), resampling.upper(pnl.mean(), drawn[:, 1], declared.error)
    mean = f"; between {low:.4g} and {high:.4g} EUR, each bound with {declared.confidence_text} confidence"
    if len(factors) < len(drawn) / 2:
        return "; too few of them lost for bounds", mean
    least, most = np.quantile(factors, [declared.error, 1 - declared.error])
    return f"; between {least:.3g} and {most:.3g}, each bound with {declared.confidence_text} confidence", mean


def _both(pnl: Floats) -> Floats:
    factor = profit_factor(pnl)
    return np.array([np.nan if factor is None else factor, pnl.mean()])
