"""Plain ECDSA signatures, as PKCS#11 tokens make them, that must be refused; and what is not a flaw."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.ecdsa import P256, P384, Curve, parse_der, require_numbers
from controller.authority.envelope import EnvelopeSignature
from controller.authority.keys import public_key
from controller.authority.roster import Roster, parse_roster_json, roster_key
from controller.authority.signing import sign_with_file_key
from controller.authority.tokens import find_key
from controller.authority.verify import verify
from exchange.errors import ConfigError, Unauthorised, UsageError
from tests.support.counting import Counted
from tests.unit.authority import authority_kit as kit
from tests.unit.authority.authority_kit import ALICE, FRANK, HANK, IDA, NOW, PROPOSAL, ROSTER, der, der_integer, with_signature

PAE = PROPOSAL.pae
HANK_ID, IDA_ID = kit.p256_public(HANK).fingerprint, kit.p384_public(IDA).fingerprint
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
GOOD, GOOD_384 = kit.token_signature(HANK, PAE), kit.token_signature(IDA, PAE)
R, S = decode_dss_signature(GOOD)
ONE = der_integer(1)


def refusal(text: str, roster: Roster = ROSTER) -> str:
    with pytest.raises(Unauthorised) as refused:
        verify(text, roster, NOW)
    return refused.value.code


def hank(sig: bytes) -> str:
    return with_signature(HANK_ID, sig)


def ida(sig: bytes) -> str:
    return with_signature(IDA_ID, sig)


def padded(value: int) -> bytes:
    """The integer with a zero in front that it does not need."""
    body = der_integer(value)[2:]
    return bytes([2, len(body) + 1]) + b"\0" + body


def stripped(value: int) -> bytes:
    """The integer without the zero in front that it needs, which makes it negative."""
    body = value.to_bytes(32)
    assert body[0] & 0x80
    return bytes([2, 32]) + body


HIGH = max(S, P256_ORDER - S)

TOKEN_VECTORS = [
    ("a token's signature of no bytes", hank(b""), "malformed-signature"),
    ("a token's signature cut off by one byte", hank(GOOD[:-1]), "malformed-signature"),
    ("a token's signature cut off inside its header", hank(GOOD[:1]), "malformed-signature"),
    ("a token's signature with a byte behind it", hank(GOOD + b"\0"), "malformed-signature"),
    ("a token's signature twice", hank(GOOD + GOOD), "malformed-signature"),
    ("a byte inside the sequence behind its numbers", hank(der(der_integer(R), der_integer(S), b"\5\0")), "malformed-signature"),
    ("a sequence of one number", hank(der(der_integer(R))), "malformed-signature"),
    ("a sequence of three numbers", hank(der(der_integer(R), der_integer(S), ONE)), "malformed-signature"),
    ("an empty sequence", hank(der()), "malformed-signature"),
    ("a set instead of a sequence", hank(b"\x31" + GOOD[1:]), "malformed-signature"),
    ("octets instead of a number", hank(der(b"\4" + der_integer(R)[1:], der_integer(S))), "malformed-signature"),
    ("a length in its long form", hank(b"\x30\x81" + GOOD[1:]), "malformed-signature"),
    ("a length without end", hank(b"\x30\x80" + GOOD[2:] + b"\0\0"), "malformed-signature"),
    ("a length of four gigabytes", hank(b"\x30\x84\xff\xff\xff\xff" + GOOD[2:]), "malformed-signature"),
    ("a number with a needless zero", hank(der(padded(R), der_integer(S))), "malformed-signature"),
    ("a second number with a needless zero", hank(der(der_integer(R), padded(S))), "malformed-signature"),
    ("a number without the zero it needs", hank(der(der_integer(R), stripped(HIGH))), "malformed-signature"),
    ("a negative number", hank(der(der_integer(-1), der_integer(S))), "malformed-signature"),
    ("a number of no bytes", hank(der(b"\2\0", der_integer(S))), "malformed-signature"),
    ("r is zero", hank(der(der_integer(0), der_integer(S))), "malformed-signature"),
    ("s is zero", hank(der(der_integer(R), der_integer(0))), "malformed-signature"),
    ("both are zero", hank(der(der_integer(0), der_integer(0))), "malformed-signature"),
    ("r is the order", hank(der(der_integer(P256_ORDER), der_integer(S))), "malformed-signature"),
    ("s is the order", hank(der(der_integer(R), der_integer(P256_ORDER))), "malformed-signature"),
    ("s with the order added to it", hank(der(der_integer(R), der_integer(S + P256_ORDER))), "malformed-signature"),
    ("r and s one behind the other, as PKCS#11 has them", hank(R.to_bytes(32) + S.to_bytes(32)), "malformed-signature"),
    ("a token's signature as hexadecimal text", hank(GOOD.hex().encode()), "malformed-signature"),
    ("r and s exchanged", hank(der(der_integer(S), der_integer(R))), "bad-signature"),
    ("r and s are ones", hank(der(ONE, ONE)), "bad-signature"),
    ("r turned to the other side of the order", hank(der(der_integer(P256_ORDER - R), der_integer(S))), "bad-signature"),
    ("another token's signature", hank(kit.token_signature(FRANK, PAE)), "bad-signature"),
    ("a token's signature over the bare payload", hank(kit.token_signature(HANK, PROPOSAL.payload)), "bad-signature"),
    ("a token's signature with sha384 on P-256", hank(HANK.sign(PAE, ECDSA(SHA384()))), "bad-signature"),
    ("a token's signature with sha256 on P-384", ida(IDA.sign(PAE, ECDSA(SHA256()))), "bad-signature"),
    ("a token's signature with sha512 on P-384", ida(IDA.sign(PAE, ECDSA(SHA512()))), "bad-signature"),
    ("a P-384 signature under a P-256 key", hank(GOOD_384), "malformed-signature"),
    ("a P-256 signature under a P-384 key", ida(GOOD), "bad-signature"),
    ("a token's signature over OpenSSH's bytes", hank(kit.token_signature(HANK, kit.signed_bytes(PAE))), "bad-signature"),
    ("an OpenSSH signature under a token's key", hank(kit.p256_signature(HANK, PAE).encode()), "wrong-signature-form"),
    ("a raw Ed25519 signature under a token's key", hank(ALICE.sign(PAE)), "malformed-signature"),
    ("a token's signature under a key file", with_signature(public_key(ALICE).fingerprint, GOOD), "malformed-signature"),
    ("a token that nobody knows", with_signature(kit.p256_public(FRANK).fingerprint[:-1] + "0", GOOD), "unknown-key"),
    ("a token's key id with a Cyrillic letter", with_signature(HANK_ID.replace("a", "а", 1), GOOD), "unknown-key"),
]


@pytest.mark.parametrize(("text", "code"), [pytest.param(text, code, id=name) for name, text, code in TOKEN_VECTORS])
def test_an_invalid_token_signature_refuses_the_envelope(text: str, code: str, counted: Counted) -> None:
    assert refusal(text) == code
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(
    ("text", "person"), [pytest.param(hank(GOOD), "hank", id="P-256"), pytest.param(ida(GOOD_384), "ida", id="P-384")]
)
def test_a_token_signature_names_its_person_and_proves_no_touch(text: str, person: str) -> None:
    (one,) = verify(text, ROSTER, NOW).signatories
    assert (one.person, one.touched) == (person, False)


MIRRORED = der(der_integer(R), der_integer(P256_ORDER - S))


def test_the_second_form_of_a_signature_is_valid_and_counts_once() -> None:
    assert [one.person for one in verify(hank(MIRRORED), ROSTER, NOW).signatories] == ["hank"]
    both = type(PROPOSAL)(PROPOSAL.payload, (EnvelopeSignature(HANK_ID, GOOD), EnvelopeSignature(HANK_ID, MIRRORED)))
    assert refusal(both.text) == "duplicate-signature"


def test_the_payload_alone_identifies_a_command() -> None:
    digests = {
        verify(text, ROSTER, NOW).payload_digest for text in (hank(GOOD), hank(MIRRORED), sign_with_file_key(PROPOSAL, ALICE).text)
    }
    assert len(digests) == 1


@given(st.integers(min_value=0, max_value=len(GOOD) * 8 - 1))
def test_a_flipped_bit_of_a_token_signature_is_refused(bit: int) -> None:
    altered = bytearray(GOOD)
    altered[bit // 8] ^= 1 << bit % 8
    assert refusal(hank(bytes(altered))) in {"malformed-signature", "bad-signature"}


@given(st.binary(max_size=120))
def test_any_bytes_are_verified_or_refused_with_a_typed_error(sig: bytes) -> None:
    assert refusal(hank(sig)) in {"malformed-signature", "bad-signature"}
    assert refusal(ida(sig)) in {"malformed-signature", "bad-signature"}


@pytest.mark.parametrize("curve", [P256, P384], ids=["P-256", "P-384"])
@pytest.mark.parametrize("where", range(2), ids=["r", "s"])
def test_numbers_outside_the_order_are_refused_before_verification(curve: Curve, where: int, counted: Counted) -> None:
    for value, good in ((0, False), (1, True), (curve.order - 1, True), (curve.order, False), (curve.order + 1, False)):
        numbers = (value, 1) if where == 0 else (1, value)
        if good:
            require_numbers(curve, *numbers)
            continue
        with pytest.raises(Unauthorised) as refused:
            require_numbers(curve, *numbers)
        assert refused.value.code == "malformed-signature"
        counted("attack vectors", kind="malformed-signature")


def test_a_der_length_of_several_bytes_is_not_read_as_one_byte(counted: Counted) -> None:
    number = b"\2\x42" + bytes([1]) * 66
    with pytest.raises(Unauthorised) as refused:
        parse_der(bytes([0x30, 2 * len(number)]) + number * 2)
    assert refused.value.code == "malformed-signature"
    counted("attack vectors", kind="malformed-signature")


@st.composite
def nearly_der(draw: st.DrawFn) -> bytes:
    """The DER of two integers with a few bytes changed, left out or put in."""
    numbers = st.integers(min_value=0, max_value=2**384)
    data = bytearray(der(der_integer(draw(numbers)), der_integer(draw(numbers))))
    for _ in range(draw(st.integers(min_value=0, max_value=3))):
        at = draw(st.integers(min_value=0, max_value=min(6, len(data) - 1)) | st.integers(min_value=0, max_value=len(data) - 1))
        data[at : at + draw(st.integers(0, 1))] = draw(st.binary(max_size=2))
    return bytes(data)


@given(nearly_der())
def test_der_is_read_only_in_its_canonical_form(data: bytes) -> None:
    try:
        numbers = parse_der(data)
    except Unauthorised as refused:
        assert refused.code == "malformed-signature"  # noqa: PT017 - most are refused, and none of the rest may differ
    else:
        assert encode_dss_signature(*numbers) == data


def listed(*keys: object) -> bytes:
    persons = [{"name": name, "role": "operator", "keys": [key]} for name, key in zip("ab", keys, strict=False)]
    return json.dumps({"version": 1, "persons": persons}).encode()


def entry(key: object) -> dict[str, object]:
    assert isinstance(key, kit.RosterKey)
    return key.model_dump(mode="json", exclude_none=True)


TOKEN, OPENSSH = entry(kit.on_token(kit.p256_public(HANK))), entry(roster_key(kit.p256_public(HANK).line))
SECURITY_KEY = entry(roster_key(kit.p256_public(HANK, hardware=True).line))
TOKEN_384 = entry(kit.on_token(kit.p384_public(IDA)))

ROSTERS = [
    ("one P-256 key as a token's and as OpenSSH's", listed(TOKEN, OPENSSH), "duplicate-key"),
    ("one P-256 key as a token's and as a security key's", listed(TOKEN, SECURITY_KEY), "duplicate-key"),
    ("one P-256 key twice as a token's", listed(TOKEN, TOKEN), "duplicate-key"),
    ("a P-256 key listed as P-384", listed(TOKEN | {"type": "ecdsa-p384"}), "roster-malformed"),
    ("a P-384 key listed as P-256", listed(TOKEN_384 | {"type": "ecdsa-p256"}), "roster-malformed"),
    ("an Ed25519 key listed as a token's", listed(entry(kit.listed(ALICE)) | {"type": "ecdsa-p256"}), "roster-malformed"),
    ("a PIN asked of a token, which cannot prove it", listed(TOKEN | {"pin_required": True}), "roster-malformed"),
    ("a token's key under another id", listed(TOKEN | {"id": TOKEN_384["id"]}), "key-id-mismatch"),
    ("a token's type in other words", listed(TOKEN | {"type": "ecdsa-sha2-nistp521"}), "unknown-key-type"),
]


@pytest.mark.parametrize(("data", "code"), [pytest.param(data, code, id=name) for name, data, code in ROSTERS])
def test_a_roster_with_a_wrong_token_entry_is_refused(data: bytes, code: str, counted: Counted) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_roster_json(data)
    assert refused.value.code == code
    counted("attack vectors", kind=code)


def test_a_pin_in_a_uri_does_not_appear_in_the_error() -> None:
    with pytest.raises(UsageError) as found:
        find_key("hsm:2?label=TOKEN&pin-value=271828", lambda: "")
    assert (found.value.code, "271828" in str(found.value)) == ("bad-key-uri", False)
