"""Verifies what a journal with archives says of them: signature, record, where they meet, and their files (ADR 46).

``verify`` calls it while it walks the entries. That the base is the true beginning is shown by what is kept outside the folder,
which ``controller.bootstrap`` compares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from controller.journal.archive_file import file_digest
from controller.journal.base import RECORD, ArchivedRange, Base, SignedBase, is_record_of
from controller.journal.chain import Fault, Head, Problem, Row, genesis_hash
from controller.journal.merkle import MerkleTree
from controller.journal.note import NoteKey


class BaseWalk:
    """Compares a base with the entries, page by page. ``whole``: the archives are walked too, from the first entry."""

    def __init__(self, signed: SignedBase, *, whole: bool) -> None:
        self._signed = signed
        self._base: Base = signed.base
        self._whole = whole
        self._tree = MerkleTree()
        self.record = 0

    @property
    def head(self) -> Head:
        """What the first page follows."""
        return Head(0, genesis_hash(self._base.controller_id), 0) if self._whole else self._base.head

    @property
    def tree(self) -> MerkleTree:
        """The Merkle tree before the first page."""
        return MerkleTree() if self._whole else self._base.tree

    def start(self, controller_id: str, key: NoteKey | None, path_of: Callable[[ArchivedRange], Path]) -> Problem | None:
        """The problem before the first page: the base is not this controller's, or an archive's file is not the one it names."""
        base = self._base
        if base.controller_id != controller_id:
            return _wrong(f"the base is of {base.controller_id}, not of {controller_id}")
        if key is None:
            return _wrong(f"the journal begins after entry {base.seq}, and there is no checkpoint key to check that with")
        if not self._signed.is_signed_by(key):
            return _wrong(f"the journal begins after entry {base.seq}, and this controller's checkpoint key did not sign that")
        return next((found for one in base.archives if (found := _file_problem(path_of(one), one))), None) if self._whole else None

    def take(self, page: Sequence[Row]) -> Problem | None:
        """Compare the next page, whose chain is verified."""
        base = self._base
        for seq, epoch, _, kind, body, _, digest in page:
            if self._whole and seq <= base.seq and (problem := self._meets(seq, epoch, digest)) is not None:
                return problem
            if seq > base.seq and kind == RECORD and is_record_of(body, self._signed.document):
                self.record = seq
        return None

    def finish(self) -> Problem | None:
        """The problem after the last page: no entry repeats the base."""
        return None if self.record else _wrong(f"the journal begins after entry {self._base.seq}, and no entry of it says so")

    def _meets(self, seq: int, epoch: int, digest: bytes) -> Problem | None:
        base = self._base
        self._tree.append_leaf(digest)
        if seq == 1 and "sha256:" + digest.hex() != base.genesis:
            return _wrong("the first entry is not the one that the base names")
        if seq < base.seq or (Head(seq, "sha256:" + digest.hex(), epoch), self._tree.frontier) == (base.head, base.tree.frontier):
            return None
        return _wrong(f"the archives end at another entry {seq} than the one the journal goes on from")


def _file_problem(path: Path, one: ArchivedRange) -> Problem | None:
    try:
        found = file_digest(path)
    except OSError as error:
        found = error.strerror or type(error).__name__
    if found == one.digest:
        return None
    return Problem(Fault.WRONG_ARCHIVE, one.after + 1, f"the archive {path} is not the one that was written: {one.title}")


def _wrong(message: str) -> Problem:
    return Problem(Fault.WRONG_BASE, 0, message)
