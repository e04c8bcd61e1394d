"""The full verification of a journal: owner, chain, epochs, checkpoints and storage.

A start and ``gatehouse journal verify`` call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from controller.journal.chain import ChainWalk, Entry, Fault, Head, Problem, Row, entry_of
from controller.journal.checkpoint import Anchor, Checkpoint, CheckpointWalk, anchored, origin_of
from controller.journal.location import FileLocation, JournalLocation
from controller.journal.port import JournalError, StoredJournal
from controller.journal.verify_chain import prove
from exchange.errors import IntegrityError

Inspect = Callable[[Entry], None]
"""Checks one entry that the chain verified. Raises ``IntegrityError`` when its content is wrong."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """``entries`` are valid up to the end or ``first_problem``; ``head`` is the last of them; ``duration_ns`` is monotonic."""

    entries: int
    head: Head
    first_problem: Problem | None
    duration_ns: int

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return self.first_problem is None


def verify_journal(
    location: JournalLocation | Path,
    controller_id: str,
    *,
    monotonic_ns: Callable[[], int],
    checkpoints: Iterable[Checkpoint | Anchor] = (),
    inspect: Inspect | None = None,
    storage: bool = True,
) -> VerifyReport:
    """Verify a journal at any location, while its controller runs or not. Problems are in the report.

    With ``storage`` the storage is checked too, in parallel: indexes, free pages. A start does not need it: the chain proves every
    entry that was read, and a damaged index can only make an append fail.

    Raises:
        JournalError: ``journal-missing`` when there is none.
    """
    began = monotonic_ns()
    chain = ChainWalk(controller_id)
    where = FileLocation(location) if isinstance(location, Path) else location
    with ThreadPoolExecutor(max_workers=1) as executor:
        integrity = executor.submit(_integrity, where) if storage else None
        problem = _problem(where, controller_id, chain, tuple(map(anchored, checkpoints)), inspect, integrity)
    return VerifyReport(chain.count, chain.head, problem, monotonic_ns() - began)


def _integrity(location: JournalLocation) -> tuple[str, ...]:
    reader = location.read()
    try:
        return reader.integrity()
    finally:
        reader.close()


def _problem(
    location: JournalLocation,
    controller_id: str,
    chain: ChainWalk,
    held: tuple[Anchor, ...],
    inspect: Inspect | None,
    integrity: Future[tuple[str, ...]] | None,
) -> Problem | None:
    try:
        reader = location.read()
    except JournalError as error:
        if error.code == "journal-missing":
            raise
        return Problem(Fault.STORAGE, 0, error.message)
    try:
        if reader.controller_id != controller_id:
            message = f"the file is the journal of {reader.controller_id}, not of {controller_id}"
            return Problem(Fault.OTHER_CONTROLLER, 0, message)
        proven = _skipped(location, controller_id, chain, held) if inspect is None else None
        anchors = proven or CheckpointWalk(controller_id, held)
        return (
            anchors.start()
            or _walked(reader, chain, anchors, inspect)
            or anchors.finish()
            or _storage_problem(reader, chain.head, integrity)
        )
    except JournalError as error:
        return Problem(Fault.STORAGE, chain.head.seq + 1, error.message)
    finally:
        reader.close()


def _walked(reader: StoredJournal, chain: ChainWalk, anchors: CheckpointWalk, inspect: Inspect | None) -> Problem | None:
    """Verify page by page; the first problem of a page is returned, and the walk ends before its entry."""
    for page in reader.rows(chain.head.seq):
        count, head = chain.count, chain.head
        broken = chain.take(page)
        good = page[: chain.count - count]
        contradicted = anchors.take(good)
        wrong = _inspected(_before(good, contradicted), inspect) or contradicted
        if wrong is not None:
            chain.rewind(count, head)
            chain.take(_before(good, wrong))
        if wrong is not None or broken is not None:
            return wrong or broken
    return None


def _before(rows: list[Row], problem: Problem | None) -> list[Row]:
    return rows if problem is None else [row for row in rows if row[0] < problem.seq]


def _skipped(location: JournalLocation, controller_id: str, chain: ChainWalk, held: tuple[Anchor, ...]) -> CheckpointWalk | None:
    """The checkpoints left to compare after several processes verified a long file to its end; ``None`` if they did not."""
    if not isinstance(location, FileLocation) or any(one.checkpoint.origin != origin_of(controller_id) for one in held):
        return None
    proven = prove(location.path, controller_id, ((one.checkpoint.size, one.checkpoint.root) for one in held))
    if proven is None:
        return None
    chain.skip(proven)
    return CheckpointWalk(controller_id, ())


def _inspected(rows: Sequence[Row], inspect: Inspect | None) -> Problem | None:
    if inspect is None:
        return None
    for entry in map(entry_of, rows):
        try:
            inspect(entry)
        except IntegrityError as error:
            return Problem(Fault.WRONG_CONTENT, entry.seq, f"entry {entry.seq}: {error.message}")
    return None


def _storage_problem(reader: StoredJournal, head: Head, integrity: Future[tuple[str, ...]] | None) -> Problem | None:
    in_force = reader.head.epoch
    if head.epoch > in_force:
        return Problem(Fault.EPOCH_WENT_DOWN, head.seq, f"the epoch in force is {in_force}, below the last entry's {head.epoch}")
    if integrity is not None and (damage := integrity.result()):
        return Problem(Fault.STORAGE, 0, f"the storage is damaged: {damage[0]}")
    return None
