"""A watchdog's process in this event loop, over a real socket, with a venue of a few lines; for the tests of both its sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from controller.runtime.loop.clock import SystemClock
from controller.watchdog.lease import SECOND, Terms
from controller.watchdog.log import WatchdogLog
from controller.watchdog.process import Charge, Watchdog
from exchange.errors import VenueError
from exchange.ports import CancelAck, CancelOutcome, Venue, VenueName


@dataclass
class Books:
    """A venue with open orders; ``failing`` tries of it fail first."""

    orders: dict[str, int] = field(default_factory=dict)
    failing: int = 0
    defect: bool = False
    cancels: list[list[str]] = field(default_factory=list)

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        self.cancels.append(list(symbols))
        if self.failing > 0:
            self.failing -= 1
            if self.defect:
                raise AssertionError("a defect of the adapter")
            raise VenueError("the venue is silent", code="venue-silent", remedy="Wait.")
        for symbol in symbols:
            self.orders.pop(symbol, None)
        return CancelAck()

    async def remaining(self, symbols: Sequence[str]) -> Sequence[object]:
        return [object()] * sum(self.orders.get(symbol, 0) for symbol in symbols)


@dataclass
class Kennel:
    """A running watchdog with its venue, and the way to it."""

    watchdog: Watchdog
    books: Books
    address: Path | tuple[str, int]
    token: str
    report: list[str]
    running: asyncio.Task[None]
    connections: list[asyncio.StreamWriter] = field(default_factory=list)

    async def until(self, wanted: Callable[[], bool]) -> None:
        for _ in range(2_000):
            if wanted():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it did not come to that")


@asynccontextmanager
async def kennel(
    folder: Path, books: Books, *, address: Any = None, token: str = "", terms: Terms | None = None, name: str = "desk"
) -> AsyncIterator[Kennel]:
    log, report, ready = WatchdogLog(folder, name, SystemClock().now()), list[str](), asyncio.Event()
    venues = {VenueName.TESTNET: cast("Venue", books)}
    terms = terms or Terms(SECOND, 3600 * SECOND)
    watchdog = Watchdog(Charge(name, terms, venues, token), log, SystemClock(), lambda title, _: report.append(title))
    where = address or folder / "w.sock"
    running = asyncio.create_task(watchdog.run(where, lambda _: ready.set()))
    await asyncio.wait_for(ready.wait(), 20)
    built = Kennel(watchdog, books, where, token, report, running)
    try:
        yield built
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        for writer in built.connections:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        log.close()
