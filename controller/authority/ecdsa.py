"""ECDSA over P-256 and P-384 (FIPS 186-5 §6, RFC 3279 §2.2.3), read strictly.

A signature is two numbers from 1 to the group's order; whatever spells them in more than one way is refused before it is verified.
What remains is that ``(r, order - s)`` holds wherever ``(r, s)`` does. Tokens make either, so both are accepted, and nothing is
ever counted, stored or found by a signature's bytes: a key counts once however it signs, and a command's id is spent once.
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
    """A curve and the hash that is signed on it. ``name`` is RFC 5656's; ``point_bytes`` is an uncompressed point's length."""

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
    """Only an uncompressed point of the curve is a public key: a compressed one would be a second name for the same key.

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
    """Both numbers lie between 1 and the order, exclusive of it. Raises ``Unauthorised`` (``malformed-signature``)."""
    if not (0 < r < curve.order and 0 < s < curve.order):
        raise refused(Refusal.MALFORMED_SIGNATURE, f"an ECDSA number is not between 1 and the order of {curve.name}")


def parse_der(signature: bytes) -> tuple[int, int]:
    """The numbers of a DER ``SEQUENCE { INTEGER r, INTEGER s }``, if they are spelled in the only way DER has for them.

    Raises:
        Unauthorised: ``malformed-signature``.
    """
    try:
        numbers = decode_dss_signature(signature)
        spelling = encode_dss_signature(*numbers)
    except ValueError:
        raise refused(Refusal.MALFORMED_SIGNATURE, "the signature is not the DER of two integers") from None
    # cryptography reads strictly as well; that there is one spelling does not hang on its version.
    if spelling != signature:
        raise refused(Refusal.MALFORMED_SIGNATURE, "the integers of the signature are not in their shortest form")
    return numbers


def holds(curve: Curve, point: bytes, numbers: tuple[int, int], message: bytes) -> bool:
    """Whether the numbers are a signature over ``message`` under the key; they must have been checked."""
    key = EllipticCurvePublicKey.from_encoded_point(curve.group, point)
    try:
        key.verify(encode_dss_signature(*numbers), message, ECDSA(curve.hash))
    except InvalidSignature:
        return False
    return True
