"""Persons, keys, a roster and a command for the tests of ``controller.authority``; and signatures no honest tool would make."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, SECP384R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controller.authority.command import SSH_NAMESPACE, Command
from controller.authority.keys import public_key
from controller.authority.publickey import KeyAlgorithm, PublicKey, wire_string
from controller.authority.roster import KeyType, Person, Roster, RosterKey, roster_key
from controller.authority.signing import propose, sign_with_file_key, sign_with_ssh_key
from controller.authority.sshsig import BEGIN, END
from exchange.model import Millis
from policies import canonical
from policies.authority import Role, Verb
from policies.stage import Environment, Stage

NOW = Millis(1_800_000_000_000)


def file_key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def p256_key(seed: int) -> EllipticCurvePrivateKey:
    return derive_private_key(1000 + seed, SECP256R1())


ALICE, BOB, CAROL, DAVE, ERIN, MALLORY = map(file_key, range(1, 7))
ALICE_SPARE = file_key(11)
FRANK, GRACE = p256_key(1), p256_key(2)
HANK = p256_key(3)
IDA = derive_private_key(2001, SECP384R1())
SK_APPLICATION = b"ssh:"


def sk_public(key: Ed25519PrivateKey) -> PublicKey:
    return PublicKey(KeyAlgorithm.SK_ED25519, key.public_key().public_bytes_raw(), SK_APPLICATION)


def point_of(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def p256_public(key: EllipticCurvePrivateKey, *, hardware: bool = False) -> PublicKey:
    algorithm = KeyAlgorithm.SK_ECDSA_P256 if hardware else KeyAlgorithm.ECDSA_P256
    return PublicKey(algorithm, point_of(key), SK_APPLICATION if hardware else b"")


def p384_public(key: EllipticCurvePrivateKey) -> PublicKey:
    return PublicKey(KeyAlgorithm.ECDSA_P384, point_of(key))


def on_token(public: PublicKey) -> RosterKey:
    """The key as a PKCS#11 token holds it."""
    p384 = public.algorithm is KeyAlgorithm.ECDSA_P384
    return roster_key(public.line, KeyType.PLAIN_P384 if p384 else KeyType.PLAIN_P256)


def listed(key: Ed25519PrivateKey, kind: KeyType = KeyType.FILE, **changes: Any) -> RosterKey:
    return roster_key(public_key(key).line, kind).model_copy(update=changes)


def person(name: str, *keys: RosterKey, role: Role = Role.OPERATOR) -> Person:
    return Person(name=name, role=role, keys=keys)


def a_roster(*more: Person) -> Roster:
    """Alice signs with two files, Bob with ssh, Carol and Grace with security keys, Frank with ECDSA, Hank and Ida with tokens.

    Dave and Erin are out.
    """
    return Roster(
        version=3,
        persons=(
            person("alice", listed(ALICE), listed(ALICE_SPARE)),
            person("bob", listed(BOB, KeyType.SSH_ED25519), role=Role.APPROVER),
            person("carol", roster_key(sk_public(CAROL).line)),
            person("frank", roster_key(p256_public(FRANK).line)),
            person("grace", roster_key(p256_public(GRACE, hardware=True).line, pin_required=True)),
            person("hank", on_token(p256_public(HANK))),
            person("ida", on_token(p384_public(IDA))),
            *more,
        ),
    )


ROSTER = a_roster()


def a_command(**changes: Any) -> Command:
    fields: dict[str, Any] = {
        "version": 1,
        "command_id": "0123456789abcdef" * 2,
        "controller_id": "desk-1",
        "environment": Environment.REHEARSAL,
        "account_fingerprint": "sha256:" + "1" * 64,
        "verb": Verb.ADVANCE,
        "expected_stage": Stage.VALIDATED,
        "expected_step": 0,
        "target_stage": Stage.LIVE_EUR10,
        "target_step": 0,
        "cap_eur": "10",
        "symbols": ("BTCUSDC",),
        "journal_seq": 41,
        "journal_head": "sha256:" + "2" * 64,
        "release_digest": "sha256:" + "3" * 64,
        "policy_digest": "sha256:" + "4" * 64,
        "roster_digest": ROSTER.digest,
        "evidence_digest": "sha256:" + "5" * 64,
        "postmortem_digest": "",
        "not_before_ms": NOW - 1000,
        "expires_ms": NOW + 3_600_000,
        "reason": "72 covered hours passed; Zürich desk agrees.",
    }
    return Command(**(fields | changes))


PROPOSAL = propose(a_command())
SIGNED = sign_with_ssh_key(sign_with_file_key(PROPOSAL, ALICE), BOB)


def envelope_with(payload: bytes) -> str:
    """An envelope around any payload, validly signed by Alice."""
    return sign_with_file_key(type(PROPOSAL)(payload), ALICE).text


def payload_with(**changes: Any) -> bytes:
    """The canonical payload of a command with any value in any field."""
    return canonical.encode(a_command().model_dump(mode="json") | changes)


def raw_json(**changes: Any) -> str:
    """The signed envelope's JSON with members replaced."""
    return json.dumps(json.loads(SIGNED.text) | changes)


def with_signature(keyid: str, sig: bytes) -> str:
    """An envelope with one signature."""
    return PROPOSAL.add_signature(keyid, sig).text


def armour(blob: bytes, *, width: int = 70) -> str:
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    return "\n".join([BEGIN, *lines, END, ""])


def signed_bytes(message: bytes, namespace: str = SSH_NAMESPACE, hash_name: str = "sha512") -> bytes:
    digest = hashlib.new(hash_name, message).digest()
    return b"SSHSIG" + b"".join(map(wire_string, (namespace.encode(), b"", hash_name.encode(), digest)))


def sshsig(
    public: bytes,
    signature: bytes,
    *,
    version: int = 1,
    namespace: str = SSH_NAMESPACE,
    reserved: bytes = b"",
    hash_name: bytes = b"sha512",
    tail: bytes = b"",
) -> str:
    fields = b"".join(map(wire_string, (public, namespace.encode(), reserved, hash_name, signature)))
    return armour(b"SSHSIG" + version.to_bytes(4) + fields + tail)


def ssh_signature(
    key: Ed25519PrivateKey, message: bytes, namespace: str = SSH_NAMESPACE, hash_name: str = "sha512", **odd: Any
) -> str:
    """What ssh-keygen would make, or with ``odd`` parts what it would not."""
    made = key.sign(signed_bytes(message, namespace, hash_name))
    signature = wire_string(b"ssh-ed25519") + wire_string(made)
    return sshsig(public_key(key).blob, signature, namespace=namespace, hash_name=hash_name.encode(), **odd)


def _touched(public: PublicKey, message: bytes, flags: int, counter: int) -> bytes:
    report = bytes([flags]) + counter.to_bytes(4)
    return hashlib.sha256(public.application).digest() + report + hashlib.sha256(signed_bytes(message)).digest()


def sk_signature(
    key: Ed25519PrivateKey, message: bytes, *, flags: int = 0x01, counter: int = 7, public: PublicKey | None = None
) -> str:
    """What a security key behind ssh-keygen would make; ``flags`` 0x01 is touch, 0x04 is PIN."""
    public = public or sk_public(key)
    made = wire_string(public.algorithm.encode()) + wire_string(key.sign(_touched(public, message, flags, counter)))
    return sshsig(public.blob, made + bytes([flags]) + counter.to_bytes(4))


def mpint(value: int) -> bytes:
    return wire_string(value.to_bytes(value.bit_length() // 8 + 1))


def p256_signature(key: EllipticCurvePrivateKey, message: bytes) -> str:
    public = p256_public(key)
    r, s = decode_dss_signature(key.sign(signed_bytes(message), ECDSA(SHA256())))
    return sshsig(public.blob, wire_string(public.algorithm.encode()) + wire_string(mpint(r) + mpint(s)))


def sk_p256_signature(key: EllipticCurvePrivateKey, message: bytes, *, flags: int = 0x05, counter: int = 7) -> str:
    public = p256_public(key, hardware=True)
    r, s = decode_dss_signature(key.sign(_touched(public, message, flags, counter), ECDSA(SHA256())))
    made = wire_string(public.algorithm.encode()) + wire_string(mpint(r) + mpint(s))
    return sshsig(public.blob, made + bytes([flags]) + counter.to_bytes(4))


def der_integer(value: int) -> bytes:
    body = value.to_bytes(value.bit_length() // 8 + 1, signed=True)
    return bytes([2, len(body)]) + body


def der(*integers: bytes) -> bytes:
    body = b"".join(integers)
    return bytes([0x30, len(body)]) + body


def token_signature(key: EllipticCurvePrivateKey, message: bytes) -> bytes:
    """What a token makes of a message: DER, with the hash of the key's curve."""
    return key.sign(message, ECDSA(SHA384() if key.curve.name == "secp384r1" else SHA256()))
