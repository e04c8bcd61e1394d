"""How many decimals a ``Decimal`` has, without the tuple of its digits, which costs more than the rest of a check of a limit."""

from __future__ import annotations

from decimal import Decimal


def exponent(value: Decimal) -> int | None:
    """Of a finite number the power of ten of its last digit as written, as ``as_tuple`` gives it; ``None`` of any other."""
    written = str(value)
    if "E" in written or not value.is_finite():
        found = value.as_tuple().exponent
        return found if isinstance(found, int) else None
    point = written.find(".")
    return 0 if point < 0 else point + 1 - len(written)


def decimals(value: Decimal) -> int:
    """How many decimals a finite number needs, trailing zeros not counted; 0 of a number that is not finite."""
    if not value.is_finite() or not value:
        return 0
    written = str(value)
    if "E" in written:
        _, digits, power = value.as_tuple()
        zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
        return max(0, -(int(power) + zeros))
    point = written.find(".")
    return 0 if point < 0 else len(written.rstrip("0")) - point - 1
