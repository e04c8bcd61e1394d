"""What the meter of one stream notes: gaps with their reason, rotations that were survived, renewals."""

from __future__ import annotations

import pytest

from exchange.mexc.stream_meter import StreamMeter
from exchange.model import Millis
from exchange.stream_life import REMEMBERED, Happening, Kind


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
def meter(clock: HandClock) -> StreamMeter:
    """A stream that is of use since one second."""
    made = StreamMeter("market BTCUSDT", clock)
    clock.ms = 100
    made.up()
    clock.ms = 1_100
    return made


def kinds(meter: StreamMeter) -> list[tuple[Kind, int]]:
    return [(one.kind, one.ms) for one in meter.life.happened]


def test_a_stream_begins_down(clock: HandClock) -> None:
    assert StreamMeter("private", clock).life.down_since == 1_000_000


def test_a_gap_is_noted_at_its_end_with_what_began_it(meter: StreamMeter, clock: HandClock) -> None:
    meter.down("the venue closed it")
    meter.down("another reason")
    clock.ms += 700
    meter.up()
    assert meter.life.happened[-1] == Happening(2, Millis(1_001_800), Kind.GAP, 700, "the venue closed it")


def test_a_gap_begins_with_the_last_thing_heard(meter: StreamMeter, clock: HandClock) -> None:
    meter.down("silent", heard_ns=400 * 1_000_000)
    assert meter.life.down_since == 1_000_400
    clock.ms += 100
    meter.up()
    assert kinds(meter)[-1] == (Kind.GAP, 800)


def test_a_rotation_counts_once_a_message_shows_that_it_was_survived(meter: StreamMeter) -> None:
    meter.replaced()
    assert kinds(meter) == [(Kind.GAP, 100)]
    meter.message(Millis(5))
    meter.message(Millis(6))
    assert kinds(meter) == [(Kind.GAP, 100), (Kind.ROTATED, 0)]


def test_a_rotation_that_broke_the_book_has_the_time_that_took(meter: StreamMeter, clock: HandClock) -> None:
    meter.replaced()
    meter.down("a change is missing")
    meter.message(Millis(5))
    clock.ms += 300
    meter.up()
    meter.message(Millis(6))
    assert kinds(meter)[-1] == (Kind.ROTATED, 300)


def test_a_clock_that_is_set_makes_no_gap(meter: StreamMeter, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    meter.down("cut")
    monkeypatch.setattr(clock, "now", lambda: Millis(9_000_000))
    clock.ms += 10
    meter.up()
    assert kinds(meter)[-1] == (Kind.GAP, 10)


def test_only_the_latest_happenings_are_kept(meter: StreamMeter) -> None:
    for _ in range(REMEMBERED + 5):
        meter.renewed()
    assert (len(meter.life.happened), meter.life.happened[-1].number) == (REMEMBERED, REMEMBERED + 6)
