"""Replaces the first entries of a journal file by a base, in one transaction (ADR 46). ``SqliteJournal`` calls it."""

from __future__ import annotations

from typing import Any

import apsw

from controller.journal.base import RECORD, SignedBase, is_record_of
from controller.journal.chain import Head
from controller.journal.sqlite_schema import BASE, BASED, ENTRIES, FOLLOWS
from exchange.errors import IntegrityError


def rebase(connection: apsw.Connection, signed: SignedBase, head: Head) -> None:
    """Remove every entry up to the base, and store the base. A crash leaves the file as it was, or finished.

    The table of entries is made anew, because dropping a table frees its pages without writing them. Nothing happens unless the
    journal still ends at ``head``, holds the last archived entry with its hash, and repeats the base in a later entry.

    Raises:
        IntegrityError: ``base-differs``; the journal is not the one that was archived.
        apsw.Error: the storage failed; the caller abandons the connection.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _require_archived(connection, signed, head)
        connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM main.entry WHERE seq > ?", (signed.base.seq,))
        connection.execute("DROP TABLE main.entry; DROP TABLE IF EXISTS main.base")
        connection.execute(ENTRIES)
        connection.execute("INSERT INTO main.entry SELECT * FROM temp.kept ORDER BY seq; DROP TABLE temp.kept")
        connection.execute(FOLLOWS + BASE)
        connection.execute("INSERT INTO base VALUES (1, ?, ?)", (signed.document, signed.signature))
        connection.execute(f"PRAGMA user_version = {BASED}")
        connection.execute("COMMIT")
    except IntegrityError:
        connection.execute("ROLLBACK")
        raise


def shrink(connection: apsw.Connection) -> None:
    """Give free pages back to the disk, and empty the write-ahead log. A crash loses nothing."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def free_part(connection: apsw.Connection) -> float:
    """Which part of the file is free pages, from 0 to 1."""
    free: list[Any] = connection.execute("PRAGMA freelist_count").fetchall()
    pages: list[Any] = connection.execute("PRAGMA page_count").fetchall()
    return float(free[0][0]) / max(1, int(pages[0][0]))


def _require_archived(connection: apsw.Connection, signed: SignedBase, head: Head) -> None:
    base = signed.base
    last: list[Any] = connection.execute("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1").fetchall()
    archived: list[Any] = connection.execute("SELECT hash FROM entry WHERE seq = ?", (base.seq,)).fetchall()
    records: list[Any] = connection.execute(
        "SELECT body FROM entry WHERE seq > ? AND kind = ? ORDER BY seq DESC LIMIT 1", (base.seq, RECORD)
    ).fetchall()
    wrong = (
        "it ends at another entry"
        if not last or (last[0][0], "sha256:" + last[0][1].hex()) != (head.seq, head.hash)
        else f"its entry {base.seq} is not the archived one"
        if not archived or "sha256:" + archived[0][0].hex() != base.hash
        else "no entry of it repeats the base"
        if not records or not is_record_of(records[0][0], signed.document)
        else ""
    )
    if wrong:
        raise IntegrityError(
            f"nothing was removed from the journal: {wrong}",
            code="base-differs",
            remedy="Keep the journal and the archive, and find out what wrote to the journal.",
        )
