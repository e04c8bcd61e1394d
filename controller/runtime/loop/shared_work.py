"""Work that several proposals may ask for at once: it runs once, and each waits a little. Statistics and replays use it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

_log = logging.getLogger(__name__)


class SharedWork:
    """``work`` under ``name``. Who asks waits ``waits_s`` seconds at most; it goes on when it takes longer."""

    def __init__(self, name: str, work: Callable[[], Coroutine[object, object, None]], waits_s: float) -> None:
        self._name = name
        self._work = work
        self._waits_s = waits_s
        self._running: asyncio.Task[None] | None = None

    async def soon(self) -> None:
        """Begin it unless it runs, and wait a little. An error of the work is logged, and nobody who waits gets it."""
        if self._running is None:
            self._running = asyncio.create_task(self._work(), name=self._name)
            self._running.add_done_callback(self._ended)
        await asyncio.wait({self._running}, timeout=self._waits_s)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("the %s ended with an error: %s", self._name, error)
