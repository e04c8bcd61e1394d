"""A touch is attested if a maker that the policy names signed, over the key itself, that it was made in a security key."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.attestation import attested_persons, is_attested, problem, touch_of
from controller.authority.publickey import PublicKey
from controller.authority.roster import KeyAttestation, Roster, RosterKey, parse_roster_json, roster_key
from exchange.errors import ConfigError
from tests.support.attesting import MODEL, Maker, listed
from tests.unit.authority import authority_kit as kit

MAKER, OTHER = Maker(), Maker("another maker")
ROOTS = (MAKER.root,)
ED, P256 = kit.sk_public(kit.file_key(61)), kit.p256_public(kit.p256_key(62), hardware=True)


def key_of(public: PublicKey, attestation: KeyAttestation | None) -> RosterKey:
    entry = roster_key(public.line)
    return RosterKey.model_validate({**entry.model_dump(), "attestation": attestation})


def why(public: PublicKey = ED, roots: tuple[str, ...] = ROOTS, **odd: Any) -> str:
    return problem(key_of(public, MAKER.attests(public, **odd)), roots)


@pytest.mark.parametrize("public", [ED, P256], ids=["ed25519-sk", "ecdsa-sk"])
def test_a_key_of_a_named_maker_is_attested(public: PublicKey) -> None:
    key = key_of(public, MAKER.attests(public))
    assert problem(key, ROOTS) == ""
    assert is_attested(key, (OTHER.root, MAKER.root))
    assert touch_of(key, ROOTS) == "attested"


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"certified": None}, id="a certificate that names no model"),
        pytest.param({"flags": 0xC1, "tail": bytes.fromhex("a16b6372656450726f7465637403")}, id="extensions"),
        pytest.param({"flags": 0x45}, id="a PIN"),
        pytest.param({"flags": 0xC1, "tail": bytes(300)}, id="long data"),
    ],
)
def test_other_forms_of_an_authenticator_are_taken(odd: dict[str, Any]) -> None:
    assert why(**odd) == ""


def test_the_older_form_of_u2f_is_taken_for_its_own_keys_only() -> None:
    assert why(P256, u2f=True) == ""
    assert "not signed" in why(ED, u2f=True)


MADE = kit.sk_public(kit.file_key(63))


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        pytest.param({"about": MADE}, "another key", id="about another key"),
        pytest.param({"application": b"ssh:other"}, "another key or application", id="for another application"),
        pytest.param({"flags": 0x40}, "another key", id="made without a touch"),
        pytest.param({"flags": 0x01}, "another key", id="without a credential"),
        pytest.param({"tail": b"\0"}, "another key", id="more data than its flags allow"),
        pytest.param({"signed": b"another challenge"}, "not signed", id="for another challenge"),
        pytest.param({"certified": bytes(16)}, "another model", id="a certificate of another model"),
        pytest.param({"model": bytes(16), "certified": MODEL}, "another model", id="data of another model"),
        pytest.param({"ca": True}, "by an authority", id="signed by an authority"),
        pytest.param({"form": b"ssh-sk-attest-v00"}, "not of the form", id="an older form without the data"),
        pytest.param({"end": b"\0"}, "cannot be read", id="more bytes at the end"),
    ],
)
def test_what_no_authenticator_writes_is_not_attested(odd: dict[str, Any], says: str) -> None:
    assert says in why(**odd)


def test_a_maker_that_the_policy_does_not_name_attests_nothing() -> None:
    assert "not of a maker" in why(roots=(OTHER.root,))
    assert "not of a maker" in why(roots=())


def test_a_maker_with_the_same_name_is_another_maker() -> None:
    assert "not of a maker" in why(roots=(Maker(MAKER.name).root,))


def test_a_root_that_is_no_authority_issues_nothing() -> None:
    leaf = Maker(authority=False)
    assert "no authority" in problem(key_of(ED, leaf.attests(ED)), (leaf.root,))


def test_an_attestation_of_another_key_cannot_be_copied() -> None:
    copied = MAKER.attests(MADE)
    assert "another key" in problem(key_of(ED, copied), ROOTS)


def test_software_that_claims_a_touch_stays_claimed() -> None:
    key = key_of(ED, None)
    assert touch_of(key, ROOTS) == "claimed"
    assert problem(key, ROOTS) == "the roster has no attestation for it"
    assert touch_of(kit.listed(kit.file_key(64)), ROOTS) == "none"


@pytest.mark.parametrize("roots", [("AAAA",), ("not base64!",), (base64.b64encode(b"x" * 300).decode(),)])
def test_a_root_that_cannot_be_read_attests_nothing(roots: tuple[str, ...]) -> None:
    assert "cannot be read" in why(roots=roots)


@given(data=st.binary(max_size=300), challenge=st.binary(min_size=1, max_size=64))
def test_no_bytes_are_an_attestation(data: bytes, challenge: bytes) -> None:
    assert problem(key_of(ED, listed(data or b"\0", challenge)), ROOTS)


WHOLE = MAKER.attests(ED)


def test_no_changed_bit_of_a_good_one_is_attested() -> None:
    good = base64.b64decode(WHOLE.statement)
    certificate = x509.load_der_x509_certificate(good[good.index(b"\x30\x82") :][: int.from_bytes(good[23:25])])
    # How many bits of the certificate's signature are padding says nothing of what is signed.
    padding = good.index(certificate.signature) - 1
    # The last eight bytes are reserved and mean nothing.
    for at in set(range(len(good) - 8)) - {padding}:
        for bit in range(8):
            statement = bytearray(good)
            statement[at] ^= 1 << bit
            assert problem(key_of(ED, listed(bytes(statement))), ROOTS), (at, bit)


def test_only_a_security_key_may_list_one() -> None:
    with pytest.raises(ConfigError, match="not a security key"):
        RosterKey.model_validate({**kit.listed(kit.file_key(65)).model_dump(), "attestation": WHOLE})


def test_a_roster_keeps_the_attestation_and_an_older_one_its_digest() -> None:
    person = kit.person("zoe", key_of(ED, WHOLE))
    found = Roster(version=1, persons=(person,))
    assert parse_roster_json(found.canonical_bytes) == found
    assert attested_persons(found, [ED.fingerprint, "sha256:" + "0" * 64], ROOTS) == {"zoe"}
    assert "attestation" not in kit.ROSTER.canonical_bytes.decode()
