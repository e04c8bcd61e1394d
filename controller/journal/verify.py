"""The full verification of a journal: owner, chain, epochs, checkpoints, archives and storage.

A start and ``gatehouse journal verify`` call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from controller.journal.base import ArchivedRange
from controller.journal.chain import ChainWalk, Entry, Fault, Head, Problem, Row, entry_of
from controller.journal.checkpoint import Anchor, Checkpoint, CheckpointWalk, anchored, origin_of
from controller.journal.location import FileLocation, JournalLocation
from controller.journal.note import NoteKey
from controller.journal.port import JournalError, StoredJournal
from controller.journal.verify_base import BaseWalk
from controller.journal.verify_chain import prove
from exchange.errors import IntegrityError

Inspect = Callable[[Entry], None]
"""Checks one entry that the chain verified. Raises ``IntegrityError`` when its content is wrong."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """``entries`` are valid up to the end or ``first_problem``; ``head`` is the last of them; ``duration_ns`` is monotonic.

    ``after``: where the verification began, 0 unless archived entries were left out. ``record`` is the entry that repeats the
    journal's base, 0 without one. ``missing`` are the archives that are not there. ``compared``: the largest checkpoint that
    agreed.
    """

    entries: int
    head: Head
    first_problem: Problem | None
    duration_ns: int
    after: int = 0
    record: int = 0
    missing: tuple[ArchivedRange, ...] = ()
    compared: int = 0

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return self.first_problem is None


class _Verification:
    """One verification, and how far it came."""

    def __init__(self, location: JournalLocation, controller_id: str, key: NoteKey | None) -> None:
        self.location = location
        self.controller_id = controller_id
        self.key = key
        self.chain = ChainWalk(controller_id)
        self.base: BaseWalk | None = None
        self.after = 0
        self.compared = 0
        self.missing: tuple[ArchivedRange, ...] = ()

    def problem(
        self, held: tuple[Anchor, ...], inspect: Inspect | None, integrity: Future[tuple[str, ...]] | None, *, archives: bool
    ) -> Problem | None:
        """The first problem; opens and closes the journal."""
        try:
            reader = self.location.read()
        except JournalError as error:
            if error.code == "journal-missing":
                raise
            return Problem(Fault.STORAGE, 0, error.message)
        try:
            if reader.controller_id != self.controller_id:
                message = f"the file is the journal of {reader.controller_id}, not of {self.controller_id}"
                return Problem(Fault.OTHER_CONTROLLER, 0, message)
            return self._of(reader, held, inspect, integrity, archives=archives)
        except JournalError as error:
            return Problem(Fault.STORAGE, self.chain.head.seq + 1, error.message)
        finally:
            reader.close()

    def _of(
        self,
        reader: StoredJournal,
        held: tuple[Anchor, ...],
        inspect: Inspect | None,
        integrity: Future[tuple[str, ...]] | None,
        *,
        archives: bool,
    ) -> Problem | None:
        self.missing = reader.missing
        signed = reader.signed_base
        if signed is None:
            proven = _skipped(self.location, self.controller_id, self.chain, held) if inspect is None else None
            anchors = proven or CheckpointWalk(self.controller_id, held)
        else:
            self.base = BaseWalk(signed, whole=archives and not reader.missing)
            if (problem := self.base.start(self.controller_id, self.key, reader.archive_path)) is not None:
                return problem
            self.chain.rewind(0, self.base.head)
            self.after = self.base.head.seq
            anchors = CheckpointWalk(self.controller_id, held, self.base.tree)
        problem = anchors.start() or _walked(reader, self.chain, anchors, inspect, self.base)
        self.compared = anchors.compared
        return (
            problem
            or anchors.finish()
            or (self.base.finish() if self.base is not None else None)
            or _storage_problem(reader, self.chain.head, integrity)
        )


def verify_journal(
    location: JournalLocation | Path,
    controller_id: str,
    *,
    monotonic_ns: Callable[[], int],
    checkpoints: Iterable[Checkpoint | Anchor] = (),
    inspect: Inspect | None = None,
    storage: bool = True,
    key: NoteKey | None = None,
    archives: bool = True,
) -> VerifyReport:
    """Verify a journal at any location, while its controller runs or not. Problems are in the report.

    With ``storage`` the storage is checked too, in parallel: indexes, free pages. A start does not need it: the chain proves every
    entry that was read, and a damaged index can only make an append fail. ``key`` is the controller's checkpoint key, which signed
    the base of a journal with archives. With ``archives`` they are verified too if all are there; otherwise it begins at the base.

    Raises:
        JournalError: ``journal-missing`` when there is none.
    """
    began = monotonic_ns()
    where = FileLocation(location) if isinstance(location, Path) else location
    found = _Verification(where, controller_id, key)
    with ThreadPoolExecutor(max_workers=1) as executor:
        integrity = executor.submit(_integrity, where) if storage else None
        problem = found.problem(tuple(map(anchored, checkpoints)), inspect, integrity, archives=archives)
    return VerifyReport(
        found.chain.count,
        found.chain.head,
        problem,
        monotonic_ns() - began,
        after=found.after,
        record=found.base.record if found.base is not None else 0,
        missing=found.missing,
        compared=found.compared,
    )


def _integrity(location: JournalLocation) -> tuple[str, ...]:
    reader = location.read()
    try:
        return reader.integrity()
    finally:
        reader.close()


def _walked(
    reader: StoredJournal, chain: ChainWalk, anchors: CheckpointWalk, inspect: Inspect | None, base: BaseWalk | None
) -> Problem | None:
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
        if base is not None and (problem := base.take(page)) is not None:
            return problem
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
