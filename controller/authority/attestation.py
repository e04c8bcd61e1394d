"""Whether a security key is one: the attestation that ``ssh-keygen -O write-attestation`` wrote when the key was made (ADR 41).

A signature of an ``sk-`` key says that somebody touched it, but software can hold such a key and say the same. The authenticator's
attestation cannot be made by software: a certificate of its maker signs, over the key itself, that it was made inside. The file has
OpenSSH's form ``ssh-sk-attest-v01`` (PROTOCOL.u2f): the certificate, its signature, and the authenticator data as one CBOR string.
What is signed is ``authenticator data || SHA-256(challenge)`` for FIDO2, or the older form of U2F.

Nothing in the file is believed on its own. The key and the application in the authenticator data must be those of the roster, byte
for byte, and the certificate must be issued by one of the roots that the policy names. ``decisions.binding``, the signer and the
views call it. Dates of certificates are not judged: a key does not stop being hardware when the certificate of its batch ends.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import warnings
from collections.abc import Iterable
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.utils import CryptographyDeprecationWarning

from controller.authority.publickey import PublicKey, WireReader, parse_public_line
from controller.authority.refusal import Refusal
from controller.authority.roster import Roster, RosterKey
from exchange.errors import Unauthorised

_FORM = b"ssh-sk-attest-v01"
_PRESENT, _ATTESTED, _EXTENDED = 0x01, 0x40, 0x80
_AAGUID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_HEAD = 32 + 1 + 4
"""The digest of the application, the flags and the counter. Then come the model (16 bytes), an id with its length, and the key."""


def is_attested(key: RosterKey, roots: Iterable[str]) -> bool:
    """Whether the roster's attestation of a key proves that it is in a security key of a maker named by ``roots``."""
    return not problem(key, roots)


def attested_persons(roster: Roster, key_ids: Iterable[str], roots: Iterable[str]) -> frozenset[str]:
    """The persons with a key among ``key_ids`` that is attested."""
    roots = tuple(roots)
    found = (roster.find(key_id) for key_id in key_ids)
    return frozenset(person.name for person, key in filter(None, found) if is_attested(key, roots))


def touch_of(key: RosterKey, roots: Iterable[str]) -> str:
    """What a touch that this key reports is worth, in a word: ``attested``, ``claimed``, or ``none`` for a key without touch."""
    if not key.material.algorithm.hardware:
        return "none"
    return "attested" if is_attested(key, roots) else "claimed"


def problem(key: RosterKey, roots: Iterable[str]) -> str:
    """Why a key does not count as attested; empty when it does."""
    if not key.material.algorithm.hardware:
        return "it is not a security key"
    if key.attestation is None:
        return "the roster has no attestation for it"
    return _problem(key.public, key.attestation.statement, key.attestation.challenge, tuple(roots))


_UNREADABLE = (
    ValueError,
    TypeError,
    IndexError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,
)
"""What the libraries raise for bytes that are no certificate, signature or key."""


@lru_cache(maxsize=256)
def _problem(public: str, statement: str, challenge: str, roots: tuple[str, ...]) -> str:
    try:
        return _check(parse_public_line(public), _decoded(statement), _decoded(challenge), roots)
    except Unauthorised as error:
        return f"its attestation cannot be read: {error.message}"
    except _UNREADABLE as error:
        return f"its attestation cannot be read: {str(error) or type(error).__name__}"


def _check(public: PublicKey, statement: bytes, challenge: bytes, roots: tuple[str, ...]) -> str:
    reader = WireReader(statement, Refusal.UNUSABLE_KEY)
    if reader.string() != _FORM:
        return f"its attestation is not of the form {_FORM.decode()}"
    certificate, signature, data = _certificate(reader.string()), reader.string(), _bytes(reader.string())
    reader.uint32()
    reader.string()
    reader.finish()
    identity = _identity(public, data)
    if identity is None:
        return "its attestation is about another key or application"
    model, credential = identity
    if not _signs(certificate, signature, (data, *_as_u2f(public, data, credential)), hashlib.sha256(challenge).digest()):
        return "its attestation is not signed by its certificate over this challenge"
    return _certificate_problem(certificate, model, roots)


def _identity(public: PublicKey, data: bytes) -> tuple[bytes, bytes] | None:
    """The model and the credential id, if the authenticator data is about this key and a touch."""
    flags, length = data[32], int.from_bytes(data[_HEAD + 16 : _HEAD + 18])
    at = _HEAD + 18 + length
    credential, key = data[_HEAD + 18 : at], _cose(public)
    about = data[:32] == hashlib.sha256(public.application).digest() and flags & _PRESENT and flags & _ATTESTED
    whole = data[at : at + len(key)] == key and (len(data) == at + len(key) or flags & _EXTENDED)
    return (data[_HEAD : _HEAD + 16], credential) if about and whole else None


def _cose(public: PublicKey) -> bytes:
    """The key as an authenticator writes it: CTAP2 allows one form only."""
    if public.algorithm.ed25519:
        return bytes.fromhex("a4010103272006215820") + public.point
    return bytes.fromhex("a5010203262001215820") + public.point[1:33] + bytes.fromhex("225820") + public.point[33:]


def _as_u2f(public: PublicKey, data: bytes, credential: bytes) -> tuple[bytes, ...]:
    """What a U2F key signs around the digest of the challenge: before it, and after it."""
    return () if public.algorithm.ed25519 else (b"\0" + data[:32], credential + public.point)


def _signs(certificate: x509.Certificate, signature: bytes, parts: tuple[bytes, ...], digest: bytes) -> bool:
    issuer = certificate.public_key()
    if not isinstance(issuer, EllipticCurvePublicKey):
        return False
    data, *older = parts
    signed = [data + digest, *([older[0] + digest + older[1]] if older else [])]
    for one in signed:
        try:
            issuer.verify(signature, one, ECDSA(SHA256()))
        except InvalidSignature:
            continue
        return True
    return False


def _certificate_problem(certificate: x509.Certificate, model: bytes, roots: tuple[str, ...]) -> str:
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            return "its attestation is signed by an authority and not by an authenticator"
        # The value is an octet string in an octet string.
        if extension.oid == _AAGUID and getattr(extension.value, "value", b"")[2:] != model:
            return "its attestation is of another model than its certificate"
    for root in roots:
        issuer = _certificate(_decoded(root))
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return "" if _is_authority(issuer) else "the root that issued its certificate is no authority"
    return "its attestation is not of a maker that the policy names"


def _certificate(der: bytes) -> x509.Certificate:
    """A certificate, and none that the library reads only with a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        return x509.load_der_x509_certificate(der)


def _is_authority(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _bytes(data: bytes) -> bytes:
    """The content of one CBOR byte string, in its shortest form."""
    for head, size in ((0x58, 1), (0x59, 2)):
        if data[:1] == bytes([head]) and len(data) == 1 + size + int.from_bytes(data[1 : 1 + size]):
            return data[1 + size :]
    raise ValueError("the authenticator data is not one CBOR string")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None
