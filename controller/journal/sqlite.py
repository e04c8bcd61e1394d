"""The journal in SQLite: one writer connection, WAL, ``synchronous=FULL`` (architecture.md §7, gates-authority-journal.md §3.3).

``location`` opens it. Three things prevent a second writer: OS locks on a file beside the database and on the database itself,
which cannot be removed without losing the journal; a fencing epoch that every opening raises; and the comparison of epoch and head
with our own inside each append's transaction. Any storage error ends the writer: after a failed COMMIT or fsync it is unknown what
is durable until the file is opened and read again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import apsw

from controller.journal.archives import DIRECTORY, Archives
from controller.journal.base import ArchivedRange, Base, SignedBase
from controller.journal.chain import Entry, Head, Record, Row, entry_of, genesis_hash, row_of, seal_all
from controller.journal.files import sync_directory
from controller.journal.port import (
    JournalError,
    JournalFenced,
    JournalLocked,
    JournalPoisoned,
    JournalReplaced,
    JournalTakenOver,
    JournalWriteFailed,
)
from controller.journal.sqlite_base import free_part, rebase, shrink
from controller.journal.sqlite_schema import APPLICATION_ID, base_of, create, owner_of, ownerless
from exchange.errors import IntegrityError
from exchange.model import Millis

MINIMUM_SQLITE = (3, 51, 3)
"""Older versions can lose a committed WAL frame when two connections are open (gates-authority-journal.md §3.3)."""

_BUSY_MS, _PAGE = 250, 1000
MAX_SEQ = 2**63 - 1
_MOST_PAGES = 4_294_967_294
"""SQLite's own limit."""

_HEAD = """
SELECT epoch, seq, hash FROM (SELECT epoch FROM controller) LEFT JOIN (SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1)
"""


def open_journal(path: Path, controller_id: str) -> SqliteJournal:
    """Open or create the journal for writing: takes the OS lock and raises the epoch.

    Raises:
        JournalLocked: another process has it open for writing.
        JournalError: it belongs to another controller, was written by another version, is not a journal, or cannot be opened.
    """
    _require_sqlite()
    locks = [_lock(path.with_name(path.name + ".lock"), path, os.O_CREAT)]
    try:
        created = _create_file(path)
        locks.append(_lock(path.resolve(), path))
        connection = _connect(path, apsw.SQLITE_OPEN_READWRITE)
        try:
            epoch = _take_over(connection, controller_id, path)
        except BaseException:
            connection.close(True)  # noqa: FBT003
            raise
        if created:
            sync_directory(path.parent)
        return SqliteJournal(connection, locks, path, controller_id, epoch)
    except apsw.Error as error:
        _unlock(locks)
        raise _unusable(path, error) from error
    except BaseException:
        _unlock(locks)
        raise


def read_journal(path: Path) -> SqliteReader:
    """Open an existing journal for reading, while its controller runs or not. Takes no lock and changes nothing.

    Raises:
        JournalError: there is none, it is not a journal, or it cannot be read.
    """
    _require_sqlite()
    if not path.is_file():
        raise JournalError(
            f"there is no journal at {path}",
            code="journal-missing",
            remedy="Pass the path of a journal, or start the controller once.",
        )
    try:
        connection = _connect(path, apsw.SQLITE_OPEN_READONLY)
        return SqliteReader(connection, path, owner_of(connection, path))
    except apsw.Error as error:
        raise _unusable(path, error) from error


class SqliteReader:
    """Reads durable entries of a journal file, and of the archives beside it. Implements ``StoredJournal``."""

    def __init__(self, connection: apsw.Connection, path: Path, controller_id: str) -> None:
        self._connection = connection
        self._path = path
        self._controller_id = controller_id
        self._open_archives()

    @property
    def controller_id(self) -> str:
        """The controller that owns the journal."""
        return self._controller_id

    @property
    def signed_base(self) -> SignedBase | None:
        """What the file says about the entries that were archived; ``None`` when it holds every entry."""
        return self._signed_base

    @property
    def missing(self) -> tuple[ArchivedRange, ...]:
        """The archived ranges whose file is not there."""
        return self._archives.missing

    def archive_path(self, one: ArchivedRange) -> Path:
        """Where the archive of a range belongs."""
        return self._archives.path(one)

    @property
    def readable_after(self) -> int:
        """Every entry after this one can be read: 0 unless an archive is not there."""
        return self._archives.readable_after

    @property
    def head(self) -> Head:
        """The last durable entry, read now."""
        try:
            return _head(self._connection, self._controller_id)
        except apsw.Error as error:
            raise _unusable(self._path, error) from error

    def read(self, after: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Entries with ``seq > after``, ascending, fetched in pages so that no read blocks the write-ahead log.

        Raises:
            JournalError: ``archive-missing`` when one of them is in an archive that is not there.
        """
        left = limit
        if after < self._archives.upto and limit != 0:
            for entry in islice(self._archives.read(after), limit):
                yield entry
                after = entry.seq
                left = None if left is None else left - 1
        while left is None or left > 0:
            page = self._rows(
                "SELECT seq, epoch, at, kind, body, prev, hash FROM entry WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, _PAGE if left is None else min(_PAGE, left)),
            )
            if page and page[0][0] != after + 1:
                self._require_same_base()
            yield from map(entry_of, page)
            if not page:
                return
            after = page[-1][0]
            left = None if left is None else left - len(page)

    def rows(self, after: int = 0, last: int = MAX_SEQ) -> Iterator[list[Row]]:
        """Entries as they are stored, ascending, page by page: all of them, or those with ``after < seq <= last``.

        Raises:
            JournalError: as ``read``.
        """
        if after < self._archives.upto:
            for page in self._archives.rows(after):
                if kept := [row for row in page if row[0] <= last]:
                    yield kept
            after = self._archives.upto
        while page := self._rows(
            "SELECT seq, epoch, at, kind, body, prev, hash FROM entry WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after, last, _PAGE),
        ):
            yield page
            after = page[-1][0]

    def hash_at(self, seq: int) -> str | None:
        """The hash of one entry, or ``None`` when there is no such entry or its archive is not there."""
        rows = self._rows("SELECT hash FROM entry WHERE seq = ?", (seq,)) if seq <= MAX_SEQ else []
        return "sha256:" + rows[0][0].hex() if rows else self._archives.hash_at(seq)

    def integrity(self) -> tuple[str, ...]:
        """The problems that SQLite itself finds in the file; empty when there is none."""
        try:
            return tuple(text for (text,) in self._connection.execute("PRAGMA integrity_check(10)") if text != "ok")
        except apsw.Error as error:
            return (str(error),)

    def close(self) -> None:
        """Close the file. Closing twice is allowed, and a disk error is ignored: durable entries were durable before."""
        self._archives.close()
        with suppress(apsw.Error):
            self._connection.close(True)  # noqa: FBT003

    def _open_archives(self) -> None:
        self._signed_base = base_of(self._connection)
        try:
            base: Base | None = self._signed_base.base if self._signed_base is not None else None
        except IntegrityError as error:
            raise JournalError(error.message, code=error.code, remedy=error.remedy) from error
        self._archives = Archives(self._path.parent / DIRECTORY, base)

    def _require_same_base(self) -> None:
        """Entries are missing: an archiving that was finished since this reader opened the file moved them, or they are gone."""
        if base_of(self._connection) != self._signed_base:
            raise JournalError(
                "entries were moved into an archive while they were read",
                code="journal-archived",
                remedy="Run the command again.",
            )

    def _rows(self, sql: str, values: tuple[int, ...]) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise _unusable(self._path, error) from error


class SqliteJournal(SqliteReader):
    """The only writer of a journal file. Implements ``Journal``. Created by ``open_journal``; used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, locks: list[int], path: Path, controller_id: str, epoch: int) -> None:
        super().__init__(connection, path, controller_id)
        self._locks = locks
        self._epoch = epoch
        self._poison: str | None = None
        self.release_reserve: Callable[[], bool] = lambda: False  # called when the disk is full
        last = _head(connection, controller_id)
        self._head = Head(last.seq, last.hash, epoch)
        real = path.resolve()
        self._files = {file: _identity(file) for file in (path, real, real.with_name(real.name + "-wal"))}

    @property
    def epoch(self) -> int:
        """This writer's fencing epoch."""
        return self._epoch

    @property
    def head(self) -> Head:
        """The last entry this writer knows to be durable."""
        return self._head

    def append(self, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        """Make all records durable in one transaction, or none. See ``Journal.append``."""
        self._require_usable()
        entries, head = seal_all(records, self._head, at=at)
        if entries:
            self._commit(entries)
            self._head = head
        return entries

    def renew(self) -> None:
        """Prove durably that this writer still leads: one synced write that adds nothing. See ``Journal.renew``."""
        self._require_usable()
        self._commit(())

    def rebase(self, signed: SignedBase) -> None:
        """Remove the entries that are archived, and keep the base instead, in one transaction. See ``sqlite_base.rebase``."""
        self._require_usable()
        try:
            rebase(self._connection, signed, self._head)
        except apsw.Error as error:
            self._abandon(f"an archiving failed: {error}")
            raise JournalWriteFailed(
                f"the archived entries may or may not be removed from {self._path}: {error}",
                code="journal-write-failed",
                remedy="Check the disk, then run `gatehouse journal archive` again: it goes on where it was interrupted.",
            ) from error
        self._archives.close()
        self._open_archives()

    def free_part(self) -> float:
        """Which part of the file is free pages, from 0 to 1."""
        return free_part(self._connection)

    def shrink(self) -> None:
        """Give free pages of the file back to the disk. See ``sqlite_base.shrink``."""
        self._require_usable()
        try:
            shrink(self._connection)
        except apsw.Error as error:
            raise _unusable(self._path, error) from error

    def forbid_growth(self, forbidden: bool) -> None:  # noqa: FBT001
        """Let the file grow no more, so that SQLite itself refuses an append as on a full disk; or let it grow again.

        A drill calls it. Freeing the reserve allows growth again, as it does on a real disk.
        """
        with suppress(apsw.Error):
            pages = self._connection.execute("PRAGMA page_count").fetchall()[0][0] if forbidden else _MOST_PAGES
            self._connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    def close(self) -> None:
        """Close the file and release the OS locks. Closing twice is allowed."""
        self._poison = self._poison or "it was closed"
        super().close()
        _unlock(self._locks)

    def _require_usable(self) -> None:
        if self._poison:
            raise JournalPoisoned(
                f"the journal at {self._path} accepts no more entries: {self._poison}",
                code="journal-poisoned",
                remedy="Stop the controller, repair the storage, and start again; the start verifies what is durable.",
            )
        self._require_same_files()

    def _commit(self, entries: Sequence[Entry]) -> None:
        try:
            try:
                self._transact(entries)
            except apsw.FullError:
                if not self.release_reserve():  # a write on a full disk changed nothing, unlike a failed sync
                    raise
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self.forbid_growth(False)  # noqa: FBT003
                self._transact(entries)
        except apsw.Error as error:
            self._abandon(f"a write failed: {error}")
            raise JournalWriteFailed(
                f"{len(entries)} entries after {self._head.seq} may or may not be durable in {self._path}: {error}",
                code="journal-write-failed",
                remedy="Stop the controller, check the disk, and start again; the start verifies what is durable.",
            ) from error
        except BaseException:
            self._abandon("an append was interrupted, or another writer took over")
            raise

    def _transact(self, entries: Sequence[Entry]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._require_ours(_last(self._connection, self._controller_id))
        if entries:
            self._connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", map(row_of, entries))
        else:
            # Writes the first page again as it is: a COMMIT that wrote nothing would sync nothing.
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._connection.execute("COMMIT")

    def _require_same_files(self) -> None:
        """SQLite would go on writing to a file that was removed or replaced, and the next start would read the other one."""
        for file, opened in self._files.items():
            if _identity(file) != opened:
                self._poison = f"{file} is not the file that was opened"
                raise JournalReplaced(
                    f"{file} was removed or replaced while it was open",
                    code="journal-replaced",
                    remedy="Find out what replaced it. The next start halts, and says which entries are missing.",
                )

    def _require_ours(self, found: tuple[int, int | None, bytes | None]) -> None:
        epoch, seq, digest = found
        if epoch != self._epoch:
            raise JournalTakenOver(
                f"epoch {epoch} has taken the journal over from epoch {self._epoch}",
                code="journal-fenced",
                remedy="Let the newer controller run; this one must stop.",
            )
        # Compared as it is stored: each append comes here. Where there is no entry, the hash is that of the genesis.
        ours = (self._head.seq, bytes.fromhex(self._head.hash[7:])) if self._head.seq else (None, None)
        if (seq, digest) != ours:
            raise JournalFenced(
                f"the journal ends at entry {seq or 0}, not at our entry {self._head.seq}",
                code="journal-head-moved",
                remedy="Stop this controller and find out what else writes to its journal.",
            )

    def _abandon(self, why: str) -> None:
        self._poison = why
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self._connection.close(True)  # noqa: FBT003


def _head(connection: apsw.Connection, controller_id: str) -> Head:
    epoch, seq, digest = _last(connection, controller_id)
    return Head(seq, "sha256:" + digest.hex(), epoch) if seq and digest else Head(0, genesis_hash(controller_id), epoch)


def _last(connection: apsw.Connection, controller_id: str) -> tuple[int, int | None, bytes | None]:
    """The epoch, and number and hash of the last entry as they are stored; ``None`` for both when there is none."""
    rows: list[Any] = connection.execute(_HEAD).fetchall()
    if not rows:
        raise ownerless(controller_id)
    epoch, seq, digest = rows[0]
    return epoch, seq, digest


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _require_sqlite() -> None:
    found = apsw.sqlite_lib_version()
    if tuple(int(part) for part in found.split(".")[:3]) < MINIMUM_SQLITE:
        wanted = ".".join(map(str, MINIMUM_SQLITE))
        raise JournalError(
            f"SQLite {found} can lose committed entries; {wanted} is the first version that does not",
            code="journal-sqlite-too-old",
            remedy="Install the apsw wheel of requirements.lock, which contains its own SQLite.",
        )


def _lock(file: Path, path: Path, flags: int = 0) -> int:
    try:
        handle = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if not isinstance(error, BlockingIOError):
            raise _unusable(path, error) from error
        raise JournalLocked(
            f"another process is writing the journal at {path}",
            code="journal-locked",
            remedy="Stop the other controller first; only one controller may act for an account.",
        ) from None
    return handle


def _unlock(locks: list[int]) -> None:
    """Call it after the connection is closed: to close a file takes SQLite's own locks of it away."""
    while locks:
        os.close(locks.pop())


def _create_file(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise _unusable(path, error) from error
    return True


def _connect(path: Path, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(_BUSY_MS)
    connection.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL")
    return connection


def _take_over(connection: apsw.Connection, controller_id: str, path: Path) -> int:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != ("wal",):
        raise _unusable(path, ValueError(f"journal_mode is {mode}"))
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA schema_version").fetchone() == (0,):
        create(connection, controller_id)
    owner = owner_of(connection, path)
    if owner != controller_id:
        raise JournalError(
            f"the journal at {path} belongs to {owner}, not to {controller_id}",
            code="journal-other-controller",
            remedy="Use the controller's own journal; never copy a journal between deployments.",
        )
    connection.execute("UPDATE controller SET epoch = max(epoch, (SELECT coalesce(max(epoch), 0) FROM entry)) + 1")
    epoch = _head(connection, controller_id).epoch
    connection.execute("COMMIT")
    return epoch


def _unusable(path: Path, error: Exception) -> JournalError:
    return JournalError(
        f"the journal at {path} cannot be used: {error}",
        code="journal-unusable",
        remedy="Check that the disk works and has free space, and that the controller's user owns the file and its directory.",
    )
