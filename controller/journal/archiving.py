"""Copies the closed part of a journal into an archive, and makes the base that the journal goes on from (ADR 46).

``gatehouse journal archive`` calls it, with the journal locked. Nothing here removes an entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.journal.archive_file import ArchiveReport, OnBytes, verify_archive, write_archive
from controller.journal.archives import DIRECTORY
from controller.journal.base import ArchivedRange, Base, FoldedState
from controller.journal.chain import ChainWalk, Head, Row, genesis_hash
from controller.journal.merkle import MerkleTree
from controller.journal.sqlite import SqliteReader
from exchange.errors import GatehouseError, IntegrityError


@dataclass(frozen=True, slots=True)
class Copied:
    """A range that was copied to an archive and read back, with the Merkle frontier after it."""

    range: ArchivedRange
    path: Path
    genesis: str
    last: Head
    frontier: tuple[str, ...]

    def base(self, controller_id: str, before: Base | None, state: FoldedState) -> Base:
        """The base that the journal goes on from without this range. ``before`` is the present one."""
        archives = (*(before.archives if before is not None else ()), self.range)
        return Base(controller_id, self.genesis, self.last.seq, self.last.hash, self.last.epoch, self.frontier, state, archives)


def copy_range(journal: SqliteReader, data: Path, upto: int, written: OnBytes, verified: OnBytes) -> Copied:
    """Copy the entries from the base to ``upto`` into a new archive below ``data``; durable, read back and verified on return.

    Raises:
        IntegrityError: ``archive-differs``; what was read back is not what was written.
        JournalError: ``archive-not-written``, ``archive-damaged``.
    """
    signed = journal.signed_base
    base = signed.base if signed is not None else None
    name = journal.controller_id
    before = base.head if base is not None else Head(0, genesis_hash(name), 0)
    tree = base.tree if base is not None else MerkleTree()
    genesis = journal.hash_at(1)
    if genesis is None:
        raise _differs("the journal has no entry")
    pages = _proven(journal, name, before, upto)
    path = write_archive(data / DIRECTORY, name, genesis, before, tree, pages, written)
    try:
        report = verify_archive(path, verified)
        _require_same(report, before, upto, journal.hash_at(upto), tree)
    except GatehouseError:
        with suppress(OSError):
            path.unlink()
        raise
    return Copied(report.range, path, genesis, report.header.last, tuple(node.hex() for node in tree.frontier))


def require_archive(path: Path, one: ArchivedRange, verified: OnBytes) -> None:
    """Check that an archive is the one of ``one``. Raises ``IntegrityError`` (``archive-differs``) or ``JournalError``."""
    report = verify_archive(path, verified)
    if report.problem is not None or report.range != one:
        raise _differs(report.problem.message if report.problem is not None else f"{path} is another archive")


def _proven(journal: SqliteReader, controller_id: str, before: Head, upto: int) -> Iterator[list[Row]]:
    walk = ChainWalk(controller_id, before)
    for page in journal.rows(before.seq, upto):
        if (problem := walk.take(page)) is not None:
            raise _differs(problem.message)
        yield page


def _require_same(report: ArchiveReport, before: Head, upto: int, last: str | None, tree: MerkleTree) -> None:
    header = report.header
    if report.problem is not None:
        raise _differs(report.problem.message)
    if (header.before, header.last.seq, header.last.hash, header.root) != (before, upto, last, tree.root().hex()):
        raise _differs("it holds other entries than the journal")


def _differs(why: str) -> IntegrityError:
    return IntegrityError(
        f"the archive is not a true copy: {why}",
        code="archive-differs",
        remedy="The journal is unchanged. Check the disk, remove the file and archive again.",
    )
