"""Draws charts as SVG in whole pixels, without a script. The evidence report and the console call this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

WIDTH = 720
HEIGHT = 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 24


@dataclass(frozen=True, slots=True)
class Line:
    """One series: ``points`` are (ms, value); ``css`` is its class in the page's style sheet."""

    css: str
    points: Sequence[tuple[int, Decimal]]


def line_chart(lines: Sequence[Line], label: str) -> str:
    """An SVG with one step line per series and the lowest and highest value on the axis; empty without points."""
    every = [point for line in lines for point in line.points]
    if not every:
        return ""
    first, last = min(at for at, _ in every), max(at for at, _ in every)
    low, high = min(value for _, value in every), max(value for _, value in every)
    if high == low:
        low, high = low - 1, high + 1
    width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(at: int) -> int:
        return _LEFT + width * (at - first) // max(1, last - first)

    def y(value: Decimal) -> int:
        return _TOP + height - int((value - low) * height / (high - low))

    paths = "".join(
        f'<path class="{line.css}" d="{_steps([(x(at), y(value)) for at, value in line.points])}"/>'
        for line in lines
        if line.points
    )
    seconds = (last - first) // 1000
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f'<path class="axis" d="M{_LEFT} {_TOP}V{HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 10}" class="end">{_short(high)}</text>'
        f'<text x="{_LEFT - 6}" y="{HEIGHT - _BOTTOM}" class="end">{_short(low)}</text>'
        f'<text x="{_LEFT}" y="{HEIGHT - 6}">0 s</text><text x="{WIDTH - _RIGHT}" y="{HEIGHT - 6}" class="end">{seconds} s</text>'
        f"{paths}</svg>"
    )


def _steps(points: Sequence[tuple[int, int]]) -> str:
    (x, y), rest = points[0], points[1:]
    return f"M{x} {y}" + "".join(f"H{left}V{top}" for left, top in rest)


def _short(value: Decimal) -> str:
    return format(value.quantize(Decimal("0.001")), "f")
