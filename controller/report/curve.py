"""A curve of any length in a few hundred points, each with the lowest and highest value of its time. ``collect`` fills it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from exchange.model import Millis

MOST_POINTS = 720
_FIRST_WIDTH_MS = 1_000


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured from ``at`` until ``until``: the lowest, highest and last value."""

    at: Millis
    until: Millis
    low: Decimal
    high: Decimal
    last: Decimal


class Curve:
    """Values over time. When there are too many points, two neighbours become one, so the same values give the same curve."""

    def __init__(self) -> None:
        self._width = _FIRST_WIDTH_MS
        self._points: dict[int, Point] = {}

    def add(self, at: Millis, last: Decimal, low: Decimal | None = None, high: Decimal | None = None) -> None:
        """Add one measurement, and the extremes of those that it stands for."""
        low, high = min(last, last if low is None else low), max(last, last if high is None else high)
        self._put(Point(at, at, low, high, last))
        while len(self._points) > MOST_POINTS:
            points, self._points = self._points.values(), {}
            self._width *= 2
            for point in points:
                self._put(point)

    def shift(self, amount: Decimal) -> None:
        """Move every value so far, because money came from outside or went there."""
        moved = {
            key: replace(point, low=point.low + amount, high=point.high + amount, last=point.last + amount)
            for key, point in self._points.items()
        }
        self._points = moved

    def __iter__(self) -> Iterator[Point]:
        """Iterate over the points, the oldest first."""
        return iter(self._points.values())

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self._points)

    def _put(self, point: Point) -> None:
        key = point.at // self._width
        before = self._points.get(key)
        if before is not None:
            point = Point(before.at, point.until, min(before.low, point.low), max(before.high, point.high), point.last)
        self._points[key] = point
