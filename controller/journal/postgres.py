"""The journal in PostgreSQL, with the same interface as the one in SQLite (architecture.md §7, reliability.md §2.C F55-F59).

``location`` opens it. One row contains the journal's owner, the fencing epoch in force and the lease of its writer. Every append
locks that row, compares epoch and head with its own, and renews the lease, in the transaction that inserts the entries. The epoch
protects the journal: a takeover raises it, and the old writer's next append is refused, even after a long pause. The lease protects
the venue: no one can take over before the old writer's permits have expired (``controller.journal.lease``).

If the answer to a COMMIT was lost, its outcome is read: the row lock waits until the lost transaction has ended, the head then
shows whether it was committed, and another synchronous commit ensures that the read data is also on the standby.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import psycopg

from controller.journal import lease as terms
from controller.journal.base import ArchivedRange, SignedBase
from controller.journal.chain import Entry, Head, Record, Row, genesis_hash, row_of, seal_all
from controller.journal.lease import Lease
from controller.journal.port import (
    JournalError,
    JournalFenced,
    JournalLocked,
    JournalPoisoned,
    JournalTakenOver,
    JournalWriteFailed,
)
from controller.journal.postgres_hold import PostgresHold
from controller.journal.postgres_link import Link, linked, unusable
from controller.journal.postgres_schema import create_once, not_synchronous, require_as_created, require_durable, require_exists
from exchange.model import Millis

_PAGE = 1000
_ENTRIES = "SELECT seq, epoch, at, kind, body, prev, hash FROM gatehouse.entry WHERE seq > %s ORDER BY seq LIMIT %s"
_INSERT = "INSERT INTO gatehouse.entry VALUES (%s, %s, %s, %s, %s, %s, %s)"
_LAST = "SELECT seq, hash FROM gatehouse.entry ORDER BY seq DESC LIMIT 1"
_LOCK = "SELECT epoch, current_setting('synchronous_standby_names') FROM gatehouse.controller FOR UPDATE"
_LEASE = """
SELECT epoch, CASE lease_until WHEN '-infinity' THEN '' ELSE extract(epoch FROM lease_until)::text END FROM gatehouse.controller
"""
_RENEW = """
UPDATE gatehouse.controller SET
  lease_until = greatest(clock_timestamp() + make_interval(secs => %s), lease_until + interval '1 microsecond')
WHERE epoch = %s
"""
_GIVE_BACK = "UPDATE gatehouse.controller SET lease_until = '-infinity' WHERE epoch = %s"
_RAISE = """
UPDATE gatehouse.controller SET
  lease_until = greatest(clock_timestamp() + make_interval(secs => %s), lease_until + interval '1 microsecond'),
  epoch = greatest(epoch, (SELECT coalesce(max(epoch), 0) FROM gatehouse.entry)) + 1
"""
_OWNER = "SELECT controller_id FROM gatehouse.controller FOR UPDATE"


def open_postgres(
    url: str,
    controller_id: str,
    *,
    password: str | None = None,
    synchronous: bool = False,
    over: Lease | None = None,
    seize: bool = False,
) -> PostgresJournal:
    """Open or create the journal for writing, and raise the epoch. One database holds one journal.

    Args:
        synchronous: refuse a server that does not wait for a synchronous standby, now and at every append.
        over: a lease known to have expired; it is taken over if it is still the one in force.
        seize: take over from a writer that may still run with valid permits. Only for a caller that places no orders.

    Raises:
        JournalLocked: another writer's lease is valid.
        JournalError: the database is no journal or another controller's, or the server is a standby, not durable or unreachable.
        ConfigError: ``bad-journal-url``.
    """
    link = linked(url, password)
    try:
        require_durable(link, synchronous=synchronous)
        link.begin()
        create_once(link, controller_id)
        require_as_created(link)
        _require_owner(link, controller_id)
        if not seize:
            _require_free(link, over)
        link.run(_RAISE, (terms.TERM_S,))
        head = _head(link, controller_id)
        link.commit()
        reading = Link(url, password)
    except psycopg.Error as error:
        link.close()
        raise unusable(error) from error
    except BaseException:
        link.close()
        raise
    return PostgresJournal(reading, link, controller_id, head, synchronous=synchronous)


def read_postgres(url: str, *, password: str | None = None) -> PostgresReader:
    """Open an existing journal for reading. Takes no lock and changes nothing; the server may be a standby.

    Raises:
        JournalError: there is none, it is not of this version, or the server cannot be used.
        ConfigError: ``bad-journal-url``.
    """
    link = linked(url, password)
    try:
        require_exists(link)
        require_as_created(link)
        ((owner,),) = link.rows("SELECT controller_id FROM gatehouse.controller")
    except psycopg.Error as error:
        link.close()
        raise unusable(error) from error
    except BaseException:
        link.close()
        raise
    return PostgresReader(link, str(owner))


class PostgresReader:
    """Reads durable entries of a journal in PostgreSQL. Implements ``FollowedJournal``. Any thread may read."""

    def __init__(self, link: Link, controller_id: str) -> None:
        self._link = link
        self._controller_id = controller_id
        self._read_lock = Lock()

    @property
    def controller_id(self) -> str:
        """The controller that owns the journal."""
        return self._controller_id

    @property
    def signed_base(self) -> SignedBase | None:
        """``None``: a journal in a database holds every entry (ADR 46)."""
        return None

    @property
    def readable_after(self) -> int:
        """0: every entry can be read."""
        return 0

    @property
    def missing(self) -> tuple[ArchivedRange, ...]:
        """Empty: nothing is archived."""
        return ()

    def archive_path(self, one: ArchivedRange) -> Path:
        """There is none: nothing is archived."""
        raise FileNotFoundError(one.file)

    @property
    def head(self) -> Head:
        """The last durable entry, read now."""
        with self._read_lock:
            try:
                self._link.ensure_open()
                return _head(self._link, self._controller_id)
            except psycopg.Error as error:
                raise unusable(error) from error

    def lease(self) -> Lease:
        """The lease of the journal's writer, read now."""
        ((epoch, until),) = self._rows(_LEASE)
        return Lease(epoch, until)

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

    def rows(self, after: int = 0) -> Iterator[list[Row]]:
        """Entries with ``seq > after`` as they are stored, ascending, page by page."""
        while page := self._rows(_ENTRIES, (after, _PAGE)):
            yield page
            after = page[-1][0]

    def rows_after(self, seq: int) -> list[Row]:
        """The first entries after ``seq`` as they are stored, up to a thousand; empty when there is none yet."""
        page = self._rows(_ENTRIES, (seq, _PAGE))
        return [(seq, epoch, at, kind, body, prev, digest) for seq, epoch, at, kind, body, prev, digest in page]

    def hash_at(self, seq: int) -> str | None:
        """The hash of one entry, or ``None`` when there is no such entry."""
        rows = self._rows("SELECT hash FROM gatehouse.entry WHERE seq = %s", (seq,))
        return "sha256:" + rows[0][0].hex() if rows else None

    def integrity(self) -> tuple[str, ...]:
        """The problems of the tables; empty when they are as gatehouse created them. The server checks the pages."""
        try:
            require_as_created(self._link)
        except psycopg.Error as error:
            return (str(error),)
        except JournalError as error:
            return (error.message,)
        return ()

    def close(self) -> None:
        """Close the connection. Closing twice is allowed."""
        self._link.end()

    def _rows(self, sql: str, values: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
        with self._read_lock:
            try:
                self._link.ensure_open()
                return self._link.rows(sql, values)
            except psycopg.Error as error:
                raise unusable(error) from error


class PostgresJournal(PostgresReader):
    """The only writer. Implements ``LeasedJournal``. Created by ``open_postgres``; appends and renewals run one at a time.

    It writes on a separate connection, so that no reader waits for an append or sees a part of one.
    """

    def __init__(self, reading: Link, writing: Link, controller_id: str, head: Head, *, synchronous: bool) -> None:
        super().__init__(reading, controller_id)
        self._writing = writing
        self._head = head
        self._synchronous = synchronous
        self._poison: str | None = None
        self._write_lock = Lock()

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
        with self._write_lock:
            return self._appended(records, at)

    def _appended(self, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        self._require_usable()
        entries, head = seal_all(records, self._head, at=at)
        if entries:
            self._write(entries, head)
            self._head = head
        return entries

    def renew(self) -> None:
        """Renew the lease with nothing to append. See ``LeasedJournal.renew``."""
        with self._write_lock:
            self._require_usable()
            self._write([], self._head)

    def hold(self) -> PostgresHold:
        """What makes every append wait, for a drill."""
        return PostgresHold(self._writing.another)

    def close(self) -> None:
        """Release the lease, if it is still ours and nothing failed, and close the connections. Closing twice is allowed."""
        if self._poison is None:
            self._poison = "it was closed"
            with suppress(psycopg.Error):
                self._writing.run(_GIVE_BACK, (self._head.epoch,))
        self._writing.close()
        super().close()

    def _require_usable(self) -> None:
        if self._poison:
            raise JournalPoisoned(
                f"the journal in PostgreSQL accepts no more entries: {self._poison}",
                code="journal-poisoned",
                remedy="Stop the controller, check the server, and start again; the start verifies what is durable.",
            )

    def _write(self, entries: Sequence[Entry], head: Head) -> None:
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

    def _prepare(self, entries: Sequence[Entry]) -> None:
        self._writing.begin()
        self._require(self._found(), self._head)
        if entries:
            self._writing.run_many(_INSERT, [row_of(entry) for entry in entries])
        self._writing.run(_RENEW, (terms.TERM_S, self._head.epoch))

    def _commit(self, head: Head) -> None:
        try:
            self._writing.commit()
        except psycopg.OperationalError:
            self._resolve_commit(head)

    def _resolve_commit(self, head: Head) -> None:
        """Find out whether a COMMIT took effect whose answer was lost or came with a warning."""
        self._writing.reconnect()
        self._writing.begin()
        found = self._found()
        self._require(found, head if found.seq == head.seq else self._head)
        self._writing.run(_RENEW, (terms.TERM_S, self._head.epoch))
        self._writing.commit()
        if found.seq != head.seq:
            raise psycopg.OperationalError("the connection was lost before the commit, and nothing was written")

    def _found(self) -> Head:
        ((_, standbys),) = self._writing.rows(_LOCK)
        if self._synchronous and not standbys:
            raise not_synchronous()
        return _head(self._writing, self._controller_id)

    def _require(self, found: Head, expected: Head) -> None:
        if found.epoch != self._head.epoch:
            raise JournalTakenOver(
                f"epoch {found.epoch} has taken the journal over from epoch {self._head.epoch}",
                code="journal-fenced",
                remedy="Let the newer controller run; this one must stop.",
            )
        if (found.seq, found.hash) != (expected.seq, expected.hash):
            raise JournalFenced(
                f"the journal ends at entry {found.seq}, not at our entry {expected.seq}",
                code="journal-head-moved",
                remedy="Stop this controller and find out what else writes to its journal.",
            )

    def _abandon(self, why: str) -> None:
        self._poison = why
        self._writing.rollback()


def _require_owner(link: Link, controller_id: str) -> None:
    ((owner,),) = link.rows(_OWNER)
    if owner != controller_id:
        raise JournalError(
            f"the journal in this database belongs to {owner}, not to {controller_id}",
            code="journal-other-controller",
            remedy="Point the controller at its own database; never copy a journal between deployments.",
        )


def _require_free(link: Link, over: Lease | None) -> None:
    ((epoch, until),) = link.rows(_LEASE)
    lease = Lease(epoch, until)
    if not lease.free and lease != over:
        raise JournalLocked(
            f"another writer holds the lease of the journal, under epoch {epoch}",
            code="journal-locked",
            remedy=f"Stop the other controller first, or wait until its lease has not been renewed for {terms.TERM_S} s.",
        )


def _head(link: Link, controller_id: str) -> Head:
    ((epoch,),) = link.rows("SELECT epoch FROM gatehouse.controller")
    rows = link.rows(_LAST)
    return Head(rows[0][0], "sha256:" + rows[0][1].hex(), epoch) if rows else Head(0, genesis_hash(controller_id), epoch)
