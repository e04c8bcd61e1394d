"""Waits at a start for a venue that is slow or down, and says what it waits for. ``gatehouse testnet`` uses it too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from exchange.errors import DeadlineExceeded, Unreachable, VenueError
from exchange.model import Millis
from exchange.ports import Clock

T = TypeVar("T")

PAUSE_FIRST_S, PAUSE_MOST_S, _LONGER = 0.1, 5.0, 1.25
"""The pause between two questions; it grows by a quarter, so an answer is missed by a fifth of the wait at most."""

SAY_AGAIN_MOST_S = 60.0
"""A wait is reported when it begins, when its reason changes, and each time it has lasted twice as long, at least this often."""

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a start waits for, since when, why, and what to do about it."""

    what: str
    since: Millis
    seconds: int
    because: str
    remedy: str

    def line(self, since: str) -> str:
        """One line for people; ``since`` is the instant in words."""
        return f"waiting for {self.what} since {since} ({self.seconds} s): {self.because}. {self.remedy}"


OnWaiting = Callable[[Waiting], None]


async def until_answered(ask: Callable[[], Awaitable[T]], what: str, clock: Clock, on_waiting: OnWaiting) -> T:
    """Ask until there is an answer, however long that takes. A venue that refuses is asked again too: it may still be starting."""
    since, began_ns = clock.now(), clock.monotonic_ns()
    pause_s, say_at_s, said = PAUSE_FIRST_S, 0.0, ""
    while True:
        try:
            return await ask()
        except (VenueError, Unreachable, DeadlineExceeded) as error:
            waited_s = (clock.monotonic_ns() - began_ns) / _NS
            if error.message != said or waited_s >= say_at_s:
                on_waiting(Waiting(what, since, int(waited_s), error.message, error.remedy))
                say_at_s = waited_s + min(max(waited_s, 1.0), SAY_AGAIN_MOST_S)
                said = error.message
        await asyncio.sleep(pause_s)
        pause_s = min(_LONGER * pause_s, PAUSE_MOST_S)
