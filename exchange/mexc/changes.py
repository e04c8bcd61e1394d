"""Tells any number of waiting tasks that something has changed; none of them misses a change, none takes another's."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary


class Changes:
    """A count of changes that tasks can wait for. ``tell`` costs next to nothing while nobody waits."""

    def __init__(self) -> None:
        self._count = 0
        self._next: asyncio.Event | None = None
        self._seen: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    def tell(self) -> None:
        """Something has changed: wake everybody who waits."""
        self._count += 1
        if self._next is not None:
            self._next.set()
            self._next = None

    async def wait(self) -> None:
        """Return at the next change, or at once when there was one since this task's last wait returned."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("changes can only be awaited in a task")
        seen = self._seen.get(task, self._count)
        while self._count == seen:
            if self._next is None:
                self._next = asyncio.Event()
            await self._next.wait()
        self._seen[task] = self._count
