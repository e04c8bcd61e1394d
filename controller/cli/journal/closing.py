"""Finds the entry up to which a journal may be archived, for the command that persons sign. ``sign.archive`` calls it."""

from __future__ import annotations

import time
from pathlib import Path

from controller.cli.journal.files import opened, place_in, progressing
from controller.core.decisions.archiving import archive_document
from controller.journal.location import DatabaseLocation
from exchange.errors import Refused, UsageError

DAY_MS = 86_400_000


def require_file(directory: Path) -> None:
    """Refuse a journal that is in a database. Raises ``Refused`` (``archive-needs-file``)."""
    if isinstance(place_in(directory), DatabaseLocation):
        raise Refused(
            "the journal is in PostgreSQL, and only a journal in a file is archived",
            code="archive-needs-file",
            remedy="Give the database's disk more room. `gatehouse journal export DIR` makes a copy that verifies by itself.",
        )


def last_to_archive(directory: Path, *, keep_days: int, upto: int | None) -> str:
    """The subject of the command: the last entry that is older than ``keep_days``, or ``upto``, with its hash.

    Raises:
        Refused: ``archive-needs-file``, or ``nothing-closed`` when no entry is that old.
        UsageError: ``no-such-entry``.
    """
    require_file(directory)
    before = time.time_ns() // 1_000_000 - keep_days * DAY_MS
    with opened(directory) as reader:
        signed = reader.signed_base
        after, end = (signed.base.seq if signed is not None else 0), reader.head.seq
        if upto is None:
            with progressing("looking for old entries", end - after) as step:
                seqs = (entry.seq for entry in map(step, reader.read(after, max(0, end - after - 1))) if entry.at < before)
                upto = max(seqs, default=0)
        if upto <= after:
            raise Refused(
                f"no entry after {after} is older than {keep_days} days",
                code="nothing-closed",
                remedy="Keep fewer days with --keep, or name an entry with --upto.",
            )
        found = reader.hash_at(upto) if upto < end else None
        if found is None:
            raise UsageError(
                f"the journal ends at entry {end}, and entry {upto} cannot be the last archived one",
                code="no-such-entry",
                remedy="Name an earlier entry; `gatehouse journal tail` shows the last ones.",
            )
        return archive_document(upto, found)
