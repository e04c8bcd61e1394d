"""A writer over a journal under a lease, on a server that can fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

from controller.core.decisions.draft import Decision
from controller.journal.chain import Entry, Record, Row
from controller.journal.lease import Lease
from controller.journal.port import JournalTakenOver
from controller.journal.sqlite import SqliteJournal
from controller.runtime.loop.writer import Failure, Writer
from exchange.model import Millis
from tests.support.desk import Desk
from tests.support.shell import Shell, tick


class Leased:
    """A real journal file behind a server that can fall silent, and a lease."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.answers = Event()
        self.answers.set()
        self.renewed = 0
        self.taken_over = False

    def append(self, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        self._wait()
        return self._journal.append(records, at)

    def renew(self) -> None:
        self._wait()
        self.renewed += 1

    def lease(self) -> Lease:
        return Lease(1, str(self.renewed))

    def rows_after(self, seq: int) -> list[Row]:
        raise AssertionError(f"nothing here follows from {seq}")

    def _wait(self) -> None:
        assert self.answers.wait(10)
        if self.taken_over:
            raise JournalTakenOver("epoch 2 has taken the journal over from epoch 1", code="journal-fenced", remedy="Stop.")

    def rows(self) -> Iterator[list[Row]]:
        raise AssertionError("nothing here reads everything")

    def integrity(self) -> tuple[str, ...]:
        return ()

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)


class LeasedShell(Shell):
    """A writer on a leased journal, running."""

    def __init__(self, desk: Desk, path: Path) -> None:
        super().__init__(desk, path)
        self.leased = Leased(self.journal)
        self.failures: list[Failure] = []
        self.halting: list[str] = []
        self.writer = Writer(
            journal=self.leased,  # type: ignore[arg-type]
            state=desk.state,
            clock=self.clock,
            permits=self.permits,
            inbox=self.inbox,
            perform=self._perform,
            failing=self.failures.append,
            halting=self.halting.append,
        )

    async def tick(self) -> None:
        """One tick decided and durable."""
        batches = asyncio.Event()
        self.writer.watch(lambda _: batches.set())
        self.inbox.fact(tick(self), self.clock.monotonic_ns())
        await asyncio.wait_for(batches.wait(), 5)

    def place(self, quantity: str) -> asyncio.Future[Decision]:
        return self.ask(self.desk.requested(quantity))


async def turns() -> None:
    """Let everything that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(wanted: Callable[[], bool]) -> None:
    while not wanted():  # noqa: ASYNC110 - what is awaited happens in a thread and in the writer, in any order
        await asyncio.sleep(0.005)
