"""Every form of an error body of mexc-spot-v3.md §1.3, what each proves, and the grammar of numbers."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.wire.errors import (
    Certainty,
    ErrorCode,
    MalformedReply,
    WireError,
    WireRefusal,
    dump_json,
    load_json,
    parse_error,
)
from exchange.wire.numbers import exact_product, parse_decimal, parse_integer, plain, reply_decimal, reply_integer

HTML = b"<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY>You don't have permission</BODY></HTML>"


@pytest.mark.parametrize(
    ("status", "body", "code", "msg"),
    [
        (400, b'{"code":30004,"msg":"Insufficient position"}', 30004, "Insufficient position"),
        (400, b'{"msg":"Insufficient position","code":30004}', 30004, "Insufficient position"),
        (400, b'{"msg":"Order does not exist.","code":-2013,"_extend":null}', -2013, "Order does not exist."),
        (400, b'{"code":26,"data":"operation not allowed"}', 26, "operation not allowed"),
        (200, b'{"success":false,"code":510,"message":"too frequent"}', 510, "too frequent"),
        (
            200,
            b'{"code":"700002","msg":"Signature is not valid."}',
            700002,
            "Signature is not valid.",
        ),
    ],
)
def test_every_error_form_is_read(status: int, body: bytes, code: int, msg: str) -> None:
    assert parse_error(status, body) == WireError(code, msg, status)


@pytest.mark.parametrize(
    ("status", "body", "msg"),
    [
        (401, b"", "HTTP 401 with an empty body"),
        (400, b"[1,2]", "HTTP 400 without a message"),
        (400, b'{"code":true,"msg":"x"}', "x"),
    ],
)
def test_an_error_without_a_code_has_its_status_as_code(status: int, body: bytes, msg: str) -> None:
    assert parse_error(status, body) == WireError(status, msg, status, coded=False)


def test_an_html_page_keeps_its_status_and_an_excerpt() -> None:
    error = parse_error(403, HTML)
    assert error is not None
    assert (error.code, error.http_status, "Access Denied" in error.msg) == (403, 403, True)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"code":0,"data":{}}', b'{"code":200,"data":[]}', b'{"symbol":"X"}', b"junk"])
def test_a_success_is_not_an_error_whatever_its_body(body: bytes) -> None:
    assert parse_error(200, body) is None


@given(st.integers(300, 599), st.binary(max_size=200))
def test_no_failed_reply_is_read_as_a_success(status: int, body: bytes) -> None:
    assert parse_error(status, body) is not None


@given(st.sampled_from(list(ErrorCode)), st.text(max_size=40).filter(bool))
def test_our_own_error_bodies_read_back(code: ErrorCode, msg: str) -> None:
    error = WireError.of(code, msg)
    assert parse_error(error.http_status, dump_json(error.body())) == error


def test_an_unknown_order_carries_the_extend_key() -> None:
    body = WireError.of(ErrorCode.NO_SUCH_ORDER, "Order does not exist.").body()
    assert body == {"msg": "Order does not exist.", "code": -2013, "_extend": None}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (WireError(30004, "", 400), Certainty.PERMANENT),
        (WireError(10007, "", 400), Certainty.PERMANENT),
        (WireError(-2011, "", 400), Certainty.PERMANENT),
        (WireError(401, "", 401), Certainty.PERMANENT),
        (WireError(401, "", 401, coded=False), Certainty.PERMANENT),
        (WireError(400, "", 400, coded=False), Certainty.UNKNOWN),
        (WireError(403, "", 403, coded=False), Certainty.TEMPORARY),
        (WireError(30002, "", 200), Certainty.PERMANENT),
        (WireError(429, "", 429), Certainty.TEMPORARY),
        (WireError(418, "", 418), Certainty.TEMPORARY),
        (WireError(403, "", 403), Certainty.TEMPORARY),
        (WireError(700003, "", 400), Certainty.TEMPORARY),
        (WireError(500, "", 500), Certainty.UNKNOWN),
        (WireError(504, "", 504), Certainty.UNKNOWN),
        (WireError(30004, "", 503), Certainty.UNKNOWN),
        (WireError(500, "", 400), Certainty.UNKNOWN),
        (WireError(504, "", 200), Certainty.UNKNOWN),
        (WireError(408, "", 408), Certainty.UNKNOWN),
        (WireError(302, "", 302), Certainty.UNKNOWN),
        (WireError(987654, "an undocumented code", 400), Certainty.UNKNOWN),
    ],
)
def test_certainty_follows_status_and_code(error: WireError, expected: Certainty) -> None:
    assert error.certainty is expected


@given(st.text(max_size=60), st.integers(500, 599), st.sampled_from(list(ErrorCode)))
def test_no_server_error_ever_proves_anything(msg: str, status: int, code: ErrorCode) -> None:
    assert WireError(code, msg, status).certainty is Certainty.UNKNOWN


@pytest.mark.parametrize("body", [b"", b"NaN", b'{"a":Infinity}', b"[" * 100_000, b"\xff", b"1" * 5_000])
def test_invalid_json_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        load_json(body)


def test_json_numbers_become_decimals() -> None:
    assert load_json(b'{"fee":0.000500000000000000}') == {"fee": Decimal("0.0005")}


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "Infinity", "-Infinity", "sNaN", "1e5", "1E-7", "-1", "+1", "1_000", "１２", "٣", " 1", "1 ", "1\n", "", ".5", "5.",
        "00", "01", "0x10", "1,5", "1" * 13, "1000000000000000000000000000000", "9" * 5_000, "0." + "1" * 19, "0." + "0" * 5_000,
    ],
)  # fmt: skip
def test_a_number_outside_the_grammar_is_refused_with_mexcs_error(text: str) -> None:
    with pytest.raises(WireRefusal) as caught:
        parse_decimal("quantity", text)
    assert (caught.value.error.code, caught.value.error.http_status) == (ErrorCode.ILLEGAL_CHARACTERS, 400)


@given(st.decimals(min_value=0, max_value=Decimal(10) ** 12 - 1, places=18, allow_nan=False))
def test_every_number_we_print_reads_back_exactly(value: Decimal) -> None:
    assert parse_decimal("price", plain(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1E+30"), max_value=Decimal("1E+30")))
def test_plain_text_has_no_exponent_and_no_trailing_zeros(value: Decimal) -> None:
    text = plain(value)
    assert "E" not in text.upper()
    assert "." not in text or not text.endswith(("0", "."))
    assert Decimal(text) == value


@pytest.mark.parametrize("text", ["-1", "1.0", "１", "9" * 16, "", "1e3"])
def test_an_integer_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(WireRefusal):
        parse_integer("limit", text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.000000000000000000000000000000", Decimal(1)),
        ("88.120131350620957006", Decimal("88.120131350620957006")),
        ("0000.10", Decimal("0.1")),
        ("1E-7", Decimal("0.0000001")),
        (5, Decimal(5)),
        (Decimal("0.0005"), Decimal("0.0005")),
        ("-3.1", Decimal("-3.1")),
    ],
)
def test_a_venues_number_may_have_many_digits(value: object, expected: Decimal) -> None:
    assert reply_decimal("price", value) == expected


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "", "1_0", "１", "0x1", None, True, [], {}, 1.5, "9" * 200, "1e999", Decimal("1e999999"), 10**70],
)  # fmt: skip
def test_a_venues_number_is_still_finite_and_bounded(value: object) -> None:
    with pytest.raises(MalformedReply):
        reply_decimal("price", value)


@pytest.mark.parametrize("value", [None, True, "x", "", "9" * 30, 1.0, "１"])
def test_a_venues_integer_is_an_integer(value: object) -> None:
    with pytest.raises(MalformedReply):
        reply_integer("version", value)


def test_a_notional_is_computed_without_rounding() -> None:
    largest = Decimal("999999999999.999999999999999999")
    assert plain(exact_product(largest, largest)) == "999999999999999999999999.999998000000000000000000000000000001"


def test_an_encoded_reply_is_compact_utf8() -> None:
    assert json.loads(dump_json({"msg": "Reason： Blocked"})) == {"msg": "Reason： Blocked"}
