"""A maker of security keys: its root, the certificate of a batch, and what ``ssh-keygen -O write-attestation`` writes for a key."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from controller.authority.publickey import PublicKey, wire_string
from controller.authority.roster import KeyAttestation

AAGUID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
MODEL = bytes(range(16))
CHALLENGE = b"gatehouse enrolment"


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Maker:
    """One maker. ``authority``: whether its root says that it is an authority."""

    def __init__(self, name: str = "a maker", *, authority: bool = True) -> None:
        self.name = name
        self._root_key = generate_private_key(SECP256R1())
        self._batch_key = generate_private_key(SECP256R1())
        self.root = base64.b64encode(self._certificate(name, self._root_key, ca=authority)).decode()

    def _certificate(self, subject: str, key: EllipticCurvePrivateKey, *, ca: bool, model: bytes | None = None) -> bytes:
        built = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2021, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if model is not None:
            built = built.add_extension(x509.UnrecognizedExtension(AAGUID, b"\x04\x10" + model), critical=False)
        return built.sign(self._root_key, SHA256()).public_bytes(Encoding.DER)

    def attests(
        self,
        public: PublicKey,
        *,
        about: PublicKey | None = None,
        application: bytes | None = None,
        flags: int = 0x41,
        tail: bytes = b"",
        model: bytes = MODEL,
        certified: bytes | None = MODEL,
        ca: bool = False,
        signed: bytes | None = None,
        challenge: bytes = CHALLENGE,
        form: bytes = b"ssh-sk-attest-v01",
        end: bytes = b"",
        u2f: bool = False,
    ) -> KeyAttestation:
        """What the key's file says; with odd parts, what no authenticator of this maker would write."""
        data = authenticator_data(about or public, public.application if application is None else application, flags, model) + tail
        certificate = self._certificate("a batch", self._batch_key, ca=ca, model=certified)
        digest = hashlib.sha256(challenge if signed is None else signed).digest()
        message = b"\0" + data[:32] + digest + b"credential" + public.point if u2f else data + digest
        signature = self._batch_key.sign(message, ECDSA(SHA256()))
        encoded = bytes([0x58, len(data)]) + data if len(data) < 256 else b"\x59" + len(data).to_bytes(2) + data
        fields = b"".join(map(wire_string, (form, certificate, signature, encoded)))
        return listed(fields + bytes(4) + wire_string(b"") + end, challenge)


def authenticator_data(public: PublicKey, application: bytes, flags: int = 0x41, model: bytes = MODEL) -> bytes:
    """What the key said about itself when it was made."""
    if public.algorithm.ed25519:
        key = bytes.fromhex("a4010103272006215820") + public.point
    else:
        key = bytes.fromhex("a5010203262001215820") + public.point[1:33] + bytes.fromhex("225820") + public.point[33:]
    head = hashlib.sha256(application).digest() + bytes([flags]) + (7).to_bytes(4) + model
    return head + len(b"credential").to_bytes(2) + b"credential" + key


def listed(statement: bytes, challenge: bytes = CHALLENGE) -> KeyAttestation:
    """The two files as a roster lists them."""
    return KeyAttestation(statement=base64.b64encode(statement).decode(), challenge=base64.b64encode(challenge).decode())
