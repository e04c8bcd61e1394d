"""Consistency proofs: they equal the definition and published vectors, and forged ones are refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.journal.consistency import consistency_proof, is_consistent
from controller.journal.merkle import MerkleTree

MOST = 64
LEAVES = [hashlib.sha256(b"leaf %d" % number).digest() for number in range(MOST)]
PAIRS = [(old, new) for new in range(MOST + 1) for old in range(new + 1)]

# The seven leaves of the trees in the certificate transparency repositories, and their roots (RFC 6962 §2.1.3 has the same shape).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_PROOFS = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_ROOT_8 = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def tree_of(leaves: list[bytes]) -> MerkleTree:
    tree = MerkleTree()
    for leaf in leaves:
        tree.append_leaf(leaf)
    return tree


def defined(size: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF of RFC 6962 §2.1.2, word for word."""
    if size == len(leaves):
        return [] if whole else [tree_of(leaves).root()]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if size <= k:
        return [*defined(size, leaves[:k], whole=whole), tree_of(leaves[k:]).root()]
    return [*defined(size - k, leaves[k:], whole=False), tree_of(leaves[:k]).root()]


def proof(old: int, new: int) -> tuple[bytes, ...]:
    return consistency_proof(tree_of(LEAVES[:old]), new, LEAVES[old:new])


def test_every_pair_of_sizes_has_the_proof_of_the_definition() -> None:
    for old, new in PAIRS:
        assert list(proof(old, new)) == (defined(old, LEAVES[:new]) if old else []), (old, new)


def test_every_proof_is_valid_for_its_pair_of_sizes() -> None:
    for old, new in PAIRS:
        assert is_consistent(old, tree_of(LEAVES[:old]).root(), new, tree_of(LEAVES[:new]).root(), proof(old, new)), (old, new)


@pytest.mark.parametrize(("sizes", "nodes"), CT_PROOFS.items())
def test_published_proofs_are_produced_and_valid(sizes: tuple[int, int], nodes: list[str]) -> None:
    old, new = sizes
    expected = tuple(map(bytes.fromhex, nodes))
    older = tree_of(CT_LEAVES[:old])
    assert consistency_proof(older, new, CT_LEAVES[old:new]) == expected
    assert is_consistent(old, older.root(), new, tree_of(CT_LEAVES[:new]).root(), expected)
    assert tree_of(CT_LEAVES).root().hex() == CT_ROOT_8


@given(st.sampled_from([pair for pair in PAIRS if pair[0] > 0]), st.data())
def test_another_history_has_no_proof(sizes: tuple[int, int], data: st.DataObject) -> None:
    old, new = sizes
    rewritten = data.draw(st.integers(0, old - 1))
    forged = [hashlib.sha256(leaf).digest() if number == rewritten else leaf for number, leaf in enumerate(LEAVES[:new])]
    claimed = tree_of(forged).root()
    held = tree_of(LEAVES[:old]).root()
    theirs = consistency_proof(tree_of(forged[:old]), new, forged[old:])
    for attempt in (theirs, proof(old, new), (held, *theirs), theirs[1:], theirs[::-1]):
        assert not is_consistent(old, held, new, claimed, attempt)


@given(st.sampled_from([pair for pair in PAIRS if 0 < pair[0] < pair[1]]), st.data())
def test_a_changed_proof_is_invalid(sizes: tuple[int, int], data: st.DataObject) -> None:
    old, new = sizes
    roots = tree_of(LEAVES[:old]).root(), tree_of(LEAVES[:new]).root()
    good = list(proof(old, new))
    at = data.draw(st.integers(0, len(good) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = bytearray(good[at])
    flipped[bit // 8] ^= 1 << bit % 8
    for bad in ([*good[:at], bytes(flipped), *good[at + 1 :]], [*good[:at], *good[at + 1 :]], [*good, good[at]]):
        assert not is_consistent(old, roots[0], new, roots[1], bad)


def test_a_proof_is_valid_only_for_its_own_sizes() -> None:
    for old, new in PAIRS:
        if 0 < old < new:
            roots = tree_of(LEAVES[:old]).root(), tree_of(LEAVES[:new]).root()
            assert not is_consistent(new, roots[1], old, roots[0], proof(old, new))
            assert not is_consistent(old, roots[0], new, roots[1], ())


def test_a_root_is_not_valid_for_a_tree_of_another_height() -> None:
    for old, new in [(1, 2), (3, 7), (4, 6), (6, 8), (8, 9), (11, 21)]:
        older, newer = tree_of(LEAVES[:old]).root(), tree_of(LEAVES[:new]).root()
        for claimed in range(old + 1, MOST + 1):
            if (claimed - 1).bit_length() != (new - 1).bit_length():
                assert not is_consistent(old, older, claimed, newer, proof(old, new)), (old, new, claimed)


def test_at_the_same_size_only_the_same_root_agrees_without_a_proof() -> None:
    root, other = tree_of(LEAVES[:5]).root(), tree_of(LEAVES[1:6]).root()
    assert is_consistent(5, root, 5, root, ())
    assert not is_consistent(5, root, 5, other, ())
    assert not is_consistent(5, root, 5, root, (root,))


def test_an_empty_tree_agrees_with_every_tree_without_a_proof() -> None:
    assert is_consistent(0, tree_of([]).root(), 5, tree_of(LEAVES[:5]).root(), ())
    assert not is_consistent(0, tree_of([]).root(), 5, tree_of(LEAVES[:5]).root(), (LEAVES[0],))


def test_a_proof_needs_every_leaf_since_the_older_size() -> None:
    with pytest.raises(ValueError, match="the leaves end before leaf 9"):
        consistency_proof(tree_of(LEAVES[:4]), 9, LEAVES[4:8])


def test_a_shorter_tree_cannot_follow_a_longer_one() -> None:
    with pytest.raises(ValueError, match="not the beginning"):
        consistency_proof(tree_of(LEAVES[:4]), 3, [])
