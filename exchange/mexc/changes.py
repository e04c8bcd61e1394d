"""Wakes any number of waiting tasks at every change; no task misses a change. The market feed uses it."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary


class Changes:
    """A counter of changes that tasks can wait for. ``notify`` is cheap while no task waits."""

    def __init__(self) -> None:
        self._count = 0
        self._next: asyncio.Event | None = None
        self._last_counts: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    def notify(self) -> None:
        """Count one change and wake every waiting task."""
        self._count += 1
        if self._next is not None:
            self._next.set()
            self._next = None

    async def wait(self) -> None:
        """Return at the next change, or at once if there was one since this task's last wait."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("changes can only be awaited in a task")
        last_count = self._last_counts.get(task, self._count)
        while self._count == last_count:
            if self._next is None:
                self._next = asyncio.Event()
            await self._next.wait()
        self._last_counts[task] = self._count
