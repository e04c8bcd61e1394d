"""The state directory of a testnet: one SQLite file, and a lock that one process holds (ADR 33). ``persistence`` uses it.

Every change is one transaction in the write-ahead log. What is committed survives the process in every case, because the kernel
has it. A thread makes it durable against a loss of power every ``SYNC_EVERY_S``; a commit that reserves numbers is durable at once.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import apsw

from exchange.errors import ConfigError, GatehouseError, IntegrityError, Refused
from exchange.model import Millis

STATE_FILE, LOCK_FILE = "venue.db", "venue.lock"
SYNC_EVERY_S = 1.0
ATTACHED = "attached"
"""The word in the lock file of a process that ``gatehouse run`` started and may end."""

_APPLICATION_ID, _SCHEMA_VERSION = 0x67746573, 1
_SCHEMA = """
CREATE TABLE venue (one INTEGER PRIMARY KEY CHECK (one = 1), instance TEXT NOT NULL, created INTEGER NOT NULL) STRICT;
CREATE TABLE run (began INTEGER PRIMARY KEY, seen INTEGER NOT NULL) STRICT;
CREATE TABLE balance (account TEXT, asset TEXT, free TEXT NOT NULL, locked TEXT NOT NULL, PRIMARY KEY (account, asset))
  STRICT, WITHOUT ROWID;
CREATE TABLE placed (sequence INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE fill (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE transfer (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE document (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
_PLACED = "INSERT OR REPLACE INTO placed VALUES (?, ?)"
_FILL = "INSERT INTO fill (body) VALUES (?)"
_BALANCE = "INSERT OR REPLACE INTO balance VALUES (?, ?, ?, ?)"
_TRANSFER = "INSERT INTO transfer (body) VALUES (?)"
_DOCUMENT = "INSERT OR REPLACE INTO document VALUES (?, ?)"


class StateError(GatehouseError):
    """The testnet's state cannot be written. The venue must end: it would acknowledge what it forgets."""


@dataclass(slots=True)
class Changes:
    """What one transaction writes: ``placed`` by sequence, ``balances`` by account and asset. ``durable``: synced at once."""

    placed: dict[int, str] = field(default_factory=dict)
    fills: list[str] = field(default_factory=list)
    balances: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    transfers: list[str] = field(default_factory=list)
    documents: dict[str, str] = field(default_factory=dict)
    seen: Millis | None = None
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the venue: its start, and when it was last known to live."""

    began: Millis
    seen: Millis


class Store:
    """An open state directory. One thread writes; a second one syncs."""

    def __init__(self, connection: apsw.Connection, lock: int, path: Path, runs: Sequence[Run]) -> None:
        self._connection = connection
        self._lock = lock
        self._path = path
        self._failure: str | None = None
        self.runs = tuple(runs)
        instance, created = connection.execute("SELECT instance, created FROM venue").fetchall()[0]
        self.instance, self.created = str(instance), str(created)
        self._changed, self._ending = Event(), Event()
        self._syncing = Thread(target=self._sync, name="testnet state", daemon=True)
        self._syncing.start()

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self._path.parent

    def write(self, changes: Changes) -> None:
        """Commit changes, all of them or none.

        Raises:
            StateError: the disk is full or fails. Every later call raises it too.
        """
        if self._failure is not None:
            raise _unwritable(self._path, self._failure)
        execute = self._connection.execute
        try:
            if changes.durable:
                execute("PRAGMA synchronous = FULL")
            execute("BEGIN IMMEDIATE")
            for statement, rows in (
                (_PLACED, changes.placed.items()),
                (_FILL, [(one,) for one in changes.fills]),
                (_BALANCE, [(*key, *both) for key, both in changes.balances.items()]),
                (_TRANSFER, [(one,) for one in changes.transfers]),
                (_DOCUMENT, changes.documents.items()),
            ):
                if rows:
                    self._connection.executemany(statement, rows)
            if changes.seen is not None:
                execute("UPDATE run SET seen = max(seen, ?) WHERE began = ?", (changes.seen, self.runs[-1].began))
            execute("COMMIT")
            if changes.durable:
                execute("PRAGMA synchronous = NORMAL")
        except apsw.Error as error:
            self._failure = str(error)
            raise _unwritable(self._path, self._failure) from error
        self._changed.set()

    def balances(self) -> list[tuple[str, str, str, str]]:
        """Every balance as account, asset, free and locked."""
        return self._rows("SELECT account, asset, free, locked FROM balance ORDER BY account, asset")

    def placed(self) -> Iterable[str]:
        """Every order, in the order they were placed."""
        return (body for (body,) in self._rows("SELECT body FROM placed ORDER BY sequence"))

    def fills(self) -> Iterable[str]:
        """Every fill, oldest first."""
        return (body for (body,) in self._rows("SELECT body FROM fill ORDER BY number"))

    def transfers(self) -> Iterable[str]:
        """Every transfer, oldest first."""
        return (body for (body,) in self._rows("SELECT body FROM transfer ORDER BY number"))

    def documents(self) -> Mapping[str, str]:
        """Every document by its name."""
        return dict(self._rows("SELECT name, body FROM document"))

    def close(self) -> None:
        """Sync and release the directory. Closing twice is allowed."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._changed.set()
        self._syncing.join()
        with suppress(apsw.Error):
            self._connection.close(True)  # noqa: FBT003
        os.close(self._lock)

    def _rows(self, sql: str) -> list[Any]:
        try:
            return self._connection.execute(sql).fetchall()
        except apsw.Error as error:
            raise _unusable(self._path, str(error)) from error

    def _sync(self) -> None:
        try:
            connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                while not self._ending.is_set():
                    self._changed.wait()
                    self._changed.clear()
                    self._checkpoint(connection)
                    self._ending.wait(SYNC_EVERY_S)
            finally:
                connection.close(True)  # noqa: FBT003
        except apsw.Error as error:
            # What is not durable must not be acknowledged as if it were.
            self._failure = f"it cannot be synced: {error}"

    @staticmethod
    def _checkpoint(connection: apsw.Connection) -> None:
        """Sync the log, copy it into the file and sync that. It waits for nobody and blocks no writer."""
        with suppress(apsw.BusyError):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def open_store(directory: Path, now: Millis, mark: str = "") -> Store:
    """Open a state directory, or make it with a new instance id. ``mark`` is written into the lock file beside the process id.

    Raises:
        Refused: another testnet has it open.
        ConfigError: it cannot be used.
        StateError: its disk is full, fails or is read-only.
        IntegrityError: its file is not a testnet's, or is damaged.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(directory, mark)
    except OSError as error:
        dangling = directory.is_symlink() and not directory.exists()
        why = f"it is a link to {directory.readlink()}, which does not exist" if dangling else error.strerror
        raise ConfigError(
            f"the state directory {directory} cannot be used: {why}",
            code="testnet-state-unwritable",
            remedy="Give the testnet a directory it may write to with --state DIR.",
        ) from error
    path = directory / STATE_FILE
    try:
        connection = apsw.Connection(str(path))
        return Store(connection, lock, path, _begin_run(connection, path, now))
    except (apsw.FullError, apsw.ReadOnlyError, apsw.IOError) as error:
        # The disk is at fault, not the file: nobody may be sent to restore or move away what is whole.
        os.close(lock)
        raise _unwritable(path, str(error)) from error
    except apsw.Error as error:
        os.close(lock)
        raise _unusable(path, str(error)) from error
    except BaseException:
        os.close(lock)
        raise


def holder(directory: Path) -> tuple[int, str] | None:
    """The process that has a state directory open and its mark; ``None`` when none has, or when it cannot be looked into.

    A testnet that is then started says what is wrong with the directory.
    """
    try:
        handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, mark = os.pread(handle, 100, 0).decode("ascii").partition(" ")
        return (int(pid) if pid.isdigit() else 0, mark)
    finally:
        os.close(handle)
    return None


def _locked(directory: Path, mark: str) -> int:
    handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Refused(
            f"another testnet has the state directory {directory} open",
            code="testnet-state-locked",
            remedy="Stop it first, or give this one another directory with --state DIR.",
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()} {mark}".encode("ascii"), 0)
    return handle


def _begin_run(connection: apsw.Connection, path: Path, now: Millis) -> list[Run]:
    connection.set_busy_timeout(1000)
    # Its rows are read, because apsw runs a statement only when the rows of the one before it are.
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0").fetchall()
    application, version = (connection.execute(f"PRAGMA {name}").fetchall()[0][0] for name in ("application_id", "user_version"))
    with connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall():
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_SCHEMA_VERSION}")
            connection.execute("INSERT INTO venue VALUES (1, ?, ?)", (secrets.token_hex(16), now))
        elif (application, version) != (_APPLICATION_ID, _SCHEMA_VERSION):
            raise _unusable(path, "it is another program's file, or of another version")
        runs = [
            Run(Millis(began), Millis(seen)) for began, seen in connection.execute("SELECT began, seen FROM run ORDER BY began")
        ]
        # A clock that was set back must not make this run an older one.
        began = Millis(max(now, runs[-1].began + 1 if runs else now))
        connection.execute("INSERT INTO run VALUES (?, ?)", (began, began))
    connection.execute("PRAGMA synchronous = NORMAL")
    return [*runs, Run(began, began)]


def _unusable(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"the testnet's state {path} cannot be read: {why}",
        code="testnet-state-damaged",
        remedy="Restore the directory from a backup, or move it away: the testnet then begins as another one, with new accounts.",
    )


def _unwritable(path: Path, why: str) -> StateError:
    return StateError(
        f"the testnet's state {path} cannot be written: {why}",
        code="testnet-state-unwritable",
        remedy="Make room on its disk, then start the testnet again: it has everything that it acknowledged.",
    )
