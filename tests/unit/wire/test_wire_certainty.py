"""What each documented code proves; an undocumented one proves nothing (mexc-spot-v3.md §1.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.wire.errors import Certainty, ErrorCode, WireError, error_of, load_json, parse_error, read_reply

TEMPORARY = {403, 418, 429, 510, 604, 801, 11444, 700003}
UNKNOWN = {500, 501, 503, 504, 20002}
ELSEWHERE = [10099, 10100, 10103, 10201, 10211, 10216, 10268, 88004, 730001, 730101, 730602, 730706]


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_listed_code_has_its_documented_certainty(code: ErrorCode) -> None:
    expected = Certainty.TEMPORARY if code in TEMPORARY else Certainty.UNKNOWN if code in UNKNOWN else Certainty.PERMANENT
    assert WireError.of(code, "").certainty is expected


@pytest.mark.parametrize("code", ELSEWHERE)
def test_a_documented_refusal_of_another_part_of_the_exchange_is_permanent(code: int) -> None:
    assert WireError(code, "").certainty is Certainty.PERMANENT


@pytest.mark.parametrize("code", [10200, 10219, 730000, 424242, -1])
def test_a_code_that_proves_nothing_is_unknown(code: int) -> None:
    assert WireError(code, "").certainty is Certainty.UNKNOWN


@given(st.sampled_from(list(ErrorCode)), st.integers(500, 599))
def test_a_server_error_is_unknown_whatever_code_it_carries(code: ErrorCode, status: int) -> None:
    assert WireError(int(code), "", status).certainty is Certainty.UNKNOWN


BODIES = st.sampled_from([b"", b"junk", b"{}", b"[]", b'{"code":0}', b'{"code":200,"msg":"success"}', b'{"code":-2011,"msg":"x"}'])


@given(st.sampled_from([200, 302, 400, 403, 429, 503]), BODIES)
def test_one_pass_reads_a_reply_like_two_passes(status: int, body: bytes) -> None:
    expected = parse_error(status, body)
    if expected is None and body in {b"", b"junk"}:
        return
    error, decoded = read_reply(status, body)
    assert error == expected
    if expected is None:
        assert decoded == load_json(body)
        assert error_of(status, decoded) is None
