"""Verifies a long chain with several processes; the result is "everything is valid" or nothing (architecture.md §7).

``verify`` calls it. The entries are divided into ranges. Each process reads the entry before its range, assumes that entry's hash
and verifies the entries of its range; then the ends of neighbouring ranges must have equal hashes, from the genesis to the last
entry. So every entry is verified against the one before it, as a single walk does. If anything is wrong, in the journal or with a
process, there is no result, and the caller walks the entries one after another to find the problem.

python -m controller.journal.verify_chain PATH AFTER LAST CHUNK [SIZE …]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from controller.journal.chain import ChainWalk, Head, genesis_hash
from controller.journal.merkle import MerkleTree, subtree_root
from controller.journal.port import JournalError
from controller.journal.sqlite import SqliteReader, read_journal

WORTH_IT = 250_000
"""A shorter journal is verified faster than another process starts."""

_CHUNK = 1 << 14
_MOST_RANGES = 4
_PATIENCE_S = 600.0
_MODULE = "controller.journal.verify_chain"


@dataclass(frozen=True, slots=True)
class _Proof:
    """One valid range after ``start``: the roots of its complete chunks of leaves, and the frontiers beyond them at some sizes."""

    start: Head
    end: Head
    chunks: tuple[bytes, ...] = ()
    beyond: tuple[tuple[int, tuple[bytes, ...]], ...] = ()


def prove(
    path: Path, controller_id: str, roots: Iterable[tuple[int, bytes]] = (), *, at_least: int = WORTH_IT, chunk: int = _CHUNK
) -> Head | None:
    """The last entry of a journal file if every entry is valid, verified with one process per core.

    ``roots`` are the sizes and Merkle roots the journal must have. ``None`` when anything is wrong, or when the journal has fewer
    than ``at_least`` entries. ``chunk`` is a power of two; a range begins where a chunk of leaves begins.
    """
    expected = tuple(roots)
    try:
        reader = read_journal(path)
    except JournalError:
        return None
    try:
        last = reader.head.seq
        cuts = _cuts(last, chunk)
        if reader.controller_id != controller_id or reader.signed_base is not None or last < at_least or len(cuts) < 3:
            return None
        sizes = sorted({size for size, _ in expected if size > 0})
        proofs = _proofs(reader, path, Head(0, genesis_hash(controller_id), 0), cuts, sizes, chunk)
        if proofs is None or any(before.end != after.start for before, after in pairwise(proofs)):
            return None
        trees = {0: MerkleTree(), **_trees(proofs, chunk)}
        agreed = all(size in trees and trees[size].root() == root for size, root in expected)
        return proofs[-1].end if agreed else None
    except (JournalError, OSError, ValueError, subprocess.SubprocessError):
        return None
    finally:
        reader.close()


def _cuts(last: int, chunk: int) -> list[int]:
    ranges = min(len(os.sched_getaffinity(0)), _MOST_RANGES)
    size = max(1, last // chunk // ranges) * chunk
    return [*[*range(0, last, size)][:ranges], last]


def _proofs(
    reader: SqliteReader, path: Path, genesis: Head, cuts: Sequence[int], sizes: Sequence[int], chunk: int
) -> list[_Proof] | None:
    with ExitStack() as stack:
        helpers = [stack.enter_context(_Helper(path, after, last, chunk, sizes)) for after, last in pairwise(cuts[1:])]
        mine = _proof(reader, genesis, cuts[1], sizes, chunk)
        if mine is None:
            return None
        return [mine, *(helper.answer() for helper in helpers)]


def _proof(reader: SqliteReader, start: Head, last: int, sizes: Sequence[int], chunk: int) -> _Proof | None:
    walk = ChainWalk("", start)
    within = [size for size in sizes if start.seq < size <= last]
    leaves: list[bytes] = []
    chunks: list[bytes] = []
    beyond: list[tuple[int, tuple[bytes, ...]]] = []
    for page in reader.rows(start.seq, last):
        if walk.take(page) is not None:
            return None
        if sizes:
            leaves += [row[6] for row in page]
        while len(leaves) >= chunk:
            beyond += _beyond(start.seq + len(chunks) * chunk, leaves[:chunk], within)
            chunks.append(subtree_root(leaves[:chunk]))
            del leaves[:chunk]
    beyond += _beyond(start.seq + len(chunks) * chunk, leaves, within)
    return _Proof(start, walk.head, tuple(chunks), tuple(beyond)) if walk.head.seq == last else None


def _beyond(before: int, leaves: Sequence[bytes], sizes: Sequence[int]) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    for size in sizes:
        if before < size <= before + len(leaves):
            tree = MerkleTree()
            for leaf in leaves[: size - before]:
                tree.append_leaf(leaf)
            yield size, tree.frontier


def _trees(proofs: Sequence[_Proof], chunk: int) -> dict[int, MerkleTree]:
    whole, trees = MerkleTree(), {}
    for proof in proofs:
        beyond = dict(proof.beyond)
        for number in range(len(proof.chunks) + 1):
            for size in [size for size in beyond if size <= whole.size + chunk]:
                trees[size] = _with(whole, size, beyond.pop(size))
            if number < len(proof.chunks):
                whole.append_subtree(proof.chunks[number], chunk)
    return trees


def _with(whole: MerkleTree, size: int, frontier: Sequence[bytes]) -> MerkleTree:
    tree, left = MerkleTree(whole.size, whole.frontier), size - whole.size
    for node in frontier:
        leaves = 1 << (left.bit_length() - 1)
        tree.append_subtree(node, leaves)
        left -= leaves
    return tree


class _Helper:
    """Another process that verifies one range."""

    def __init__(self, path: Path, after: int, last: int, chunk: int, sizes: Sequence[int]) -> None:
        self._arguments = [str(path), *map(str, (after, last, chunk, *sizes))]

    def __enter__(self) -> _Helper:
        command = [sys.executable, "-P", "-m", _MODULE, *self._arguments]
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def answer(self) -> _Proof:
        """Its proof. Raises ``ValueError`` when it proved nothing."""
        output, _ = self._process.communicate(timeout=_PATIENCE_S)
        proven: Any = json.loads(output)
        return _Proof(
            Head(*proven["start"]),
            Head(*proven["end"]),
            tuple(map(bytes.fromhex, proven["chunks"])),
            tuple((size, tuple(map(bytes.fromhex, nodes))) for size, nodes in proven["beyond"]),
        )


def _help(path: str, after: int, last: int, chunk: int, *sizes: int) -> None:
    reader = read_journal(Path(path))
    (before,) = reader.read(after - 1, 1)
    proof = _proof(reader, Head(before.seq, before.hash, before.epoch), last, sizes, chunk)
    if proof is not None:
        proven = {
            "start": [proof.start.seq, proof.start.hash, proof.start.epoch],
            "end": [proof.end.seq, proof.end.hash, proof.end.epoch],
            "chunks": [node.hex() for node in proof.chunks],
            "beyond": [[size, [node.hex() for node in nodes]] for size, nodes in proof.beyond],
        }
        sys.stdout.write(json.dumps(proven))


if __name__ == "__main__":
    _help(sys.argv[1], *map(int, sys.argv[2:]))
