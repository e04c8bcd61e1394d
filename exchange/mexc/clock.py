"""Estimates the venue's clock as an offset to our monotonic clock, from several ``GET time`` calls. The REST client calls it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from exchange.errors import VenueError
from exchange.model import Millis
from exchange.ports import Clock, ClockReading

SAMPLES = 3
"""Calls of ``GET time`` for a new measurement."""

KEPT = 7
"""Most calls of ``GET time`` that the running estimate uses."""

KEPT_FOR = 20 * 1_000_000_000
"""Nanoseconds. A sample this much older than the newest one is no longer used: clocks drift apart."""

_MILLISECOND = 1_000_000
_WHOLE_MS = 1
"""The venue and our own clock report whole milliseconds."""

_DRIFT = 1_000
"""Two clocks drift apart by at most one part in this: each of them may be slewed by 500 ppm."""

_TOLERANCE = 10 * _MILLISECOND
"""Nanoseconds. The venue reports whole milliseconds, and two quartz clocks drift apart a little between samples."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of ``GET time``: monotonic ns when it was sent and answered, and the venue's time in between."""

    sent: int
    answered: int
    server: Millis

    @property
    def round_trip(self) -> int:
        """Nanoseconds from sending to the reply."""
        return self.answered - self.sent

    @property
    def offset(self) -> int:
        """Venue time minus monotonic time, ns, if the request and the reply took equally long."""
        return self.server * _MILLISECOND - (self.sent + self.answered) // 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """Venue time minus monotonic time, ns; wrong by at most ``uncertainty`` plus the venue's millisecond."""

    offset: int
    uncertainty: int
    measured: int


def estimate(samples: Collection[Sample]) -> Estimate:
    """The offset of the sample with the quickest round trip, the newest of several; all others are less exact.

    Raises:
        ValueError: no samples.
    """
    best = min(samples, key=lambda sample: (sample.round_trip, -sample.answered))
    return Estimate(best.offset, best.round_trip // 2, best.answered)


class VenueClock:
    """The venue's time between measurements. Every sample improves the estimate; a sample that contradicts it replaces it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._estimate: Estimate | None = None
        self.measuring = asyncio.Lock()

    @property
    def age_ns(self) -> int | None:
        """How old the measurement is, ``None`` without one."""
        return None if self._estimate is None else self._clock.monotonic_ns() - self._estimate.measured

    @property
    def uncertainty_ns(self) -> int | None:
        """Half the round trip of the sample used, ``None`` without a measurement."""
        return None if self._estimate is None else self._estimate.uncertainty

    @property
    def reading(self) -> ClockReading | None:
        """Our wall clock less the venue's, how old that measurement is, and how wrong it can be; ``None`` without one.

        Every sample that is kept agrees with the estimate, so the newest one confirms it, and the drift since the one it rests on
        makes it less exact.
        """
        if self._estimate is None:
            return None
        now = self._clock.monotonic_ns()
        theirs = (now + self._estimate.offset) // _MILLISECOND
        drift = max(0, now - self._estimate.measured) // _DRIFT
        uncertainty = -(-(self._estimate.uncertainty + drift) // _MILLISECOND) + _WHOLE_MS
        return ClockReading(self._clock.now() - theirs, (now - self._samples[-1].answered) // _MILLISECOND, uncertainty)

    def observe(self, sample: Sample) -> None:
        """Add one sample to the estimate.

        If no offset fits both the sample and the estimate, one of the two clocks was set, and only the new sample counts. A sample
        that was answered before it was sent measures nothing: our clock was set in between.
        """
        if sample.round_trip < 0:
            return
        current = self._estimate
        if current is not None and abs(sample.offset - current.offset) > current.uncertainty + sample.round_trip // 2 + _TOLERANCE:
            self._samples.clear()
        while self._samples and sample.answered - self._samples[0].answered > KEPT_FOR:
            self._samples.popleft()
        self._samples.append(sample)
        self._estimate = estimate(self._samples)

    def forget(self) -> None:
        """Discard the measurement after MEXC rejected a timestamp (700003)."""
        self._samples.clear()
        self._estimate = None

    def now(self) -> Millis:
        """The venue's time now.

        Raises:
            VenueError: ``venue-clock-unknown`` without a measurement.
        """
        if self._estimate is None:
            raise VenueError(
                "the venue's clock has not been measured",
                code="venue-clock-unknown",
                remedy="Check that the venue answers GET /api/v3/time.",
            )
        return Millis((self._clock.monotonic_ns() + self._estimate.offset) // _MILLISECOND)
