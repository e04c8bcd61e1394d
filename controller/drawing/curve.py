"""A value over time: a line, the range between lowest and highest, bands of time behind it, and levels it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from itertools import pairwise

from controller.drawing.scale import CHARACTER, Frame, drawing, fits, label, places_of, time_ticks, value_ticks

Mark = tuple[int, int, Decimal, Decimal, Decimal]
"""``from, until, lowest, highest, last``."""

_TOP, _BOTTOM, _RIGHT = 22, 26, 14


@dataclass(frozen=True, slots=True)
class Band:
    """A time with a colour of its own. ``css`` is its class in the page's style sheet."""

    begin: int
    end: int
    name: str
    css: str


@dataclass(frozen=True, slots=True)
class Level:
    """A value that the line is compared with, such as a cap."""

    value: Decimal
    name: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What is drawn. ``format`` writes a value with so many places. ``zero``: the axis includes zero."""

    title: str
    marks: Sequence[Mark]
    format: Callable[[Decimal, int], str]
    bands: Sequence[Band] = ()
    levels: Sequence[Level] = ()
    zero: bool = False
    css: str = "line"


def curve(subject: Subject, width: int, css: str, height: int = 230) -> str:
    """The drawing; empty without a measured value."""
    if not subject.marks:
        return ""
    frame, ticks = _frame(subject, width, height)
    places = places_of(ticks)
    parts = [_band(frame, band) for band in subject.bands]
    for tick in ticks:
        y = frame.y(tick)
        parts.append(f'<path class="grid" d="M{frame.left} {y}H{width - _RIGHT}"/>')
        parts.append(label(frame.left - 6, y + 4, subject.format(tick, places), "end"))
    parts += time_axis(frame, width)
    parts.append(f'<path class="{subject.css} range" d="{_range(frame, subject.marks)}"/>')
    parts.append(f'<path class="{subject.css}" d="{_steps(frame, subject.marks)}"/>')
    parts += [_level(frame, level, width) for level in subject.levels]
    return drawing(width, height, css, subject.title, "".join(parts))


def _frame(subject: Subject, width: int, height: int) -> tuple[Frame, list[Decimal]]:
    marks, levels = subject.marks, [level.value for level in subject.levels]
    values = [mark[2] for mark in marks] + [mark[3] for mark in marks] + levels + ([Decimal(0)] if subject.zero else [])
    ticks = value_ticks(min(values), max(values), 6)
    places = places_of(ticks)
    longest = max(len(subject.format(tick, places)) for tick in ticks)
    left = max(margin(width), int(longest * CHARACTER) + 12)
    begins = [mark[0] for mark in marks] + [band.begin for band in subject.bands]
    ends = [mark[1] for mark in marks] + [band.end for band in subject.bands]
    return Frame(width, height, left, _RIGHT, _TOP, _BOTTOM, min(begins), max(ends), ticks[0], ticks[-1]), ticks


def margin(width: int) -> int:
    """The room left of every drawing over time, so that their axes stand below each other."""
    return 64 if width > 500 else 52


def time_axis(frame: Frame, width: int) -> list[str]:
    """The marks of the time axis that have room."""
    parts, free = [], frame.left - 10.0
    for at, name in time_ticks(frame.first, frame.last, max(2, (width - frame.left) // 68)):
        half, x = len(name) * CHARACTER / 2, frame.x(at)
        if x - half < free or x + half > width:
            continue
        free = x + half + 8
        parts.append(f'<path class="grid" d="M{x} {frame.floor}v4"/>{label(x, frame.height - 8, name, "middle")}')
    return parts


def _band(frame: Frame, band: Band) -> str:
    left, right = frame.x(band.begin), frame.x(band.end)
    named = label(left + 5, frame.top - 7, band.name, "name") if band.name and fits(band.name, right - left) else ""
    height = frame.floor - frame.top
    edge = f'<path class="edge" d="M{left} {frame.top - 16}V{frame.floor}"/>' if band.name else ""
    return (
        f'<rect class="{band.css}" x="{left}" y="{frame.top}" width="{max(1, right - left)}" height="{height}">'
        f"<title>{escape(band.name)}</title></rect>{edge}{named}"
    )


def _level(frame: Frame, level: Level, width: int) -> str:
    y = frame.y(level.value)
    above = y - 6 if y >= 18 else y + 15
    return (
        f'<path class="level" d="M{frame.left} {y}H{width - _RIGHT}"/>{label(width - _RIGHT - 4, above, level.name, "end strong")}'
    )


def _pieces(marks: Sequence[Mark]) -> list[list[Mark]]:
    """The marks, cut where nothing was measured for much longer than usual."""
    if len(marks) < 3:
        return [list(marks)]
    usual = sorted(after[0] - before[1] for before, after in pairwise(marks))[len(marks) // 2]
    pieces = [[marks[0]]]
    for before, after in pairwise(marks):
        if after[0] - before[1] > max(10 * usual, 120_000):
            pieces.append([])
        pieces[-1].append(after)
    return pieces


def _steps(frame: Frame, marks: Sequence[Mark]) -> str:
    paths = []
    for piece in _pieces(marks):
        (x, y), *rest = [(frame.x(mark[1]), frame.y(mark[4])) for mark in piece]
        paths.append(f"M{frame.x(piece[0][0])} {y}H{x}" + "".join(f"H{right}V{top}" for right, top in rest) + "h1")
    return "".join(paths)


def _range(frame: Frame, marks: Sequence[Mark]) -> str:
    return "".join(
        f"M{frame.x(begin)} {frame.y(high)}H{max(frame.x(end), frame.x(begin) + 1)}V{frame.y(low)}H{frame.x(begin)}Z"
        for begin, end, low, high, _ in marks
        if frame.y(low) - frame.y(high) >= 1
    )
