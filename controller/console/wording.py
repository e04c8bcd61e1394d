"""Amounts, times and durations as text for a person. The page uses it; ``wording.js`` writes the same texts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

ABSENT = "\N{EM DASH}"
_CENT = Decimal("0.01")


def euro(value: Decimal | None) -> str:
    """``€1,234.50``; a dash when not known."""
    if value is None:
        return ABSENT
    rounded = value.quantize(_CENT, rounding=ROUND_HALF_EVEN)
    return f"{'-' if rounded < 0 else ''}€{abs(rounded):,}"


def signed_euro(value: Decimal | None) -> str:
    """``+€0.21``: the sign shows a gain, not colour alone."""
    if value is None:
        return ABSENT
    return f"+{euro(value)}" if value.quantize(_CENT, rounding=ROUND_HALF_EVEN) > 0 else euro(value)


def amount(value: Decimal | None) -> str:
    """A quantity or price as it is, without trailing zeros."""
    if value is None:
        return ABSENT
    text = format(value, ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(milliseconds: int) -> str:
    """``41:12:07``."""
    seconds = max(0, milliseconds) // 1000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def clock(at_ms: int) -> str:
    """``14:03:22`` UTC."""
    return _moment(at_ms).strftime("%H:%M:%S")


def instant(at_ms: int) -> str:
    """``2026-11-22 14:03:22`` UTC."""
    return _moment(at_ms).strftime("%Y-%m-%d %H:%M:%S")


def microseconds(value: int) -> str:
    """``184 µs`` or ``12.4 ms``; a dash where a halt did not reach that point."""
    if value < 0:
        return ABSENT
    return f"{value} µs" if value < 1000 else f"{Decimal(value) / 1000:.1f} ms"


def age(milliseconds: int) -> str:
    """``0.4 s``."""
    return f"{Decimal(max(0, milliseconds)) / 1000:.1f} s"


def per_mille(part: Decimal | None, whole: Decimal) -> int:
    """How much of ``whole`` is used, 0 to 1000; 1000 when it is not known."""
    if part is None or whole <= 0:
        return 0 if part is not None and part <= 0 else 1000
    return min(1000, max(0, int(part * 1000 / whole)))


def short_digest(value: str) -> str:
    """The first twelve hex digits of a digest."""
    return value.removeprefix("sha256:")[:12] or ABSENT


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC)
