"""Signing, verification and the time window, against the recomputed vectors of mexc-spot-v3.md §2.2."""

from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Millis
from exchange.wire.errors import ErrorCode, WireRefusal
from exchange.wire.signing import (
    SigningKey,
    check_window,
    encode_params,
    parse_params,
    parse_window,
    signature,
    signed_query,
    split_signature,
    verify,
)

SECRET = "45d0b3c26f2644f19bfb98b07741b2f5"
VECTORS = [
    (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=11&recvWindow=5000&timestamp=1644489390087",
        "fd3e4e8543c5188531eb7279d68ae7d26a573d0fc5ab0d18eb692451654d837a",
    ),
    (
        "symbol=BTCUSDT&side=BUY&type=LIMITquantity=1&price=11&recvWindow=5000&timestamp=1644489390087",
        "d1a676610ceb39174c8039b3f548357994b2a34139a8addd33baadba65684592",
    ),
    ("timestamp=1644489390087", "09b4b5a40aeec864d2caa60f2e6a740b61dc423d76c5615c00fd72681f52a094"),
    (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.001&price=50000&newClientOrderId=my-id_1&timestamp=1644489390087&recvWindow=5000",
        "d190839a5a70b9ca1aff0d6b4fe425d564d327601e57dcfddd5eed13dce1e24f",
    ),
    ("listenKey=abc123&timestamp=1644489390087", "ee6eedcf8b5db7087ef5f7a344a1f77cbe06ad667f10cc278a2a8db5003dc486"),
    ("symbol=BTCUSDT%2CMXUSDT&timestamp=1644489390087", "777a515516f93951fb689cfd0fa7629cb458fa7dc617170f88255b3a90ce6080"),
    (
        "batchOrders=%5B%7B%22symbol%22%3A%20%22BTCUSDT%22%7D%5D&timestamp=1644489390087",
        "5946a8441f1ed045afdf8a3d7829eca66d5fa2b94d046e5225f8594bd8804b9d",
    ),
]


@pytest.mark.parametrize(("payload", "expected"), VECTORS)
def test_every_reference_vector_signs_to_its_recorded_digest(payload: str, expected: str) -> None:
    assert signature(SECRET, payload) == expected


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("payload", "expected"), VECTORS)
def test_every_reference_vector_verifies_in_the_query(payload: str, expected: str, strict: bool) -> None:
    assert verify(SECRET, f"{payload}&signature={expected}", b"", strict=strict)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("payload", "expected"), VECTORS)
def test_every_reference_vector_verifies_in_a_form_body(payload: str, expected: str, strict: bool) -> None:
    assert verify(SECRET, "", f"{payload}&signature={expected}".encode(), strict=strict)


@given(st.text(min_size=1, max_size=200), st.lists(st.text(max_size=200), min_size=1, max_size=3))
def test_a_prepared_key_signs_as_the_library_does(secret: str, payloads: list[str]) -> None:
    key = SigningKey(secret)
    assert [key.sign(payload) for payload in payloads] == [signature(secret, payload) for payload in payloads]


def test_query_and_body_are_signed_together_without_a_separator() -> None:
    body = f"quantity=1&price=11&recvWindow=5000&timestamp=1644489390087&signature={VECTORS[1][1]}"
    assert verify(SECRET, "symbol=BTCUSDT&side=BUY&type=LIMIT", body.encode(), strict=True)


@pytest.mark.parametrize(("payload", "expected"), VECTORS)
def test_one_changed_character_fails_verification(payload: str, expected: str) -> None:
    assert not verify(SECRET, f"{payload}1&signature={expected}", b"")


def test_a_request_without_a_signature_fails_verification() -> None:
    assert not verify(SECRET, "timestamp=1644489390087", b"")


@pytest.mark.parametrize("query", ["timestamp=1644489390087&signature=é\udcff", "timestamp=\udcff&signature=00"])
def test_a_request_that_is_not_ascii_fails_verification(query: str) -> None:
    assert not verify(SECRET, query, b"")


def test_a_body_that_is_not_text_fails_verification() -> None:
    assert not verify(SECRET, "", b"\xff\xfe&signature=00")


def test_upper_case_hex_passes_only_when_not_strict() -> None:
    query = f"timestamp=1644489390087&signature={VECTORS[2][1].upper()}"
    assert (verify(SECRET, query, b""), verify(SECRET, query, b"", strict=True)) == (True, False)


def test_a_plus_sent_for_percent_twenty_verifies_only_when_not_strict() -> None:
    """The transport of one public client re-encodes spaces after signing (§2.5)."""
    signed = signature(SECRET, "newClientOrderId=my%20id%2B1&timestamp=1644489390087")
    sent = f"newClientOrderId=my+id%2B1&timestamp=1644489390087&signature={signed}"
    assert (verify(SECRET, sent, b""), verify(SECRET, sent, b"", strict=True)) == (True, False)


def test_a_client_that_signs_the_form_encoding_verifies() -> None:
    payload = f"name={quote_plus('a b+c')}&timestamp=1"
    sent = f"name=a%20b%2Bc&timestamp=1&signature={signature(SECRET, payload)}"
    assert verify(SECRET, sent, b"")


def test_the_signature_may_be_in_the_middle() -> None:
    sent = f"listenKey=abc123&signature={VECTORS[4][1]}&timestamp=1644489390087"
    assert verify(SECRET, sent, b"", strict=True)


def test_splitting_keeps_the_bytes_and_order_of_other_parameters() -> None:
    assert split_signature("b=%2c&signature=ab&a=1") == ("b=%2c&a=1", "ab")


def test_escapes_are_upper_case_and_a_space_is_percent_twenty() -> None:
    assert encode_params([("a b", "x,y (z)")]) == "a%20b=x%2Cy%20%28z%29"


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=12)), max_size=6), st.booleans())
def test_whatever_we_sign_verifies_strictly(params: list[tuple[str, str]], in_body: bool) -> None:
    params = [(name.encode("utf-8", "ignore").decode(), value.encode("utf-8", "ignore").decode()) for name, value in params]
    params = [(name, value) for name, value in params if name != "signature"]
    sent = signed_query(params, lambda payload: signature(SECRET, payload))
    assert verify(SECRET, "" if in_body else sent, sent.encode() if in_body else b"", strict=True)


@given(st.text(max_size=60), st.binary(max_size=60))
def test_hostile_input_neither_verifies_nor_raises(query: str, body: bytes) -> None:
    assert not verify(SECRET, query, body)


def test_the_query_wins_over_the_body() -> None:
    assert parse_params("symbol=MXUSDT", b"symbol=BTCUSDT&side=BUY") == {"symbol": "MXUSDT", "side": "BUY"}


@given(st.text("ab=&%+2Cü ;", max_size=24))
def test_parameters_are_those_of_a_form_and_the_first_of_a_name_counts(query: str) -> None:
    assert parse_params(query) == dict(reversed(parse_qsl(query, keep_blank_values=True)))


def test_a_json_body_is_not_read_as_parameters() -> None:
    assert parse_params("", b'{"symbol": "a=b"}') == {}


def test_thousands_of_parameters_are_refused() -> None:
    with pytest.raises(WireRefusal):
        parse_params("&".join(f"a{n}=1" for n in range(5_000)))


@pytest.mark.parametrize(
    ("timestamp", "window", "expected"),
    [
        (100_000, 5_000, None),
        (100_999, 5_000, None),
        (101_000, 5_000, ErrorCode.OUTSIDE_RECV_WINDOW),
        (95_000, 5_000, None),
        (94_999, 5_000, ErrorCode.OUTSIDE_RECV_WINDOW),
        (101_000, 60_000, ErrorCode.OUTSIDE_RECV_WINDOW),
        (100_000, 60_000, None),
        (100_000, 60_001, ErrorCode.RECV_WINDOW_TOO_LARGE),
    ],
)
def test_the_window_is_from_one_second_ahead_to_recv_window_behind(timestamp: int, window: int, expected: ErrorCode | None) -> None:
    error = check_window(Millis(timestamp), window, Millis(100_000))
    assert (error.code if error else None) == expected


@pytest.mark.parametrize("timestamp", ["", "abc", "-1", "1.5", "１６４４", "9" * 5000])
def test_a_timestamp_that_is_not_a_number_is_refused(timestamp: str) -> None:
    with pytest.raises(WireRefusal) as caught:
        parse_window({"timestamp": timestamp})
    assert caught.value.error.code == ErrorCode.MISSING_PARAMETER


def test_the_window_defaults_to_five_seconds() -> None:
    assert parse_window({"timestamp": "1644489390087"}) == (1644489390087, 5_000)
