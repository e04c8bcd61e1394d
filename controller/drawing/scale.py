"""Axes: which values and instants get a mark, and where a value is on the drawing. The other drawings use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from html import escape

from policies.numbers import WIDE

_S, _M, _H, _D = 1_000, 60_000, 3_600_000, 86_400_000
_STEPS = (
    *(_S, 5 * _S, 10 * _S, 30 * _S, _M, 2 * _M, 5 * _M, 10 * _M, 15 * _M, 30 * _M),
    *(_H, 2 * _H, 3 * _H, 6 * _H, 12 * _H, _D, 2 * _D, 7 * _D),
)
CHARACTER = 6.6
"""How wide a character of a label is, on average, in the units of a drawing."""


def value_ticks(low: Decimal, high: Decimal, most: int) -> list[Decimal]:
    """At most ``most`` round values that enclose ``low`` and ``high``; always two or more."""
    if high <= low:
        pad = max(abs(high) / 100, Decimal("0.01"))
        low, high = low - pad, high + pad
    raw = WIDE.divide(high - low, Decimal(max(most - 2, 1)))
    power = Decimal(1).scaleb(raw.adjusted())
    step = next(one * power for one in map(Decimal, (1, 2, 5, 10)) if one * power >= raw)
    first = int((low / step).to_integral_value(rounding=ROUND_FLOOR))
    last = int((high / step).to_integral_value(rounding=ROUND_CEILING))
    return [step * number for number in range(first, last + 1)]


def places_of(ticks: Sequence[Decimal]) -> int:
    """How many places after the point the labels of these values need."""
    step = (ticks[1] - ticks[0]).normalize() if len(ticks) > 1 else Decimal(1)
    exponent = step.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def time_ticks(first: int, last: int, most: int) -> list[tuple[int, str]]:
    """At most ``most`` round instants (UTC) with a label each: the time, or the day where a day begins."""
    step = next((one for one in _STEPS if (last - first) / one <= most), max(_D, -(-(last - first) // most // _D) * _D))
    ticks = range(-(-first // step) * step, last + 1, step)
    return [(at, _label(at, step)) for at in ticks]


def _label(at: int, step: int) -> str:
    moment = datetime.fromtimestamp(at // 1000, tz=UTC)
    if at % _D == 0:
        return f"{moment.day} {moment:%b}"
    return moment.strftime("%H:%M:%S" if step < _M else "%H:%M")


@dataclass(frozen=True, slots=True)
class Frame:
    """The area of a drawing that holds the data, with its two ranges."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    first: int
    last: int
    low: Decimal
    high: Decimal

    def x(self, at: int) -> int:
        """Where an instant is."""
        inner = self.width - self.left - self.right
        return self.left + inner * min(max(at - self.first, 0), self.last - self.first) // max(1, self.last - self.first)

    def y(self, value: Decimal) -> int:
        """Where a value is; the highest is at the top."""
        inner = self.height - self.top - self.bottom
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.top + inner - int(share * inner)

    @property
    def floor(self) -> int:
        """Where the time axis is."""
        return self.height - self.bottom


def label(x: float, y: int, content: str, css: str = "", title: str = "") -> str:
    """A text, escaped."""
    named = f"<title>{escape(title)}</title>" if title else ""
    return f'<text x="{x:g}" y="{y}"{_class(css)}>{escape(content)}{named}</text>'


def drawing(width: int, height: int, css: str, title: str, content: str) -> str:
    """A whole drawing with the sentence that a screen reader speaks for it."""
    return (
        f'<svg class="{css}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{content}</svg>'
    )


def fits(content: str, width: int) -> bool:
    """Whether a label has room in so much width."""
    return len(content) * CHARACTER + 8 <= width


def _class(css: str) -> str:
    return f' class="{css}"' if css else ""
