"""Decides whether a witness may cosign a checkpoint; no I/O (C2SP tlog-witness, RFC 6962 §2.1.2). ``witness.app`` calls it.

The body of a request:

    old <size of the last checkpoint that was cosigned>
    <base64 node of the consistency proof>            none to 63 of them
    <blank line>
    <the checkpoint>

Only an acceptance changes what the witness stores.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.journal.checkpoint import Checkpoint, head_of
from controller.journal.consistency import MOST_NODES, is_consistent
from controller.journal.merkle import MerkleTree
from controller.journal.note import MAX_NOTE_BYTES, NoteKey, open_note
from exchange.errors import IntegrityError

MOST_BYTES = MAX_NOTE_BYTES + 4096
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_EMPTY_ROOT = MerkleTree().root()


@dataclass(frozen=True, slots=True)
class CheckpointRefused:
    """No cosignature. ``suspicious`` is the signed text if the log did not prove that it extends what it signed before."""

    status: int
    body: str
    content_type: str = TEXT_TYPE
    suspicious: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointAccepted:
    """A checkpoint to store durably and then cosign. ``text`` is cosigned: the note without its signatures."""

    note: str
    text: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class _Request:
    old: int
    proof: tuple[bytes, ...]
    note: str
    text: str
    checkpoint: Checkpoint


def judge(
    body: bytes, logs: Mapping[str, NoteKey], newest: Callable[[str], Checkpoint | None]
) -> CheckpointAccepted | CheckpointRefused:
    """Judge one ``add-checkpoint`` request.

    Args:
        logs: the public key of every known log, by its origin.
        newest: returns the last checkpoint that was cosigned for an origin.
    """
    try:
        request = _parsed(body)
    except (IntegrityError, ValueError) as error:
        return CheckpointRefused(400, f"{error}\n")
    key = logs.get(request.checkpoint.origin)
    if key is None:
        return CheckpointRefused(404, "this log is not known\n")
    try:
        open_note(request.note, key)
    except IntegrityError as error:
        return CheckpointRefused(403, f"{error.message}\n")
    stored = newest(request.checkpoint.origin) or Checkpoint(request.checkpoint.origin, 0, _EMPTY_ROOT)
    return _refusal(request, stored) or CheckpointAccepted(request.note, request.text, request.checkpoint)


def _refusal(request: _Request, stored: Checkpoint) -> CheckpointRefused | None:
    new = request.checkpoint
    if request.old > new.size:
        return CheckpointRefused(400, f"the old size {request.old} is above the checkpoint's {new.size}\n")
    if request.old != stored.size:
        return CheckpointRefused(409, f"{stored.size}\n", SIZE_TYPE)
    if new.size == stored.size and new.root != stored.root:
        return CheckpointRefused(409, f"{stored.size}\n", SIZE_TYPE, suspicious=request.text)
    if not is_consistent(stored.size, stored.root, new.size, new.root, request.proof):
        why = f"the proof does not connect {stored.size} entries with these {new.size}\n"
        return CheckpointRefused(422, why, suspicious=request.text)
    return None


def _parsed(body: bytes) -> _Request:
    if len(body) > MOST_BYTES:
        raise ValueError("the request is too long")
    head, blank, note = body.decode().partition("\n\n")
    if not blank:
        raise ValueError("no blank line before the checkpoint")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if old is None:
        raise ValueError("the first line is not `old` and a size")
    if len(lines) > MOST_NODES:
        raise ValueError(f"more than {MOST_NODES} nodes in the proof")
    text = note.partition("\n\n")[0] + "\n"
    return _Request(int(old[1]), tuple(map(_node, lines)), note, text, head_of(text))


def _node(line: str) -> bytes:
    try:
        node = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a line of the proof is not base64") from None
    if len(node) != 32 or base64.b64encode(node).decode() != line:
        raise ValueError("a line of the proof is not one hash in base64")
    return node
