"""Runs a controller whose journal's disk is full while a file named ``full`` exists in its directory; for the crash tests."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from controller import bootstrap
from controller.journal.chain import Entry, Record
from controller.journal.port import JournalWriteFailed
from controller.journal.sqlite import SqliteJournal
from exchange.model import Millis

_append = SqliteJournal.append
_full = Path(sys.argv[1]) / "full"


def _refuse(self: SqliteJournal, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
    if _full.exists():
        raise JournalWriteFailed("database or disk is full", code="journal-write-failed", remedy="Make room.")
    return _append(self, records, at)


SqliteJournal.append = _refuse  # type: ignore[method-assign]
asyncio.run(bootstrap.run(Path(sys.argv[1]), on_ready=lambda: None))
