"""The archives beside a live journal: readers of the journal go through them, and learn which of them are not there (ADR 46)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from controller.journal.archive_file import ArchiveFile
from controller.journal.base import ArchivedRange, Base
from controller.journal.chain import Entry, Row, entry_of
from controller.journal.port import JournalError

DIRECTORY = "archive"
"""Its name beside the journal's file. It may be a link to another disk."""


class Archives:
    """The archives that ``base`` names, in ``directory``; none without a base. A file is opened when it is first read."""

    def __init__(self, directory: Path, base: Base | None) -> None:
        self._directory = directory
        self._base = base
        self._open: dict[str, ArchiveFile] = {}

    @property
    def upto(self) -> int:
        """The last archived entry; 0 when none is archived."""
        return self._base.seq if self._base is not None else 0

    @property
    def readable_after(self) -> int:
        """Every entry after this one can be read; 0 when all can."""
        lost = [one.last for one in self.missing]
        return max(lost, default=0)

    @property
    def missing(self) -> tuple[ArchivedRange, ...]:
        """The ranges whose file is not there, or does not have its size."""
        return tuple(one for one in self._base.archives if not self._is_there(one)) if self._base is not None else ()

    def path(self, one: ArchivedRange) -> Path:
        """Where the archive of a range belongs."""
        return self._directory / one.file

    def rows(self, after: int) -> Iterator[list[Row]]:
        """The archived entries after ``after`` as they are stored, page by page.

        Raises:
            JournalError: ``archive-missing`` or ``archive-damaged``.
        """
        for one in self._base.archives if self._base is not None else ():
            if one.last > after:
                yield from self._opened(one).rows(max(after, one.after))

    def read(self, after: int) -> Iterator[Entry]:
        """The archived entries after ``after``. Raises ``JournalError`` as ``rows`` does."""
        for page in self.rows(after):
            yield from map(entry_of, page)

    def hash_at(self, seq: int) -> str | None:
        """The hash of an archived entry; ``None`` when there is no such entry, or its archive cannot be read."""
        if self._base is None or not 0 < seq <= self._base.seq:
            return None
        if seq == 1:
            return self._base.genesis
        one = next(one for one in self._base.archives if seq <= one.last)
        if seq == one.last:
            return one.hash
        try:
            return self._opened(one).hash_at(seq)
        except JournalError:
            return None

    def close(self) -> None:
        """Close what was opened."""
        while self._open:
            self._open.popitem()[1].close()

    def _is_there(self, one: ArchivedRange) -> bool:
        try:
            return self.path(one).stat().st_size == one.bytes
        except OSError:
            return False

    def _opened(self, one: ArchivedRange) -> ArchiveFile:
        if one.file not in self._open:
            if not self._is_there(one):
                raise missing(self.path(one), one)
            self._open[one.file] = ArchiveFile(self.path(one))
            last = self._open[one.file].header.last
            if (last.seq, last.hash) != (one.last, one.hash):
                self._open.pop(one.file).close()
                raise missing(self.path(one), one)
        return self._open[one.file]


def missing(path: Path, one: ArchivedRange) -> JournalError:
    """The error that says which range of a journal cannot be read."""
    return JournalError(
        f"{one.title} are in the archive {one.file}, which is not in {path.parent}, or not complete",
        code="archive-missing",
        remedy=f"Put the file back into {path.parent}; `gatehouse journal verify --archive FILE` checks a copy of it.",
    )
