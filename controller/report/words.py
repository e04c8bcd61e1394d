"""Numbers, instants and durations as a person reads them. The report's document, page and drawings use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from exchange.model import Millis
from policies.numbers import WIDE, text

NOT_MEASURED = "not measured"
MINUS = "\N{MINUS SIGN}"
_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
_LAST = 253_402_300_799_000


def instant(at: Millis) -> str:
    """An instant in UTC to the second."""
    if at > _LAST:
        return f"{at} ms after 1970-01-01"
    return datetime.fromtimestamp(at // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day(number: int) -> str:
    """A day (UTC), counted from the epoch."""
    return datetime.fromtimestamp(number * 86_400, tz=UTC).strftime("%Y-%m-%d")


def span(ms: int) -> str:
    """A duration in the two largest units that say something: ``2 d 4 h``, ``3 h 07 min``, ``42 s``, ``180 ms``."""
    if 0 < ms < _SECOND:
        return f"{ms} ms"
    if ms < _MINUTE:
        return f"{ms // _SECOND} s"
    if ms < _HOUR:
        return f"{ms // _MINUTE} min {ms % _MINUTE // _SECOND:02d} s"
    if ms < 4 * _DAY:
        return f"{ms // _HOUR} h {ms % _HOUR // _MINUTE:02d} min"
    return f"{ms // _DAY} d {ms % _DAY // _HOUR} h"


def rounded(value: Decimal, places: int) -> Decimal:
    """To so many places after the point, halves to even; never minus zero."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=WIDE) + 0


def grouped(value: Decimal, places: int) -> str:
    """With so many places, groups of thousands and a real minus sign."""
    return f"{rounded(value, places):,f}".replace("-", MINUS)


def signed(value: Decimal, places: int) -> str:
    """As ``grouped``, with a plus sign where it is more than zero."""
    shown = rounded(value, places)
    return ("+" if shown > 0 else "") + grouped(shown, places)


def eur(value: Decimal) -> str:
    """An amount in EUR: two places, or as many as a small one needs."""
    places = 2 if value == 0 or abs(value) >= 1 else 4 if abs(value) >= Decimal("0.01") else 6
    return f"{grouped(value, places)} EUR"


def percent(ratio: Decimal, places: int = 2) -> str:
    """A ratio as a percentage."""
    return f"{grouped(ratio * 100, places)} %"


def counted(number: int) -> str:
    """A count with groups of thousands."""
    return f"{number:,}"


def value_words(value: Decimal, unit: str) -> str:
    """A value of a metric in its unit (``policies.rules.Unit``)."""
    write = _UNITS.get(unit)
    return write(value) if write is not None else f"{text(rounded(value, 3)).replace('-', MINUS)} {unit}".strip()


def _milliseconds(value: Decimal) -> str:
    return span(int(value)) if value >= 0 else f"{MINUS}{span(int(-value))}"


_UNITS: Mapping[str, Callable[[Decimal], str]] = {
    "ms": _milliseconds,
    "ratio": lambda value: percent(value, 3 if 0 < abs(value) < Decimal("0.01") else 2),
    "eur": eur,
    "count": lambda value: counted(int(value)) if value == value.to_integral_value() else grouped(value, 2),
    "number": lambda value: grouped(value, 3),
    "days": lambda value: f"{grouped(value, 1)} days",
}
