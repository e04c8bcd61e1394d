"""Verifies plain signatures over an envelope's bytes: Ed25519 by a key file or a vault, ECDSA by a token. ``verify`` calls it.

securesystemslib makes the ECDSA signatures (DER, SHA-256 on P-256, SHA-384 on P-384); this module alone verifies them.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.authority.ecdsa import is_valid, parse_der, require_numbers
from controller.authority.publickey import PublicKey
from controller.authority.refusal import Refusal, refused
from controller.authority.sshsig import BEGIN
from exchange.errors import Unauthorised


def verify_plain(sig: bytes, *, key: PublicKey, message: bytes) -> None:
    """Check a plain signature.

    Raises:
        Unauthorised: ``wrong-signature-form``, ``malformed-signature`` or ``bad-signature``.
    """
    if sig.startswith(BEGIN.encode()):
        raise refused(Refusal.WRONG_SIGNATURE_FORM, "an OpenSSH signature is listed under a key that makes plain signatures")
    if not (_ed25519(sig, key, message) if key.algorithm.ed25519 else _ecdsa(sig, key, message)):
        raise refused(Refusal.BAD_SIGNATURE, "the signature does not match these bytes")


def looks_plain(sig: bytes) -> bool:
    """Whether this has the form of a plain signature, valid or not."""
    try:
        return len(sig) == 64 or bool(parse_der(sig))
    except Unauthorised:
        return False


def _ed25519(sig: bytes, key: PublicKey, message: bytes) -> bool:
    if len(sig) != 64:
        raise refused(Refusal.MALFORMED_SIGNATURE, f"an Ed25519 signature has 64 bytes, not {len(sig)}")
    try:
        Ed25519PublicKey.from_public_bytes(key.point).verify(sig, message)
    except InvalidSignature:
        return False
    return True


def _ecdsa(sig: bytes, key: PublicKey, message: bytes) -> bool:
    curve, numbers = key.algorithm.curve, parse_der(sig)
    require_numbers(curve, *numbers)
    return is_valid(curve, key.point, numbers, message)
