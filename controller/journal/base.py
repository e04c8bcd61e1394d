"""The base of a journal whose first entries are in archives: where it goes on, and what proves that (ADR 46).

``archiving`` makes it, the live journal keeps it, and an entry of the live journal repeats it (``RECORD``). The controller's
checkpoint key signs it. The frontier of the Merkle tree is part of it, so checkpoints and proofs need no archived entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from controller.journal.chain import Head
from controller.journal.merkle import MerkleTree
from controller.journal.note import NoteKey
from exchange.errors import IntegrityError
from policies import canonical

FORMAT = "gatehouse-journal-base-v1"
RECORD = "journal-archived"
"""The kind of the entry that repeats the base, in its field ``base``."""

_CONTEXT = b"gatehouse-journal-base-v1\0"
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_NODE = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"journal-[1-9][0-9]{0,18}-[1-9][0-9]{0,18}-[0-9a-f]{64}\.archive")


@dataclass(frozen=True, slots=True)
class ArchivedRange:
    """The entries with ``after < seq <= last``, the last of which has ``hash``; ``digest`` and ``bytes`` are those of ``file``."""

    after: int
    last: int
    hash: str
    file: str
    digest: str
    bytes: int

    @property
    def title(self) -> str:
        """The range as people read it."""
        return f"entries {self.after + 1} to {self.last}"


@dataclass(frozen=True, slots=True)
class FoldedState:
    """The state after entry ``seq``: its fingerprint, and the digest of the snapshot that holds it."""

    seq: int
    fingerprint: str
    digest: str


@dataclass(frozen=True, slots=True)
class Base:
    """The last archived entry, with the Merkle frontier after it as hex. ``genesis`` is the hash of the journal's first entry."""

    controller_id: str
    genesis: str
    seq: int
    hash: str
    epoch: int
    frontier: tuple[str, ...]
    state: FoldedState
    archives: tuple[ArchivedRange, ...]

    @property
    def head(self) -> Head:
        """The entry that the live journal goes on from."""
        return Head(self.seq, self.hash, self.epoch)

    @property
    def tree(self) -> MerkleTree:
        """The Merkle tree of the archived entries."""
        return MerkleTree(self.seq, map(bytes.fromhex, self.frontier))

    @property
    def document(self) -> str:
        """Canonical JSON of all fields: what is signed and recorded."""
        return canonical.encode({"format": FORMAT, **asdict(self)}).decode()


@dataclass(frozen=True, slots=True)
class SignedBase:
    """A base as the live journal stores it: its text, and the checkpoint key's signature of it."""

    document: str
    signature: bytes

    @property
    def base(self) -> Base:
        """The base. Raises ``IntegrityError`` (``base-malformed``)."""
        return parse_base(self.document)

    def is_signed_by(self, key: NoteKey) -> bool:
        """Whether the checkpoint key ``key`` signed it."""
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(self.signature, _CONTEXT + self.document.encode())
        except InvalidSignature:
            return False
        return True


def sign_base(base: Base, key: Ed25519PrivateKey) -> SignedBase:
    """Sign a base with the controller's checkpoint key."""
    return SignedBase(base.document, key.sign(_CONTEXT + base.document.encode()))


def parse_base(document: str) -> Base:
    """Read a base. Raises ``IntegrityError`` (``base-malformed``)."""
    try:
        value = canonical.decode(document.encode())
        base = _base(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed(str(error) or type(error).__name__) from None
    if base.document != document:
        raise _malformed("it has other fields than a base")
    return base


def is_record_of(body: bytes, document: str) -> bool:
    """Whether the body of an entry of kind ``RECORD`` repeats the base ``document``."""
    try:
        return bool(json.loads(body)["base"] == document)
    except (ValueError, LookupError, TypeError):
        return False


def _base(value: Mapping[str, Any]) -> Base:
    archives = tuple(ArchivedRange(**one) for one in value["archives"])
    base = Base(
        controller_id=value["controller_id"],
        genesis=value["genesis"],
        seq=value["seq"],
        hash=value["hash"],
        epoch=value["epoch"],
        frontier=tuple(value["frontier"]),
        state=FoldedState(**value["state"]),
        archives=archives,
    )
    _require(all(map(_HASH.fullmatch, (base.genesis, base.hash, base.state.fingerprint, base.state.digest))), "a hash")
    _require(all(map(_NODE.fullmatch, base.frontier)), "the frontier")
    _require(base.seq > 0 and base.epoch >= 0 and base.tree.size == base.seq and base.state.seq >= base.seq, "a number")
    before = 0
    for one in archives:
        _require(one.after == before < one.last and one.bytes > 0 and bool(_NAME.fullmatch(one.file)), "an archive")
        _require(all(map(_HASH.fullmatch, (one.hash, one.digest))) and one.digest[7:] in one.file, "an archive's digest")
        before = one.last
    _require(bool(archives) and (before, archives[-1].hash) == (base.seq, base.hash), "the last archive")
    return base


def _require(holds: bool, what: str) -> None:  # noqa: FBT001
    if not holds:
        raise ValueError(f"{what} is not possible")


def _malformed(why: str) -> IntegrityError:
    return IntegrityError(
        f"what the journal says of its archives cannot be read: {why}",
        code="base-malformed",
        remedy="Restore the journal from a verified backup, and find out what wrote to the file.",
    )
