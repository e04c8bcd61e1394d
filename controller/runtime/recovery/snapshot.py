"""Snapshots: a disposable copy of the folded state, so that a start folds only the entries after it (architecture.md §7).

``SnapshotSchedule`` saves them, ``controller.bootstrap`` loads one at a start. A snapshot is one file. Its last line but one is a
header: the entry after which it was taken with that entry's hash, the version and source of gatehouse that folded it, and digests
of the rest. The last line is the header's signature by the controller's own checkpoint key, so a file that was made elsewhere is
not used. A file that does not fit, parse or verify is deleted, and the whole journal is folded instead.

A snapshot does not replace verification: a start still verifies the chain from the first entry before it loads a snapshot.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.core import state_codec
from controller.core.state import State
from controller.journal.chain import Head
from controller.journal.files import write_pieces
from controller.journal.merkle import MerkleTree
from controller.runtime.followers.recent import SavedHistory
from controller.version import SOURCE_ROOT, VERSION
from exchange.errors import GatehouseError
from policies import canonical

FILE_NAME = "snapshot"
FORMAT = "gatehouse-snapshot-v2"
SAVE_AFTER = 10_000
"""A start that folds fewer entries, or a run that adds fewer, takes no new snapshot."""

_CONTEXT = b"gatehouse-snapshot-v2\0"
_MAX_BYTES = 1 << 32
_FOLDING = (
    "controller/*.py",
    "controller/core/**/*.py",
    "controller/authority/*.py",
    "controller/runtime/followers/kept.py",
    "controller/runtime/followers/recent.py",
    "gates/*.py",
    "policies/*.py",
    "exchange/*.py",
    "exchange/wire/*.py",
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a start needs of the entries up to ``seq``, whose hash is ``hash``."""

    seq: int
    hash: str
    state: State
    history: SavedHistory
    tree: MerkleTree


@dataclass(frozen=True, slots=True)
class _Frontier:
    nodes: tuple[str, ...]


class Snapshots:
    """The newest snapshot of a deployment, or with another ``name`` one that is kept: a file that does not fit stays."""

    def __init__(self, data: Path, key: Ed25519PrivateKey, name: str = FILE_NAME) -> None:
        self._path = data / name
        self._key = key
        self._kept = name != FILE_NAME
        self._saving = Lock()

    def save(self, state: State, head: Head, history: SavedHistory, tree: MerkleTree, pause: Callable[[], object] = int) -> bool:
        """Replace the snapshot. ``False`` when it could not be written: the next start then only takes longer.

        Another thread may do this while the controller runs; ``pause`` is then called after every small piece.
        """
        if not state.seq == head.seq == tree.size:
            return False
        try:
            with self._saving:
                write_pieces(self._path, self._pieces(state, head, history, tree, pause))
        except (OSError, GatehouseError):
            _log.warning("no snapshot was written", exc_info=True)
            return False
        return True

    def load(self, hash_at: Callable[[int], str | None]) -> Snapshot | None:
        """The snapshot, if the journal of ``hash_at`` holds the entry it was taken after. A file that does not fit is deleted."""
        try:
            data = self._path.read_bytes() if self._path.stat().st_size <= _MAX_BYTES else b""
            return self._opened(data, hash_at)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, InvalidSignature, GatehouseError) as error:
            _log.warning("a snapshot was not used", extra={"fields": {"why": str(error) or type(error).__name__}})
            if not self._kept:
                self._path.unlink(missing_ok=True)
            return None

    def _pieces(
        self, state: State, head: Head, history: SavedHistory, tree: MerkleTree, pause: Callable[[], object]
    ) -> Iterator[bytes]:
        digest = sha256()
        for piece in state_codec.pack(state, history, _Frontier(tuple(base64.b64encode(node).decode() for node in tree.frontier))):
            digest.update(piece)
            yield piece
            pause()
        header = _header(head.seq, head.hash, state.fingerprint(hash_maps=False), f"sha256:{digest.hexdigest()}")
        yield b"\n" + header + b"\n" + base64.b64encode(self._key.sign(_CONTEXT + header))

    def _opened(self, data: bytes, hash_at: Callable[[int], str | None]) -> Snapshot:
        second = data.rindex(b"\n")
        first = data.rindex(b"\n", 0, second)
        body, header, signature = memoryview(data)[:first], data[first + 1 : second], data[second + 1 :]
        self._key.public_key().verify(base64.b64decode(signature, validate=True), _CONTEXT + header)
        fields = canonical.decode(header)
        if header != _header(fields["seq"], fields["hash"], fields["state"], f"sha256:{sha256(body).hexdigest()}"):
            raise ValueError("it is of another version, or its body is not what its header says")
        if hash_at(fields["seq"]) != fields["hash"]:
            raise ValueError("the journal does not hold the entry it was taken after")
        state, history, frontier = state_codec.unpack((State, SavedHistory, _Frontier), body)
        if state.seq != fields["seq"] or state.fingerprint(hash_maps=False) != fields["state"]:
            raise ValueError("the state does not have the fingerprint it was written with")
        nodes = tuple(base64.b64decode(node, validate=True) for node in frontier.nodes)
        return Snapshot(fields["seq"], fields["hash"], state, history, MerkleTree(state.seq, nodes))


def kept_name(seq: int) -> str:
    """The name of the snapshot after entry ``seq`` that is kept for a journal whose first entries are archived (ADR 46)."""
    return f"{FILE_NAME}-{seq}"


def _header(seq: int, digest: str, state: str, body: str) -> bytes:
    return canonical.encode({
        "format": FORMAT, "version": VERSION, "source": source_digest(), "seq": seq, "hash": digest, "state": state, "body": body,
    })  # fmt: skip


@cache
def source_digest() -> str:
    """A digest of the code that folds and of the state's shape: a snapshot that other code folded is not used."""
    digest = sha256(state_codec.form_of(State).shape.encode() + state_codec.form_of(SavedHistory).shape.encode())
    for pattern in _FOLDING:
        for path in sorted(SOURCE_ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"sha256:{digest.hexdigest()}"
