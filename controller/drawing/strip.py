"""Covered time as a strip: each column is one short time, and the part of it that does not count has another colour."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby

from controller.drawing.curve import margin, time_axis
from controller.drawing.scale import Frame, drawing

_HEIGHT, _TOP, _BOTTOM, _RIGHT, _COLUMN = 62, 4, 26, 14, 2

Gap = tuple[int, int, str]
"""``from, until, class of its colour``."""


def strip(title: str, since: int, until: int, gaps: Sequence[Gap], width: int, css: str) -> str:
    """The strip with its time axis. A gap that is shorter than a column takes its share of the column's height."""
    if until <= since:
        return ""
    left = margin(width)
    frame = Frame(width, _HEIGHT, left, _RIGHT, _TOP, _BOTTOM, since, until, Decimal(0), Decimal(1))
    tall = frame.floor - _TOP
    parts = [f'<rect class="covered" x="{left}" y="{_TOP}" width="{width - left - _RIGHT}" height="{tall}"/>']
    columns = (width - left - _RIGHT) // _COLUMN
    for colour in sorted({gap[2] for gap in gaps}):
        shares = _shares([gap for gap in gaps if gap[2] == colour], since, until, columns)
        heights = [0 if not share else max(1, round(share * tall)) for share in shares]
        place = 0
        for height, same in groupby(heights):
            many = len(list(same))
            if height:
                x = left + place * _COLUMN
                parts.append(f'<rect class="{colour}" x="{x}" y="{_TOP}" width="{many * _COLUMN}" height="{height}"/>')
            place += many
    return drawing(width, _HEIGHT, css, title, "".join([*parts, *time_axis(frame, width)]))


def _shares(gaps: Sequence[Gap], since: int, until: int, columns: int) -> list[Decimal]:
    """How much of each column's time the gaps take."""
    taken = [0] * columns
    span = until - since
    for begin, end, _ in gaps:
        first, last = (begin - since) * columns // span, min((end - since) * columns // span, columns - 1)
        for column in range(first, last + 1):
            opens, closes = since + span * column // columns, since + span * (column + 1) // columns
            taken[column] += max(0, min(end, closes) - max(begin, opens))
    return [Decimal(ms * columns) / span for ms in taken]
