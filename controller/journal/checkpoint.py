"""Checkpoints: a signed statement of the journal's length and content (C2SP tlog-checkpoint, RFC 6962).

    gatehouse/<controller id>
    <number of entries>
    <base64 Merkle root over the entry hashes>

A chain alone cannot show that its end was cut off or that it was replaced by an older copy. A checkpoint can, if it is kept where
the journal's host cannot rewrite it. ``runtime`` takes and publishes them; a verification compares the journal with them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.journal.chain import Fault, Problem, Row
from controller.journal.merkle import MerkleTree
from controller.journal.note import NoteKey, note_key, open_note, sign_note
from exchange.errors import IntegrityError

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


def origin_of(controller_id: str) -> str:
    """The name in a controller's checkpoints and of its checkpoint key."""
    return f"gatehouse/{controller_id}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The Merkle root of the first ``size`` entries, 32 bytes."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def checkpoint_public_key(controller_id: str, private_key: Ed25519PrivateKey) -> NoteKey:
    """The public key that checks a controller's checkpoints; give its ``text`` to every witness."""
    return note_key(origin_of(controller_id), private_key)


def take_checkpoint(controller_id: str, tree: MerkleTree) -> Checkpoint:
    """The checkpoint of a journal whose entry hashes are the tree's leaves."""
    return Checkpoint(origin_of(controller_id), tree.size, tree.root())


def sign_checkpoint(checkpoint: Checkpoint, private_key: Ed25519PrivateKey) -> str:
    """The signed note that is published."""
    return sign_note(checkpoint.text, checkpoint.origin, private_key)


def parse_checkpoint(note: str, key: NoteKey) -> Checkpoint:
    """Read a checkpoint signed by ``key``.

    Raises:
        IntegrityError: the codes of ``open_note``, or ``checkpoint-malformed``.
    """
    text = open_note(note, key)
    checkpoint = head_of(text)
    if checkpoint.text != text or checkpoint.origin != key.name:
        raise _malformed("not the origin, the size and the root of this controller's journal")
    return checkpoint


def head_of(text: str) -> Checkpoint:
    """The checkpoint in the text of any log's note; extension lines are ignored (C2SP tlog-checkpoint).

    Raises:
        IntegrityError: ``checkpoint-malformed``.
    """
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):
        raise _malformed("not an origin, a size and a root")
    try:
        checkpoint = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
    except (binascii.Error, ValueError):
        raise _malformed("the root is not base64") from None
    if not text.startswith(checkpoint.text) or len(checkpoint.root) != 32:
        raise _malformed("the root is not 32 bytes of standard base64")
    return checkpoint


def decode_checkpoint(data: bytes, key: NoteKey) -> Checkpoint:
    """Read a stored checkpoint: ``parse_checkpoint`` for bytes of any content."""
    try:
        return parse_checkpoint(data.decode(), key)
    except UnicodeDecodeError:
        raise _malformed("not a note") from None


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint and the name of its holder as the subject of a sentence: ``"the git remote backup"``."""

    holder: str
    checkpoint: Checkpoint


def anchored(checkpoint: Checkpoint | Anchor) -> Anchor:
    """The checkpoint with a holder; an unnamed holder is called ``a checkpoint``."""
    return checkpoint if isinstance(checkpoint, Anchor) else Anchor("a checkpoint", checkpoint)


class CheckpointWalk:
    """Compares a journal with any number of checkpoints, entry by entry.

    ``tree`` is that of the entries before the first one that is walked. ``compared`` is the size of the largest checkpoint that
    agreed. A checkpoint of fewer entries than the tree has cannot be compared: only archived entries could show it.
    """

    def __init__(self, controller_id: str, checkpoints: Iterable[Checkpoint | Anchor], tree: MerkleTree | None = None) -> None:
        self._origin = origin_of(controller_id)
        self._held = tuple(map(anchored, checkpoints))
        self.tree = tree or MerkleTree()
        comparable = (one for one in self._held if one.checkpoint.size >= self.tree.size)
        self._pending = sorted(comparable, key=lambda one: one.checkpoint.size, reverse=True)
        self.compared = 0

    def take(self, rows: Iterable[Row]) -> Problem | None:
        """Add the next rows; call ``start()`` before the first. After all checkpoints are compared, the tree is not needed."""
        for *_, digest in rows if self._pending else ():
            self.tree.append_leaf(digest)
            if (problem := self._compare()) is not None:
                return problem
        return None

    def start(self) -> Problem | None:
        """The problem before the first entry: a checkpoint of another controller, or a wrong one of the empty journal."""
        for anchor in self._held:
            if anchor.checkpoint.origin != self._origin:
                held = f"{anchor.holder} holds a checkpoint of {anchor.checkpoint.size} entries"
                message = f"{held} of {anchor.checkpoint.origin}, and the journal is of {self._origin}"
                return Problem(Fault.OTHER_CONTROLLER, 0, message)
        return self._compare()

    def finish(self) -> Problem | None:
        """The problem after the last entry: a checkpoint of more entries."""
        if not self._pending:
            return None
        found = self.tree.size
        larger = ", ".join(f"{anchor.holder} knows {anchor.checkpoint.size} entries" for anchor in self._pending)
        message = f"{larger} and the journal has {found}: the end was cut off, or an older copy was restored"
        return Problem(Fault.TAIL_MISSING, found + 1, message)

    def _compare(self) -> Problem | None:
        size = self.tree.size
        while self._pending and self._pending[-1].checkpoint.size == size:
            anchor = self._pending.pop()
            if anchor.checkpoint.root != self.tree.root():
                message = f"the first {size} entries are not those of the checkpoint that {anchor.holder} holds"
                return Problem(Fault.HISTORY_REWRITTEN, size, f"{message}: history was rewritten, or the file was swapped")
            self.compared = size
        return None


def _malformed(why: str) -> IntegrityError:
    return IntegrityError(
        why,
        code="checkpoint-malformed",
        remedy="Fetch the checkpoint again from its target, and find out who changed it.",
    )
