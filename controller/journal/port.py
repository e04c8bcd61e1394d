"""What the rest of the controller may ask of a journal, whatever keeps it (architecture.md §7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

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
    """Another controller leads now, under a higher epoch: what is open is its business."""


class JournalWriteFailed(JournalError):
    """An append may or may not be durable. The journal is poisoned until it is opened again."""


class JournalPoisoned(JournalError):
    """An earlier append failed; nothing more is written through this handle."""


class JournalReader(Protocol):
    """Entries that are durable."""

    @property
    def controller_id(self) -> str:
        """Whose journal it is."""
        ...

    @property
    def head(self) -> Head:
        """The last durable entry; its epoch is the one in force, that of the last writer to open the journal."""
        ...

    def read(self, after: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Entries with ``seq > after``, ascending. Entries appended while it runs may or may not be included."""
        ...

    def hash_at(self, seq: int) -> str | None:
        """The hash of one entry, or ``None`` when there is no such entry."""
        ...

    def close(self) -> None:
        """Let go of the journal. Closing twice is fine."""
        ...


class StoredJournal(JournalReader, Protocol):
    """A journal that can be verified: read in bulk, and asked whether what keeps it is sound."""

    def rows(self, after: int = 0) -> Iterator[list[Row]]:
        """Entries with ``seq > after`` as they are stored, ascending, page by page."""
        ...

    def integrity(self) -> tuple[str, ...]:
        """What the storage itself finds wrong; nothing when it is sound."""
        ...


class FollowedJournal(StoredJournal, Protocol):
    """A journal that another process writes under a lease, and that a standby follows."""

    def rows_after(self, seq: int) -> list[Row]:
        """The first entries after ``seq`` as they are stored, a page of them; none when there are none yet."""
        ...

    def lease(self) -> Lease:
        """The writer's lease, read now."""
        ...


class Journal(JournalReader, Protocol):
    """The one writer."""

    @property
    def epoch(self) -> int:
        """The fencing epoch this writer was given when it opened the journal; every writer gets a higher one."""
        ...

    def append(self, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        """Make all records durable in one transaction, or none.

        Raises:
            JournalFenced: a later writer opened the journal.
            JournalWriteFailed: the storage failed; whether the records are durable is known only after reopening.
            JournalPoisoned: an earlier append failed.
        """
        ...


@runtime_checkable
class LeasedJournal(Journal, FollowedJournal, Protocol):
    """A journal across a network: its writer keeps it by a lease that it has to renew, and waiting for it can take long.

    Every append renews the lease. A permit may rest on an append or a renewal for ``lease.PERMIT_NS`` from before it was sent.
    """

    def renew(self) -> None:
        """Renew the lease with nothing to append. Raises as ``append`` does."""
        ...
