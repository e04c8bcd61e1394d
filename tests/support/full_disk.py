"""Runs a controller whose journal's disk is full from the moment a file named ``full`` lies in its directory."""

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
_mark = Path(sys.argv[1]) / "full"


def _refuse(self: SqliteJournal, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
    if _mark.exists():
        raise JournalWriteFailed("database or disk is full", code="journal-write-failed", remedy="Make room.")
    return _append(self, records, at)


SqliteJournal.append = _refuse  # type: ignore[method-assign]
asyncio.run(bootstrap.run(Path(sys.argv[1]), on_ready=lambda: None))
