"""Checkpoints: a signed statement of how long the journal was and what was in it (C2SP tlog-checkpoint, RFC 6962).

    gatehouse/<controller id>
    <number of entries>
    <base64 Merkle root over the entry hashes>

A chain alone cannot show that its end was cut off or that an older copy was put in its place. A checkpoint can, when it is kept
where the journal's host cannot rewrite it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.journal.chain import Entry, Fault, Problem, Row
from controller.journal.files import write_atomically
from controller.journal.merkle import MerkleTree
from controller.journal.note import MAX_NOTE_BYTES, NoteKey, note_key, open_note, sign_note
from exchange.errors import IntegrityError

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


def origin_of(controller_id: str) -> str:
    """The name a controller's checkpoints and its checkpoint key go by."""
    return f"gatehouse/{controller_id}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the first ``size`` entries hash to. ``root`` is 32 bytes."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def checkpoint_key(controller_id: str, private_key: Ed25519PrivateKey) -> NoteKey:
    """The public key a controller's checkpoints are checked with; give its ``text`` to every witness."""
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
    lines = text[:-1].split("\n")
    if len(lines) != 3 or lines[0] != key.name or not _SIZE.fullmatch(lines[1]):
        raise _malformed("not the origin, the size and the root of this controller's journal")
    try:
        checkpoint = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
    except (binascii.Error, ValueError):
        raise _malformed("the root is not base64") from None
    if checkpoint.text != text or len(checkpoint.root) != 32:
        raise _malformed("the root is not 32 bytes of standard base64")
    return checkpoint


class CheckpointWalk:
    """Compares a journal with any number of checkpoints while its entries pass by."""

    def __init__(self, controller_id: str, checkpoints: Iterable[Checkpoint]) -> None:
        self._origin = origin_of(controller_id)
        self._pending = sorted(checkpoints, key=lambda one: one.size, reverse=True)
        self.tree = MerkleTree()

    def step(self, entry: Entry) -> Problem | None:
        """Take the next entry; the first comes after ``start()`` was asked."""
        self.tree.append(entry.hash)
        return self._compare()

    def take(self, rows: Iterable[Row]) -> Problem | None:
        """Take the next rows at once. Once every checkpoint has been compared, no tree is needed any more."""
        for *_, digest in rows if self._pending else ():
            self.tree.append_leaf(digest)
            if (problem := self._compare()) is not None:
                return problem
        return None

    def start(self) -> Problem | None:
        """What is wrong before the first entry: a checkpoint of another controller, or one of an empty journal that is not."""
        for checkpoint in self._pending:
            if checkpoint.origin != self._origin:
                message = f"the checkpoint of {checkpoint.size} entries is of {checkpoint.origin}, the journal of {self._origin}"
                return Problem(Fault.OTHER_CONTROLLER, 0, message)
        return self._compare()

    def finish(self) -> Problem | None:
        """What is wrong once all entries have passed: a checkpoint that knows of more."""
        if not self._pending:
            return None
        known, found = self._pending[0].size, self.tree.size
        message = f"a checkpoint knows {known} entries and {found} are here: the end was cut off, or an older copy was restored"
        return Problem(Fault.TAIL_MISSING, found + 1, message)

    def _compare(self) -> Problem | None:
        while self._pending and self._pending[-1].size == self.tree.size:
            if self._pending.pop().root != self.tree.root():
                message = f"the first {self.tree.size} entries are not those the checkpoint was taken of: history was rewritten"
                return Problem(Fault.HISTORY_REWRITTEN, self.tree.size, message)
        return None


def check_against(entries: Iterable[Entry], checkpoint: Checkpoint, controller_id: str) -> Problem | None:
    """What a checkpoint shows to be wrong with a journal read from its first entry; ``None`` when it agrees."""
    walk = CheckpointWalk(controller_id, (checkpoint,))
    problem = walk.start()
    for entry in entries:
        if problem or walk.tree.size >= checkpoint.size:
            break
        problem = walk.step(entry)
    return problem or walk.finish()


@dataclass(frozen=True, slots=True)
class Publication:
    """Whether one witness directory took a checkpoint; ``problem`` says why not and is empty when it did."""

    directory: Path
    problem: str


def witness_file(directory: Path, controller_id: str) -> Path:
    """Where a witness directory keeps a controller's newest checkpoint."""
    return directory / f"gatehouse-{controller_id}.checkpoint"


def publish(note: str, controller_id: str, key: NoteKey, directories: Iterable[Path]) -> tuple[Publication, ...]:
    """Write a signed checkpoint to every witness directory it can be written to, each atomically.

    A directory that holds a longer or a contradicting checkpoint keeps it: that is the evidence of a rollback or a fork.

    Raises:
        IntegrityError: the note itself is not a checkpoint signed by ``key``.
    """
    checkpoint = parse_checkpoint(note, key)
    return tuple(Publication(directory, _publish(note, checkpoint, controller_id, key, directory)) for directory in directories)


def read_witness(directory: Path, controller_id: str, key: NoteKey) -> Checkpoint | None:
    """The newest checkpoint a witness directory holds; ``None`` when it has never been given one.

    Raises:
        IntegrityError: it cannot be read, or the codes of ``parse_checkpoint``.
    """
    path = witness_file(directory, controller_id)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_NOTE_BYTES + 1)
        return parse_checkpoint(data.decode(), key)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _malformed(f"{path} cannot be read: {error}") from error


def _publish(note: str, checkpoint: Checkpoint, controller_id: str, key: NoteKey, directory: Path) -> str:
    try:
        held = read_witness(directory, controller_id, key)
        if held and held.size > checkpoint.size:
            return f"it holds a checkpoint of {held.size} entries, and this one is of {checkpoint.size}"
        if held and held.size == checkpoint.size and held.root != checkpoint.root:
            return f"it holds another checkpoint of {held.size} entries: the journal has two histories"
        write_atomically(witness_file(directory, controller_id), note.encode())
    except IntegrityError as error:
        return error.message
    except OSError as error:
        return f"it cannot be written: {error.strerror}"
    return ""


def _malformed(why: str) -> IntegrityError:
    return IntegrityError(
        why,
        code="checkpoint-malformed",
        remedy="Fetch the checkpoint again from where it was published, and find out who changed it.",
    )
