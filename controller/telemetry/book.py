"""The numbers behind the metrics: what happened is counted here, and what is true now is asked for when somebody collects.

The writer's followers call ``add`` and ``took``: a few hundred nanoseconds, no lock, nothing that waits.
``controller.telemetry.meters`` reads everything from its own thread. What is seen may be half a second older than the writer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from controller.telemetry.instruments import INSTRUMENTS, LOST_DURATIONS, Instrument, Kind
from controller.telemetry.observed import Seen, observe
from exchange.ports import Clock

MOST_DURATIONS = 20_000
"""How many durations wait for a collection. At MEXC's order limit that is minutes; beyond it the oldest are dropped and counted."""

_KIND_BITS = 16
"""A duration waits as one number: its nanoseconds, and in these bits its kind. Where nobody collects, all of them wait for ever."""


class Book:
    """The numbers of one process. ``watch`` names what is seen now; until then no gauge says that anything is well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[tuple[Instrument, tuple[str, ...]], int] = {
            (one, labels): 0 for one in INSTRUMENTS for labels in one.zeros
        }
        self._durations: deque[int] = deque()
        self._kinds: dict[tuple[Instrument, tuple[str, ...]], int] = {}
        self._kind_of: list[tuple[Instrument, tuple[str, ...]]] = []
        self._seen: Callable[[], Seen | None] = lambda: None

    def add(self, instrument: Instrument, *labels: str, amount: int = 1) -> None:
        """Count something that happened. Only the event loop's thread counts."""
        key = instrument, labels
        self._counts[key] = self._counts.get(key, 0) + amount

    def took(self, instrument: Instrument, duration_ns: int, *labels: str) -> None:
        """Note a duration."""
        if len(self._durations) >= MOST_DURATIONS:
            with suppress(IndexError):
                self._durations.popleft()
                self.add(LOST_DURATIONS)
        kind = self._kinds.get((instrument, labels))
        if kind is None:
            kind = self._kinds[instrument, labels] = len(self._kind_of)
            self._kind_of.append((instrument, labels))
        self._durations.append(duration_ns << _KIND_BITS | kind)

    def watch(self, seen: Callable[[], Seen | None]) -> None:
        """Ask ``seen`` from now on what is true. It is called on the collecting thread and must not wait."""
        self._seen = seen

    def durations(self) -> Iterable[tuple[Instrument, float, tuple[str, ...]]]:
        """Take every duration that was not taken yet."""
        while True:
            try:
                waited = self._durations.popleft()
            except IndexError:
                return
            instrument, labels = self._kind_of[waited & ((1 << _KIND_BITS) - 1)]
            yield instrument, (waited >> _KIND_BITS) / 1e9, labels

    def now(self) -> dict[Instrument, dict[tuple[str, ...], float]]:
        """The value of every counter and gauge at this moment. What is not known is not in it."""
        found: dict[Instrument, dict[tuple[str, ...], float]] = {one: {} for one in INSTRUMENTS if one.kind is not Kind.HISTOGRAM}
        for (instrument, labels), count in self._counts.copy().items():
            found[instrument][labels] = count
        for instrument, labels, value in observe(self._seen(), self._clock.monotonic_ns(), self._clock.now()):
            found[instrument][labels] = value
        return found
