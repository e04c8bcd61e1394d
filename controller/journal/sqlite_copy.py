"""Copies a journal file while its controller writes it, with SQLite's online backup. ``controller.backup`` calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw

from controller.journal.port import JournalError

_PAGES = 2_000


def copy_journal(path: Path, to: Path, on_pages: Callable[[int, int], object]) -> None:
    """Write a consistent copy of the journal at ``path`` to the new file ``to``, mode 0600. ``on_pages`` hears of the progress.

    The copy reads one state of the file from beginning to end, so it holds whole transactions only. The writer is not delayed: in
    WAL mode it never waits for a reader. The copy is not synced, because its caller throws it away.

    Raises:
        JournalError: ``journal-not-copied``.
        OSError: ``to`` exists or cannot be made.
    """
    to.touch(mode=0o600, exist_ok=False)
    try:
        source = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            # One read transaction around all steps: without it every entry that is appended would begin the copy anew.
            source.execute("BEGIN; SELECT count(*) FROM controller")
            _copy(source, to, on_pages)
        finally:
            source.close(True)  # noqa: FBT003
    except apsw.Error as error:
        raise JournalError(
            f"the journal at {path} could not be copied: {error}",
            code="journal-not-copied",
            remedy="Check that the disk has free space for a second journal, then run the command again.",
        ) from error


def _copy(source: apsw.Connection, to: Path, on_pages: Callable[[int, int], object]) -> None:
    target = apsw.Connection(str(to), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        target.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF").fetchall()
        with target.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(_PAGES)
                on_pages(copying.page_count - copying.remaining, copying.page_count)
    finally:
        target.close(True)  # noqa: FBT003
