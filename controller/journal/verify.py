"""The full verification of a journal: whose it is, its chain, its epochs, its checkpoints, and what keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.journal.chain import ChainWalk, Entry, Fault, Head, Problem, Row, entry_of
from controller.journal.checkpoint import Anchor, Checkpoint, CheckpointWalk, anchored, origin_of
from controller.journal.place import FilePlace, Place
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
    place: Place | Path,
    controller_id: str,
    *,
    monotonic_ns: Callable[[], int],
    checkpoints: Iterable[Checkpoint | Anchor] = (),
    inspect: Inspect | None = None,
    storage: bool = True,
) -> VerifyReport:
    """Verify a journal, in a file or wherever it is, while its controller runs or not. What is wrong is in the report.

    With ``storage`` what keeps it is checked too: indexes, free pages. That takes several times as long as every entry, and a
    start can do without: an entry it read was proven by the chain, and an index only ever makes an append fail.

    Raises:
        JournalError: ``journal-missing`` when there is none.
    """
    began = monotonic_ns()
    chain = ChainWalk(controller_id)
    try:
        reader = (FilePlace(place) if isinstance(place, Path) else place).read()
    except JournalError as error:
        if error.code == "journal-missing":
            raise
        problem: Problem | None = Problem(Fault.STORAGE, 0, error.message)
    else:
        try:
            known = tuple(map(anchored, checkpoints))
            anchors = CheckpointWalk(controller_id, known)
            if inspect is None:
                anchors = _skipped(place, controller_id, chain, known) or anchors
            problem = _first_problem(reader, controller_id, chain, anchors, inspect, storage=storage)
        finally:
            reader.close()
    return VerifyReport(chain.count, chain.head, problem, monotonic_ns() - began)


def _first_problem(
    reader: StoredJournal,
    controller_id: str,
    chain: ChainWalk,
    anchors: CheckpointWalk,
    inspect: Inspect | None,
    *,
    storage: bool,
) -> Problem | None:
    if reader.controller_id != controller_id:
        return Problem(Fault.OTHER_CONTROLLER, 0, f"the file is the journal of {reader.controller_id}, not of {controller_id}")
    problem = anchors.start()
    try:
        for page in reader.rows(chain.head.seq) if problem is None else ():
            # Page by page, unless each entry's meaning is looked at too: then one by one, so that the first wrong one is named.
            for rows in ((row,) for row in page) if inspect is not None else (page,):
                problem = chain.take(rows) or anchors.take(rows) or _inspected(rows, inspect)
                if problem is not None:
                    return problem
        return problem or anchors.finish() or _of_the_file(reader, chain.head, storage=storage)
    except JournalError as error:
        return Problem(Fault.STORAGE, chain.head.seq + 1, error.message)


def _skipped(place: Place | Path, controller_id: str, chain: ChainWalk, known: tuple[Anchor, ...]) -> CheckpointWalk | None:
    """What is left to compare once several processes have proven a long file up to its end; ``None`` when they have not."""
    path = place if isinstance(place, Path) else place.path if isinstance(place, FilePlace) else None
    if path is None or any(one.checkpoint.origin != origin_of(controller_id) for one in known):
        return None
    proven = prove(path, controller_id, ((one.checkpoint.size, one.checkpoint.root) for one in known))
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


def _of_the_file(reader: StoredJournal, head: Head, *, storage: bool) -> Problem | None:
    in_force = reader.head.epoch
    if head.epoch > in_force:
        return Problem(Fault.EPOCH_WENT_DOWN, head.seq, f"the epoch in force is {in_force}, below the last entry's {head.epoch}")
    if storage and (damage := reader.integrity()):
        return Problem(Fault.STORAGE, 0, f"the storage is damaged: {damage[0]}")
    return None
