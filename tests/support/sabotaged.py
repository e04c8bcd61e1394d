"""Runs a controller that breaks when a file of that name appears in its directory; for tests/crash.

``busy``: a callback keeps the event loop busy. ``hang-commit``: the journal's next append does not return. ``hang-order``: the
next append of an order does not return. ``kill-writer``: the writer's task ends.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from controller import bootstrap
from controller.journal.chain import Entry, Record
from controller.journal.sqlite import SqliteJournal
from controller.runtime.loop.writer import Writer
from exchange.model import Millis

HERE = Path(sys.argv[1])
_append, _run = SqliteJournal.append, Writer.run
_writers: list["asyncio.Task[None]"] = []


def _append_or_hang(self: SqliteJournal, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
    order = any(record.kind == "order-admitted" for record in records)
    if (HERE / "hang-commit").exists() or (order and (HERE / "hang-order").exists()):
        time.sleep(600)
    return _append(self, records, at)


async def _remembered(self: Writer) -> None:
    task = asyncio.current_task()
    assert task is not None
    _writers.append(task)
    await _run(self)


def _stay_busy() -> None:
    end = time.monotonic() + 600
    while time.monotonic() < end:
        sum(range(1000))


async def _sabotage() -> None:
    while True:
        await asyncio.sleep(0.02)
        if (HERE / "busy").exists():
            _stay_busy()
        if (HERE / "kill-writer").exists():
            _writers[-1].cancel()


async def _main() -> None:
    sabotage = asyncio.create_task(_sabotage())
    await bootstrap.run(HERE, on_ready=lambda: None)
    sabotage.cancel()


SqliteJournal.append = _append_or_hang  # type: ignore[method-assign]
Writer.run = _remembered  # type: ignore[method-assign]
asyncio.run(_main())
