"""A clock for venues that are driven step by step."""

from __future__ import annotations

from exchange.model import Millis


class StoppedClock:
    """A clock that moves only when a test sets ``at``, in ms since 1970."""

    def __init__(self, at: int) -> None:
        self.at = Millis(at)

    def now(self) -> Millis:
        """The instant that the test set."""
        return self.at

    def monotonic_ns(self) -> int:
        """The same instant, in ns."""
        return self.at * 1_000_000
