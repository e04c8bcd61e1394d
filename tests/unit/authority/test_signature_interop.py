"""Agreement with what others make and accept: ssh-keygen for signatures, securesystemslib for the envelope."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.signer import SSlibKey

from controller.authority.command import PAYLOAD_TYPE, SSH_NAMESPACE
from controller.authority.envelope import Envelope, pae, parse_envelope
from controller.authority.keys import load_key, public_key, save_key
from controller.authority.publickey import PublicKey, parse_public_line
from controller.authority.signing import attach_ssh_signature, sign_with_file_key
from controller.authority.sshsig import sign_ed25519
from controller.authority.verify import verify
from exchange.errors import Unauthorised
from tests.unit.authority import authority_kit as kit
from tests.unit.authority.authority_kit import ALICE, BOB, CAROL, FRANK, NOW, PROPOSAL, ROSTER, SIGNED


def sign_with(ssh_keygen: str, key: Path, directory: Path, namespace: str = SSH_NAMESPACE) -> str:
    message = directory / "proposal.pae"
    message.write_bytes(PROPOSAL.pae)
    subprocess.run([ssh_keygen, "-q", "-Y", "sign", "-f", key, "-n", namespace, message], capture_output=True, check=True)
    return (directory / "proposal.pae.sig").read_text()


def accepted(ssh_keygen: str, key: PublicKey, armour: str, directory: Path) -> bool:
    allowed, signature = directory / "allowed", directory / "signature"
    allowed.write_text(f"somebody {key.line}\n")
    signature.write_text(armour)
    command = [
        ssh_keygen,
        "-Y",
        "verify",
        "-f",
        allowed,
        "-I",
        "somebody",
        "-n",
        SSH_NAMESPACE,
        "-s",
        signature,
    ]
    return subprocess.run(command, input=PROPOSAL.pae, capture_output=True, check=False).returncode == 0


def test_a_signature_by_ssh_keygen_equals_our_own_byte_for_byte(tmp_path: Path, ssh_keygen: str) -> None:
    save_key(BOB, tmp_path / "bob")
    armour = sign_with(ssh_keygen, tmp_path / "bob", tmp_path)
    assert armour == sign_ed25519(BOB, SSH_NAMESPACE, PROPOSAL.pae)
    assert verify(attach_ssh_signature(PROPOSAL, armour).text, ROSTER, NOW).signatories[0].person == "bob"


@pytest.mark.parametrize("kind", [("ed25519",), ("ecdsa",), ("ecdsa", "-b", "384")], ids=" ".join)
def test_a_signature_by_a_key_from_ssh_keygen_is_accepted(tmp_path: Path, ssh_keygen: str, kind: tuple[str, ...]) -> None:
    subprocess.run([ssh_keygen, "-q", "-t", *kind, "-N", "", "-C", "me@here", "-f", tmp_path / "key"], check=True)
    signed = attach_ssh_signature(PROPOSAL, sign_with(ssh_keygen, tmp_path / "key", tmp_path))
    line = (tmp_path / "key.pub").read_text()
    roster = kit.Roster(version=1, persons=(kit.person("zoe", kit.roster_key(line)),))
    assert verify(signed.text, roster, NOW).signatories[0].fingerprint == parse_public_line(line).fingerprint


def test_a_key_from_ssh_keygen_is_loaded(tmp_path: Path, ssh_keygen: str) -> None:
    subprocess.run([ssh_keygen, "-q", "-t", "ed25519", "-N", "", "-C", "me@here", "-f", tmp_path / "key"], check=True)
    assert public_key(load_key(tmp_path / "key")) == parse_public_line((tmp_path / "key.pub").read_text())


def test_a_signature_made_for_git_is_not_attached(tmp_path: Path, ssh_keygen: str) -> None:
    save_key(BOB, tmp_path / "bob")
    with pytest.raises(Unauthorised) as refused:
        attach_ssh_signature(PROPOSAL, sign_with(ssh_keygen, tmp_path / "bob", tmp_path, "git"))
    assert refused.value.code == "wrong-namespace"


def test_ssh_keygen_accepts_our_signatures_of_every_kind(tmp_path: Path, ssh_keygen: str) -> None:
    assert accepted(ssh_keygen, public_key(BOB), sign_ed25519(BOB, SSH_NAMESPACE, PROPOSAL.pae), tmp_path)
    assert accepted(ssh_keygen, kit.sk_public(CAROL), kit.sk_signature(CAROL, PROPOSAL.pae), tmp_path)
    assert accepted(ssh_keygen, kit.p256_public(FRANK), kit.p256_signature(FRANK, PROPOSAL.pae), tmp_path)


@given(st.text(max_size=40), st.binary(max_size=200))
def test_the_signed_bytes_follow_dsse(payload_type: str, payload: bytes) -> None:
    assert pae(payload_type, payload) == TheirEnvelope(payload, payload_type, {}).pae()


def test_a_dsse_library_accepts_our_envelope() -> None:
    signed = sign_with_file_key(PROPOSAL, ALICE)
    key = SSlibKey(public_key(ALICE).fingerprint, "ed25519", "ed25519", {"public": public_key(ALICE).point.hex()})
    expected = TheirEnvelope.from_dict(json.loads(signed.text))
    assert expected.payload_type == PAYLOAD_TYPE
    assert list(expected.verify([key], 1)) == [key.keyid]


def test_an_envelope_reads_back_from_its_text() -> None:
    assert parse_envelope(SIGNED.text) == SIGNED
    assert parse_envelope(PROPOSAL.text) == Envelope(PROPOSAL.payload)
