"""Measures each venue's clock in the background, on a schedule of its own. The assembly runs one ``ClockMeter`` per venue.

A sweep, an order and a stream measure nothing here, so a venue that is slow with them does not make its clock unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from exchange.errors import GatehouseError
from exchange.model import Millis
from exchange.ports import Clock, ClockedVenue, Venue
from policies.guards import ClockOffset, Measured, clock_fresh_ms
from policies.schema import Policy

MEASURE_EVERY_S = 10.0
MEASURE_AGAIN_S = 2.0
"""The pause after a measurement that failed, or whose answers took too long to be exact."""
SAMPLES = 3
"""How often the venue is asked for its time in one measurement."""
CLOCK_SURE_MS = 100
"""Above this uncertainty the venue is asked again soon, until an answer comes quickly enough."""
_MILLISECOND = 1_000_000
_ROUNDED_MS = 2
"""What is lost by whole milliseconds on both clocks."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offset:
    """Our clock minus the venue's clock, when that was measured, and how far from the truth it can be."""

    ms: int
    at: Millis
    uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class Silence:
    """A venue that does not answer the question for its time: since when, and why."""

    since: Millis
    why: str


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """One venue's clock now: ``fresh`` is the present measurement, and ``good`` the last one by which the guard could judge.

    ``silence``: the last question had no answer.
    """

    fresh: Offset | None
    good: Measured[ClockOffset] | None
    silence: Silence | None = None


class ClockMeter:
    """Measures one venue's clock. ``policy`` says how old a measurement may be, and how exact it must be."""

    def __init__(self, venue: Venue, clock: Clock, policy: Callable[[], Policy]) -> None:
        self._venue = venue
        # The check of a protocol looks at every attribute, and this is asked with each tick.
        self._clocked = venue if isinstance(venue, ClockedVenue) else None
        self._clock = clock
        self._policy = policy
        self._last: tuple[Offset, int] | None = None
        self._good: tuple[ClockOffset, int] | None = None
        self._problem = ""
        self._silence: Silence | None = None

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            sure = await self.measure()
            # Three measurements in the time for which one is good: one that fails is no gap.
            usual = min(MEASURE_EVERY_S, clock_fresh_ms(self._policy()) / 2_000)
            await asyncio.sleep(usual if sure else min(usual, MEASURE_AGAIN_S))

    async def measure(self) -> bool:
        """Ask the venue for its time, several times. ``False``: it did not answer, or not quickly enough to be exact."""
        try:
            own = [offset for _ in range(SAMPLES) if (offset := await self._ask()) is not None]
        except GatehouseError as error:
            if error.code != self._problem:
                fields = {"venue": self._venue.name, "code": error.code, "why": error.message}
                _log.warning("the venue's clock could not be measured", extra={"fields": fields})
            self._problem = error.code
            since = self._clock.now() if self._silence is None else self._silence.since
            self._silence = Silence(since, error.message)
            return False
        self._problem, self._silence = "", None
        if own:
            self._keep(min(own, key=lambda offset: offset.uncertainty_ms))
        self._read()
        return self._last is not None and self._last[0].uncertainty_ms <= CLOCK_SURE_MS

    def seen(self) -> ClockSeen:
        """What is known of the venue's clock at this moment."""
        self._read()
        now, now_ns = self._clock.now(), self._clock.monotonic_ns()
        fresh = good = None
        if self._last is not None:
            offset, taken_ns = self._last
            recent = 0 <= now_ns - taken_ns <= clock_fresh_ms(self._policy()) * _MILLISECOND
            # A measurement of the future was made before our clock was set back.
            fresh = offset if recent and offset.at <= now else None
        if self._good is not None:
            judged, taken_ns = self._good
            good = Measured(judged, Millis(now - (now_ns - taken_ns) // _MILLISECOND))
        return ClockSeen(fresh, good, self._silence)

    def _read(self) -> None:
        """Keep the venue client's own estimate, if it has one: it rests on several replies and on the monotonic clock."""
        reading = self._clocked.clock_reading if self._clocked is not None else None
        if reading is not None:
            self._keep(
                Offset(reading.offset_ms, Millis(self._clock.now() - reading.age_ms), reading.uncertainty_ms), reading.age_ms
            )

    def _keep(self, offset: Offset, age_ms: int = 0) -> None:
        taken_ns = self._clock.monotonic_ns() - age_ms * _MILLISECOND
        self._last = offset, taken_ns
        judged = ClockOffset(offset.ms, offset.uncertainty_ms)
        if judged.tells(self._policy().guards.clock_offset.halt_ms):
            self._good = judged, taken_ns

    async def _ask(self) -> Offset | None:
        sent, sent_ns = self._clock.now(), self._clock.monotonic_ns()
        venue_time = await self._venue.server_time()
        received, answered_ns = self._clock.now(), self._clock.monotonic_ns()
        return _offset_of(sent, received, answered_ns - sent_ns, venue_time)


def _offset_of(sent: Millis, received: Millis, round_trip_ns: int, venue_time: Millis) -> Offset | None:
    """What one question for the time measured; nothing if our clock was set back while it was under way."""
    if round_trip_ns < 0 or received < sent:
        return None
    # Where the two clocks tell different durations, one of them was set in between, and the offset may be wrong by that.
    set_by_ms = abs(received - sent - round_trip_ns // _MILLISECOND)
    uncertainty = round_trip_ns // 2 // _MILLISECOND + _ROUNDED_MS + max(0, set_by_ms - _ROUNDED_MS)
    return Offset((sent + received) // 2 - venue_time, received, uncertainty)
