"""The decimals of a number, beside the tuple of its digits that Python gives."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.decimals import decimals, exponent

NUMBERS = st.one_of(
    st.decimals(),
    st.builds(
        lambda negative, digits, power: Decimal((int(negative), tuple(digits), power)),
        st.booleans(),
        st.lists(st.integers(0, 9), min_size=1, max_size=40),
        st.integers(-60, 60),
    ),
)


def needed(value: Decimal) -> int:
    """Digits after the point, one trailing zero after the other taken away."""
    if not value.is_finite() or not value:
        return 0
    _, digits, power = value.as_tuple()
    left = list(digits)
    while left[-1] == 0:
        left.pop()
        power = int(power) + 1
    return max(0, -int(power))


@given(NUMBERS)
@example(Decimal("0E-7"))
@example(Decimal("-0.00"))
@example(Decimal(100))
@example(Decimal("1E+3"))
def test_it_is_what_the_tuple_of_digits_says(value: Decimal) -> None:
    power = value.as_tuple().exponent
    assert exponent(value) == (power if isinstance(power, int) else None)
    assert decimals(value) == needed(value)


@pytest.mark.parametrize(("written", "count"), [("0.10", 1), ("1.000", 0), ("1E-7", 7), ("10E-8", 7), ("1200", 0), ("NaN", 0)])
def test_trailing_zeros_are_not_counted(written: str, count: int) -> None:
    assert decimals(Decimal(written)) == count
