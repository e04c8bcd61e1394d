"""Measures what SQLite's settings change for the journal: the synced append of one entry, with the settings in use and with others.

Every journal holds 20,000 entries first, so that its indexes have several levels. They take turns append by append.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import apsw

from controller.journal.chain import Record
from controller.journal.sqlite import SqliteJournal, open_journal
from exchange.model import Millis
from ops.bench.measure import Contest, Figures, Line, Round
from ops.bench.order_path import synced

_ENTRIES, _APPENDS, _FLOOR, _BODY = 20_000, 300, 100, 500
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that differ from those in use; 0 is as in use."""

    what: str
    page_bytes: int = 0
    pragma: str = ""


_IN_USE = Settings("in use")
_OTHERS = (
    Settings("pages of 1,024 bytes", page_bytes=1_024, pragma="wal_autocheckpoint = 4000"),
    Settings("pages of 2,048 bytes", page_bytes=2_048, pragma="wal_autocheckpoint = 2000"),
    Settings("pages of 8,192 bytes", page_bytes=8_192, pragma="wal_autocheckpoint = 500"),
    Settings("a checkpoint every 250 pages", pragma="wal_autocheckpoint = 250"),
    Settings("a checkpoint every 4,000 pages", pragma="wal_autocheckpoint = 4000"),
    Settings("a log that is cut at each checkpoint", pragma="journal_size_limit = 0"),
)


class _Appending:
    """A journal with one choice of settings, and the times of its appends in microseconds."""

    def __init__(self, path: Path, settings: Settings, rng: Random) -> None:
        self._rng = rng
        self._journal = _opened(path, settings)
        self.times: list[float] = []

    def fill(self, entries: int) -> None:
        """Append so many entries, which are not measured."""
        for _ in range(0, entries, _BATCH):
            self._journal.append([self._record() for _ in range(_BATCH)], Millis(0))

    def append(self) -> None:
        """Append one entry and note how long it took."""
        record = self._record()
        began = time.perf_counter()
        self._journal.append((record,), Millis(0))
        self.times.append((time.perf_counter() - began) * 1e6)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _record(self) -> Record:
        return Record("order.admitted", self._rng.randbytes(_BODY // 2).hex().encode())


def _opened(path: Path, settings: Settings) -> SqliteJournal:
    if settings.page_bytes:
        # A file keeps the size of page that it was made with.
        with closing(apsw.Connection(str(path))) as file:
            file.pragma("page_size", settings.page_bytes)
            file.pragma("journal_mode", "wal")
    journal = open_journal(path, "desk")
    if settings.pragma:
        journal._connection.execute(f"PRAGMA {settings.pragma}").fetchall()  # noqa: SLF001 - nothing else may choose them
    return journal


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """The bench; ``size`` scales the entries that are there first and the appends of a round."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as place, ExitStack() as stack:
        folder, rng = Path(place), Random(1)
        journals = {}
        for number, one in enumerate((_IN_USE, *_OTHERS)):
            journals[one.what] = _Appending(folder / f"{number}.db", one, rng)
            stack.callback(journals[one.what].close)
            journals[one.what].fill(int(_ENTRIES * size))

        def one_round(_: int) -> Figures:
            for _ in range(max(20, int(_APPENDS * size))):
                for journal in journals.values():
                    journal.append()
            medians = {what: statistics.median(journal.times) for what, journal in journals.items()}
            for journal in journals.values():
                journal.times.clear()
            return {**medians, "floor": synced(folder / "floor", _FLOOR)}

        yield one_round


CONTEST = Contest(
    "journal-settings",
    (
        Line("journal: one entry appended and synced", "µs", _IN_USE.what, "floor", "fdatasync of 500 bytes"),
        *(Line("journal: the same", "µs", _IN_USE.what, one.what, one.what) for one in _OTHERS),
    ),
    opened,
)
