"""The longest time that a position was unprotected, counted by hand."""

from __future__ import annotations

from decimal import Decimal

from exchange.model import DataSource, Millis
from gates.measure import Tally, metrics
from gates.metric import Metric
from gates.protection import Protection
from policies.rules import MetricName
from policies.stage import Environment

START = Millis(1_000_000)
WHY = "the loss guards have no price"


def run(*samples: tuple[int, bool, str]) -> Tally:
    """A run with a sample after each number of ms: whether a position is held, and why it is not protected."""
    tally, at = Tally.begin(DataSource.LIVE, at=START, cap_eur=Decimal(10), accelerated=False), START
    for ms, held, why in samples:
        at = Millis(at + ms)
        tally = tally.with_protection(why, held=held, interval_ms=ms, at=at)
        tally = tally.with_sample(Decimal(10), covered=True, interval_ms=ms, at=at, unknown_open=0, oldest_unknown_ms=0)
    return tally


def metric(tally: Tally, name: MetricName) -> Metric:
    return next(one for one in metrics(tally, Environment.PRODUCTION) if one.name is name)


def test_the_longest_event_by_hand() -> None:
    # One event of 1 s and one of 2 + 3 s, both with a position; 6 s without a price and without a position are none.
    tally = run(
        (1_000, True, ""),
        (1_000, True, WHY),
        (1_000, True, ""),
        (2_000, True, WHY),
        (3_000, True, WHY),
        (1_000, True, ""),
        (6_000, False, WHY),
    )
    longest = metric(tally, MetricName.LONGEST_UNPROTECTED_MS)
    assert (longest.value, longest.samples) == (5_000, 6)
    assert metric(tally, MetricName.UNPROTECTED_MS).value == 6_000
    assert WHY in longest.detail


def test_a_position_while_no_controller_ran_was_unprotected() -> None:
    # A sample speaks for 5 s at most, so of 60 s without one nobody looked for 55 s.
    tally = run((1_000, True, ""), (60_000, True, ""))
    assert metric(tally, MetricName.LONGEST_UNPROTECTED_MS).value == 55_000
    assert "was not running" in metric(tally, MetricName.LONGEST_UNPROTECTED_MS).detail


def test_an_event_goes_on_over_a_restart() -> None:
    tally = run((1_000, True, WHY), (60_000, True, WHY), (1_000, True, ""))
    assert metric(tally, MetricName.LONGEST_UNPROTECTED_MS).value == 61_000


def test_a_run_without_a_position_measures_nothing() -> None:
    found = metric(run((1_000, False, WHY)), MetricName.LONGEST_UNPROTECTED_MS)
    assert (found.value, found.detail) == (None, "no position was open in this run")


def test_the_end_of_a_position_ends_the_event() -> None:
    tally = run((2_000, True, WHY), (1_000, False, WHY), (2_000, True, WHY))
    assert metric(tally, MetricName.LONGEST_UNPROTECTED_MS).value == 2_000


def test_samples_that_are_journalled_together_count_alike() -> None:
    one_by_one = Protection().after(WHY, at=START, unseen_ms=0, seen_ms=1_000).after(WHY, at=START, unseen_ms=0, seen_ms=1_000)
    assert Protection().after(WHY, at=START, unseen_ms=0, seen_ms=2_000, count=2) == one_by_one
