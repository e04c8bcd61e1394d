"""The venue's clock as seen from here: an offset to our monotonic clock, measured over several ``GET time`` exchanges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median_low

from exchange.errors import VenueError
from exchange.model import Millis
from exchange.ports import Clock

SAMPLES = 3
_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One exchange: monotonic ns when it was sent and answered, and the venue's time in between."""

    sent: int
    answered: int
    server: Millis

    @property
    def round_trip(self) -> int:
        """Nanoseconds there and back."""
        return self.answered - self.sent

    @property
    def offset(self) -> int:
        """Venue time minus monotonic time, ns, assuming both ways took equally long."""
        return self.server * _MILLISECOND - (self.sent + self.answered) // 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """Venue time minus monotonic time, ns; wrong by at most ``uncertainty`` plus the venue's millisecond."""

    offset: int
    uncertainty: int
    measured: int


def estimate(samples: Sequence[Sample]) -> Estimate:
    """The median offset of the samples whose round trip is at most twice the quickest: slow exchanges say little.

    Raises:
        ValueError: no samples.
    """
    quickest = min(sample.round_trip for sample in samples)
    sound = [sample for sample in samples if sample.round_trip <= 2 * quickest]
    return Estimate(
        offset=median_low(sample.offset for sample in sound),
        uncertainty=max(sample.round_trip for sample in sound) // 2,
        measured=max(sample.answered for sample in samples),
    )


class VenueClock:
    """Tells the venue's time between measurements. A measurement that MEXC contradicts (700003) is thrown away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._estimate: Estimate | None = None

    @property
    def age_ns(self) -> int | None:
        """How old the measurement is, ``None`` without one."""
        return None if self._estimate is None else self._clock.monotonic_ns() - self._estimate.measured

    @property
    def uncertainty_ns(self) -> int | None:
        """Half the slowest round trip the measurement rests on, ``None`` without one."""
        return None if self._estimate is None else self._estimate.uncertainty

    @property
    def skew(self) -> Millis | None:
        """Our wall clock minus the venue's, ms, ``None`` without a measurement."""
        return None if self._estimate is None else Millis(self._clock.now() - self.now())

    async def measure(self, ask: Callable[[], Awaitable[Millis]], samples: int = SAMPLES) -> None:
        """Ask the venue for its time ``samples`` times and keep the estimate. What ``ask`` raises passes through."""
        taken: list[Sample] = []
        for _ in range(samples):
            sent = self._clock.monotonic_ns()
            server = await ask()
            taken.append(Sample(sent, self._clock.monotonic_ns(), server))
        self._estimate = estimate(taken)

    def forget(self) -> None:
        """Throw the measurement away."""
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
