"""Where a deployment's journal is stored: a SQLite file or a PostgreSQL database. ``settings`` and ``bootstrap`` use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from controller.journal.lease import Lease
from controller.journal.port import FollowedJournal, Journal, JournalError, LeasedJournal, StoredJournal
from controller.journal.sqlite import open_journal, read_journal
from exchange.errors import ConfigError

FILE_NAME = "journal.db"


class JournalLocation(Protocol):
    """The location of a journal, which need not exist yet."""

    def exists(self) -> bool:
        """Whether there is a journal. Raises ``JournalError`` when that cannot be found out."""
        ...

    def open(self, controller_id: str) -> Journal:
        """Open it for writing; create it if it is missing. Raises ``JournalError``."""
        ...

    def read(self) -> StoredJournal:
        """Open it for reading. Raises ``JournalError`` (``journal-missing`` and others)."""
        ...


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A SQLite file."""

    path: Path

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    def open(self, controller_id: str) -> Journal:
        """See ``open_journal``."""
        return open_journal(self.path, controller_id)

    def read(self) -> StoredJournal:
        """See ``read_journal``."""
        return read_journal(self.path)


@dataclass(frozen=True, slots=True)
class DatabaseLocation:
    """A PostgreSQL database that contains only the journal. ``password`` may be absent if the server trusts our user or socket."""

    url: str
    password: str | None = field(default=None, repr=False)
    synchronous: bool = False

    def exists(self) -> bool:
        """Whether the database contains a journal."""
        try:
            self.read().close()
        except JournalError as error:
            if error.code == "journal-missing":
                return False
            raise
        return True

    def open(self, controller_id: str, *, over: Lease | None = None, seize: bool = False) -> LeasedJournal:
        """See ``open_postgres``."""
        try:
            from controller.journal.postgres import open_postgres
        except ImportError as error:
            raise without_driver() from error
        return open_postgres(self.url, controller_id, password=self.password, synchronous=self.synchronous, over=over, seize=seize)

    def read(self) -> FollowedJournal:
        """See ``read_postgres``."""
        try:
            from controller.journal.postgres import read_postgres
        except ImportError as error:
            raise without_driver() from error
        return read_postgres(self.url, password=self.password)


def location_of(data: Path, url: str, password: str | None, *, synchronous: bool = False) -> JournalLocation:
    """The database at ``url``, or the file in the deployment's data directory if ``url`` is empty."""
    return DatabaseLocation(url, password, synchronous) if url else FileLocation(data / FILE_NAME)


def without_driver() -> ConfigError:
    """The error where the driver is not installed."""
    return ConfigError(
        "a journal in PostgreSQL needs the psycopg driver",
        code="no-postgres-driver",
        remedy='Install gatehouse with its extra: pip install "gatehouse[postgres]".',
    )
