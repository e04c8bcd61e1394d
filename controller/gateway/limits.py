"""The gateway's own limits: sizes, times, rates, one use per signature (reliability.md F99-F111). ``gateway.app`` applies them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from exchange.model import Millis

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_MAX_OWNERS = 4_096
_OTHERS = "*"


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests per second on average, and the largest burst."""

    per_second: int
    burst: int


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """The gateway's own limits; the policy limits what an order may risk.

    Each bot has a separate rate for orders, cancels and signed queries, so that a bot that sends too many orders can still cancel.
    Requests without a valid signature share one rate per address. Times are in seconds, sizes in bytes.
    """

    orders: Rate = Rate(20, 40)
    cancels: Rate = Rate(40, 80)
    queries: Rate = Rate(40, 120)
    unsigned: Rate = Rate(100, 200)
    body_bytes: int = 16_384
    query_bytes: int = 16_384
    head_bytes: int = 32_768
    head_seconds: int = 5
    body_seconds: int = 5
    idle_seconds: int = 75
    connections: int = 256


class Throttle:
    """One ``Rate`` for each owner, as a generic cell rate algorithm: one number per owner, no timers.

    Owners beyond 4,096 share one rate, so inventing addresses uses no memory and gains no requests.
    """

    def __init__(self, rate: Rate) -> None:
        self._interval = _NS_PER_S // rate.per_second
        self._tolerance = self._interval * (rate.burst - 1)
        self._due: dict[str, int] = {}

    def admit(self, owner: str, now: Millis) -> int:
        """Count one request. Returns 0 when it may pass, otherwise the whole seconds to wait (at least 1)."""
        instant = now * _NS_PER_MS
        if owner not in self._due and len(self._due) >= _MAX_OWNERS:
            self._forget_idle(instant)
            owner = owner if len(self._due) < _MAX_OWNERS else _OTHERS
        due = max(self._due.get(owner, instant), instant)
        # Only a clock that went back gives such a difference. Start again instead of locking the bot out for that long.
        if due - instant > self._tolerance + self._interval:
            due = instant
        wait = due - instant - self._tolerance
        if wait > 0:
            return -(-wait // _NS_PER_S)
        self._due[owner] = due + self._interval
        return 0

    def _forget_idle(self, instant: int) -> None:
        self._due = {owner: due for owner, due in self._due.items() if due > instant}


class ReplayGuard:
    """Remembers each signature for as long as its time window would accept it again. ``gateway.orders`` asks it."""

    def __init__(self) -> None:
        self._used: set[tuple[str, str]] = set()
        self._expiries: list[tuple[int, tuple[str, str]]] = []

    def first_use(self, bot: str, signature: str, expires: Millis, now: Millis) -> bool:
        """Whether this is the first time; ``expires`` is the last instant at which the time window accepts the signature."""
        while self._expiries and self._expiries[0][0] < now:
            self._used.discard(heapq.heappop(self._expiries)[1])
        used = (bot, signature.lower())
        if used in self._used:
            return False
        self._used.add(used)
        heapq.heappush(self._expiries, (expires, used))
        return True
