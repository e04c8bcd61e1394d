"""OpenSSH signatures (PROTOCOL.sshsig, PROTOCOL.u2f), parsed and verified strictly. ``verify`` and ``signing`` call it.

It is stricter than ``ssh-keygen -Y verify``, which also accepts a security key's signature without a touch (flags 0x00,
gates-authority-journal.md §2.2): here the key must be touched. Only sha512 and the expected namespace are accepted, and no extra
bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from controller.authority.ecdsa import is_valid, require_numbers
from controller.authority.publickey import KeyAlgorithm, PublicKey, WireReader, parse_public_blob, wire_string
from controller.authority.refusal import Refusal, refused

BEGIN = "-----BEGIN SSH SIGNATURE-----"
END = "-----END SSH SIGNATURE-----"

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASH = b"sha512"
_MAX_TEXT = 8192
_LINE = re.compile(r"[A-Za-z0-9+/]{1,76}={0,2}")
_WRAP = 70
_USER_PRESENT = 0x01
_USER_VERIFIED = 0x04


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A well-formed signature that is not yet verified: 64 bytes for Ed25519, two numbers for ECDSA.

    ``flags`` and ``counter`` come from a security key; for other keys they are 0.
    """

    key: PublicKey
    namespace: str
    signature: bytes | tuple[int, int]
    flags: int
    counter: int


def parse_armour(text: str) -> SshSignature:
    """Read the text that ``ssh-keygen -Y sign`` writes. One final line break is allowed, and no other text before or after it.

    Raises:
        Unauthorised: ``malformed-signature``, ``unsupported-algorithm`` or ``unusable-key``.
    """
    lines = text.removesuffix("\n").split("\n")
    if len(text) > _MAX_TEXT or len(lines) < 3 or lines[0] != BEGIN or lines[-1] != END:
        raise _malformed("the text is not exactly one armoured OpenSSH signature")
    if not all(_LINE.fullmatch(line) for line in lines[1:-1]):
        raise _malformed("the armour contains a line that is not standard base64")
    body = "".join(lines[1:-1])
    try:
        blob = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("the armour is not standard base64") from None
    if base64.b64encode(blob).decode() != body:
        raise _malformed("the armour is not canonical base64")
    return _parse_blob(blob)


def verify_sshsig(signature: SshSignature, *, key: PublicKey, namespace: str, message: bytes, pin_required: bool = False) -> None:
    """Verify a parsed signature with the key that must have made it.

    Raises:
        Unauthorised: ``key-mismatch``, ``wrong-namespace``, ``no-user-presence``, ``no-user-verification`` or ``bad-signature``.
    """
    if signature.key != key:
        raise refused(Refusal.KEY_MISMATCH, "the signature was not made by the key it is listed under")
    if signature.namespace != namespace:
        raise refused(Refusal.WRONG_NAMESPACE, f"the signature is for {signature.namespace[:80]!r}, not for {namespace!r}")
    signed = _signed_bytes(namespace, message)
    if key.algorithm.hardware:
        if not signature.flags & _USER_PRESENT:
            raise refused(Refusal.NO_USER_PRESENCE, "the security key was not touched")
        if pin_required and not signature.flags & _USER_VERIFIED:
            raise refused(Refusal.NO_USER_VERIFICATION, "the PIN of the security key was not entered")
        report = bytes([signature.flags]) + signature.counter.to_bytes(4)
        signed = hashlib.sha256(key.application).digest() + report + hashlib.sha256(signed).digest()
    if not _verifies(key, signature.signature, signed):
        raise refused(Refusal.BAD_SIGNATURE, "the signature does not match these bytes")


def sign_ed25519(private_key: Ed25519PrivateKey, namespace: str, message: bytes) -> str:
    """Return the armoured signature that ``ssh-keygen -Y sign`` makes with this key."""
    key = PublicKey(KeyAlgorithm.ED25519, private_key.public_key().public_bytes_raw())
    made = private_key.sign(_signed_bytes(namespace, message))
    signature = wire_string(key.algorithm.value.encode()) + wire_string(made)
    head = _MAGIC + _VERSION.to_bytes(4)
    text = base64.b64encode(head + b"".join(map(wire_string, (key.blob, namespace.encode(), b"", _HASH, signature)))).decode()
    wrapped = [text[at : at + _WRAP] for at in range(0, len(text), _WRAP)]
    return "\n".join([BEGIN, *wrapped, END, ""])


def _parse_blob(blob: bytes) -> SshSignature:
    reader = WireReader(blob, Refusal.MALFORMED_SIGNATURE)
    if reader.take(6) != _MAGIC:
        raise _malformed("the blob is not an OpenSSH signature")
    if reader.uint32() != _VERSION:
        raise refused(Refusal.UNSUPPORTED_ALGORITHM, "only version 1 of OpenSSH signatures is accepted")
    key = parse_public_blob(reader.string())
    namespace, reserved, hash_name, signature = reader.string(), reader.string(), reader.string(), reader.string()
    reader.finish()
    if reserved:
        raise _malformed("the reserved field is not empty")
    if hash_name != _HASH:
        raise refused(Refusal.UNSUPPORTED_ALGORITHM, f"the hash {hash_name[:20]!r} is not accepted, only sha512")
    try:
        return _parse_signature(signature, key, namespace.decode("ascii"))
    except UnicodeDecodeError:
        raise refused(Refusal.WRONG_NAMESPACE, "the namespace is not ASCII") from None


def _parse_signature(data: bytes, key: PublicKey, namespace: str) -> SshSignature:
    reader = WireReader(data, Refusal.MALFORMED_SIGNATURE)
    if reader.string() != key.algorithm.value.encode():
        raise refused(Refusal.UNSUPPORTED_ALGORITHM, "the algorithm of the signature is not that of its key")
    made = reader.string()
    hardware = key.algorithm.hardware
    flags, counter = (reader.take(1)[0], reader.uint32()) if hardware else (0, 0)
    reader.finish()
    return SshSignature(key, namespace, _numbers(made, key) if not key.algorithm.ed25519 else _raw(made), flags, counter)


def _raw(signature: bytes) -> bytes:
    if len(signature) != 64:
        raise _malformed("an Ed25519 signature has 64 bytes")
    return signature


def _numbers(signature: bytes, key: PublicKey) -> tuple[int, int]:
    reader = WireReader(signature, Refusal.MALFORMED_SIGNATURE)
    r, s = reader.mpint(), reader.mpint()
    reader.finish()
    require_numbers(key.algorithm.curve, r, s)
    return r, s


def _signed_bytes(namespace: str, message: bytes) -> bytes:
    return _MAGIC + b"".join(map(wire_string, (namespace.encode(), b"", _HASH, hashlib.sha512(message).digest())))


def _verifies(key: PublicKey, signature: bytes | tuple[int, int], signed: bytes) -> bool:
    if isinstance(signature, tuple):
        return is_valid(key.algorithm.curve, key.point, signature, signed)
    try:
        Ed25519PublicKey.from_public_bytes(key.point).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _malformed(why: str) -> Exception:
    return refused(Refusal.MALFORMED_SIGNATURE, why)
