"""The price path of the simulated runs: one price a minute, seeded.

Log returns are Student-t with four degrees of freedom (fat tails) times a volatility that clusters (GARCH(1,1): 5 % of the last squared
return, 93 % of the last variance), scaled to 50 % a year, which is about that of BTC; no drift. What the best quotes are away from the
mid is half of the spread.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

ANNUAL_VOLATILITY = 0.5
HALF_SPREAD_BPS = 0.5
MINUTES_A_YEAR = 365 * 24 * 60
_START = 60_000.0
_OF_RETURN, _OF_VARIANCE = 0.05, 0.93
_FREEDOM = 4


def prices(minutes: int, dice: np.random.Generator) -> NDArray[np.float64]:
    """The mid price at the start and after each minute."""
    usual = ANNUAL_VOLATILITY**2 / MINUTES_A_YEAR
    drawn = dice.standard_t(_FREEDOM, minutes) / sqrt(_FREEDOM / (_FREEDOM - 2))
    returns, variance = np.empty(minutes), usual
    for minute, one in enumerate(drawn):
        returns[minute] = change = sqrt(variance) * one
        variance = usual * (1 - _OF_RETURN - _OF_VARIANCE) + _OF_RETURN * change * change + _OF_VARIANCE * variance
    return _START * np.exp(np.concatenate(([0.0], np.cumsum(returns))))
