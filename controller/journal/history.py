"""The Merkle root of a journal at any earlier size, and the proof from there to now. Publishing checkpoints uses it.

The controller keeps the frontier of its tree (at most 64 hashes) and, as marks, the frontiers of the sizes it published. The rest
is read again from the journal, from the nearest mark on and in the caller's thread: keeping a checkpoint costs nothing while
orders are processed, and the memory does not grow with the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.journal.consistency import consistency_proof
from controller.journal.location import JournalLocation
from controller.journal.merkle import MerkleTree
from exchange.errors import IntegrityError

Leaves = Callable[[int, int], Iterator[bytes]]
"""The hashes of the entries with ``after < seq <= upto``, 32 bytes each, in order."""


def leaves_of(location: JournalLocation) -> Leaves:
    """The entries' stored hashes, read each time with a separate reader, so that the writer's connection is not used."""

    def leaves(after: int, upto: int) -> Iterator[bytes]:
        if after >= upto:
            return
        reader = location.read()
        try:
            for entry in reader.read(after, upto - after):
                yield bytes.fromhex(entry.hash[7:])
        finally:
            reader.close()

    return leaves


@dataclass(frozen=True, slots=True)
class History:
    """The journal up to ``size``. ``marks`` are frontiers by size. Slow far from a mark: call it outside the event loop.

    A size before the base of a journal with archives raises ``JournalError`` (``archive-missing``) when its archive is not there.
    """

    size: int
    frontier: tuple[bytes, ...]
    leaves: Leaves
    marks: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)

    @property
    def tree(self) -> MerkleTree:
        """A copy of the current tree."""
        return MerkleTree(self.size, self.frontier)

    def at(self, size: int) -> MerkleTree:
        """The tree at an earlier size. Raises ``IntegrityError`` (``journal-shorter``) when the journal has fewer entries."""
        if size == self.size:
            return self.tree
        if size > self.size:
            raise _shorter(size, self.size)
        mark = max((marked for marked in self.marks if marked <= size), default=0)
        tree = MerkleTree(mark, self.marks.get(mark, ()))
        for leaf in self.leaves(mark, size):
            tree.append_leaf(leaf)
        if tree.size != size:
            raise _shorter(size, tree.size)
        return tree

    def proof(self, older: int) -> tuple[bytes, ...]:
        """The RFC 6962 consistency proof from an older size to now. Raises ``IntegrityError`` (``journal-shorter``)."""
        tree = self.at(older)
        try:
            return consistency_proof(tree, self.size, self.leaves(older, self.size))
        except ValueError:
            raise _shorter(self.size, older) from None


def _shorter(wanted: int, found: int) -> IntegrityError:
    return IntegrityError(
        f"{wanted} entries are needed and the journal has {found}",
        code="journal-shorter",
        remedy="Run `gatehouse journal verify`.",
    )
