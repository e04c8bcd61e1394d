"""What a venue knows about itself reaches the guards and the people: its clock, and that it has locked us out."""

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.bootstrap import venues
from controller.core.state import Ledger
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.markets import Markets
from controller.runtime.venues.reconcile import CLOCK_GOOD_FOR_MS, CLOCK_SURE_MS, Offset, Sweeper
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS
from exchange.mexc.ratelimit import LockOut
from exchange.model import Millis
from exchange.ports import ClockReading, VenueName

NOW = Millis(1_700_000_000_000)


class Clock:
    def now(self) -> Millis:
        return NOW

    def monotonic_ns(self) -> int:
        return 0


@dataclass
class PlainVenue:
    """A venue that only answers with its time."""

    asked: int = 0

    async def server_time(self) -> Millis:
        self.asked += 1
        return Millis(NOW - 250)


@dataclass
class Clocked(PlainVenue):
    """Measures its own clock; asking it improves the measurement."""

    measurements: list[ClockReading | None] = field(default_factory=list)

    @property
    def clock_reading(self) -> ClockReading | None:
        return self.measurements[min(self.asked, len(self.measurements) - 1)]


async def measured(venue: Any) -> Offset | None:
    sweeper = Sweeper(venue, symbols=(), ledger=Ledger, inbox=Inbox(), clock=Clock(), every_s=1, rules=dict)
    await sweeper._measure_clock()
    return sweeper.offset


async def test_a_venue_without_a_measurement_of_its_own_is_asked_for_its_time() -> None:
    assert await measured(PlainVenue()) == Offset(250, NOW, 2)


async def test_a_fresh_measurement_of_the_venue_is_used_without_asking() -> None:
    venue = Clocked(measurements=[ClockReading(40, 2_000, 5)])
    assert await measured(venue) == Offset(40, Millis(NOW - 2_000), 5)
    assert venue.asked == 0


@pytest.mark.parametrize("earlier", [None, ClockReading(900, CLOCK_GOOD_FOR_MS + 1, 5), ClockReading(900, 0, CLOCK_SURE_MS + 1)])
async def test_an_old_or_uncertain_or_missing_measurement_is_renewed_first(earlier: ClockReading | None) -> None:
    venue = Clocked(measurements=[earlier, ClockReading(41, 0, 6)])
    assert await measured(venue) == Offset(41, NOW, 6)
    assert venue.asked == 1


@dataclass
class StepClock:
    """A clock that is set by ``wall_ms`` while the venue is asked; ``monotonic_ms`` pass in that time."""

    wall_ms: int
    monotonic_ms: int
    asked: int = 0

    def now(self) -> Millis:
        return Millis(NOW + self.wall_ms * self.asked)

    def monotonic_ns(self) -> int:
        return self.monotonic_ms * self.asked * 1_000_000


@dataclass
class Asked(PlainVenue):
    clock: StepClock | None = None

    async def server_time(self) -> Millis:
        assert self.clock is not None
        self.clock.asked = 1
        return NOW


@pytest.mark.parametrize(
    ("wall_ms", "monotonic_ms", "offset"),
    [
        (100, 100, Offset(50, Millis(NOW + 100), 52)),
        (-400, 100, None),
        (100, -100, None),
        (2_000, 100, Offset(1_000, Millis(NOW + 2_000), 1_950)),
        (103, 100, Offset(51, Millis(NOW + 103), 53)),
    ],
    ids=["not set", "set back", "impossible", "set forward", "slewed"],
)
async def test_a_clock_that_is_set_while_the_venue_is_asked_is_no_measurement(
    wall_ms: int, monotonic_ms: int, offset: Offset | None
) -> None:
    clock = StepClock(wall_ms, monotonic_ms)
    venue: Any = Asked(clock=clock)
    sweeper = Sweeper(venue, symbols=(), ledger=Ledger, inbox=Inbox(), clock=clock, every_s=1, rules=dict)
    await sweeper._measure_clock()
    assert sweeper.offset == offset


@pytest.mark.parametrize(("at", "known"), [(0, True), (-30_000, True), (-30_001, False), (3_600_000, False)])
def test_an_offset_from_before_the_clock_was_set_back_is_none(at: int, known: bool) -> None:
    offset = Offset(3, Millis(NOW + at), 5)
    markets = Markets(
        feeds={}, rules={}, accelerated={}, symbols=(), clock=Clock(), inbox=Inbox(), offsets={VenueName.LIVE: lambda: offset}
    )
    assert markets._clock_offsets() == ({VenueName.LIVE: offset} if known else {})


def test_a_lock_out_is_an_alert_that_names_the_venue_and_its_length(caplog: pytest.LogCaptureFixture) -> None:
    redactor = Redactor()
    alerts = Alerts(clock=Clock(), reports=NO_REPORTS, redactor=redactor)
    with caplog.at_level(logging.ERROR, logger="gatehouse.alerts"):
        venues._alert_lockout(alerts.notify, VenueName.LIVE, LockOut(418, 0, 120))
    assert "the live venue has locked this address out" in caplog.text
    assert "HTTP 418" in caplog.text
    assert "120 s" in caplog.text
