"""Cosignatures (C2SP tlog-cosignature, ``cosignature/v1``): a witness's signature that a checkpoint extends all earlier ones.

    — <witness name> base64(key id [4] ‖ time u64 ‖ Ed25519 signature [64])        big-endian

The key id is the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key); the signed text is

    cosignature/v1
    time <seconds since the epoch>
    <the checkpoint's text>

A witness's public key is written ``name+hex id+base64(0x04 ‖ key)``. ``controller.witness`` cosigns; ``targets.witness`` checks it.
"""

from __future__ import annotations

import base64
import binascii
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from controller.journal.note import COSIGNATURE, NoteKey
from exchange.errors import IntegrityError

_TIME = struct.Struct(">Q")
_MAX_TIME = 2**63 - 1


def cosigner_key(name: str, private_key: Ed25519PrivateKey) -> NoteKey:
    """The public key that checks a witness's cosignatures; give its ``text`` to every user of the witness."""
    return NoteKey(name, private_key.public_key().public_bytes_raw(), COSIGNATURE)


def parse_cosigner_key(text: str) -> NoteKey:
    """Read a witness's public key. Raises ``IntegrityError`` (``note-key-malformed``)."""
    return NoteKey.parse(text, COSIGNATURE)


def cosign(text: str, name: str, private_key: Ed25519PrivateKey, at_s: int) -> str:
    """The signature line, with its line break, of a witness that saw the checkpoint ``text`` at ``at_s`` (seconds, UTC)."""
    signature = private_key.sign(_message(text, at_s))
    data = cosigner_key(name, private_key).key_id + _TIME.pack(at_s) + signature
    return f"— {name} {base64.b64encode(data).decode()}\n"


def cosigned_at(lines: str, text: str, key: NoteKey) -> int:
    """When the witness of ``key`` cosigned the checkpoint ``text``, in seconds; lines of other keys are ignored.

    Raises:
        IntegrityError: ``not-cosigned`` (no line of this key) or ``cosignature-forged``.
    """
    for line in lines.split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        data = _decoded(encoded) if dash == "—" and name == key.name else b""
        if data[:4] != key.key_id:
            continue
        at_s = _TIME.unpack(data[4:12])[0] if len(data) == 76 else _MAX_TIME + 1
        if at_s > _MAX_TIME or not _is_valid(key, data[12:], _message(text, at_s)):
            raise _bad("cosignature-forged", f"the cosignature of {key.name} is not over this checkpoint")
        return int(at_s)
    raise _bad("not-cosigned", f"the checkpoint is not cosigned by {key.text}")


def _message(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _is_valid(key: NoteKey, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _bad(code: str, why: str) -> IntegrityError:
    return IntegrityError(why, code=code, remedy="Compare the witness's public key in the settings with the one it prints.")
