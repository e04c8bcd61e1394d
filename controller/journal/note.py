"""Signed notes (C2SP signed-note, Ed25519): a text, a blank line, and signature lines. Checkpoints are signed notes.

    <text, ending in a line break>

    — <key name> base64(key id [4] ‖ signature [64])

The key id is the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). A verifier's key is written
``name+hex id+base64(0x01 ‖ key)``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from exchange.errors import IntegrityError

MAX_NOTE_BYTES = 64 * 1024
ED25519 = b"\x01"
"""A key that signs notes."""
COSIGNATURE = b"\x04"
"""A key that cosigns checkpoints with the time it saw them (C2SP tlog-cosignature)."""

_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_NAME = re.compile(r"[^\s+]+")


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A named public key that checks notes. ``kind`` is C2SP's byte for what the key signs."""

    name: str
    public: bytes
    kind: bytes = ED25519

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.public) != 32:
            raise _bad("note-key-malformed", "a note key is a name without spaces or plus signs and 32 bytes")

    @property
    def key_id(self) -> bytes:
        """Four bytes that distinguish keys of one name."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The verifier key as text, as witnesses and operators exchange it."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.kind + self.public).decode()}"

    @classmethod
    def parse(cls, text: str, kind: bytes = ED25519) -> NoteKey:
        """Read ``text`` of a key of ``kind``. Raises ``IntegrityError`` (``note-key-malformed``)."""
        name, _, rest = text.strip().partition("+")
        try:
            key = cls(name, base64.b64decode(rest.partition("+")[2], validate=True)[1:], kind)
        except (binascii.Error, ValueError):
            raise _bad("note-key-malformed", "the note key is not base64") from None
        if key.text != text.strip():
            raise _bad("note-key-malformed", "the note key's id does not belong to it, or it is a key of another kind")
        return key


def note_key(name: str, private_key: Ed25519PrivateKey) -> NoteKey:
    """The public key of ``private_key`` under a name."""
    return NoteKey(name, private_key.public_key().public_bytes_raw())


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> str:
    """The signed note. ``text`` ends in a line break and contains no blank line."""
    if not text.endswith("\n") or "\n\n" in text:
        raise _bad("note-malformed", "a note's text ends in a line break and has no blank line")
    signature = note_key(name, private_key).key_id + private_key.sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, key: NoteKey) -> str:
    """The text of a note signed by ``key``. Signatures of other keys (a witness's) are ignored.

    Raises:
        IntegrityError: ``note-malformed``, ``note-not-signed`` (not by this key) or ``note-forged``.
    """
    text, blank, tail = note.rpartition("\n\n")
    if len(note) > MAX_NOTE_BYTES or not blank or not tail.endswith("\n") or "\n\n" in text:
        raise _bad("note-malformed", "not a text, one blank line and signature lines")
    text += "\n"
    matches = [_SIGNATURE_LINE.fullmatch(line) for line in tail[:-1].split("\n")]
    ours = 0
    for match in matches:
        if match is None:
            raise _bad("note-malformed", "a line after the blank one is not a signature")
        if match[1] == key.name:
            ours += _is_signed_by(match[2], key, text)
    if not ours:
        raise _bad("note-not-signed", f"the note is not signed by {key.text}")
    return text


def _is_signed_by(encoded: str, key: NoteKey, text: str) -> bool:
    """Whether the line has a valid signature of this key; False for another key of the same name."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _bad("note-malformed", "a signature is not base64") from None
    if data[:4] != key.key_id:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(data[4:], text.encode())
    except InvalidSignature:
        raise _bad("note-forged", f"the signature of {key.name} is not over this text") from None
    return True


def _bad(code: str, why: str) -> IntegrityError:
    return IntegrityError(why, code=code, remedy="Find out who wrote it; fetch the note again from its target.")
