"""The interface of a journal (architecture.md §7). ``sqlite`` and ``postgres`` implement it; ``runtime`` uses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from controller.journal.base import ArchivedRange, SignedBase
from controller.journal.chain import Entry, Head, Record, Row
from controller.journal.lease import Lease
from exchange.errors import GatehouseError
from exchange.model import Millis


class JournalError(GatehouseError):
    """The journal cannot be used. Halting never waits for it (architecture.md §1.1)."""


class JournalLocked(JournalError):
    """Another process holds the journal."""


class JournalFenced(JournalError):
    """A later writer took the journal over; this one must stop."""


class JournalTakenOver(JournalFenced):
    """Another controller leads now, under a higher epoch, and is responsible for the open orders."""


class JournalWriteFailed(JournalError):
    """An append may or may not be durable. The journal is poisoned until it is opened again."""


class JournalReplaced(JournalError):
    """The file at the journal's place is not the one that this writer opened."""


class JournalPoisoned(JournalError):
    """An earlier append failed; nothing more is written through this handle."""


class JournalReader(Protocol):
    """Reads durable entries, those in archives too."""

    @property
    def controller_id(self) -> str:
        """The controller that owns the journal."""
        ...

    @property
    def head(self) -> Head:
        """The last durable entry, with the epoch in force: that of the last writer that opened the journal."""
        ...

    @property
    def signed_base(self) -> SignedBase | None:
        """What the journal goes on from when its first entries were archived (ADR 46); ``None`` when it holds every entry."""
        ...

    @property
    def readable_after(self) -> int:
        """Every entry after this one can be read: 0 unless an archive is not there."""
        ...

    def read(self, after: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Entries with ``seq > after``, ascending. Entries appended while it runs may or may not be included.

        Raises:
            JournalError: ``archive-missing`` when ``after`` is before ``readable_after``.
        """
        ...

    def hash_at(self, seq: int) -> str | None:
        """The hash of one entry, or ``None`` when there is no such entry, or its archive is not there."""
        ...

    def close(self) -> None:
        """Close the journal. Closing twice is allowed."""
        ...


class StoredJournal(JournalReader, Protocol):
    """A journal that can be verified: it is read in bulk and checks its storage."""

    def rows(self, after: int = 0) -> Iterator[list[Row]]:
        """Entries with ``seq > after`` as they are stored, ascending, page by page. Raises ``JournalError`` as ``read`` does."""
        ...

    @property
    def missing(self) -> tuple[ArchivedRange, ...]:
        """The archived ranges whose file is not there."""
        ...

    def archive_path(self, one: ArchivedRange) -> Path:
        """Where the archive of a range belongs."""
        ...

    def integrity(self) -> tuple[str, ...]:
        """The problems that the storage itself finds; empty when there is none."""
        ...


class FollowedJournal(StoredJournal, Protocol):
    """A journal that another process writes under a lease, and that a standby follows."""

    def rows_after(self, seq: int) -> list[Row]:
        """The first page of entries after ``seq`` as they are stored; empty when there is none yet."""
        ...

    def lease(self) -> Lease:
        """The writer's lease, read now."""
        ...


class Journal(JournalReader, Protocol):
    """The only writer of a journal."""

    @property
    def epoch(self) -> int:
        """This writer's fencing epoch, set when it opened the journal; every later writer gets a higher one."""
        ...

    def append(self, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        """Make all records durable in one transaction, or none.

        Raises:
            JournalFenced: a later writer opened the journal.
            JournalReplaced: the journal is not the one that was opened; this is found without records too.
            JournalWriteFailed: the storage failed; whether the records are durable is known only after reopening.
            JournalPoisoned: an earlier append failed.
        """
        ...

    def renew(self) -> None:
        """Prove durably, without an entry, that this writer still leads. It raises as ``append`` does."""
        ...


class JournalHold(Protocol):
    """A lock on the journal's row in a database, so that every append waits. Its calls wait for the server too."""

    def take(self) -> None:
        """Lock the row. Raises ``JournalError``."""
        ...

    def makes_wait(self) -> bool:
        """Whether the server shows an append that waits for the row. Raises ``JournalError``."""
        ...

    def release(self) -> None:
        """Free the row. Releasing twice is allowed."""
        ...


@runtime_checkable
class LeasedJournal(Journal, FollowedJournal, Protocol):
    """A journal across a network: its writer holds a lease that it must renew, and an answer can take long.

    Every append renews the lease. A permit is valid for ``lease.PERMIT_NS`` from before the append or renewal was sent.
    """
