"""Counts as bars: a histogram over ranges of a value, and one bar for each name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from controller.drawing.scale import CHARACTER, drawing, label, value_ticks

_RIGHT, _TOP, _BOTTOM = 14, 12, 40


@dataclass(frozen=True, slots=True)
class Counts:
    """What a histogram shows: the name and the count of each bin. ``edges``: a name is that of the right edge."""

    title: str
    bins: Sequence[tuple[str, int]]
    unit: str
    edges: bool = False


def histogram(counts: Counts, width: int, css: str, height: int = 210) -> str:
    """Bars beside each other, with the unit below the axis."""
    bins = counts.bins
    if not any(count for _, count in bins):
        return ""
    most: int = max(count for _, count in bins)
    ticks = [tick for tick in value_ticks(Decimal(0), Decimal(most), 5) if tick == tick.to_integral_value()]
    high = max(int(ticks[-1]), most)
    left = int(max(len(f"{int(tick):,}") for tick in ticks) * CHARACTER) + 12
    inner, floor = height - _TOP - _BOTTOM, height - _BOTTOM
    parts = []
    for tick in ticks:
        y = floor - inner * int(tick) // high
        parts.append(f'<path class="grid" d="M{left} {y}H{width - _RIGHT}"/>{label(left - 6, y + 4, f"{int(tick):,}", "end")}')
    span, free = width - left - _RIGHT, 0.0
    for place, (name, count) in enumerate(bins):
        x, end = left + span * place // len(bins), left + span * (place + 1) // len(bins)
        tall = max(inner * count // high, 1 if count else 0)
        parts.append(
            f'<rect class="bar" x="{x + 1}" y="{floor - tall}" width="{max(1, end - x - 2)}" height="{tall}">'
            f"<title>{count}</title></rect>"
        )
        half = len(name) * CHARACTER / 2
        middle = min(end if counts.edges else (x + end) // 2, int(width - half))
        if middle - half >= free:
            parts.append(label(middle, floor + 16, name, "middle"))
            free = middle + half + 5
    parts.append(label(left + span // 2, height - 4, counts.unit, "middle"))
    return drawing(width, height, css, counts.title, "".join(parts))


def named_bars(title: str, rows: Sequence[tuple[str, int, str]], width: int, css: str) -> str:
    """One bar below the other: name, count and the class of its colour."""
    if not rows:
        return ""
    most = max(count for _, count, _ in rows)
    left = int(max((len(name) for name, _, _ in rows)) * CHARACTER) + 12
    right = int(max(len(f"{count:,}") for _, count, _ in rows) * CHARACTER) + 16
    parts = []
    for place, (name, count, colour) in enumerate(rows):
        y = 4 + 26 * place
        wide = max((width - left - right) * count // max(most, 1), 2 if count else 0)
        parts.append(label(left - 8, y + 15, name, "end ink"))
        parts.append(f'<rect class="bar {colour}" x="{left}" y="{y + 2}" width="{wide}" height="18"/>')
        parts.append(label(left + wide + 6, y + 15, f"{count:,}", "ink"))
    return drawing(width, 8 + 26 * len(rows), css, title, "".join(parts))
