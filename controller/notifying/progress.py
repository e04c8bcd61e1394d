"""Watches that the work of a process goes on, and says so to its service manager (ADR 70). The verbs that run a process use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from controller.notifying.service_manager import ServiceManager

Progress = Callable[[], object]
"""A value that changes when the work went on; ``None`` before it has begun."""

_BEGUN_LOOK_S = 0.05


async def feed(manager: ServiceManager, progress: Progress, status: Callable[[], str]) -> None:
    """Say READY when ``progress`` has a value, then WATCHDOG=1 whenever it has changed, and ``status`` when it is another.

    Runs until it is cancelled.
    """
    seen, said = await _begun(progress), status()
    manager.ready(said)
    while True:
        await asyncio.sleep(manager.look_every_s)
        now, text = progress(), status()
        if now != seen:
            seen = now
            manager.alive()
        if text != said:
            said = text
            manager.status(said)


async def _begun(progress: Progress) -> object:
    value = progress()
    while value is None:
        await asyncio.sleep(_BEGUN_LOOK_S)
        value = progress()
    return value


@asynccontextmanager
async def fed(manager: ServiceManager, progress: Progress, status: str) -> AsyncIterator[None]:
    """``feed`` beside the block, with one status."""
    feeding = asyncio.create_task(feed(manager, progress, lambda: status), name="service manager")
    try:
        yield
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding


class LoopTurns:
    """Counts looks at it, so it changes as long as the event loop has turns. For a process whose work is to answer."""

    def __init__(self) -> None:
        self._turns = 0

    def __call__(self) -> int:
        """How often it was asked."""
        self._turns += 1
        return self._turns
