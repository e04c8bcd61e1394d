"""The one thread on which pages are drawn. ``frame`` and ``charts`` use it.

A page takes some 10 ms of processor time. Drawn on many threads at once, pages would take the interpreter's lock from the event
loop that admits orders and takes a halt, and in the threads that every library shares they would hold up name lookups and a
takeover. So one thread draws, a few pages wait for it, and more are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from controller.console.limits import TooMany

MOST_AT_ONCE = 16
RETRY_AFTER_S = 2

ResultT = TypeVar("ResultT")


class Drawer:
    """Draws on one thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pages")
        self._open = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for one page, from its first read on.

        Raises:
            TooMany: (503, ``too-many-pages``) ``MOST_AT_ONCE`` pages are being made.
        """
        if self._open >= MOST_AT_ONCE:
            raise TooMany(
                f"{self._open} pages are being made, and no more are begun, so that orders and a halt do not wait for pages",
                code="too-many-pages",
                remedy=f"Wait {RETRY_AFTER_S} s, and close console windows that nobody needs.",
                status=503,
                retry_after_s=RETRY_AFTER_S,
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def draw(self, work: Callable[[], ResultT]) -> ResultT:
        """The result of ``work``, which waits for what was asked before it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


DRAWER = Drawer()
"""Of this process. Its thread begins with the first page, and ends with the process."""
