"""What the meters of calls and of books count, by hand: slots of ten seconds, and what happened in each."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exchange.mexc.book_meter import BookMeter
from exchange.mexc.call_meter import ACCOUNTS, ALL, ORDERS, CallMeter
from exchange.mexc.ratelimit import Lane, RateLimiter
from exchange.model import Millis
from exchange.venue_slots import KEPT


class HandClock:
    def __init__(self) -> None:
        self.ms = 0

    def now(self) -> Millis:
        return Millis(1_000_000 + self.ms)

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def book(clock: HandClock) -> BookMeter:
    """A book that is in step from the beginning."""
    made = BookMeter("BTCUSDT", clock)
    made.in_step()
    return made


def test_the_use_of_a_limit_by_hand(clock: HandClock) -> None:
    meter = CallMeter(clock)
    for _ in range(6):
        meter.sent(ORDERS)
    meter.sent(ACCOUNTS)
    clock.ms = 10_000
    (slot,) = meter.slots
    # 7 of 200 requests, 6 of 120 orders and 1 of 20 account queries in ten seconds.
    assert slot.use == {ALL: Decimal("0.035"), ORDERS: Decimal("0.05"), ACCOUNTS: Decimal("0.05")}
    assert (slot.number, slot.begin, slot.end, slot.requests) == (1, 1_000_000, 1_010_000, 7)


def test_the_ten_seconds_of_a_limit_may_lie_in_two_slots(clock: HandClock) -> None:
    meter = CallMeter(clock)
    clock.ms = 9_000
    for _ in range(10):
        meter.sent()
    clock.ms = 11_000
    meter.sent()
    clock.ms = 22_000
    assert [slot.use[ALL] for slot in meter.slots] == [Decimal("0.05"), Decimal("0.055")]


def test_answers_that_say_stop_are_counted(clock: HandClock) -> None:
    meter = CallMeter(clock)
    for status in (429, 429, 418, 403, 400, 503):
        meter.answered(status)
    clock.ms = 10_000
    assert (meter.slots[0].limited, meter.slots[0].banned) == (2, 2)


def test_old_slots_are_forgotten(clock: HandClock) -> None:
    meter = CallMeter(clock)
    for number in range(KEPT + 5):
        clock.ms = number * 10_000
        assert len(meter.slots) == min(number, KEPT)


@pytest.mark.parametrize(
    ("lane", "limits"), [(Lane.PLACE, {ORDERS}), (Lane.CANCEL, {ORDERS}), (Lane.ACCOUNT, {ACCOUNTS}), (Lane.QUERY, set())]
)
async def test_each_request_uses_the_limits_of_its_lane(clock: HandClock, lane: Lane, limits: set[str]) -> None:
    limiter = RateLimiter(clock)
    await limiter.acquire(lane)
    limiter.answered(429, 1)
    clock.ms = 10_000
    (slot,) = limiter.meter.slots
    assert {name for name, part in slot.use.items() if part} == limits | {ALL}
    assert (slot.requests, slot.limited) == (1, 1)


def test_crossed_time_by_hand(clock: HandClock, book: BookMeter) -> None:
    clock.ms = 4_000
    book.moved(crossed=True)
    clock.ms = 4_250
    book.moved(crossed=True)
    clock.ms = 4_300
    book.moved(crossed=False)
    clock.ms = 10_000
    (slot,) = book.slots
    assert (slot.live_ms, slot.crossings, slot.crossed_ms) == (10_000, 1, 300)


def test_a_book_that_stays_crossed_counts_in_every_slot(clock: HandClock, book: BookMeter) -> None:
    book.moved(crossed=True)
    crossed = []
    for ms in (10_000, 20_000):
        clock.ms = ms
        crossed.append(book.slots[-1].crossed_ms)
    assert crossed == [10_000, 10_000]


def test_a_missing_change_is_a_resync_until_the_book_is_in_step(clock: HandClock, book: BookMeter) -> None:
    clock.ms = 2_000
    book.out_of_step(gap=True)
    clock.ms = 2_700
    book.in_step()
    clock.ms = 10_000
    (slot,) = book.slots
    assert (slot.resyncs, slot.resync_ms, slot.live_ms) == (1, 700, 9_300)


def test_a_resync_that_does_not_end_grows(clock: HandClock, book: BookMeter) -> None:
    book.out_of_step(gap=True)
    clock.ms = 10_000
    assert book.slots[-1].resync_ms == 10_000
    clock.ms = 20_000
    assert book.slots[-1].resync_ms == 20_000


def test_a_stream_that_ends_is_no_resync(clock: HandClock, book: BookMeter) -> None:
    book.out_of_step(gap=False)
    clock.ms = 10_000
    book.in_step()
    assert book.slots[-1].resyncs == book.slots[-1].resync_ms == 0


def test_comparisons_keep_the_largest_distance(clock: HandClock, book: BookMeter) -> None:
    book.compared(Decimal(3), diverged=False)
    book.compared(Decimal(25), diverged=False)
    book.compared(None, diverged=True)
    clock.ms = 10_000
    (slot,) = book.slots
    assert (slot.compared, slot.apart_bps, slot.diverged) == (3, 25, 1)
