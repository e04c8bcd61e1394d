"""Public keys in OpenSSH's wire form (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709, PROTOCOL.u2f of OpenSSH), read strictly.

A key's fingerprint is taken from the key material alone, not from its type, its comment or a security key's application: two names
for one key have one fingerprint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.authority.ecdsa import P256, P384, Curve, require_point
from controller.authority.refusal import Refusal, refused


class KeyAlgorithm(StrEnum):
    """The algorithms whose signatures are verified here. ``sk-`` keys live in a FIDO2 security key."""

    ED25519 = "ssh-ed25519"
    SK_ED25519 = "sk-ssh-ed25519@openssh.com"
    ECDSA_P256 = "ecdsa-sha2-nistp256"
    ECDSA_P384 = "ecdsa-sha2-nistp384"
    SK_ECDSA_P256 = "sk-ecdsa-sha2-nistp256@openssh.com"

    @property
    def hardware(self) -> bool:
        """Whether the key lives in a security key, which reports touch and PIN inside the signature."""
        return self in {KeyAlgorithm.SK_ED25519, KeyAlgorithm.SK_ECDSA_P256}

    @property
    def ed25519(self) -> bool:
        """Whether it is Ed25519; otherwise it is ECDSA on ``curve``."""
        return self in {KeyAlgorithm.ED25519, KeyAlgorithm.SK_ED25519}

    @property
    def curve(self) -> Curve:
        """The curve of an ECDSA algorithm."""
        return P384 if self is KeyAlgorithm.ECDSA_P384 else P256


class WireReader:
    """Reads SSH's length-prefixed fields. Whatever does not fit raises ``Unauthorised`` with the given refusal."""

    def __init__(self, data: bytes, refusal: Refusal) -> None:
        self._data = data
        self._at = 0
        self._refusal = refusal

    def take(self, count: int) -> bytes:
        """Exactly ``count`` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise refused(self._refusal, f"{count} bytes were expected at offset {self._at}, {len(self._data) - self._at} are left")
        piece, self._at = self._data[self._at : end], end
        return piece

    def uint32(self) -> int:
        """A big-endian 32-bit number."""
        return int(struct.unpack(">I", self.take(4))[0])

    def string(self) -> bytes:
        """A length and as many bytes."""
        return self.take(self.uint32())

    def mpint(self) -> int:
        """A positive integer in its only valid encoding: no leading zero that is not needed, no sign."""
        data = self.string()
        if not data or data[0] & 0x80 or (data[0] == 0 and not (len(data) > 1 and data[1] & 0x80)):
            raise refused(self._refusal, "an integer is not in its shortest positive form")
        return int.from_bytes(data)

    def finish(self) -> None:
        """There must be nothing left."""
        if self._at != len(self._data):
            raise refused(self._refusal, f"{len(self._data) - self._at} bytes follow the end")


def wire_string(data: bytes) -> bytes:
    """A length and the bytes."""
    return struct.pack(">I", len(data)) + data


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key. ``point`` is 32 bytes (Ed25519) or an uncompressed point (ECDSA). ``application`` is a security key's."""

    algorithm: KeyAlgorithm
    point: bytes
    application: bytes = b""

    @property
    def fingerprint(self) -> str:
        """``sha256:<hex>`` of the key material."""
        return f"sha256:{hashlib.sha256(self.point).hexdigest()}"

    @property
    def blob(self) -> bytes:
        """The wire form."""
        fields = [self.algorithm.value.encode(), self.point]
        if not self.algorithm.ed25519:
            fields.insert(1, self.algorithm.curve.name.encode())
        if self.algorithm.hardware:
            fields.append(self.application)
        return b"".join(map(wire_string, fields))

    @property
    def line(self) -> str:
        """The one-line text form, without a comment."""
        return f"{self.algorithm.value} {base64.b64encode(self.blob).decode()}"


def parse_public_line(text: str) -> PublicKey:
    """Read ``<type> <base64> [comment]``. Raises ``Unauthorised`` (``unusable-key`` or ``unsupported-algorithm``)."""
    parts = text.strip().split(" ", 2)
    if "\n" in text.strip() or len(parts) < 2:
        raise refused(Refusal.UNUSABLE_KEY, "a public key is one line: its type and its base64")
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        raise refused(Refusal.UNUSABLE_KEY, "the public key is not standard base64") from None
    key = parse_public_blob(blob)
    if key.algorithm.value != parts[0] or base64.b64encode(blob).decode() != parts[1]:
        raise refused(Refusal.UNUSABLE_KEY, "the public key's line does not say what its base64 says")
    return key


def parse_public_blob(blob: bytes) -> PublicKey:
    """Read the wire form. Raises ``Unauthorised`` (``unusable-key`` or ``unsupported-algorithm``)."""
    reader = WireReader(blob, Refusal.UNUSABLE_KEY)
    name = reader.string()
    try:
        algorithm = KeyAlgorithm(name.decode("ascii", "replace"))
    except ValueError:
        raise refused(Refusal.UNSUPPORTED_ALGORITHM, f"keys of type {name[:60]!r} are not accepted") from None
    if not algorithm.ed25519 and reader.string() != algorithm.curve.name.encode():
        raise refused(Refusal.UNSUPPORTED_ALGORITHM, f"a key of type {algorithm} is on another curve than {algorithm.curve.name}")
    point = reader.string()
    application = reader.string() if algorithm.hardware else b""
    reader.finish()
    if algorithm.hardware and not application.startswith(_APPLICATION):
        raise refused(Refusal.UNUSABLE_KEY, "the security key's credential was made for something else than OpenSSH")
    _require_sound(algorithm, point)
    return PublicKey(algorithm, point, application)


_APPLICATION = b"ssh:"
"""What the application of every OpenSSH credential begins with; a web site's never does (PROTOCOL.u2f)."""

_FIELD = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
"""The y coordinates of Ed25519's eight points of small order. Under such a key anybody can sign, and verifiers do not mind."""


def _require_sound(algorithm: KeyAlgorithm, point: bytes) -> None:
    if algorithm.ed25519:
        height = int.from_bytes(point, "little") & (2**255 - 1)
        if len(point) != 32 or height >= _FIELD or height in _SMALL_ORDER:
            raise refused(Refusal.UNUSABLE_KEY, "not a usable Ed25519 public key")
        Ed25519PublicKey.from_public_bytes(point)
        return
    require_point(algorithm.curve, point)
