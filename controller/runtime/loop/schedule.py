"""Calls the tick four times a second, for ``controller.runtime.assembly`` (architecture.md §9).

It schedules nothing else: what is due follows from the state, so a restart loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from exchange.ports import Clock

TICK_EVERY_S = 0.25


class Ticking(Protocol):
    """What calls a function again and again."""

    def shutdown(self) -> None:
        """Call it no more."""
        ...


StartTicking = Callable[[Callable[[], None]], Ticking]
"""Begins to call a function four times a second on the running loop."""


class LoopTicks:
    """Calls ``tick`` on the running loop's thread, by the loop's own clock: a wall clock that is set changes nothing."""

    def __init__(self, tick: Callable[[], None], every_s: float) -> None:
        self._tick = tick
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._due_s = self._loop.time() + every_s
        self._next = self._loop.call_at(self._due_s, self._run)

    def shutdown(self) -> None:
        """Call it no more."""
        self._next.cancel()

    def _run(self) -> None:
        # Before the tick, so that one that fails does not end the ticks.
        self._due_s = max(self._due_s + self._every_s, self._loop.time())
        self._next = self._loop.call_at(self._due_s, self._run)
        self._tick()


def start_ticking(tick: Callable[[], None], every_s: float = TICK_EVERY_S) -> LoopTicks:
    """Call ``tick`` on the running loop's thread, four times a second, until it is shut down.

    Late ticks are merged into one, never dropped. The assembly calls this once, from the loop.
    """
    return LoopTicks(tick, every_s)


class Ticker:
    """Queues a tick four times a second. ``turned_ns`` is when the event loop last had a turn for it; any thread may read it."""

    def __init__(self, queue: Callable[[], None], clock: Clock, start: StartTicking = start_ticking) -> None:
        self._queue = queue
        self._clock = clock
        self._start = start
        self._ticking: Ticking | None = None
        self.turned_ns = clock.monotonic_ns()

    def start(self) -> None:
        """Begin, on the running loop."""
        self._ticking = self._start(self._tick)

    def stop(self) -> None:
        """Queue no more ticks."""
        if self._ticking is not None:
            self._ticking.shutdown()

    def _tick(self) -> None:
        self.turned_ns = self._clock.monotonic_ns()
        self._queue()
