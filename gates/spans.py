"""Durations and instants in the words of people, for sentences about a run. ``gates.outlook`` and the views use them."""

from __future__ import annotations

from datetime import UTC, datetime

from exchange.model import Millis

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000


def span(ms: int) -> str:
    """``2 min 10 s``: the two largest units, hours up to a week. Less than a second is given in milliseconds."""
    left = max(0, ms)
    if left < _SECOND:
        return f"{left} ms"
    parts: list[str] = []
    units = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s"))
    for size, name in units if left >= 7 * _DAY else units[1:]:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def moment(at: Millis, now: Millis) -> str:
    """``Tue 14:20 UTC``, with the date when it is not within the next six days."""
    when = datetime.fromtimestamp(at / _SECOND, UTC)
    near = 0 <= at - now < 6 * _DAY
    return when.strftime("%a %H:%M UTC" if near else "%a %Y-%m-%d %H:%M UTC")


def part_of(ms: int, whole_ms: int) -> str:
    """``41:12 / 72:00 h``: hours and minutes, or minutes and seconds of a whole that is shorter than an hour."""
    if whole_ms >= _HOUR:
        return f"{_two(ms, _HOUR, _MINUTE)} / {_two(whole_ms, _HOUR, _MINUTE)} h"
    return f"{_two(ms, _MINUTE, _SECOND)} / {_two(whole_ms, _MINUTE, _SECOND)} min"


def _two(ms: int, large: int, small: int) -> str:
    return f"{max(0, ms) // large}:{max(0, ms) % large // small:02d}"
