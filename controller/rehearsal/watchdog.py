"""The watchdog of a rehearsal: its real log, lease and venue clients, in a task instead of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from controller.rehearsal.network import Sites
from controller.rehearsal.time import AtOnce
from controller.watchdog.process import Watchdog
from exchange.ports import Clock


@dataclass(frozen=True, slots=True)
class Beside:
    """What a watchdog takes from its surroundings."""

    directory: Path
    sites: Sites
    clock: Clock
    rng: Random
    worker: AtOnce = field(default_factory=AtOnce)


OpenWatchdog = Callable[[Beside, Callable[[str, str], None], AsyncExitStack], Watchdog]
"""Makes the watchdog of a deployment; ``stack`` closes what it opens. The second argument gets its alerts."""


@dataclass(slots=True, eq=False)
class InsideWatchdog:
    """A watchdog that runs until ``stop``. ``said`` are its alerts."""

    beside: Beside
    open_watchdog: OpenWatchdog
    address: Path
    said: list[tuple[str, str]] = field(default_factory=list)
    _running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen."""
        listening = asyncio.Event()
        self._running = asyncio.create_task(self._run(lambda _: listening.set()), name="watchdog")
        ends = asyncio.ensure_future(listening.wait())
        await asyncio.wait((ends, self._running), return_when=asyncio.FIRST_COMPLETED)
        ends.cancel()
        if self._running.done():
            self._running.result()

    async def stop(self) -> None:
        """End it at once."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self, on_listening: Callable[[str], None]) -> None:
        async with AsyncExitStack() as stack:
            watchdog = self.open_watchdog(self.beside, lambda *said: self.said.append(said), stack)
            await watchdog.run(self.address, on_listening)
