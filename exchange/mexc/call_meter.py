"""Counts the calls to one host, in slots: answers that say stop, and how much of each limit was used. ``ratelimit`` calls it.

The limits are the strictest that are published (mexc-spot-v3.md §1.4), over 10 s, in which MEXC counts its weights.
``exchange.mexc.ratelimit`` keeps bursts within a second below them; here is counted what a run keeps up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from exchange.model import Millis
from exchange.ports import Clock
from exchange.venue_slots import KEPT, SLOT_MS, CallSlot

_SPAN_NS = 10_000_000_000
_MILLISECOND = 1_000_000

ALL, ORDERS, ACCOUNTS = "requests", "orders and cancels", "account queries"
PER_10_S: Mapping[str, int] = {ALL: 200, ORDERS: 120, ACCOUNTS: 20}
"""Requests in 10 s: 20, 12 and 2 a second."""


class CallMeter:
    """The calls of this process to one host. Not for several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: dict[str, deque[int]] = {name: deque() for name in PER_10_S}
        self._slots: deque[CallSlot] = deque(maxlen=KEPT)
        self._shown: tuple[CallSlot, ...] = ()
        self._number = 0
        self._open()

    def sent(self, *buckets: str) -> None:
        """A request leaves that counts for these limits, besides that of all requests."""
        self._roll()
        now = self._clock.monotonic_ns()
        self._requests += 1
        for name in (ALL, *buckets):
            recent = self._sent[name]
            recent.append(now)
            while recent[0] <= now - _SPAN_NS:
                recent.popleft()
            self._most[name] = max(self._most[name], len(recent))

    def answered(self, status: int) -> None:
        """A reply came with an error's status."""
        self._roll()
        self._limited += status == 429
        self._banned += status in {403, 418}

    @property
    def slots(self) -> tuple[CallSlot, ...]:
        """The closed slots, oldest first."""
        self._roll()
        return self._shown

    def _roll(self) -> None:
        lasted = (self._clock.monotonic_ns() - self._began_ns) // _MILLISECOND
        if lasted < SLOT_MS:
            return
        self._number += 1
        use = {name: Decimal(most) / PER_10_S[name] for name, most in self._most.items()}
        end = Millis(self._began + lasted)
        self._slots.append(CallSlot(self._number, self._began, end, self._requests, self._limited, self._banned, use))
        self._shown = tuple(self._slots)
        self._open()

    def _open(self) -> None:
        self._began, self._began_ns = self._clock.now(), self._clock.monotonic_ns()
        self._requests = self._limited = self._banned = 0
        self._most = dict.fromkeys(PER_10_S, 0)
