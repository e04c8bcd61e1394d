"""The roster: what it refuses, what it is named by."""

from __future__ import annotations

import base64
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from controller.authority.keys import public_key
from controller.authority.publickey import PublicKey, parse_public_line, wire_string
from controller.authority.roster import KeyType, Roster, load_roster, parse_roster_json, parse_roster_toml, roster_key
from exchange.errors import ConfigError
from policies import canonical
from tests.support.counting import Counted
from tests.unit.authority.authority_kit import ALICE, BOB, CAROL, ERIN, FRANK, ROSTER, a_roster, listed, person, point_of, sk_public

KEY = listed(ALICE).model_dump(mode="json", exclude_none=True)
OTHER_KEY = listed(BOB).model_dump(mode="json", exclude_none=True)


def one(name: str = "alice", *keys: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"name": name, "role": "operator", "keys": list(keys or (KEY,))} | changes


def roster(*persons: Any, **changes: Any) -> bytes:
    return json.dumps({"schema_version": 1, "version": 1, "persons": persons} | changes).encode()


def key(**changes: Any) -> dict[str, Any]:
    return KEY | changes


SAME_MATERIAL = KEY | {"type": "ssh-ed25519"}
AS_HARDWARE = roster_key(sk_public(ALICE).line).model_dump(mode="json", exclude_none=True)
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE="


def line(algorithm: str, *fields: bytes) -> str:
    return f"{algorithm} {base64.b64encode(b''.join(map(wire_string, (algorithm.encode(), *fields)))).decode()}"


POINT = point_of(FRANK)
CERTIFICATE = line("ssh-ed25519-cert-v01@openssh.com", bytes(32), public_key(ALICE).point)
WEB_SITE = line("sk-ssh-ed25519@openssh.com", public_key(ALICE).point, b"https://example.org")
COMPRESSED = line("ecdsa-sha2-nistp256", b"nistp256", bytes([2 + POINT[-1] % 2]) + POINT[1:33])
OFF_CURVE = line("ecdsa-sha2-nistp256", b"nistp256", POINT[:-1] + bytes([POINT[-1] ^ 1]))
OTHER_CURVE = line("ecdsa-sha2-nistp384", b"nistp384", POINT)

HOSTILE = [
    ("nothing", b"", "roster-malformed"),
    ("bytes that are not text", b"\xff\xfe", "roster-malformed"),
    ("a roster of nobody", roster(), "roster-empty"),
    ("a person without a key", roster(one(keys=[])), "roster-empty"),
    ("a key twice in one JSON object", roster(one()).replace(b"{", b'{"version": 2, ', 1), "roster-malformed"),
    ("a member that rosters do not have", roster(one(), quorum=1), "roster-malformed"),
    ("a mode that does not exist", roster(one(), mode="captain"), "roster-malformed"),
    ("a member that persons do not have", roster(one(admin=True)), "roster-malformed"),
    ("version 0", roster(one(), version=0), "roster-malformed"),
    ("a version that is a text", roster(one(), version="1"), "roster-malformed"),
    ("a version with a fraction", roster(one(), version=1.0), "roster-malformed"),
    ("a role nobody declared", roster(one(role="root")), "roster-malformed"),
    ("a name in capitals", roster(one("Alice")), "roster-malformed"),
    ("a name in decomposed letters", roster(one(unicodedata.normalize("NFD", "zoë"))), "roster-malformed"),
    ("a name in Cyrillic letters", roster(one("аlice")), "roster-malformed"),
    ("a name with a line break behind it", roster(one("alice\n")), "roster-malformed"),
    ("a name that is a path", roster(one("../alice")), "roster-malformed"),
    ("the same person twice", roster(one(), one("alice", OTHER_KEY)), "duplicate-person"),
    ("the same key under two persons", roster(one(), one("bob")), "duplicate-key"),
    ("the same key twice under one person", roster(one("alice", KEY, KEY)), "duplicate-key"),
    ("the same key material under two types", roster(one(), one("bob", SAME_MATERIAL)), "duplicate-key"),
    ("the same key material as a file and as a security key", roster(one(), one("bob", AS_HARDWARE)), "duplicate-key"),
    (
        "the same key material under another id",
        roster(one(), one("bob", key(id="sha256:" + "0" * 64))),
        "key-id-mismatch",
    ),
    ("a key under a name instead of its fingerprint", roster(one("alice", key(id="laptop"))), "roster-malformed"),
    ("a key of an unknown type", roster(one("alice", key(type="ssh-dss"))), "unknown-key-type"),
    ("an RSA key", roster(one("alice", key(public=RSA))), "unsupported-algorithm"),
    ("a file key listed as a security key", roster(one("alice", key(type="sk-ssh-ed25519@openssh.com"))), "roster-malformed"),
    ("a key that is not base64", roster(one("alice", key(public="ssh-ed25519 ****"))), "unusable-key"),
    ("a key with bytes behind it", roster(one("alice", key(public=KEY["public"] + "AAAA"))), "unusable-key"),
    ("a key under another algorithm's name", roster(one("alice", key(public=KEY["public"].replace("ssh-", "x-")))), "unusable-key"),
    ("a key on two lines", roster(one("alice", key(public=KEY["public"] + "\nssh-ed25519 AAAA"))), "unusable-key"),
    ("a revocation of its own kind", roster(one("alice", key(status="suspended"))), "roster-malformed"),
    ("a key that is never valid", roster(one("alice", key(valid_from=5, valid_until=5))), "roster-malformed"),
    ("a key valid before time began", roster(one("alice", key(valid_from=-1))), "roster-malformed"),
    ("a PIN asked of a file", roster(one("alice", key(pin_required=True))), "roster-malformed"),
    ("a byte order mark before the roster", b"\xef\xbb\xbf" + roster(one()), "roster-malformed"),
    ("a version that is not a number", roster(one()).replace(b'"version": 1', b'"version": NaN'), "roster-malformed"),
    ("a version without end", roster(one()).replace(b'"version": 1', b'"version": 1e400'), "roster-malformed"),
    ("a version of 64 bits", roster(one(), version=2**64), "roster-malformed"),
    ("a version that is true", roster(one(), version=True), "roster-malformed"),
    ("a roster of a later schema", roster(one(), schema_version=2), "roster-malformed"),
    ("nesting deep enough to exhaust a parser", b"[" * 100_000, "roster-malformed"),
    ("a lone surrogate in a name", roster(one("\ud800")), "roster-malformed"),
    ("a key id in capitals", roster(one("alice", key(id=KEY["id"].upper()))), "roster-malformed"),
    ("a key id with a Cyrillic letter", roster(one("alice", key(id=KEY["id"].replace("a", "а")))), "roster-malformed"),
    ("a key in a certificate", roster(one("alice", key(public=CERTIFICATE))), "unsupported-algorithm"),
    ("a web site's credential as a security key", roster(one("alice", key(public=WEB_SITE))), "unusable-key"),
    ("a compressed point, a second name for a key", roster(one("alice", key(public=COMPRESSED))), "unusable-key"),
    ("a point that is not on its curve", roster(one("alice", key(public=OFF_CURVE))), "unusable-key"),
    ("a P-256 point said to be on P-384", roster(one("alice", key(public=OTHER_CURVE))), "unusable-key"),
    ("seventeen keys of one person", roster(one("alice", *[KEY] * 17)), "roster-malformed"),
    ("more bytes than a roster can have", roster(one()) + b" " * 300_000, "roster-malformed"),
]


@pytest.mark.parametrize(("data", "code"), [pytest.param(data, code, id=name) for name, data, code in HOSTILE])
def test_a_malformed_roster_is_refused(data: bytes, code: str, counted: Counted) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_roster_json(data)
    assert refused.value.code == code
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(bytes(32), id="order 4"),
        pytest.param(b"\1" + bytes(31), id="the identity"),
        pytest.param(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), id="order 8"),
        pytest.param(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"), id="order 8, other sign"),
        pytest.param(b"\xed" + b"\xff" * 30 + b"\x7f", id="not reduced"),
        pytest.param(bytes(31), id="31 bytes"),
    ],
)
def test_a_public_key_of_small_order_is_refused(point: bytes, counted: Counted) -> None:
    blob = wire_string(b"ssh-ed25519") + wire_string(point)
    line = "ssh-ed25519 " + base64.b64encode(blob).decode()
    with pytest.raises(ConfigError) as refused:
        roster_key(line)
    assert refused.value.code == "unusable-key"
    counted("attack vectors", kind="unusable-key")


def test_the_roster_digest_depends_on_content_not_on_spelling() -> None:
    spread = json.dumps(json.loads(ROSTER.canonical_bytes), indent=2).encode()
    assert parse_roster_json(spread).digest == ROSTER.digest == canonical.digest(ROSTER.canonical_bytes)


def test_any_change_of_a_roster_changes_its_digest() -> None:
    digests = {a_roster(person("erin", listed(ERIN, valid_until=until))).digest for until in (None, 5, 6)}
    assert len(digests | {ROSTER.digest}) == 4


def test_a_roster_in_toml_equals_the_same_roster_in_json(tmp_path: Path) -> None:
    line = public_key(ALICE).line
    text = f"""
version = 3
[[persons]]
name = "alice"
role = "operator"
[[persons.keys]]
id = "{public_key(ALICE).fingerprint}"
type = "ed25519"
public = "{line}"
"""
    (tmp_path / "roster.toml").write_text(text)
    (tmp_path / "roster.json").write_bytes(Roster(version=3, persons=(person("alice", listed(ALICE)),)).canonical_bytes)
    assert load_roster(tmp_path / "roster.toml") == load_roster(tmp_path / "roster.json")


@pytest.mark.parametrize("text", ["version = 1\nversion = 2", "version = 1.0", "version = 1979-05-27", "["])
def test_toml_that_is_not_a_roster_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_roster_toml(text.encode())
    assert refused.value.code == "roster-malformed"


@pytest.mark.parametrize("name", ["absent.toml", "roster.yaml"])
def test_an_unreadable_roster_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "roster.yaml").write_text("version: 1")
    with pytest.raises(ConfigError) as refused:
        load_roster(tmp_path / name)
    assert refused.value.code == "roster-unreadable"


def test_a_comment_after_a_public_key_does_not_change_the_key() -> None:
    assert roster_key(public_key(ALICE).line + " alice@laptop") == roster_key(public_key(ALICE).line, KeyType.SSH_ED25519)


@pytest.mark.parametrize("key", [public_key(ALICE), sk_public(CAROL)], ids=["plain", "hardware"])
def test_a_public_key_reads_back_from_its_line(key: PublicKey) -> None:
    assert parse_public_line(key.line) == key
