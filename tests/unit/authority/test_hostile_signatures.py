"""Signatures that must be refused, each for exactly one reason: raw ones, OpenSSH ones and those of security keys."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.keys import public_key
from controller.authority.publickey import KeyAlgorithm, PublicKey, wire_string
from controller.authority.roster import KeyStatus, KeyType, Roster
from controller.authority.signing import propose, sign_with_file_key, sign_with_ssh_key
from controller.authority.sshsig import BEGIN, END
from controller.authority.verify import verify
from exchange.errors import Unauthorised
from exchange.model import Millis
from policies.authority import Verb
from tests.support.counting import Counted
from tests.unit.authority import authority_kit as kit
from tests.unit.authority.authority_kit import ALICE, BOB, CAROL, DAVE, FRANK, GRACE, NOW, PROPOSAL, ROSTER, SIGNED, with_signature

PAE = PROPOSAL.pae
ALICE_ID, BOB_ID = public_key(ALICE).fingerprint, public_key(BOB).fingerprint
CAROL_ID, FRANK_ID = kit.sk_public(CAROL).fingerprint, kit.p256_public(FRANK).fingerprint
GRACE_ID = kit.p256_public(GRACE, hardware=True).fingerprint
RAW = ALICE.sign(PAE)
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
BOB_BLOB, FRANK_BLOB = public_key(BOB).blob, kit.p256_public(FRANK).blob
BOB_MADE = wire_string(b"ssh-ed25519") + wire_string(BOB.sign(kit.signed_bytes(PAE)))
OTHER_CURVE = FRANK_BLOB.replace(b"\x08nistp256", b"\x08nistp384")
GOOD = kit.ssh_signature(BOB, PAE)


def refusal(text: str, roster: Roster = ROSTER, now: Millis = NOW) -> str:
    with pytest.raises(Unauthorised) as refused:
        verify(text, roster, now)
    return refused.value.code


def alice(sig: bytes) -> str:
    return with_signature(ALICE_ID, sig)


def bob(armour: str) -> str:
    return with_signature(BOB_ID, armour.encode())


def carol(armour: str) -> str:
    return with_signature(CAROL_ID, armour.encode())


def grace(armour: str) -> str:
    return with_signature(GRACE_ID, armour.encode())


def made_by_bob(signature: bytes, algorithm: bytes = b"ssh-ed25519") -> str:
    """Bob's key around any signature."""
    return bob(kit.sshsig(BOB_BLOB, wire_string(algorithm) + wire_string(signature)))


def frank(numbers: bytes) -> str:
    made = wire_string(b"ecdsa-sha2-nistp256") + wire_string(numbers)
    return with_signature(FRANK_ID, kit.sshsig(FRANK_BLOB, made).encode())


def plus_the_group_order(sig: bytes) -> bytes:
    return sig[:32] + (int.from_bytes(sig[32:], "little") + GROUP_ORDER).to_bytes(32, "little")


def urlsafe(armour: str) -> str:
    return armour.replace("+", "-").replace("/", "_")


def loosened(armour: str) -> str:
    """The same bytes in another spelling: base64's last letter before ``==`` carries four bits that nobody reads."""
    body, end = armour.split("==")
    return f"{body[:-1]}{chr(ord(body[-1]) + 1)}=={end}"


def sk_by(application: bytes) -> bytes:
    """A good signature by Carol's key, said to be a credential of another application."""
    public = PublicKey(KeyAlgorithm.SK_ED25519, CAROL.public_key().public_bytes_raw(), application)
    return kit.sk_signature(CAROL, PAE, public=public).encode()


def certificate() -> str:
    """Bob's key inside an OpenSSH certificate: the issuer of those is not in the roster."""
    parts = (b"ssh-ed25519-cert-v01@openssh.com", bytes(32), public_key(BOB).point, bytes(8))
    return bob(kit.sshsig(b"".join(map(wire_string, parts)), BOB_MADE))


OTHER = propose(kit.a_command(verb=Verb.HALT))
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ONE = wire_string(b"\1")
LYING_LENGTH = b"SSHSIG" + (1).to_bytes(4) + b"\xff" * 4 + BOB_BLOB

RAW_VECTORS = [
    ("an empty signature", alice(b""), "malformed-signature"),
    ("a signature cut off by one byte", alice(RAW[:-1]), "malformed-signature"),
    ("a signature with one byte more", alice(RAW + b"\0"), "malformed-signature"),
    ("a signature of zeros", alice(bytes(64)), "bad-signature"),
    ("a signature with the group order added to it", alice(plus_the_group_order(RAW)), "bad-signature"),
    ("another person's signature under Alice's key", alice(DAVE.sign(PAE)), "bad-signature"),
    ("Alice's signature over the bare payload", alice(ALICE.sign(PROPOSAL.payload)), "bad-signature"),
    ("Alice's signature of another command", alice(ALICE.sign(OTHER.pae)), "bad-signature"),
    ("an OpenSSH signature under a file key", alice(kit.ssh_signature(ALICE, PAE).encode()), "wrong-signature-form"),
    ("a key that nobody knows", sign_with_file_key(PROPOSAL, DAVE).text, "unknown-key"),
    ("a key id in capitals", with_signature(ALICE_ID.upper(), RAW), "unknown-key"),
    ("a key id that is a path", with_signature("../../alice", RAW), "unknown-key"),
    ("a person's name for a key id", with_signature("alice", RAW), "unknown-key"),
    ("one false signature behind a good one", SIGNED.add_signature(CAROL_ID, b"?").text, "malformed-signature"),
    ("a stranger's good signature beside two good ones", sign_with_file_key(SIGNED, DAVE).text, "unknown-key"),
]

SSH_VECTORS = [
    ("a raw signature under an OpenSSH key", with_signature(BOB_ID, BOB.sign(PAE)), "wrong-signature-form"),
    ("text before the armour", bob("hello\n" + GOOD), "malformed-signature"),
    ("an empty line before the armour", bob("\n" + GOOD), "malformed-signature"),
    ("text after the armour", bob(GOOD + "hello\n"), "malformed-signature"),
    ("two line breaks after the armour", bob(GOOD + "\n"), "malformed-signature"),
    ("two armours", bob(GOOD + GOOD), "malformed-signature"),
    ("line ends of another system", bob(GOOD.replace("\n", "\r\n")), "malformed-signature"),
    ("an armour without its first line", bob(GOOD.removeprefix(BEGIN + "\n")), "malformed-signature"),
    ("an armour without its last line", bob(GOOD.replace(END, "")), "malformed-signature"),
    ("an armour around nothing", bob(f"{BEGIN}\n{END}\n"), "malformed-signature"),
    ("an armour in URL-safe base64", bob(urlsafe(kit.armour(b"SSHSIG" + b"\xfb\xff" * 40))), "malformed-signature"),
    ("an armour with an empty line in it", bob(GOOD.replace(BEGIN, BEGIN + "\n")), "malformed-signature"),
    ("an armour with a space in it", bob(GOOD.replace("U1NIU0lH", "U1NI U0lH")), "malformed-signature"),
    ("an armour with padding in the middle", bob(GOOD.replace("U1NIU0lH", "U1NIU0==")), "malformed-signature"),
    ("a good signature with loose bits at its end", bob(loosened(GOOD)), "malformed-signature"),
    ("an armour on lines of a thousand letters", bob(kit.armour(b"SSHSIG" + bytes(900), width=1000)), "malformed-signature"),
    ("an armour of another alphabet", with_signature(BOB_ID, GOOD.replace("A", "А").encode()), "malformed-signature"),
    ("an armour longer than any signature", bob(kit.armour(bytes(9000))), "malformed-signature"),
    ("an armour around a key instead of a signature", bob(kit.armour(BOB_BLOB)), "malformed-signature"),
    ("bytes behind the signature", bob(kit.ssh_signature(BOB, PAE, tail=b"\0")), "malformed-signature"),
    ("bytes inside the signature behind its numbers", bob(kit.sshsig(BOB_BLOB, BOB_MADE + b"\0")), "malformed-signature"),
    ("a reserved field in use", bob(kit.sshsig(BOB_BLOB, BOB_MADE, reserved=b"x")), "malformed-signature"),
    (
        "a signature of 63 bytes",
        made_by_bob(bytes(63)),
        "malformed-signature",
    ),
    ("version 2 of the format", bob(kit.ssh_signature(BOB, PAE, version=2)), "unsupported-algorithm"),
    ("a sha256 hash", bob(kit.ssh_signature(BOB, PAE, hash_name="sha256")), "unsupported-algorithm"),
    ("a sha1 hash", bob(kit.ssh_signature(BOB, PAE, hash_name="sha1")), "unsupported-algorithm"),
    ("an md5 hash", bob(kit.ssh_signature(BOB, PAE, hash_name="md5")), "unsupported-algorithm"),
    ("a shake hash", bob(kit.sshsig(BOB_BLOB, BOB_MADE, hash_name=b"shake_256")), "unsupported-algorithm"),
    ("a sha3 hash", bob(kit.sshsig(BOB_BLOB, BOB_MADE, hash_name=b"sha3_512")), "unsupported-algorithm"),
    ("our hash in capitals", bob(kit.sshsig(BOB_BLOB, BOB_MADE, hash_name=b"SHA512")), "unsupported-algorithm"),
    ("a hash without a name", bob(kit.sshsig(BOB_BLOB, BOB_MADE, hash_name=b"")), "unsupported-algorithm"),
    ("a key in a certificate", certificate(), "unsupported-algorithm"),
    ("a length far beyond the text", bob(kit.armour(LYING_LENGTH)), "malformed-signature"),
    ("an RSA key", bob(kit.sshsig(wire_string(b"ssh-rsa") + wire_string(b"\1"), BOB_MADE)), "unsupported-algorithm"),
    (
        "another algorithm than the key's",
        made_by_bob(bytes(64), b"ssh-rsa"),
        "unsupported-algorithm",
    ),
    ("a key of small order, under which anybody signs", bob(kit.sshsig(BOB_BLOB[:19] + bytes(32), BOB_MADE)), "unusable-key"),
    ("a key other than the one it is listed under", bob(kit.ssh_signature(DAVE, PAE)), "key-mismatch"),
    ("the namespace of git", bob(kit.ssh_signature(BOB, PAE, namespace="git")), "wrong-namespace"),
    ("the namespace of a later version", bob(kit.ssh_signature(BOB, PAE, namespace="gatehouse-command@v2")), "wrong-namespace"),
    ("an empty namespace", bob(kit.ssh_signature(BOB, PAE, namespace="")), "wrong-namespace"),
    ("a namespace with an accent", bob(kit.ssh_signature(BOB, PAE, namespace="gâtehouse")), "wrong-namespace"),
    ("our namespace written over another's", made_by_bob(BOB.sign(kit.signed_bytes(PAE, "git"))), "bad-signature"),
    ("Bob's signature of another command", bob(kit.ssh_signature(BOB, OTHER.pae)), "bad-signature"),
    ("an ECDSA number with a needless zero", frank(wire_string(b"\0\1") + wire_string(b"\1")), "malformed-signature"),
    ("a negative ECDSA number", frank(wire_string(b"\xff") + wire_string(b"\1")), "malformed-signature"),
    ("an ECDSA number of no bytes", frank(wire_string(b"") + wire_string(b"\1")), "malformed-signature"),
    ("an ECDSA number that is zero", frank(wire_string(b"\0") + ONE), "malformed-signature"),
    ("an ECDSA number as large as the order", frank(ONE + kit.mpint(P256_ORDER)), "malformed-signature"),
    ("an ECDSA number larger than the order", frank(kit.mpint(P256_ORDER + 1) + ONE), "malformed-signature"),
    ("an ECDSA number of a thousand bytes", frank(wire_string(b"\1" + bytes(1000)) + ONE), "malformed-signature"),
    ("three ECDSA numbers", frank(ONE * 3), "malformed-signature"),
    ("ECDSA numbers in DER, as a token makes them", frank(b"\x30\x06\x02\x01\x01\x02\x01\x01"), "malformed-signature"),
    ("ECDSA numbers that are ones", frank(wire_string(b"\1") + wire_string(b"\1")), "bad-signature"),
    ("an ECDSA key on another curve", bob(kit.sshsig(OTHER_CURVE, b"")), "unsupported-algorithm"),
    ("a security key that was not touched", carol(kit.sk_signature(CAROL, PAE, flags=0)), "no-user-presence"),
    ("a PIN without a touch", carol(kit.sk_signature(CAROL, PAE, flags=4)), "no-user-presence"),
    ("a touch without the PIN the roster asks for", grace(kit.sk_p256_signature(GRACE, PAE, flags=1)), "no-user-verification"),
    ("a web site's credential", with_signature(CAROL_ID, sk_by(b"example.org")), "unusable-key"),
    ("a credential of no application", with_signature(CAROL_ID, sk_by(b"")), "unusable-key"),
    ("a credential of another application", with_signature(CAROL_ID, sk_by(b"ssh:other")), "key-mismatch"),
    ("a token's signature under an OpenSSH key", with_signature(FRANK_ID, kit.token_signature(FRANK, PAE)), "wrong-signature-form"),
    ("a plain signature by a security key's material", carol(kit.ssh_signature(CAROL, PAE)), "key-mismatch"),
]


@pytest.mark.parametrize(("text", "code"), [pytest.param(text, code, id=name) for name, text, code in RAW_VECTORS])
def test_an_invalid_raw_signature_refuses_the_envelope(text: str, code: str, counted: Counted) -> None:
    assert refusal(text) == code
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(("text", "code"), [pytest.param(text, code, id=name) for name, text, code in SSH_VECTORS])
def test_an_invalid_openssh_signature_refuses_the_envelope(text: str, code: str, counted: Counted) -> None:
    assert refusal(text) == code
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(
    ("text", "person"),
    [
        pytest.param(alice(RAW), "alice", id="a file key"),
        pytest.param(bob(GOOD), "bob", id="an OpenSSH key"),
        pytest.param(carol(kit.sk_signature(CAROL, PAE)), "carol", id="a security key that was touched"),
        pytest.param(with_signature(FRANK_ID, kit.p256_signature(FRANK, PAE).encode()), "frank", id="an ECDSA key"),
        pytest.param(grace(kit.sk_p256_signature(GRACE, PAE)), "grace", id="a security key with touch and PIN"),
    ],
)
def test_a_valid_signature_of_every_kind_names_its_person(text: str, person: str) -> None:
    assert [one.person for one in verify(text, ROSTER, NOW).signatories] == [person]


def test_setting_the_touched_flag_afterwards_is_refused() -> None:
    untouched = kit.sk_signature(CAROL, PAE, flags=0).split("\n")
    blob = bytearray(base64.b64decode("".join(untouched[1:-2])))
    blob[-5] = 0x01
    assert refusal(with_signature(CAROL_ID, kit.armour(bytes(blob)).encode())) == "bad-signature"


@pytest.mark.parametrize("counter", [0, 1, 2**32 - 1])
def test_the_counter_of_a_security_key_does_not_matter(counter: int) -> None:
    text = carol(kit.sk_signature(CAROL, PAE, counter=counter))
    assert [one.touched for one in verify(text, ROSTER, NOW).signatories] == [True]


def test_changing_the_counter_afterwards_is_refused() -> None:
    lines = kit.sk_signature(CAROL, PAE, counter=7).split("\n")
    blob = bytearray(base64.b64decode("".join(lines[1:-2])))
    blob[-1] += 1
    assert refusal(with_signature(CAROL_ID, kit.armour(bytes(blob)).encode())) == "bad-signature"


@given(st.integers(min_value=0, max_value=64 * 8 - 1))
def test_a_flipped_bit_of_a_raw_signature_is_refused(bit: int) -> None:
    altered = bytearray(RAW)
    altered[bit // 8] ^= 1 << bit % 8
    assert refusal(alice(bytes(altered))) == "bad-signature"


SK_BLOB = base64.b64decode("".join(kit.sk_signature(CAROL, PAE).split("\n")[1:-2]))


@given(st.integers(min_value=0, max_value=len(SK_BLOB) * 8 - 1))
def test_a_flipped_bit_of_an_openssh_signature_is_refused(bit: int) -> None:
    altered = bytearray(SK_BLOB)
    altered[bit // 8] ^= 1 << bit % 8
    refusal(with_signature(CAROL_ID, kit.armour(bytes(altered)).encode()))


@given(st.integers(min_value=0, max_value=len(SK_BLOB) - 1))
def test_an_openssh_signature_with_a_missing_part_is_refused(length: int) -> None:
    code = refusal(with_signature(CAROL_ID, kit.armour(SK_BLOB[:length]).encode()))
    assert code == "malformed-signature"


@pytest.mark.parametrize(
    ("changes", "now", "code"),
    [
        pytest.param({"status": KeyStatus.REVOKED}, NOW, "revoked-key", id="a key revoked since it signed"),
        pytest.param({"valid_from": NOW + 1}, NOW, "key-not-yet-valid", id="a key whose time has not come"),
        pytest.param({"valid_until": NOW}, NOW, "expired-key", id="a key in the very millisecond its time ended"),
        pytest.param({"valid_until": NOW - 1}, NOW, "expired-key", id="a key whose time is over"),
    ],
)
def test_a_signature_by_a_key_that_is_not_in_force_is_refused(
    changes: dict[str, object], now: Millis, code: str, counted: Counted
) -> None:
    dave = kit.person("dave", kit.listed(DAVE, **changes))
    text = sign_with_file_key(SIGNED, DAVE).text
    assert refusal(text, kit.a_roster(dave), now) == code
    counted("attack vectors", kind=code)


def test_a_key_is_in_force_exactly_within_its_validity() -> None:
    dave = kit.person("dave", kit.listed(DAVE, valid_from=NOW, valid_until=NOW + 1))
    verified = verify(sign_with_file_key(PROPOSAL, DAVE).text, kit.a_roster(dave), NOW)
    assert verified.signatories[0].person == "dave"


def test_one_key_signing_twice_refuses_the_envelope() -> None:
    twice = type(PROPOSAL)(PROPOSAL.payload, (*SIGNED.signatures, SIGNED.signatures[0]))
    assert refusal(twice.text) == "duplicate-signature"


def test_a_key_cannot_be_added_to_an_envelope_twice() -> None:
    with pytest.raises(Unauthorised) as refused:
        sign_with_file_key(SIGNED, ALICE)
    assert refused.value.code == "duplicate-signature"


def test_a_valid_signature_in_the_wrong_form_is_refused() -> None:
    roster = Roster(version=1, persons=(kit.person("bob", kit.listed(BOB, KeyType.FILE)),))
    assert refusal(sign_with_ssh_key(PROPOSAL, BOB).text, roster) == "wrong-signature-form"
