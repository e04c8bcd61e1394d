"""The manifest of a copy: what is in it, and the controller's signature over that. ``create`` writes it, ``opened`` checks it.

The signature is made with the checkpoint key, the one that signs the journal's checkpoints. Everybody can encrypt to a public age
key; only the controller can sign, so a copy that was made up by somebody else is found.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.journal.checkpoint import origin_of
from controller.journal.location import FILE_NAME as JOURNAL
from controller.journal.note import NoteKey, open_note, sign_note
from exchange.errors import IntegrityError
from exchange.model import Millis

FORMAT = "gatehouse-backup-v1"
MANIFEST = "manifest.json"
NOTE = "manifest.note"

_Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CopiedFile(_Model):
    """One file of a copy. ``name`` is its path in the deployment's directory."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    size: Annotated[int, Field(ge=0)]
    digest: _Digest


class CopiedJournal(_Model):
    """The journal of a copy. ``until_ms`` is when its last entry was written; ``after`` is the last archived entry, or 0."""

    name: str
    entries: Annotated[int, Field(ge=1)]
    head: _Digest
    epoch: Annotated[int, Field(ge=1)]
    until_ms: int
    after: Annotated[int, Field(ge=0)]


class Manifest(_Model):
    """What a copy says of itself. ``key`` is the public checkpoint key as text; ``left_out`` are files that were not copied."""

    format: str
    gatehouse: str
    controller_id: str
    environment: str
    created_ms: int
    key: str
    data: str
    journal: CopiedJournal
    with_secrets: bool
    files: tuple[CopiedFile, ...]
    left_out: tuple[str, ...]

    @property
    def until(self) -> Millis:
        """When the last entry of the copy was written."""
        return Millis(self.journal.until_ms)

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(one.size for one in self.files)


def written(manifest: Manifest) -> bytes:
    """The manifest as the bytes that are signed."""
    return json.dumps(manifest.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, indent=1).encode()


def signed(content: bytes, controller_id: str, private_key: Ed25519PrivateKey) -> bytes:
    """The controller's signed note about a manifest."""
    return sign_note(_text(content), origin_of(controller_id), private_key).encode()


def checked(content: bytes, note: bytes, key: NoteKey | None) -> Manifest:
    """Read a manifest. It is signed by ``key``, or by the key that it names itself when ``key`` is ``None``.

    Raises:
        IntegrityError: ``backup-manifest``.
    """
    try:
        manifest = Manifest.model_validate_json(content)
        named = NoteKey.parse(manifest.key)
        text = open_note(note.decode(), key or named)
    except (ValidationError, UnicodeDecodeError):
        raise _bad("it cannot be read") from None
    except IntegrityError as error:
        raise _bad(error.message) from None
    if manifest.format != FORMAT:
        raise _bad(f"its format is {manifest.format}, and this version of gatehouse reads {FORMAT}")
    if manifest.journal.name not in {one.name for one in manifest.files} or manifest.journal.name != f"{manifest.data}/{JOURNAL}":
        raise _bad(f"it names a journal that it does not hold: {manifest.journal.name}")
    if text != _text(content) or named.name != origin_of(manifest.controller_id):
        raise _bad("the signature is over another manifest")
    return manifest


def _text(content: bytes) -> str:
    # Its first line is no origin of a checkpoint, so neither signature can stand for the other.
    return f"{FORMAT}\nsha256:{hashlib.sha256(content).hexdigest()}\n"


def _bad(why: str) -> IntegrityError:
    return IntegrityError(
        f"the manifest of the copy is not valid: {why}",
        code="backup-manifest",
        remedy="Use another copy. If --checkpoint-key was named, compare it with `gatehouse journal key` of that deployment.",
    )
