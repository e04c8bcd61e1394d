"""Whether the venue answers as fast as declared: the bounds by ranks, by hand and against what is known to be true."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from gates.declared import Declared, Measurement
from gates.latency import measure_latency, ranks
from policies.rules import MetricName

HALF, MOST = Decimal("0.5"), Decimal("0.99")


def measured(waits: list[int], declared: Declared | None = None) -> dict[MetricName, Measurement]:
    return {one.name: one for one in measure_latency(waits, declared or Declared(ack_ms=(100, 150)))}


def test_five_answers_bound_a_median_by_hand() -> None:
    # P(all five are above the median) = 1/32, which is less than 5 %; with four it is 1/16.
    assert ranks(5, HALF, 0.05) == (1, 5)
    assert ranks(4, HALF, 0.05) == (None, None)
    found = measured([120, 90, 95, 110, 100])
    assert found[MetricName.ACK_P50_RATIO_LOW].value == Decimal("0.9")
    assert found[MetricName.ACK_P50_RATIO_HIGH].value == Decimal("1.2")
    assert found[MetricName.ACK_P50_RATIO_HIGH].samples == 5


def test_a_tail_has_an_upper_bound_after_299_answers() -> None:
    # 0.99 ** 299 = 0.0495 and 0.99 ** 298 = 0.0500.
    assert ranks(298, MOST, 0.05)[1] is None
    assert ranks(299, MOST, 0.05)[1] == 299


def test_too_few_answers_have_no_bound_and_say_so() -> None:
    found = measured([100, 100, 100])
    assert all(one.value is None for one in (found[MetricName.ACK_P50_RATIO_LOW], found[MetricName.ACK_P99_RATIO_HIGH]))
    assert "3 orders were answered" in found[MetricName.ACK_P50_RATIO_LOW].detail


def test_nothing_is_compared_without_a_declaration() -> None:
    found = measured([100] * 500, Declared())
    assert {one.value for one in found.values()} == {None}
    assert "declares no `performance.latency`" in found[MetricName.ACK_P50_RATIO_LOW].detail


def test_a_median_within_a_quarter_of_the_declared_one_counts() -> None:
    found = measured([100] * 40 + [120] * 60)[MetricName.ACK_P50_RATIO]
    assert (found.value, found.samples) == (Decimal("1.2"), 100)


def test_a_median_that_may_be_outside_by_chance_has_no_value() -> None:
    # Of 100 answers the 42nd and the 59th bound the median at 5 %: 110 ms is inside the tolerance, and 150 ms is not.
    found = measured([110] * 45 + [150] * 55)[MetricName.ACK_P50_RATIO]
    assert found.value is None
    assert "more answers must show" in found.detail


@pytest.mark.parametrize(("ms", "ratio"), [(150, "1.5"), (60, "0.6")])
def test_a_median_that_is_proven_to_be_outside_counts(ms: int, ratio: str) -> None:
    assert measured([ms] * 100)[MetricName.ACK_P50_RATIO].value == Decimal(ratio)


def test_a_tail_is_proven_to_be_slower_sooner_than_faster() -> None:
    # 150 ms are declared. With 100 answers no upper bound exists, so a short tail may be chance.
    assert measured([400] * 100)[MetricName.ACK_P99_RATIO].value is not None
    assert measured([60] * 100)[MetricName.ACK_P99_RATIO].value is None
    assert measured([60] * 299)[MetricName.ACK_P99_RATIO].value == Decimal("0.4")


def test_more_looks_make_the_interval_wider() -> None:
    waits = list(range(1, 200))
    once, often = measured(waits), measured(waits, Declared(looks=10, ack_ms=(100, 150)))
    low, high = MetricName.ACK_P50_RATIO_LOW, MetricName.ACK_P50_RATIO_HIGH
    lower, upper = (once[low].value, often[low].value), (often[high].value, once[high].value)
    assert lower[0] is not None
    assert lower[1] is not None
    assert upper[0] is not None
    assert upper[1] is not None
    assert lower[1] < lower[0]
    assert upper[0] > upper[1]


def test_a_bound_is_wrong_as_rarely_as_it_says() -> None:
    rng = Random(7)
    low, high = ranks(120, HALF, 0.05)
    assert low is not None
    assert high is not None
    wrong_low = wrong_high = 0
    for _ in range(2_000):
        drawn = sorted(rng.random() for _ in range(120))
        wrong_low += drawn[low - 1] > 0.5
        wrong_high += drawn[high - 1] < 0.5
    # At most 5 % of 2,000, and four standard errors.
    assert max(wrong_low, wrong_high) <= 100 + 39
