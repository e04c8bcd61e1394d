"""Calls the tick four times a second, for ``controller.runtime.assembly`` (architecture.md §9).

It schedules nothing else: what is due follows from the state, so a restart loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from exchange.ports import Clock

TICK_EVERY_S = 0.25


class Ticking(Protocol):
    """What calls a function again and again."""

    def shutdown(self, wait: bool = ...) -> None:  # noqa: FBT001 - apscheduler's signature
        """Call it no more."""
        ...


StartTicking = Callable[[Callable[[], None]], Ticking]
"""Begins to call a function four times a second on the running loop."""


def start_ticking(tick: Callable[[], None], every_s: float = TICK_EVERY_S) -> AsyncIOScheduler:
    """Call ``tick`` on the running loop's thread, four times a second, until the scheduler is shut down.

    Late ticks are merged into one, never dropped. The assembly calls this once, from the loop.
    """

    # The scheduler runs a coroutine on the loop and anything else on a pool thread, where it must not use the loop's objects.
    async def tick_on_loop() -> None:
        tick()

    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(tick_on_loop, "interval", seconds=every_s, misfire_grace_time=None, coalesce=True, max_instances=1)
    scheduler.start()
    return scheduler


class Ticker:
    """Queues a tick four times a second. ``turned_ns`` is when the event loop last had a turn for it; any thread may read it."""

    def __init__(self, queue: Callable[[], None], clock: Clock, start: StartTicking = start_ticking) -> None:
        self._queue = queue
        self._clock = clock
        self._start = start
        self._scheduler: Ticking | None = None
        self.turned_ns = clock.monotonic_ns()

    def start(self) -> None:
        """Begin, on the running loop."""
        self._scheduler = self._start(self._tick)

    def stop(self) -> None:
        """Queue no more ticks."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)

    def _tick(self) -> None:
        self.turned_ns = self._clock.monotonic_ns()
        self._queue()
