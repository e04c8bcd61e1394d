"""Consistency proofs of RFC 6962 §2.1.2: the tree of an older size is the beginning of the tree of a newer size.

A proof consists of complete subtrees of the older tree, which are in its frontier, and of subtrees of the newer leaves. So with the
frontier of the older size, only the leaves since then are read. ``history`` makes proofs for witnesses; the witness checks them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

from controller.journal.merkle import MerkleTree

MOST_NODES = 63
"""The longest possible proof for 64-bit sizes, and the longest that a witness reads (C2SP tlog-witness)."""

_Range = tuple[int, int]


def consistency_proof(older: MerkleTree, newer: int, leaves: Iterable[bytes]) -> tuple[bytes, ...]:
    """The proof from ``older`` to the tree of ``newer`` leaves; ``leaves`` are those after the older tree's, 32 bytes each.

    Raises:
        ValueError: there are fewer leaves than that, or the sizes are in the wrong order.
    """
    if older.size > newer:
        raise ValueError(f"a tree of {older.size} leaves is not the beginning of one of {newer}")
    if older.size in {0, newer}:
        return ()
    wanted = _ranges(older.size, 0, newer, whole=True)
    subtrees = _complete_subtrees(older)
    rest = iter(leaves)
    for low, high in sorted(span for span in wanted if span[0] >= older.size):
        subtree = MerkleTree()
        for leaf in islice(rest, high - low):
            subtree.append_leaf(leaf)
        if subtree.size != high - low:
            raise ValueError(f"the leaves end before leaf {high}")
        subtrees[low, high] = subtree.root()
    return tuple(subtrees[span] for span in wanted)


def is_consistent(older: int, older_root: bytes, newer: int, newer_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` shows that the newer tree begins with the older one (the algorithm of RFC 9162 §2.1.4.2)."""
    if older > newer or (not proof and 0 < older < newer) or (proof and older in {0, newer}):
        return False
    if older in {0, newer}:
        return older == 0 or older_root == newer_root
    path = [older_root, *proof] if older & (older - 1) == 0 else list(proof)
    first, second = older - 1, newer - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    old_node = new_node = path[0]
    for node in path[1:]:
        if second == 0:
            return False
        if first & 1 or first == second:
            old_node, new_node = _parent(node, old_node), _parent(node, new_node)
            while first and not first & 1:
                first, second = first >> 1, second >> 1
        else:
            new_node = _parent(new_node, node)
        first, second = first >> 1, second >> 1
    return second == 0 and old_node == older_root and new_node == newer_root


def _ranges(size: int, low: int, high: int, *, whole: bool) -> list[_Range]:
    """SUBPROOF of RFC 6962 §2.1.2, with each node's range of leaves instead of its hash."""
    if size == high - low:
        return [] if whole else [(low, high)]
    split = 1 << (high - low - 1).bit_length() - 1
    if size <= split:
        return [*_ranges(size, low, low + split, whole=whole), (low + split, high)]
    return [*_ranges(size - split, low + split, high, whole=False), (low, low + split)]


def _complete_subtrees(tree: MerkleTree) -> dict[_Range, bytes]:
    found: dict[_Range, bytes] = {}
    low = 0
    for node in tree.frontier:
        high = low + (1 << (tree.size - low).bit_length() - 1)
        found[low, high] = node
        low = high
    return found


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
