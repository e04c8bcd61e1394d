"""The Merkle tree hash of RFC 6962 §2.1 over entry hashes, built leaf by leaf. Checkpoints, proofs and exports use it.

Only the roots of the complete subtrees are kept (at most 64 hashes), so the tree of a million entries needs 2 kB of memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


class MerkleTree:
    """Append-only. A leaf is the 32 bytes of an entry's hash."""

    def __init__(self, size: int = 0, frontier: Iterable[bytes] = ()) -> None:
        """Start empty, or from the ``size`` and ``frontier`` of an earlier tree."""
        self._size = size
        self._frontier = list(frontier)
        if len(self._frontier) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} complete subtrees, not {len(self._frontier)}")

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._size

    @property
    def frontier(self) -> tuple[bytes, ...]:
        """The roots of the complete subtrees, largest first."""
        return tuple(self._frontier)

    def append(self, entry_hash: str) -> None:
        """Add the leaf of one entry, given as ``sha256:<hex>``."""
        self.append_leaf(bytes.fromhex(entry_hash[7:]))

    def append_leaf(self, leaf: bytes) -> None:
        """Add the leaf of one entry, given as the 32 bytes of its hash."""
        self.append_subtree(hashlib.sha256(b"\0" + leaf).digest(), 1)

    def append_subtree(self, node: bytes, leaves: int) -> None:
        """Add a complete subtree by its root. ``leaves`` is a power of two that divides the current size."""
        size = self._size // leaves
        while size & 1:
            node = hashlib.sha256(b"\1" + self._frontier.pop() + node).digest()
            size >>= 1
        self._frontier.append(node)
        self._size += leaves

    def root(self) -> bytes:
        """The tree's hash; the hash of no bytes when it is empty."""
        if not self._frontier:
            return hashlib.sha256(b"").digest()
        node = self._frontier[-1]
        for left in reversed(self._frontier[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node


def subtree_root(leaves: Sequence[bytes]) -> bytes:
    """The root of a complete subtree: of a power of two of leaves, each the 32 bytes of an entry's hash."""
    sha256 = hashlib.sha256
    nodes = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(nodes) > 1:
        nodes = [sha256(b"\1" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]
