"""The full verification of a journal: whose it is, its chain, its epochs, its checkpoints, and what keeps it."""

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
"""Looks at one entry whose place in the chain was verified. Raises ``IntegrityError`` when its content is wrong."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """``entries`` were good up to the end or ``first_problem``; ``head`` is the last of them; ``duration_ns`` is monotonic."""

    entries: int
    head: Head
    first_problem: Problem | None
    duration_ns: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
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
    """Verify a journal, in a file or wherever it is, while its controller runs or not. What is wrong is in the report.

    With ``storage`` what keeps it is checked too, beside the walk: indexes, free pages. A start can do without: an entry it read
    was proven by the chain, and an index only ever makes an append fail.

    Raises:
        JournalError: ``journal-missing`` when there is none.
    """
    began = monotonic_ns()
    chain = ChainWalk(controller_id)
    where = FileLocation(location) if isinstance(location, Path) else location
    with ThreadPoolExecutor(max_workers=1) as beside:
        sound = beside.submit(_integrity, where) if storage else None
        problem = _problem(where, controller_id, chain, tuple(map(anchored, checkpoints)), inspect, sound)
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
    known: tuple[Anchor, ...],
    inspect: Inspect | None,
    sound: Future[tuple[str, ...]] | None,
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
        proven = _skipped(location, controller_id, chain, known) if inspect is None else None
        anchors = proven or CheckpointWalk(controller_id, known)
        return anchors.start() or _walked(reader, chain, anchors, inspect) or anchors.finish() or _of_it(reader, chain.head, sound)
    except JournalError as error:
        return Problem(Fault.STORAGE, chain.head.seq + 1, error.message)
    finally:
        reader.close()


def _walked(reader: StoredJournal, chain: ChainWalk, anchors: CheckpointWalk, inspect: Inspect | None) -> Problem | None:
    """Page by page; of all that is wrong in a page the first entry is named, and the walk ends before it."""
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


def _skipped(location: JournalLocation, controller_id: str, chain: ChainWalk, known: tuple[Anchor, ...]) -> CheckpointWalk | None:
    """What is left to compare once several processes have proven a long file up to its end; ``None`` when they have not."""
    if not isinstance(location, FileLocation) or any(one.checkpoint.origin != origin_of(controller_id) for one in known):
        return None
    proven = prove(location.path, controller_id, ((one.checkpoint.size, one.checkpoint.root) for one in known))
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


def _of_it(reader: StoredJournal, head: Head, sound: Future[tuple[str, ...]] | None) -> Problem | None:
    in_force = reader.head.epoch
    if head.epoch > in_force:
        return Problem(Fault.EPOCH_WENT_DOWN, head.seq, f"the epoch in force is {in_force}, below the last entry's {head.epoch}")
    if sound is not None and (damage := sound.result()):
        return Problem(Fault.STORAGE, 0, f"the storage is damaged: {damage[0]}")
    return None
