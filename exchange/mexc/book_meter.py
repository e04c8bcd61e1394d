"""Measures one symbol's book, in slots: crossed time, resyncs, and its distance from REST. The market feed calls it."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from exchange.model import Millis
from exchange.ports import Clock
from exchange.venue_slots import KEPT, SLOT_MS, BookSlot

_MILLISECOND = 1_000_000


class BookMeter:
    """The book of one symbol in this process. It begins out of step."""

    def __init__(self, symbol: str, clock: Clock) -> None:
        self._symbol = symbol
        self._clock = clock
        self._slots: deque[BookSlot] = deque(maxlen=KEPT)
        self._shown: tuple[BookSlot, ...] = ()
        self._number = 0
        self._live = self._crossed = False
        self._resync_since: int | None = None
        self._crossings = self._resyncs = self._resync_ms = self._compared = self._diverged = 0
        self._live_ns = self._crossed_ns = self._counted_ns = 0
        self._apart_bps = Decimal(0)
        self._open()

    def in_step(self) -> None:
        """The book is in step again: a resync, if it was one, has ended."""
        self._count()
        if self._resync_since is not None:
            self._resync_ms = max(self._resync_ms, self._since(self._resync_since))
            self._resync_since = None
        self._live = True

    def out_of_step(self, *, gap: bool) -> None:
        """The book cannot be used. With ``gap`` a change was missing while its stream was open, so that a resync begins."""
        self._count()
        if gap and self._live:
            self._resyncs += 1
            self._resync_since = self._clock.monotonic_ns()
        self._live = self._crossed = False

    def moved(self, *, crossed: bool) -> None:
        """A change was applied; ``crossed``: the best bid is not below the best ask now."""
        if crossed is self._crossed:
            return
        self._count()
        self._crossings += crossed
        self._crossed = crossed

    def compared(self, apart_bps: Decimal | None, *, diverged: bool) -> None:
        """The mid was compared with REST. ``diverged``: they are too far apart for too long, or REST has no price."""
        self._count()
        self._compared += 1
        self._apart_bps = max(self._apart_bps, apart_bps or Decimal(0))
        self._diverged += diverged

    @property
    def slots(self) -> tuple[BookSlot, ...]:
        """The closed slots, oldest first."""
        self._count()
        return self._shown

    def _count(self) -> None:
        """Add the time since the last call to what the book was in it, and close the slot if it is long enough."""
        now = self._clock.monotonic_ns()
        if self._live:
            spent = now - self._counted_ns
            self._live_ns += spent
            self._crossed_ns += spent if self._crossed else 0
        self._counted_ns = now
        if (now - self._began_ns) // _MILLISECOND < SLOT_MS:
            return
        if self._resync_since is not None:
            self._resync_ms = max(self._resync_ms, self._since(self._resync_since))
        self._number += 1
        self._slots.append(self._closed(Millis(self._began + (now - self._began_ns) // _MILLISECOND)))
        self._shown = tuple(self._slots)
        self._open()

    def _closed(self, end: Millis) -> BookSlot:
        return BookSlot(
            number=self._number,
            begin=self._began,
            end=end,
            symbol=self._symbol,
            live_ms=self._live_ns // _MILLISECOND,
            crossings=self._crossings,
            crossed_ms=-(-self._crossed_ns // _MILLISECOND),
            resyncs=self._resyncs,
            resync_ms=self._resync_ms,
            compared=self._compared,
            apart_bps=self._apart_bps,
            diverged=self._diverged,
        )

    def _open(self) -> None:
        self._began, self._began_ns = self._clock.now(), self._clock.monotonic_ns()
        self._counted_ns = self._began_ns
        self._live_ns = self._crossed_ns = 0
        self._crossings = self._resyncs = self._resync_ms = self._compared = self._diverged = 0
        self._apart_bps = Decimal(0)

    def _since(self, ns: int) -> int:
        return (self._clock.monotonic_ns() - ns) // _MILLISECOND
