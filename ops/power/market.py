"""The price path of the simulated runs: one price a minute, seeded.

Log returns are Student-t with four degrees of freedom (fat tails) times a volatility that clusters (GARCH(1,1): 5 % of the last
squared return, 93 % of the last variance). They are scaled to 50 % a year, about as much as BTC, and have no drift. The best quotes
are half a spread away from the mid.
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
    variance = usual = ANNUAL_VOLATILITY**2 / MINUTES_A_YEAR
    returns = [0.0]
    for drawn in (dice.standard_t(_FREEDOM, minutes) / sqrt(_FREEDOM / (_FREEDOM - 2))).tolist():
        change = sqrt(variance) * drawn
        returns.append(change)
        variance = usual * (1 - _OF_RETURN - _OF_VARIANCE) + _OF_RETURN * change * change + _OF_VARIANCE * variance
    return _START * np.exp(np.cumsum(returns))
