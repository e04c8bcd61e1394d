"""Snapshots: a disposable copy of the folded state, so that a start folds what came after it and not everything (DESIGN §7).

A snapshot is one file. Its first line names the entry it was taken after with that entry's hash, the version and source of
gatehouse that folded it, and digests of the rest, and is signed with the controller's own checkpoint key: a start believes no
copy that another hand wrote. Whatever does not fit, parse or verify is deleted and the whole journal is folded instead.

Nothing here replaces verification: a start still verifies the chain from the genesis before it looks for a snapshot.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.journal.chain import Head
from controller.journal.files import write_atomically
from controller.journal.merkle import MerkleTree
from controller.runtime import frozen
from controller.runtime.memory import Kept
from controller.state import State
from controller.version import VERSION
from exchange.errors import GatehouseError
from policies import canonical

FILE_NAME = "snapshot"
FORMAT = "gatehouse-snapshot-v1"
SAVE_AFTER = 10_000
"""A start that folded fewer entries than this, or a run that added fewer, takes no new snapshot."""

_CONTEXT = b"gatehouse-snapshot-v1\0"
_MAX_BYTES = 1 << 30
_FOLDING = ("controller/*.py", "controller/authority/*.py", "controller/runtime/memory.py", "gates/*.py", "policies/*.py")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a start needs to know of the entries up to ``seq``, whose hash is ``hash``."""

    seq: int
    hash: str
    state: State
    kept: Kept
    tree: MerkleTree


class Snapshots:
    """The one snapshot of a deployment."""

    def __init__(self, data: Path, key: Ed25519PrivateKey) -> None:
        self._path = data / FILE_NAME
        self._key = key

    def save(self, state: State, head: Head, kept: Kept, tree: MerkleTree) -> bool:
        """Replace the snapshot; ``False`` when it could not be written, which costs nothing but the next start's time."""
        if not state.seq == head.seq == tree.size:
            return False
        try:
            body = _encoded([
                frozen.write(State, state),
                frozen.write(Kept, kept),
                [base64.b64encode(node).decode() for node in tree.frontier],
            ])  # fmt: skip
            header = _header(head.seq, head.hash, state, body)
            signature = base64.b64encode(self._key.sign(_CONTEXT + header))
            write_atomically(self._path, header + b"\n" + signature + b"\n" + body)
        except (OSError, GatehouseError):
            _log.warning("no snapshot was written", exc_info=True)
            return False
        return True

    def load(self, hash_at: Callable[[int], str | None]) -> Snapshot | None:
        """The snapshot, if the journal of ``hash_at`` holds the entry it was taken after. One that does not fit is deleted."""
        try:
            data = self._path.read_bytes() if self._path.stat().st_size <= _MAX_BYTES else b""
            return self._opened(data, hash_at)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError, InvalidSignature, GatehouseError) as error:
            _log.warning("a snapshot was not used", extra={"fields": {"why": str(error) or type(error).__name__}})
            self._path.unlink(missing_ok=True)
            return None

    def _opened(self, data: bytes, hash_at: Callable[[int], str | None]) -> Snapshot:
        header, signature, body = data.split(b"\n", 2)
        self._key.public_key().verify(base64.b64decode(signature, validate=True), _CONTEXT + header)
        told = canonical.decode(header)
        if told != json.loads(_header(told["seq"], told["hash"], told["state"], body)):
            raise ValueError("it is of another version, or its body is not what its header says")
        if hash_at(told["seq"]) != told["hash"]:
            raise ValueError("the journal does not hold the entry it was taken after")
        state, kept, frontier = json.loads(body)
        found: State = frozen.read(State, state)
        if found.seq != told["seq"] or found.fingerprint() != told["state"]:
            raise ValueError("the state does not have the fingerprint it was written with")
        nodes = tuple(base64.b64decode(node, validate=True) for node in frontier)
        return Snapshot(told["seq"], told["hash"], found, frozen.read(Kept, kept), MerkleTree(found.seq, nodes))


def _header(seq: int, digest: str, state: State | str, body: bytes) -> bytes:
    fingerprint = state.fingerprint() if isinstance(state, State) else state
    return canonical.encode({
        "format": FORMAT, "version": VERSION, "source": source_digest(), "seq": seq, "hash": digest, "state": fingerprint,
        "body": canonical.digest(body),
    })  # fmt: skip


def _encoded(value: Any) -> bytes:
    # Lists of strings, integers, booleans and nulls only: these are RFC 8785's bytes, a hundred times sooner.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@cache
def source_digest() -> str:
    """A digest of the code that folds and of the state's shape: a snapshot that other code folded is not ours."""
    root = Path(__file__).parents[2]
    digest = sha256(frozen.form_of(State).shape.encode() + frozen.form_of(Kept).shape.encode())
    for pattern in _FOLDING:
        for path in sorted(root.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"sha256:{digest.hexdigest()}"
