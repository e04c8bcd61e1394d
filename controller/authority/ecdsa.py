"""ECDSA over P-256 and P-384 (FIPS 186-5 §6, RFC 3279 §2.2.3), read strictly. ``plain``, ``sshsig`` and ``publickey`` call it.

A signature is two numbers from 1 to the order of the group. Every encoding but the canonical one is refused before it is
verified. One ambiguity remains: if ``(r, s)`` is valid, ``(r, order - s)`` is valid too. Tokens make either form, so both are
accepted. Nothing is counted, stored or looked up by the bytes of a signature: a key counts once however it signs, and a command
id is used once.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, SECP384R1, EllipticCurve, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm

from controller.authority.refusal import Refusal, refused


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve and the hash used with it. ``point_bytes`` is the length of an uncompressed point."""

    name: str
    group: EllipticCurve
    hash: HashAlgorithm
    order: int
    point_bytes: int


P256 = Curve("nistp256", SECP256R1(), SHA256(), 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551, point_bytes=65)
P384 = Curve(
    "nistp384",
    SECP384R1(),
    SHA384(),
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    point_bytes=97,
)


def require_point(curve: Curve, point: bytes) -> None:
    """Check that a public key is an uncompressed point of the curve. A compressed point would be a second name for the same key.

    Raises:
        Unauthorised: ``unusable-key``.
    """
    try:
        EllipticCurvePublicKey.from_encoded_point(curve.group, point)
    except ValueError:
        raise refused(Refusal.UNUSABLE_KEY, f"not a point of the curve {curve.name}") from None
    if len(point) != curve.point_bytes:
        raise refused(Refusal.UNUSABLE_KEY, "a compressed point is a second name for the same key")


def require_numbers(curve: Curve, r: int, s: int) -> None:
    """Check that both numbers are at least 1 and below the order. Raises ``Unauthorised`` (``malformed-signature``)."""
    if not (0 < r < curve.order and 0 < s < curve.order):
        raise refused(Refusal.MALFORMED_SIGNATURE, f"an ECDSA number is not between 1 and the order of {curve.name}")


def parse_der(signature: bytes) -> tuple[int, int]:
    """Read the numbers of a DER ``SEQUENCE { INTEGER r, INTEGER s }``, which must be in its only valid encoding.

    Raises:
        Unauthorised: ``malformed-signature``.
    """
    try:
        numbers = decode_dss_signature(signature)
        canonical_form = encode_dss_signature(*numbers)
    except ValueError:
        raise refused(Refusal.MALFORMED_SIGNATURE, "the signature is not the DER of two integers") from None
    # The cryptography package is strict too, but this check does not depend on its version.
    if canonical_form != signature:
        raise refused(Refusal.MALFORMED_SIGNATURE, "the integers of the signature are not in their shortest form")
    return numbers


def is_valid(curve: Curve, point: bytes, numbers: tuple[int, int], message: bytes) -> bool:
    """Whether the numbers are a valid signature of ``message`` by the key. The caller has checked them with ``require_numbers``."""
    key = EllipticCurvePublicKey.from_encoded_point(curve.group, point)
    try:
        key.verify(encode_dss_signature(*numbers), message, ECDSA(curve.hash))
    except InvalidSignature:
        return False
    return True
