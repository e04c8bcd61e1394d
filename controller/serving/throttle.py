"""Rates per owner: of bots' requests in the gateway, of proposals and refused commands of operators."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.model import Millis

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_MAX_OWNERS = 4_096
_OTHERS = "*"


@dataclass(frozen=True, slots=True)
class Rate:
    """How many in ``seconds`` on average, and the largest burst."""

    count: int
    burst: int
    seconds: int = 1


class Throttle:
    """One ``Rate`` for each owner, as a generic cell rate algorithm: one number per owner, no timers.

    Owners beyond 4,096 share one rate, so inventing addresses uses no memory and gains no requests.
    """

    def __init__(self, rate: Rate) -> None:
        self._interval = rate.seconds * _NS_PER_S // rate.count
        self._tolerance = self._interval * (rate.burst - 1)
        self._due: dict[str, int] = {}

    def admit(self, owner: str, now: Millis, count: int = 1) -> int:
        """Count ``count`` requests as one. Returns 0 when they may pass, otherwise the whole seconds to wait (at least 1)."""
        instant = now * _NS_PER_MS
        if owner not in self._due and len(self._due) >= _MAX_OWNERS:
            self._forget_idle(instant)
            owner = owner if len(self._due) < _MAX_OWNERS else _OTHERS
        due = max(self._due.get(owner, instant), instant)
        # Only a clock that went back gives such a difference. Start again instead of locking the bot out for that long.
        if due - instant > self._tolerance + self._interval:
            due = instant
        wait = due + self._interval * (count - 1) - instant - self._tolerance
        if wait > 0:
            return -(-wait // _NS_PER_S)
        self._due[owner] = due + self._interval * count
        return 0

    def _forget_idle(self, instant: int) -> None:
        self._due = {owner: due for owner, due in self._due.items() if due > instant}
