"""The testnet's clocks: the machine's clock, and one with a skew that a fault can set."""

from __future__ import annotations

import time

from exchange.model import Millis
from exchange.ports import Clock


class SystemClock:
    """The machine's clock (``exchange.ports.Clock``)."""

    def now(self) -> Millis:
        """Wall time, UTC."""
        return Millis(time.time_ns() // 1_000_000)

    def monotonic_ns(self) -> int:
        """A clock that never goes back."""
        return time.monotonic_ns()


class SkewedClock:
    """The clock that the venue shows and checks timestamps with: a base clock plus a skew."""

    def __init__(self, base: Clock) -> None:
        self._base = base
        self.skew_ms = 0

    def now(self) -> Millis:
        """The venue's wall time."""
        return Millis(self._base.now() + self.skew_ms)

    def monotonic_ns(self) -> int:
        """The base clock's monotonic time; durations have no skew."""
        return self._base.monotonic_ns()
