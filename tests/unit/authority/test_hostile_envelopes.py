"""Envelopes that must be refused, each for exactly one reason: the text, the payload and the command in it."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.verify import verify
from exchange.errors import Unauthorised
from exchange.model import Millis
from tests.support.counting import Counted
from tests.unit.authority.authority_kit import NOW, PROPOSAL, ROSTER, SIGNED, a_command, envelope_with, payload_with, raw_json


def refusal(text: str) -> str:
    with pytest.raises(Unauthorised) as refused:
        verify(text, ROSTER, NOW)
    assert refused.value.remedy
    return refused.value.code


def payload_spelled(edit: Callable[[str], str]) -> str:
    return envelope_with(edit(PROPOSAL.payload.decode()).encode())


def respelled(old: str, new: str, count: int = -1) -> str:
    assert old in PROPOSAL.payload.decode()
    return payload_spelled(lambda text: text.replace(old, new, count))


def reordered(text: str) -> str:
    return json.dumps(dict(reversed(json.loads(text).items())))


def first_signature(**changes: Any) -> str:
    entries = json.loads(SIGNED.text)["signatures"]
    return raw_json(signatures=[entries[0] | changes, *entries[1:]])


def without(member: str) -> str:
    value = json.loads(SIGNED.text)
    del value[member]
    return json.dumps(value)


def urlsafe(text: str) -> str:
    data = base64.b64decode(text)
    return base64.urlsafe_b64encode(data).decode()


PAYLOAD = json.loads(SIGNED.text)["payload"]
DECOMPOSED = unicodedata.normalize("NFD", "Zürich")
LOOSE_END = base64.b64encode(b"{}").decode()[:-2] + "1="

TEXT = [
    ("an empty text", "", "malformed-envelope"),
    ("a text that is not JSON", "signed, Alice", "malformed-envelope"),
    ("a list instead of an envelope", "[]", "malformed-envelope"),
    ("an envelope cut off half way", SIGNED.text[: len(SIGNED.text) // 2], "malformed-envelope"),
    ("text after the envelope", SIGNED.text + "x", "malformed-envelope"),
    ("two envelopes in one text", SIGNED.text * 2, "malformed-envelope"),
    ("a byte order mark before the envelope", "\ufeff" + SIGNED.text, "malformed-envelope"),
    ("a lone surrogate in the text", raw_json(payload="\ud800"), "malformed-envelope"),
    ("nesting deep enough to exhaust a parser", "[" * 30_000 + "]" * 30_000, "malformed-envelope"),
    ("more text than an envelope can hold", SIGNED.text + " " * 65536, "envelope-too-large"),
    ("a payload given twice", SIGNED.text.replace("{", f'{{"payload": "{PAYLOAD}", ', 1), "malformed-envelope"),
    ("a signature's keyid given twice", SIGNED.text.replace('{"keyid"', '{"keyid": "x", "keyid"', 1), "malformed-envelope"),
    ("a member that envelopes do not have", raw_json(comment="urgent"), "malformed-envelope"),
    ("a member that signatures do not have", first_signature(cert=""), "malformed-envelope"),
    ("no payload", without("payload"), "malformed-envelope"),
    ("no payload type", without("payloadType"), "malformed-envelope"),
    ("no list of signatures", without("signatures"), "malformed-envelope"),
    ("signatures in an object", raw_json(signatures={}), "malformed-envelope"),
    ("a signature that is a text", raw_json(signatures=["x"]), "malformed-envelope"),
    ("a number where a text belongs", raw_json(payload=7), "malformed-envelope"),
    ("NaN where a text belongs", SIGNED.text.replace(f'"{PAYLOAD}"', "NaN"), "malformed-envelope"),
    ("an infinite number where a text belongs", SIGNED.text.replace(f'"{PAYLOAD}"', "1e400"), "malformed-envelope"),
    ("null where a text belongs", raw_json(payload=None), "malformed-envelope"),
    ("a payload in URL-safe base64", raw_json(payload=urlsafe(base64.b64encode(b"\xfb\xff\xfe").decode())), "malformed-envelope"),
    ("a payload in base64 without its padding", raw_json(payload="e30"), "malformed-envelope"),
    ("a payload in base64 with loose bits at its end", raw_json(payload=LOOSE_END), "malformed-envelope"),
    ("a payload in base64 with a line break", raw_json(payload=PAYLOAD[:8] + "\n" + PAYLOAD[8:]), "malformed-envelope"),
    ("a signature that is not base64", first_signature(sig="!!!!"), "malformed-envelope"),
    ("a keyid that is a number", first_signature(keyid="").replace('""', "1", 1), "malformed-envelope"),
    ("an empty keyid", first_signature(keyid=""), "malformed-envelope"),
    ("a keyid as long as a novel", first_signature(keyid="k" * 4000), "malformed-envelope"),
    ("another payload type", raw_json(payloadType="application/vnd.in-toto+json"), "wrong-payload-type"),
    ("our payload type in capitals", raw_json(payloadType="APPLICATION/vnd.gatehouse.command.v1+json"), "wrong-payload-type"),
    (
        "the payload type of a later version",
        raw_json(payloadType="application/vnd.gatehouse.command.v2+json"),
        "wrong-payload-type",
    ),
    ("a payload type that is a list", raw_json(payloadType=[]), "wrong-payload-type"),
    ("no signature at all", PROPOSAL.text, "no-signatures"),
    ("seventeen signatures", raw_json(signatures=json.loads(SIGNED.text)["signatures"][:1] * 17), "too-many-signatures"),
]

PAYLOADS = [
    ("an empty payload", envelope_with(b""), "not-canonical"),
    ("a payload with a space after a colon", respelled(":", ": ", 1), "not-canonical"),
    ("a payload with a line break at its end", payload_spelled(lambda text: text + "\n"), "not-canonical"),
    ("a payload behind a byte order mark", payload_spelled(lambda text: "\ufeff" + text), "not-canonical"),
    ("a payload in UTF-16", envelope_with(PROPOSAL.payload.decode().encode("utf-16")), "not-canonical"),
    ("a payload that is not UTF-8", envelope_with(PROPOSAL.payload.replace("ü".encode(), b"\xff")), "not-canonical"),
    ("a payload with its keys in another order", payload_spelled(reordered), "not-canonical"),
    ("a payload with a key given twice", respelled("{", '{"cap_eur":"10",', 1), "not-canonical"),
    ("a letter written as an escape", respelled("Zürich", "Z\\u00fcrich"), "not-canonical"),
    ("a lone surrogate in the reason", respelled("Zürich", "\\ud800"), "not-canonical"),
    ("a float for a step", respelled('"target_step":0', '"target_step":0.0'), "not-canonical"),
    ("NaN for a step", respelled('"target_step":0', '"target_step":NaN'), "not-canonical"),
    ("an infinite step", respelled('"target_step":0', '"target_step":1e400'), "not-canonical"),
    ("an expiry beyond what JSON numbers carry", respelled(str(NOW + 3_600_000), str(2**53)), "not-canonical"),
    ("an entry number of 64 bits", respelled('"journal_seq":41', f'"journal_seq":{2**64}'), "not-canonical"),
    ("an entry number of five thousand digits", respelled('"journal_seq":41', f'"journal_seq":{"9" * 5000}'), "not-canonical"),
    ("an entry number that is minus zero", respelled('"journal_seq":41', '"journal_seq":-0'), "not-canonical"),
    ("a payload with the line ends of another system", payload_spelled(lambda text: text.replace(",", ",\r\n")), "not-canonical"),
    ("a payload nested deep enough to exhaust a parser", envelope_with(b"[" * 8000 + b"]" * 8000), "not-canonical"),
    ("a null byte behind the payload", payload_spelled(lambda text: text + "\0"), "not-canonical"),
    ("a payload longer than any command", envelope_with(payload_with(reason="x" * 20_000)), "not-canonical"),
    ("a payload that is a list", envelope_with(b"[]"), "malformed-command"),
    ("a command with a field of its own", envelope_with(payload_with(override="yes")), "malformed-command"),
    ("a command without a reason", envelope_with(payload_with(reason="")), "malformed-command"),
    ("a command of another version", envelope_with(payload_with(version=2)), "malformed-command"),
    ("a version that is true instead of one", envelope_with(payload_with(version=True)), "malformed-command"),
    ("a verb nobody declared", envelope_with(payload_with(verb="promote")), "malformed-command"),
    ("a stage under its typed alias", envelope_with(payload_with(target_stage="LIVE_EUR10")), "malformed-command"),
    ("a step given as a text", envelope_with(payload_with(target_step="0")), "malformed-command"),
    ("a negative step", envelope_with(payload_with(target_step=-1)), "malformed-command"),
    ("an entry number below the first", envelope_with(payload_with(journal_seq=0)), "malformed-command"),
    ("a controller's name with a Cyrillic letter", envelope_with(payload_with(controller_id="dеsk-1")), "malformed-command"),
    ("a controller's name in decomposed letters", envelope_with(payload_with(controller_id=DECOMPOSED)), "malformed-command"),
    ("a symbol in full-width letters", envelope_with(payload_with(symbols=["ＢTCUSDC"])), "malformed-command"),
    ("a verb in capitals", envelope_with(payload_with(verb="ADVANCE")), "malformed-command"),
    ("a symbol instead of a list of them", envelope_with(payload_with(symbols="BTCUSDC")), "malformed-command"),
    (
        "a digest with a line break behind it",
        envelope_with(payload_with(policy_digest=f"sha256:{'a' * 64}\n")),
        "malformed-command",
    ),
    ("a field that is null", envelope_with(payload_with(evidence_digest=None)), "malformed-command"),
    ("a cap given as a number", envelope_with(payload_with(cap_eur=10)), "malformed-command"),
    ("a cap with an exponent", envelope_with(payload_with(cap_eur="1e4")), "malformed-command"),
    ("a negative cap", envelope_with(payload_with(cap_eur="-1")), "malformed-command"),
    ("a cap in full-width digits", envelope_with(payload_with(cap_eur="１０")), "malformed-command"),
    ("a cap with a line break behind it", envelope_with(payload_with(cap_eur="10\n")), "malformed-command"),
    ("a command id that is a path", envelope_with(payload_with(command_id="../../../../etc/passwd")), "malformed-command"),
    ("a digest in capitals", envelope_with(payload_with(policy_digest="sha256:" + "A" * 64)), "malformed-command"),
    ("a digest by another algorithm", envelope_with(payload_with(policy_digest="sha512:" + "a" * 64)), "malformed-command"),
    ("a reason in decomposed letters", envelope_with(payload_with(reason=DECOMPOSED)), "unreadable-text"),
    ("a reason that runs right to left", envelope_with(payload_with(reason="cap \u202e01 EUR")), "unreadable-text"),
    ("a reason with a terminal escape", envelope_with(payload_with(reason="\x1b[2Jall fine")), "unreadable-text"),
    ("a reason with letters of no width", envelope_with(payload_with(reason="re\u200bset")), "unreadable-text"),
]


@pytest.mark.parametrize(("text", "code"), [pytest.param(text, code, id=name) for name, text, code in TEXT])
def test_a_malformed_envelope_is_refused(text: str, code: str, counted: Counted) -> None:
    assert refusal(text) == code
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(("text", "code"), [pytest.param(text, code, id=name) for name, text, code in PAYLOADS])
def test_a_signed_payload_that_is_no_command_is_refused(text: str, code: str, counted: Counted) -> None:
    assert refusal(text) == code
    counted("attack vectors", kind=code)


def test_a_valid_envelope_gives_the_command_and_its_signatories() -> None:
    verified = verify(SIGNED.text, ROSTER, NOW)
    assert verified.command == a_command()
    assert [one.person for one in verified.signatories] == ["alice", "bob"]
    assert verified.envelope == SIGNED.text


def test_white_space_in_the_envelope_does_not_matter() -> None:
    spread = json.dumps(json.loads(SIGNED.text), indent=4)
    assert verify(spread, ROSTER, NOW).payload_digest == verify(SIGNED.text, ROSTER, NOW).payload_digest


@given(st.integers(min_value=0, max_value=len(PROPOSAL.payload) * 8 - 1))
def test_a_flipped_bit_of_the_payload_is_refused(bit: int) -> None:
    payload = bytearray(PROPOSAL.payload)
    payload[bit // 8] ^= 1 << bit % 8
    altered = type(SIGNED)(bytes(payload), SIGNED.signatures)
    assert refusal(altered.text) in {"bad-signature", "not-canonical", "malformed-command", "unreadable-text"}


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner) | st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "x"]), inner)


@given(st.text(max_size=300) | st.recursive(st.none() | st.text(max_size=20), nested).map(json.dumps))
def test_any_text_is_parsed_or_refused_with_a_typed_error(text: str) -> None:
    with pytest.raises(Unauthorised):
        verify(text, ROSTER, Millis(0))
