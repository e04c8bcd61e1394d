"""The real clock behind ``exchange.ports.Clock``; ``controller.bootstrap`` and the command line make it."""

from __future__ import annotations

import time

from exchange.model import Millis


class SystemClock:
    """Wall time in UTC milliseconds, and the monotonic clock."""

    def now(self) -> Millis:
        """Wall time, UTC."""
        return Millis(time.time_ns() // 1_000_000)

    def monotonic_ns(self) -> int:
        """A clock that never goes back and counts suspended time too, so that a permit expires while the machine is suspended."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
