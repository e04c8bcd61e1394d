"""The real clock behind ``exchange.ports.Clock``."""

from __future__ import annotations

import time

from exchange.model import Millis


class SystemClock:
    """Wall time in UTC milliseconds, and the monotonic clock."""

    def now(self) -> Millis:
        """Wall time, UTC."""
        return Millis(time.time_ns() // 1_000_000)

    def monotonic_ns(self) -> int:
        """A clock that never goes back, and goes on while the machine is suspended: a permit must not sleep through its lease."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
