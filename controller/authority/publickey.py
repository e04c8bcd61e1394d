"""Public keys in OpenSSH's wire form (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709, PROTOCOL.u2f of OpenSSH), read strictly.

Rosters, signatures and tokens use it. The fingerprint of a key covers the key material alone, not its type, comment or
application, so one key has the same fingerprint under every name.
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
    """The algorithms whose signatures are accepted. ``sk-`` keys are in a FIDO2 security key."""

    ED25519 = "ssh-ed25519"
    SK_ED25519 = "sk-ssh-ed25519@openssh.com"
    ECDSA_P256 = "ecdsa-sha2-nistp256"
    ECDSA_P384 = "ecdsa-sha2-nistp384"
    SK_ECDSA_P256 = "sk-ecdsa-sha2-nistp256@openssh.com"

    @property
    def hardware(self) -> bool:
        """Whether the key is in a security key, which reports touch and PIN in the signature."""
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
    """Reads SSH's length-prefixed fields. Malformed data raises ``Unauthorised`` with the refusal of the constructor."""

    def __init__(self, data: bytes, refusal: Refusal) -> None:
        self._data = data
        self._at = 0
        self._refusal = refusal

    def take(self, count: int) -> bytes:
        """Read exactly ``count`` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise refused(
                self._refusal, f"{count} bytes are expected at offset {self._at}, but {len(self._data) - self._at} are left"
            )
        piece, self._at = self._data[self._at : end], end
        return piece

    def uint32(self) -> int:
        """Read a big-endian 32-bit number."""
        return int(struct.unpack(">I", self.take(4))[0])

    def string(self) -> bytes:
        """Read a length and as many bytes."""
        return self.take(self.uint32())

    def mpint(self) -> int:
        """Read a positive integer in its only valid encoding: no unnecessary leading zero, no sign."""
        data = self.string()
        if not data or data[0] & 0x80 or (data[0] == 0 and not (len(data) > 1 and data[1] & 0x80)):
            raise refused(self._refusal, "an integer is not in its shortest positive form")
        return int.from_bytes(data)

    def finish(self) -> None:
        """Check that no bytes are left."""
        if self._at != len(self._data):
            raise refused(self._refusal, f"{len(self._data) - self._at} bytes follow after the end")


def wire_string(data: bytes) -> bytes:
    """Return the bytes with their length in front."""
    return struct.pack(">I", len(data)) + data


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key. ``point`` is 32 bytes (Ed25519) or an uncompressed point (ECDSA). ``application`` is set for security keys."""

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
        raise refused(Refusal.UNUSABLE_KEY, "the type or the base64 of the public key's line does not match its content")
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
        raise refused(Refusal.UNSUPPORTED_ALGORITHM, f"a key of type {algorithm} is not on the curve {algorithm.curve.name}")
    point = reader.string()
    application = reader.string() if algorithm.hardware else b""
    reader.finish()
    if algorithm.hardware and not application.startswith(_APPLICATION):
        raise refused(Refusal.UNUSABLE_KEY, "the credential of the security key was not made for OpenSSH")
    _require_usable(algorithm, point)
    return PublicKey(algorithm, point, application)


_APPLICATION = b"ssh:"
"""The prefix of the application of every OpenSSH credential; no web site's credential has it (PROTOCOL.u2f)."""

_FIELD = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
"""The y coordinates of Ed25519's eight points of small order. Anyone can make signatures that verify under such a key."""


def _require_usable(algorithm: KeyAlgorithm, point: bytes) -> None:
    if algorithm.ed25519:
        height = int.from_bytes(point, "little") & (2**255 - 1)
        if len(point) != 32 or height >= _FIELD or height in _SMALL_ORDER:
            raise refused(Refusal.UNUSABLE_KEY, "not a usable Ed25519 public key")
        Ed25519PublicKey.from_public_bytes(point)
        return
    require_point(algorithm.curve, point)
