"""The journal in PostgreSQL, behind the same contract as the one in SQLite (DESIGN §7, reliability.md §2.C F55-F59).

One row says whose the journal is, the fencing epoch in force and until when its writer's lease runs. Every append locks that row,
compares epoch and head with its own, and renews the lease, in the transaction that inserts the entries. The lease is courtesy: it
keeps a standby from taking over a writer that is well. Safety is the epoch: whoever takes over raises it, and the old writer's
next append is refused, however long it slept.

A COMMIT whose answer was lost is settled by reading: the row lock waits until the lost transaction has ended, the head then says
which way, and one more synchronous commit makes sure that what was read is also where it must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from controller.journal.chain import Entry, Head, Record, Row, genesis_hash, seal
from controller.journal.port import JournalError, JournalFenced, JournalLocked, JournalPoisoned, JournalWriteFailed
from controller.journal.postgres_link import Link, checked_url, unusable
from controller.journal.postgres_schema import create_once, require_as_made, require_durable, require_exists
from exchange.model import Millis

LEASE_S = 10
"""How long a writer that says nothing keeps others from opening the journal."""

_PAGE = 1000
_ENTRIES = "SELECT seq, epoch, at, kind, body, prev, hash FROM gatehouse.entry WHERE seq > %s ORDER BY seq LIMIT %s"
_INSERT = "INSERT INTO gatehouse.entry VALUES (%s, %s, %s, %s, %s, %s, %s)"
_LAST = "SELECT seq, hash FROM gatehouse.entry ORDER BY seq DESC LIMIT 1"
_LOCK = "SELECT epoch FROM gatehouse.controller FOR UPDATE"
_RENEW = "UPDATE gatehouse.controller SET lease_until = clock_timestamp() + make_interval(secs => %s) WHERE epoch = %s"
_RAISE = """
UPDATE gatehouse.controller SET lease_until = clock_timestamp() + make_interval(secs => %s),
  epoch = greatest(epoch, (SELECT coalesce(max(epoch), 0) FROM gatehouse.entry)) + 1
"""
_TAKEN = """
SELECT controller_id, greatest(extract(epoch FROM lease_until - clock_timestamp()), 0)::float8 FROM gatehouse.controller FOR UPDATE
"""


def open_postgres(url: str, controller_id: str, *, password: str | None = None, seize: bool = False) -> PostgresJournal:
    """Open or create the journal for writing, and raise the epoch. One database holds one journal.

    ``seize`` takes over from a writer whose lease still runs; its next append is then refused.

    Raises:
        JournalLocked: another writer's lease runs.
        JournalError: the journal is another controller's or not one, or the server is a standby, not durable or not there.
        ConfigError: ``bad-journal-url``.
    """
    link = _linked(url, password)
    try:
        require_durable(link)
        link.begin()
        create_once(link, controller_id)
        require_as_made(link)
        _require_free(link, controller_id, seize=seize)
        link.run(_RAISE, (LEASE_S,))
        head = _head(link, controller_id)
        link.commit()
    except psycopg.Error as error:
        link.close()
        raise unusable(error) from error
    except BaseException:
        link.close()
        raise
    return PostgresJournal(link, controller_id, head)


def read_postgres(url: str, *, password: str | None = None) -> PostgresReader:
    """Open an existing journal for reading. Takes no lock and changes nothing; a standby will do.

    Raises:
        JournalError: there is none, it is not of this version, or the server cannot be used.
        ConfigError: ``bad-journal-url``.
    """
    link = _linked(url, password)
    try:
        require_exists(link)
        require_as_made(link)
        ((owner,),) = link.rows("SELECT controller_id FROM gatehouse.controller")
    except psycopg.Error as error:
        link.close()
        raise unusable(error) from error
    except BaseException:
        link.close()
        raise
    return PostgresReader(link, str(owner))


class PostgresReader:
    """Durable entries of a journal in PostgreSQL. Implements ``StoredJournal``."""

    def __init__(self, link: Link, controller_id: str) -> None:
        self._link = link
        self._controller_id = controller_id

    @property
    def controller_id(self) -> str:
        """Whose journal it is."""
        return self._controller_id

    @property
    def head(self) -> Head:
        """The last durable entry, read now."""
        try:
            return _head(self._link, self._controller_id)
        except psycopg.Error as error:
            raise unusable(error) from error

    def read(self, after: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Entries with ``seq > after``, ascending, fetched in pages so that no transaction stays open."""
        left = limit
        while left is None or left > 0:
            page = self._rows(_ENTRIES, (after, _PAGE if left is None else min(_PAGE, left)))
            for seq, epoch, at, kind, body, prev, digest in page:
                yield Entry(seq, epoch, Millis(at), kind, body, "sha256:" + prev.hex(), "sha256:" + digest.hex())
            if not page:
                return
            after = page[-1][0]
            left = None if left is None else left - len(page)

    def rows(self) -> Iterator[list[Row]]:
        """All entries as they are stored, ascending, page by page."""
        after = 0
        while page := self._rows(_ENTRIES, (after, _PAGE)):
            yield [(seq, epoch, at, kind, body, prev, digest) for seq, epoch, at, kind, body, prev, digest in page]
            after = page[-1][0]

    def hash_at(self, seq: int) -> str | None:
        """The hash of one entry, or ``None`` when there is no such entry."""
        rows = self._rows("SELECT hash FROM gatehouse.entry WHERE seq = %s", (seq,))
        return "sha256:" + rows[0][0].hex() if rows else None

    def integrity(self) -> tuple[str, ...]:
        """What is wrong with the tables; nothing when they are as gatehouse made them. Pages are the server's to check."""
        try:
            require_as_made(self._link)
        except psycopg.Error as error:
            return (str(error),)
        except JournalError as error:
            return (error.message,)
        return ()

    def close(self) -> None:
        """Let the connection go. Closing twice is fine."""
        self._link.close()

    def _rows(self, sql: str, values: tuple[int, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._link.rows(sql, values)
        except psycopg.Error as error:
            raise unusable(error) from error


class PostgresJournal(PostgresReader):
    """The one writer. Implements ``Journal``. Made by ``open_postgres``; used by one thread at a time."""

    def __init__(self, link: Link, controller_id: str, head: Head) -> None:
        super().__init__(link, controller_id)
        self._head = head
        self._poison: str | None = None

    @property
    def epoch(self) -> int:
        """This writer's fencing epoch."""
        return self._head.epoch

    @property
    def head(self) -> Head:
        """The last entry this writer knows to be durable."""
        return self._head

    def append(self, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        """Make all records durable in one transaction, or none. See ``Journal.append``."""
        if self._poison:
            raise JournalPoisoned(
                f"the journal in PostgreSQL takes no more entries: {self._poison}",
                code="journal-poisoned",
                remedy="Stop the controller, see to the server, and start again; the start verifies what is durable.",
            )
        entries, head = [], self._head
        for record in records:
            entry = seal(record, head, epoch=self._head.epoch, at=at)
            head = Head(entry.seq, entry.hash, self._head.epoch)
            entries.append(entry)
        if entries:
            self._write(entries, head)
            self._head = head
        return tuple(entries)

    def close(self) -> None:
        """Give the lease back, if it is still ours, and let the connection go. Closing twice is fine."""
        if self._poison is None:
            self._poison = "it was closed"
            try:
                self._link.run(_RENEW, (0, self._head.epoch))
            except psycopg.Error:
                self._link.close()
        super().close()

    def _write(self, entries: list[Entry], head: Head) -> None:
        try:
            self._prepare(entries)
            self._commit(head)
        except psycopg.Error as error:
            self._abandon(f"a write failed: {error}")
            raise JournalWriteFailed(
                f"{len(entries)} entries after {self._head.seq} may or may not be durable in PostgreSQL: {str(error).strip()}",
                code="journal-write-failed",
                remedy="Stop the controller, check the server, and start again; the start verifies what is durable.",
            ) from error
        except BaseException:
            self._abandon("an append was interrupted, or another writer took over")
            raise

    def _prepare(self, entries: list[Entry]) -> None:
        self._link.begin()
        self._require(self._found(), self._head)
        self._link.run_many(_INSERT, [_row(entry) for entry in entries])
        self._link.run(_RENEW, (LEASE_S, self._head.epoch))

    def _commit(self, head: Head) -> None:
        try:
            self._link.commit()
        except psycopg.OperationalError:
            self._settle(head)

    def _settle(self, head: Head) -> None:
        """Find out what became of a COMMIT whose answer was lost or came with a warning."""
        self._link.reconnect()
        self._link.begin()
        found = self._found()
        self._require(found, head if found.seq == head.seq else self._head)
        self._link.run(_RENEW, (LEASE_S, self._head.epoch))
        self._link.commit()
        if found.seq != head.seq:
            raise psycopg.OperationalError("the connection was lost before the commit, and nothing was written")

    def _found(self) -> Head:
        self._link.rows(_LOCK)
        return _head(self._link, self._controller_id)

    def _require(self, found: Head, expected: Head) -> None:
        if found.epoch != self._head.epoch:
            raise JournalFenced(
                f"epoch {found.epoch} has taken the journal over from epoch {self._head.epoch}",
                code="journal-fenced",
                remedy="Leave the newer controller running; this one must stop.",
            )
        if (found.seq, found.hash) != (expected.seq, expected.hash):
            raise JournalFenced(
                f"the journal ends at entry {found.seq}, not at our entry {expected.seq}",
                code="journal-head-moved",
                remedy="Stop this controller and find out what else writes to its journal.",
            )

    def _abandon(self, why: str) -> None:
        self._poison = why
        self._link.rollback()


def _linked(url: str, password: str | None) -> Link:
    try:
        return Link(checked_url(url), password)
    except psycopg.Error as error:
        raise unusable(error) from error


def _require_free(link: Link, controller_id: str, *, seize: bool) -> None:
    ((owner, left),) = link.rows(_TAKEN)
    if owner != controller_id:
        raise JournalError(
            f"the journal in this database belongs to {owner}, not to {controller_id}",
            code="journal-other-controller",
            remedy="Point the controller at its own database; never copy a journal between deployments.",
        )
    if left > 0 and not seize:
        raise JournalLocked(
            f"another writer's lease of the journal runs for {left:.1f} s more",
            code="journal-locked",
            remedy=f"Stop the other controller first, or wait {LEASE_S} s after it died.",
        )


def _head(link: Link, controller_id: str) -> Head:
    ((epoch,),) = link.rows("SELECT epoch FROM gatehouse.controller")
    rows = link.rows(_LAST)
    return Head(rows[0][0], "sha256:" + rows[0][1].hex(), epoch) if rows else Head(0, genesis_hash(controller_id), epoch)


def _row(entry: Entry) -> tuple[int, int, int, str, bytes, bytes, bytes]:
    seq, epoch, at, kind, body, prev, digest = entry
    return seq, epoch, at, kind, body, bytes.fromhex(prev[7:]), bytes.fromhex(digest[7:])
