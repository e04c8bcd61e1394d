"""Whether a measured value rises, judged with its uncertainty: ordinary least squares over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import linregress, t


@dataclass(frozen=True, slots=True)
class Trend:
    """``slope`` in units a second with its 95 % half-width ``error``; ``span`` in seconds. Unknown slopes are infinite errors."""

    mean: float
    slope: float
    error: float
    span: float

    def rises_by(self, amount: float) -> bool:
        """Whether it certainly rises by more than ``amount`` over the time that was seen."""
        return (self.slope - self.error) * self.span > amount


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """The trend of points of time and value. Fewer than three points, or one instant, show nothing."""
    mean = sum(value for _, value in points) / len(points) if points else 0.0
    if len(points) < 3 or points[0][0] == points[-1][0]:
        return Trend(mean, 0.0, math.inf, 0.0)
    times, values = zip(*points, strict=True)
    found = linregress(times, values)
    half = float(t.ppf(0.975, len(points) - 2)) * float(found.stderr)
    return Trend(mean, float(found.slope), half, times[-1] - times[0])
