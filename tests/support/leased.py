"""A writer with a leased journal whose server can stop answering; for the tests of the leased writer."""

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
    """A real journal file behind a lease and a server that can stop answering: clear ``answers`` to stop it."""

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
        raise AssertionError(f"no test reads the rows after {seq}")

    def _wait(self) -> None:
        assert self.answers.wait(10)
        if self.taken_over:
            raise JournalTakenOver("epoch 2 has taken the journal over from epoch 1", code="journal-fenced", remedy="Stop.")

    def rows(self) -> Iterator[list[Row]]:
        raise AssertionError("no test reads every row")

    def integrity(self) -> tuple[str, ...]:
        return ()

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)


class LeasedShell(Shell):
    """A writer with a leased journal; a test runs its ``writer.run()``."""

    def __init__(self, desk: Desk, path: Path) -> None:
        super().__init__(desk, path)
        self.leased = Leased(self.journal)
        self.failures: list[Failure] = []
        self.halts: list[str] = []
        self.writer = Writer(
            journal=self.leased,  # type: ignore[arg-type]
            state=desk.state,
            clock=self.clock,
            permits=self.permits,
            inbox=self.inbox,
            perform=self._perform,
            prepare=self._prepare,
            on_failure=self.failures.append,
            on_halt=self.halts.append,
        )

    async def tick(self) -> None:
        """Send one tick and wait until it is durable."""
        committed = asyncio.Event()
        self.writer.add_follower(lambda _: committed.set())
        self.inbox.fact(tick(self), self.clock.monotonic_ns())
        await asyncio.wait_for(committed.wait(), 5)

    def place(self, quantity: str) -> asyncio.Future[Decision]:
        return self.ask(self.desk.requested(quantity))


async def turns() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(wanted: Callable[[], bool]) -> None:
    while not wanted():  # noqa: ASYNC110 - it happens in a thread or in the writer, in any order
        await asyncio.sleep(0.005)
