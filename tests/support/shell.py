"""A writer with a real journal file and a performer that only records effects; for the tests of the writer and its followers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from controller.core import event_codec
from controller.core import inputs as i
from controller.core.decisions.draft import Decision
from controller.core.effects import Effect
from controller.journal.chain import Record
from controller.journal.sqlite import open_journal, read_journal
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import BATCH_MOST, Writer
from exchange.model import Millis
from exchange.ports import VenueName
from tests.support.desk import Desk


class SetClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, at: Millis) -> None:
        self.at, self.ns = at, 1_000_000_000_000

    def now(self) -> Millis:
        return self.at

    def monotonic_ns(self) -> int:
        return self.ns


class Shell:
    """A writer, its journal file, and a performer that only records effects in ``performed``."""

    def __init__(self, desk: Desk, path: Path) -> None:
        self.desk, self.path = desk, path
        self.journal = open_journal(path, "desk")
        for at, group in groupby(desk.journal, key=lambda item: item[1]):
            self.journal.append([Record(event.kind, event_codec.encode(event)) for event, _ in group], at)
        self.clock = SetClock(desk.now)
        self.permits = PermitOffice(self.clock, epoch=1)
        self.inbox = Inbox(bound=8)
        self.performed: list[Effect] = []
        self.on_perform: Callable[[Effect], None] = self.performed.append
        self.on_prepare: Callable[[Effect], None] = lambda _: None
        self.writer = Writer(
            journal=self.journal,
            state=desk.state,
            clock=self.clock,
            permits=self.permits,
            inbox=self.inbox,
            perform=self._perform,
            prepare=self._prepare,
        )

    def _perform(self, effect: Effect) -> None:
        self.on_perform(effect)

    def _prepare(self, effect: Effect) -> None:
        self.on_prepare(effect)

    def ask(self, input_: i.Input) -> asyncio.Future[Decision]:
        return self.inbox.request(input_, self.clock.monotonic_ns())

    async def step(self) -> None:
        self.writer.step(await self.inbox.take(BATCH_MOST))

    def kinds_on_disk(self) -> list[str]:
        reader = read_journal(self.path)
        try:
            return [entry.kind for entry in reader.read()]
        finally:
            reader.close()


def tick(shell: Shell) -> i.Tick:
    market = shell.desk.market()
    return i.Tick({VenueName.TESTNET: market, VenueName.LIVE: market}, dict.fromkeys(VenueName, 3), shell.desk.heard())
