"""Copies a journal from PostgreSQL into a file, and a journal in a file into an empty database. ``controller.backup`` calls it.

The copy reads one snapshot of the database, so it ends between two transactions of the writer, and the writer waits for nothing.
The rows are taken as they are: the chain and its hashes do not depend on where a journal is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import cast

import apsw
import psycopg

from controller.journal.chain import Row
from controller.journal.port import JournalError
from controller.journal.postgres_link import Link, linked, unusable
from controller.journal.postgres_schema import create_once, require_as_created, require_durable, require_exists
from controller.journal.sqlite_schema import create, owner_of

_PAGE = 1000
_SNAPSHOT = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = '4s'; SET LOCAL idle_in_transaction_session_timeout = '60s'
"""
_ENTRIES = "SELECT seq, epoch, at, kind, body, prev, hash FROM gatehouse.entry WHERE seq > %s ORDER BY seq LIMIT %s"
_OWNER = "SELECT controller_id, epoch, (SELECT coalesce(max(seq), 0) FROM gatehouse.entry) FROM gatehouse.controller"
_INSERT = "INSERT INTO gatehouse.entry VALUES (%s, %s, %s, %s, %s, %s, %s)"


def size_of_database(url: str, password: str | None) -> int:
    """Bytes that the journal takes in the database. Raises ``JournalError``."""
    link = linked(url, password)
    try:
        require_exists(link)
        return int(link.rows("SELECT pg_total_relation_size('gatehouse.entry')")[0][0])
    except psycopg.Error as error:
        raise unusable(error) from error
    finally:
        link.close()


def copy_database(url: str, password: str | None, to: Path, on_entries: Callable[[int, int], object]) -> None:
    """Write a consistent copy of the journal in a database to the new file ``to``, mode 0600, a journal as ``sqlite`` writes it.

    ``on_entries`` hears of the progress.

    Raises:
        JournalError: ``journal-missing``, ``journal-schema``, ``journal-unusable``, ``journal-not-copied``.
        OSError: ``to`` exists or cannot be made.
    """
    to.touch(mode=0o600, exist_ok=False)
    link = linked(url, password)
    try:
        require_exists(link)
        link.run(_SNAPSHOT)
        require_as_created(link)
        target = apsw.Connection(str(to), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            _fill(link, target, on_entries)
        finally:
            target.close(True)  # noqa: FBT003
        link.rollback()
    except psycopg.Error as error:
        raise unusable(error) from error
    except apsw.Error as error:
        raise JournalError(
            f"the journal in PostgreSQL could not be copied to {to}: {error}",
            code="journal-not-copied",
            remedy="Check that the disk has free space for the journal, then run the command again.",
        ) from error
    finally:
        link.close()


def _fill(link: Link, target: apsw.Connection, on_entries: Callable[[int, int], object]) -> None:
    ((owner, epoch, total),) = link.rows(_OWNER)
    target.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN").fetchall()
    create(target, str(owner))
    done = 0
    while page := link.rows(_ENTRIES, (done, _PAGE)):
        target.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", page)
        done = int(page[-1][0])
        on_entries(done, int(total))
    if epoch:
        target.execute("UPDATE controller SET epoch = ?", (epoch,))
    target.execute("COMMIT; PRAGMA journal_mode = WAL").fetchall()


def load_database(
    path: Path, url: str, password: str | None, *, synchronous: bool, on_entries: Callable[[int, int], object]
) -> None:
    """Put the whole journal in the file ``path`` into the database at ``url``, which holds none yet, in one transaction.

    Raises:
        JournalError: ``journal-exists``, ``journal-not-whole``, and as ``open_postgres``.
    """
    link = linked(url, password)
    source = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        require_durable(link, synchronous=synchronous)
        owner = owner_of(source, path)
        first, total = _numbers(source, "SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM entry")
        if first != 1:
            raise JournalError(
                f"the journal in the copy goes on from entry {first - 1}, and a journal in PostgreSQL holds every entry",
                code="journal-not-whole",
                remedy="Restore it into a file: leave out --journal, or use --journal file.",
            )
        link.begin()
        link.run("SET LOCAL idle_in_transaction_session_timeout = '60s'")
        create_once(link, owner)
        require_as_created(link)
        _require_empty(link)
        _load(source, link, total, on_entries)
        link.commit()
    except psycopg.Error as error:
        raise unusable(error) from error
    finally:
        source.close(True)  # noqa: FBT003
        link.close()


def _require_empty(link: Link) -> None:
    if link.rows("SELECT epoch, EXISTS (SELECT FROM gatehouse.entry) FROM gatehouse.controller") != [(0, False)]:
        raise JournalError(
            "this database holds a journal already",
            code="journal-exists",
            remedy="Name a new, empty database: nothing is overwritten. Keep the old one, it may hold newer entries than the copy.",
        )


def _load(source: apsw.Connection, link: Link, total: int, on_entries: Callable[[int, int], object]) -> None:
    rows = cast("Iterator[Row]", source.execute("SELECT seq, epoch, at, kind, body, prev, hash FROM entry ORDER BY seq"))
    for epoch, group in groupby(rows, key=lambda row: row[1]):
        # The database takes an entry only of the epoch in force.
        link.run("UPDATE gatehouse.controller SET epoch = %s", (epoch,))
        while page := list(islice(group, _PAGE)):
            link.run_many(_INSERT, [*page])
            on_entries(page[-1][0], total)
    link.run("UPDATE gatehouse.controller SET epoch = greatest(epoch, %s)", _numbers(source, "SELECT epoch FROM controller"))


def _numbers(source: apsw.Connection, sql: str) -> tuple[int, ...]:
    """The only row of a query."""
    (row,) = cast("list[tuple[int, ...]]", source.execute(sql).fetchall())
    return row
