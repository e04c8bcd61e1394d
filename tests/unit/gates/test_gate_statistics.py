"""The statistics agree with the textbook and round the cautious way."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Millis
from gates.statistics import covered, ratio_down, ratio_up, upper_bound


def test_ratios_round_to_the_safe_side() -> None:
    assert ratio_up(1, 3) == Decimal("0.333333333334")
    assert ratio_down(2, 3) == Decimal("0.666666666666")
    assert ratio_up(0, 0) is None
    assert ratio_down(0, 0) is None


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], (0, 100)),
        ([(0, 100)], (100, 0)),
        ([(-50, 10), (90, 500)], (20, 80)),
        ([(20, 40), (30, 60)], (40, 40)),
        ([(60, 70), (10, 20)], (20, 40)),
        ([(30, 20), (200, 300)], (0, 100)),
    ],
)
def test_coverage_of_a_window_by_spans(spans: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    given_spans = [(Millis(begin), Millis(end)) for begin, end in spans]
    assert covered(given_spans, Millis(0), Millis(100)) == expected


@pytest.mark.parametrize(
    ("events", "trials", "bound"),
    # Quantiles of the beta distribution B(0.95; events + 1, trials - events).
    [(0, 300, "0.0099"), (0, 100, "0.0295"), (1, 100, "0.0466"), (3, 300, "0.0256"), (10, 1000, "0.0169"), (5, 10, "0.7776")],
)
def test_the_reject_bound_is_clopper_pearsons(events: int, trials: int, bound: str) -> None:
    found = upper_bound(events, trials)
    assert found is not None
    assert found.quantize(Decimal("0.0001")) == Decimal(bound)


def test_the_bound_without_trials_is_none_and_with_all_events_is_one() -> None:
    assert upper_bound(0, 0) is None
    assert upper_bound(7, 7) == 1


@given(trials=st.integers(1, 60), data=st.data())
def test_the_bound_is_the_smallest_that_is_never_too_small(trials: int, data: st.DataObject) -> None:
    events = data.draw(st.integers(0, trials - 1))
    bound = upper_bound(events, trials)
    assert bound is not None

    def at_most(p: Fraction) -> Fraction:
        return sum((comb(trials, hits) * p**hits * (1 - p) ** (trials - hits) for hits in range(events + 1)), Fraction(0))

    assert at_most(Fraction(bound)) <= Fraction(5, 100) < at_most(Fraction(bound) - Fraction(1, 10**11))


@given(events=st.integers(101, 5_000), more=st.integers(1, 100_000))
def test_with_many_events_the_bound_is_above_the_ratio(events: int, more: int) -> None:
    bound = upper_bound(events, events + more)
    assert bound is not None
    assert Fraction(events, events + more) < Fraction(bound) <= 1
