"""The gateway's own limits: sizes, times, rates, one use per signature (reliability.md F99-F111). ``gateway.app`` applies them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from controller.gateway.stream_limits import StreamLimits
from controller.serving.bounds import Bounds
from controller.serving.throttle import Rate
from exchange.model import Millis
from exchange.wire.signing import MAX_FUTURE


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """The gateway's own limits; the policy limits what an order may risk.

    Each bot has a separate rate for orders, cancels and signed queries, so that a bot that sends too many orders can still cancel.
    Requests without a valid signature share one rate per address, those for candles and statistics a lower one besides. Times are
    in seconds, sizes in bytes. ``strict_content_type``: a write must say ``application/json``, as MEXC's documents ask.
    """

    orders: Rate = Rate(20, 40)
    cancels: Rate = Rate(40, 80)
    queries: Rate = Rate(40, 120)
    unsigned: Rate = Rate(100, 200)
    history: Rate = Rate(20, 120)
    body_bytes: int = 16_384
    query_bytes: int = 16_384
    body_seconds: float = 5
    strict_content_type: bool = False
    connection: Bounds = Bounds()
    streams: StreamLimits = StreamLimits()


class ReplayGuard:
    """Remembers each signature for as long as its time window would accept it again. ``gateway.orders`` asks it."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], bool] = {}
        self._expiries: list[tuple[int, tuple[str, str]]] = []

    def first_use(self, bot: str, signature: str, expires: Millis, now: Millis, *, test: bool = False) -> bool:
        """Whether this is the first time; ``expires`` is the last instant at which the time window accepts the signature."""
        while self._expiries and self._expiries[0][0] < now:
            self._used.pop(heapq.heappop(self._expiries)[1])
        used = (bot, signature.lower())
        if used in self._used:
            return False
        self._used[used] = test
        heapq.heappush(self._expiries, (expires, used))
        return True

    def spent_on_a_test(self, bot: str, signature: str) -> bool:
        """Whether the signature was used for a test order: then it never places one."""
        return self._used.get((bot, signature.lower()), False)


def taken_by_an_earlier_process(timestamp: Millis, started: Millis) -> bool:
    """Whether a process before the one that took over at ``started`` may have accepted a request with this timestamp."""
    return timestamp <= started + MAX_FUTURE
