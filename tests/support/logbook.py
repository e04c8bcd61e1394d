"""A log with a key, for tests of witnesses: its checkpoints, its proofs, and its forks."""

from __future__ import annotations

import base64
import hashlib

from controller.authority.keys import generate_key
from controller.journal.checkpoint import Checkpoint, checkpoint_public_key, origin_of, sign_checkpoint
from controller.journal.consistency import consistency_proof
from controller.journal.merkle import MerkleTree


class Logbook:
    """``fork`` names a history: two logbooks agree up to the first leaf that differs in ``turned``."""

    def __init__(self, owner: str = "desk-1", *, private: object = None, turned: int | None = None) -> None:
        self.owner = owner
        self.private = private or generate_key()
        self.key = checkpoint_public_key(owner, self.private)
        self.turned = turned

    def forked(self, at: int) -> Logbook:
        """The same log with another history from leaf ``at`` on."""
        return Logbook(self.owner, private=self.private, turned=at)

    def leaves(self, size: int) -> list[bytes]:
        branch = [b"" if self.turned is None or number < self.turned else b"other " for number in range(size)]
        return [hashlib.sha256(prefix + b"entry %d" % number).digest() for number, prefix in enumerate(branch)]

    def tree(self, size: int) -> MerkleTree:
        tree = MerkleTree()
        for leaf in self.leaves(size):
            tree.append_leaf(leaf)
        return tree

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(origin_of(self.owner), size, self.tree(size).root())

    def note(self, size: int) -> str:
        return sign_checkpoint(self.checkpoint(size), self.private)

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        return consistency_proof(self.tree(old), new, self.leaves(new)[old:])

    def request(self, old: int, new: int) -> bytes:
        """An honest ``add-checkpoint`` body."""
        return body(old, self.proof(old, new), self.note(new))


def body(old: object, proof: tuple[bytes, ...], note: str) -> bytes:
    lines = "".join(f"{base64.b64encode(node).decode()}\n" for node in proof)
    return f"old {old}\n{lines}\n{note}".encode()
