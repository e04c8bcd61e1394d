"""An event loop whose time passes only while everything waits: minutes are tested in milliseconds, whatever the machine's load."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from exchange.model import Millis

T = TypeVar("T")

_EPOCH_MS = 1_800_000_000_000


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Skips every wait. Use it without sockets and threads."""

    def __init__(self) -> None:
        super().__init__(_Skipping(self))
        self.passed_s = 0.0

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.passed_s


class _Skipping(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everything waits for ever"
        self._loop.passed_s += max(0.0, timeout)
        return super().select(0)


class VirtualTimeWithSockets(VirtualTimeLoop):
    """Skips a wait only while no socket has anything to read. Server and client both run in it, without threads."""

    def __init__(self) -> None:
        asyncio.SelectorEventLoop.__init__(self, _SkippingWhileQuiet(self))
        self.passed_s = 0.0


class _SkippingWhileQuiet(_Skipping):
    def select(self, timeout: float | None = None) -> Any:
        ready = selectors.SelectSelector.select(self, 0)
        if ready or timeout is None or timeout <= 0:
            return ready
        return super().select(timeout)


class VirtualClock:
    """``exchange.ports.Clock`` on the time of the running ``VirtualTimeLoop``."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop

    def now(self) -> Millis:
        """Wall time."""
        return Millis(_EPOCH_MS + int(self._loop.passed_s * 1000))

    def monotonic_ns(self) -> int:
        """The loop's time."""
        return int(self._loop.passed_s * 1_000_000_000)


def run_in_virtual_time(work: Coroutine[Any, Any, T], loop: VirtualTimeLoop) -> T:
    """Run ``work`` to its end, and cancel what it leaves behind."""
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()
