"""The venue's rate limits: requests per second, by account or address (mexc-spot-v3.md §1.4). ``SimulatedVenue`` counts here."""

from __future__ import annotations

from collections import deque

_SECOND_NS = 1_000_000_000


class SlidingWindow:
    """At most ``limit`` events in any second for each owner; 0 means no limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: dict[str, deque[int]] = {}

    def admit(self, owner: str, now_ns: int) -> bool:
        """Count one event, or refuse it (a refused event is not counted)."""
        if self._limit == 0:
            return True
        events = self._events.setdefault(owner, deque())
        while events and now_ns - events[0] >= _SECOND_NS:
            events.popleft()
        if len(events) >= self._limit:
            return False
        events.append(now_ns)
        return True
