"""What a venue knows about itself reaches the guards and the people: its clock, and that it has locked us out."""

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.bootstrap import venues
from controller.core.state import Ledger
from controller.runtime.loop.inbox import Inbox
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


def test_a_lock_out_is_an_alert_that_names_the_venue_and_its_length(caplog: pytest.LogCaptureFixture) -> None:
    redactor = Redactor()
    alerts = Alerts(clock=Clock(), reports=NO_REPORTS, redactor=redactor)
    with caplog.at_level(logging.ERROR, logger="gatehouse.alerts"):
        venues._alert_lockout(alerts.notify, VenueName.LIVE, LockOut(418, 0, 120))
    assert "the live venue has locked this address out" in caplog.text
    assert "HTTP 418" in caplog.text
    assert "120 s" in caplog.text
