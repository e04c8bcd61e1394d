"""What a testnet signs: only the holder of the key, in answer to this question, for this controller, can have said it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.keys import public_key
from exchange.model import DataSource, Millis, OrderType, Side
from exchange.statement import (
    PAYLOAD_TYPE,
    Books,
    Challenge,
    Fault,
    Refused,
    Statement,
    StreamCoverage,
    answer,
    fingerprint,
    public_line,
    read_answer,
    signed_bytes,
)

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEY = public_line(SIGNER.public_key())
ASKED = Challenge("5" * 64, "desk", "mx0testnet", "gh-0123456789abcdef-", 7)

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._", min_size=1, max_size=40)
NUMBERS = st.integers(0, 2**53 - 1)
STREAMS = st.dictionaries(
    st.text("ABCDEFGHIJ0123456789", min_size=2, max_size=10),
    st.builds(StreamCoverage, NUMBERS, NUMBERS, NUMBERS, NUMBERS.map(Millis)),
    max_size=4,
)
STATEMENTS = st.builds(
    Statement,
    challenge=st.just(ASKED),
    instance=NAMES,
    run=NUMBERS,
    began=NUMBERS.map(Millis),
    software=st.text(max_size=40).filter(str.isprintable),
    source=st.sampled_from(DataSource),
    speed=NAMES,
    streams=STREAMS,
    at=NUMBERS.map(Millis),
    orders=NUMBERS,
    fills=NUMBERS,
    last_order=NAMES,
    books=NAMES,
)
EXAMPLE = Statement(
    ASKED, "a" * 32, 1, Millis(5), "gatehouse 1", DataSource.LIVE, "1", {}, Millis(9), 2, 1, "gh-0123456789abcdef-9", "b" * 64
)


def reply(statement: Statement = EXAMPLE, key: Ed25519PrivateKey = SIGNER, **changes: Any) -> bytes:
    return json.dumps({**answer(statement, key), **changes}).encode()


def fault(found: Statement | Refused) -> Fault:
    assert isinstance(found, Refused)
    return found.fault


@given(STATEMENTS)
def test_a_signed_statement_reads_back_to_itself(statement: Statement) -> None:
    assert read_answer(reply(statement), ASKED, KEY) == statement


@given(STATEMENTS, st.data())
def test_no_changed_byte_of_a_statement_is_believed(statement: Statement, data: st.DataObject) -> None:
    payload = bytearray(statement.encode())
    where = data.draw(st.integers(0, len(payload) - 1))
    payload[where] ^= 1 << data.draw(st.integers(0, 7))
    assert fault(read_answer(reply(statement, payload=base64.b64encode(payload).decode()), ASKED, KEY)) is Fault.FORGED


def test_another_key_is_named() -> None:
    found = read_answer(reply(key=OTHER), ASKED, KEY)
    assert found == Refused(Fault.FORGED, "another key signed", public_line(OTHER.public_key()))


def test_who_names_the_right_key_and_cannot_sign_is_an_impostor() -> None:
    found = read_answer(reply(key=OTHER, key_=None).replace(b', "key_": null', b""), ASKED, KEY)
    assert fault(found) is Fault.FORGED
    named = json.dumps({**answer(EXAMPLE, OTHER), "key": KEY}).encode()
    assert read_answer(named, ASKED, KEY) == Refused(Fault.FORGED, "the signature is not that of the key it names", KEY)


@pytest.mark.parametrize("message", [EXAMPLE.encode(), b"DSSEv1 28 application/vnd.in-toto+json " + EXAMPLE.encode()])
def test_a_signature_that_was_made_for_something_else_is_none(message: bytes) -> None:
    signature = base64.b64encode(SIGNER.sign(message)).decode()
    assert fault(read_answer(reply(signature=signature), ASKED, KEY)) is Fault.FORGED


def test_the_signed_bytes_name_their_type_and_length() -> None:
    payload = EXAMPLE.encode()
    assert signed_bytes(payload) == f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def test_an_old_statement_is_a_replay() -> None:
    assert fault(read_answer(reply(), replace(ASKED, nonce="6" * 64), KEY)) is Fault.REPLAYED


@pytest.mark.parametrize("other", [{"controller": "x"}, {"account": "x"}, {"prefix": "x"}, {"after": 8}])
def test_a_statement_for_another_deployment_is_foreign(other: dict[str, Any]) -> None:
    assert fault(read_answer(reply(), replace(ASKED, **other), KEY)) is Fault.FOREIGN


MALFORMED = {
    "no JSON": b"<html>",
    "no object": b"[]",
    "too long": b'{"payload": "' + b"A" * 70_000 + b'"}',
    "other fields": b'{"payload": "", "signature": "", "key": "", "more": ""}',
    "no base64": b'{"payload": "?", "signature": "", "key": ""}',
    "deep": b"[" * 50_000,
}


@pytest.mark.parametrize("how", MALFORMED)
def test_an_answer_that_is_no_statement_forges_nothing(how: str) -> None:
    assert fault(read_answer(MALFORMED[how], ASKED, KEY)) is Fault.MALFORMED


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b'{"streams": 1}', EXAMPLE.encode() + b" ", EXAMPLE.encode().replace(b'"run":1', b'"run":true')]
)
def test_a_signed_text_that_is_no_statement_is_malformed(payload: bytes) -> None:
    signed = {"payload": payload, "signature": SIGNER.sign(signed_bytes(payload))}
    text = json.dumps({**{name: base64.b64encode(one).decode() for name, one in signed.items()}, "key": KEY})
    assert fault(read_answer(text.encode(), ASKED, KEY)) is Fault.MALFORMED


NO_KEYS = ("", "ssh-ed25519 ", "ssh-rsa AAAA", KEY[:-4], KEY.replace("ssh-ed25519", "ssh-dss"), "ssh-ed25519 ?")


@pytest.mark.parametrize("line", NO_KEYS)
def test_under_a_key_that_is_none_nothing_is_signed(line: str) -> None:
    assert fault(read_answer(reply(), ASKED, line)) is Fault.FORGED


def test_a_key_has_the_id_that_rosters_give_it() -> None:
    assert public_key(SIGNER).line == KEY
    assert fingerprint(KEY) == public_key(SIGNER).fingerprint
    assert fingerprint("ssh-rsa AAAA") == "an unreadable key"


@pytest.mark.parametrize(
    "changes", [{"nonce": ""}, {"controller": "a b"}, {"account": "ä"}, {"prefix": "x" * 129}, {"after": -1}, {"after": 2**53}]
)
def test_a_challenge_of_another_form_is_not_signed(changes: dict[str, Any]) -> None:
    assert ASKED.usable
    assert not replace(ASKED, **changes).usable


AMOUNTS = st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(1000), places=6)
FILLS = st.tuples(NAMES, NAMES, st.sampled_from(Side), AMOUNTS, AMOUNTS, AMOUNTS)
ORDERS = st.tuples(NAMES, NAMES, NAMES, st.sampled_from(Side), st.sampled_from(OrderType), AMOUNTS, AMOUNTS)
ELEMENTS = st.lists(st.one_of(FILLS, ORDERS), max_size=8)


def books_of(elements: list[Any]) -> Books:
    books = Books()
    for one in elements:
        books = books.with_fill(*one) if len(one) == 6 else books.with_order(*one)
    return books


@given(ELEMENTS, st.randoms(use_true_random=False))
def test_the_books_do_not_depend_on_the_order_of_arrival(elements: list[Any], random: Any) -> None:
    shuffled = list(elements)
    random.shuffle(shuffled)
    assert books_of(shuffled) == books_of(elements)


@given(ELEMENTS, st.one_of(FILLS, ORDERS))
def test_one_more_element_makes_other_books(elements: list[Any], one: Any) -> None:
    assert books_of([*elements, one]).digest != books_of(elements).digest


@given(FILLS, st.integers(0, 5))
def test_every_field_of_a_trade_counts(fill: Any, where: int) -> None:
    other = list(fill)
    match other[where]:
        case Side():
            other[where] = other[where].opposite
        case Decimal():
            other[where] += Decimal("0.000001")
        case _:
            other[where] += "x"
    assert books_of([tuple(other)]).digest != books_of([fill]).digest


def test_equal_numbers_are_one_number() -> None:
    written = [("c", "o", Side.BUY, Decimal(price), Decimal("0.1"), Decimal(6)) for price in ("60", "60.00", "6E+1")]
    assert len({books_of([one]) for one in written}) == 1


def test_what_a_market_order_asks_for_is_made_by_the_venue() -> None:
    asked = Books().with_order("c", "o", "BTCUSDT", Side.BUY, OrderType.MARKET, None, None)
    taken = Books().with_order("c", "o", "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal(63_000), Decimal("0.1"))
    assert asked == taken
