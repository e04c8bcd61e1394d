"""What a run adds up of its venue's slots, by hand, and what does not belong to it."""

from __future__ import annotations

from decimal import Decimal

from exchange.model import DataSource, Millis
from exchange.venue_slots import BookSlot, CallSlot, VenueSlots
from gates.integrity import Integrity, observed
from gates.measure import Tally, metrics
from gates.metric import Metric
from policies.rules import MetricName
from policies.stage import Environment
from policies.values import replace

START, NOW = Millis(100_000), Millis(200_000)


def calls(number: int, *, limited: int = 0, use: str = "0.1") -> CallSlot:
    begin = Millis(START + number * 10_000)
    return CallSlot(number, begin, Millis(begin + 10_000), 20, limited, 0, {"requests": Decimal(use)})


def book(
    number: int, *, crossed: int = 0, resync: int = 0, apart: str = "0", diverged: int = 0, symbol: str = "BTCUSDT"
) -> BookSlot:
    begin = Millis(START + number * 10_000)
    return BookSlot(
        number,
        begin,
        Millis(begin + 10_000),
        symbol,
        10_000,
        int(crossed > 0),
        crossed,
        int(resync > 0),
        resync,
        2,
        Decimal(apart),
        diverged,
    )


def metric(found: Integrity, name: MetricName) -> Metric:
    tally = Tally.begin(DataSource.LIVE, at=START, cap_eur=Decimal(10), accelerated=False)
    return next(one for one in metrics(replace(tally, integrity=found), Environment.PRODUCTION) if one.name is name)


def over(*slots: BookSlot) -> Integrity:
    return observed(Integrity(), VenueSlots(books=slots), START, (), NOW)


def test_the_part_of_time_that_a_book_was_crossed_by_hand() -> None:
    # 3 ms of 30 s.
    found = metric(over(book(1, crossed=2), book(2, crossed=1), book(3)), MetricName.BOOK_CROSSED_RATIO)
    assert (found.value, found.samples) == (Decimal("0.0001"), 3)
    assert found.detail == "BTCUSDT: 2 times, 3 of 30000 ms"


def test_the_longest_resync_and_the_largest_distance_count() -> None:
    found = over(book(1, resync=700, apart="3"), book(2, resync=400, apart="12.5", diverged=1))
    assert metric(found, MetricName.LONGEST_RESYNC_MS).value == 700
    assert metric(found, MetricName.BOOK_RESYNCS).value == 2
    assert metric(found, MetricName.BOOK_DIVERGENCE_MAX_BPS).value == Decimal("12.5")
    divergences = metric(found, MetricName.BOOK_DIVERGENCES)
    assert (divergences.value, divergences.samples) == (1, 4)


def test_of_several_books_the_worst_counts() -> None:
    found = over(book(1), book(1, crossed=5, symbol="ETHUSDT"), book(2))
    ratio = metric(found, MetricName.BOOK_CROSSED_RATIO)
    assert (ratio.value, ratio.samples) == (Decimal("0.0005"), 1)


def test_calls_by_hand() -> None:
    found = observed(Integrity(), VenueSlots((calls(1, use="0.2"), calls(2, limited=1, use="0.4"))), START, (), NOW)
    limited, use = metric(found, MetricName.RATE_LIMITED), metric(found, MetricName.RATE_LIMIT_USE_RATIO)
    assert (limited.value, limited.samples) == (1, 40)
    assert (use.value, use.detail) == (Decimal("0.4"), "requests: 40.0% of what 10 s allow")


def test_a_slot_is_counted_once() -> None:
    first = observed(Integrity(), VenueSlots((calls(1),), (book(1),)), START, (), NOW)
    again = observed(first, VenueSlots((calls(1), calls(2)), (book(1), book(2))), START, (), NOW)
    assert (again.calls.slots, again.calls.requests, again.books[0].slots) == (2, 40, 2)


def test_a_slot_from_before_the_run_does_not_count() -> None:
    found = observed(Integrity(), VenueSlots((calls(-1, limited=1), calls(1))), START, (), NOW)
    assert (found.calls.slots, found.calls.limited) == (1, 0)


def test_a_slot_that_touches_a_drill_does_not_count() -> None:
    drill = (Millis(START + 25_000), Millis(START + 26_000))
    found = observed(Integrity(), VenueSlots((calls(1), calls(2, limited=1), calls(3))), START, (drill,), NOW)
    assert (found.calls.slots, found.calls.limited, found.calls.upto) == (2, 0, 3)


def test_the_next_process_counts_from_its_first_slot() -> None:
    first = observed(Integrity(), VenueSlots((calls(5),), (book(5),)), START, (), NOW).restarted()
    again = observed(first, VenueSlots((calls(1),), (book(1),)), START, (), NOW)
    assert (again.calls.slots, again.books[0].slots) == (2, 2)


def test_without_a_slot_nothing_is_measured() -> None:
    names = (MetricName.BOOK_CROSSED_RATIO, MetricName.BOOK_DIVERGENCES, MetricName.RATE_LIMITED, MetricName.RATE_LIMIT_USE_RATIO)
    assert [metric(Integrity(), name).value for name in names] == [None] * 4


def test_a_book_that_was_never_in_step_has_no_crossed_part() -> None:
    never = replace(book(1, symbol="ETHUSDT"), live_ms=0)
    assert metric(over(book(1), never), MetricName.BOOK_CROSSED_RATIO).value is None
