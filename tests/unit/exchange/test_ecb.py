"""The ECB's daily file: the published form is read, and everything that is not that form is refused before it can mean anything."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.ecb import MOST_BYTES, parse_reference_rate
from exchange.errors import VenueError
from tests.support.ecb import CUBES, DAY, file_of


def test_the_published_file_is_read() -> None:
    found = parse_reference_rate(file_of())
    assert format(found.dollars, "f") == "1.1592"
    assert found.at == datetime(2026, 9, 11, tzinfo=UTC).timestamp() * 1000


def test_the_rate_of_another_currency_is_not_taken() -> None:
    without = file_of(cubes=CUBES.replace("currency='USD'", "currency='AUD'"))
    with pytest.raises(VenueError, match="1 dates and 0 rates of the USD"):
        parse_reference_rate(without)


BOMB = (
    """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>"""
)
OUTSIDE = """<!DOCTYPE x [<!ENTITY rate SYSTEM "file:///etc/hostname">]>"""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(file_of(doctype=BOMB, rate="&c;"), "document type", id="an entity that grows"),
        pytest.param(file_of(doctype=OUTSIDE, rate="&rate;"), "document type", id="an entity from a file"),
        pytest.param(file_of(doctype="<!DOCTYPE gesmes SYSTEM 'http://127.0.0.1/x.dtd'>"), "document type", id="an outer type"),
        pytest.param(file_of(doctype="<!DOCTYPE gesmes>"), "document type", id="an empty type"),
        pytest.param(file_of(rate="&c;"), "undefined entity", id="an unknown entity"),
        pytest.param(b"", "no element found", id="nothing"),
        pytest.param(b"<html><body>moved</body></html>", "0 dates and 0 rates", id="a web page"),
        pytest.param(file_of()[:-20], "cannot be read", id="half a file"),
        pytest.param(file_of(cubes=CUBES * 2), "1 dates and 2 rates", id="two rates"),
        pytest.param(file_of(day=f"{DAY}'/><Cube time='2026-09-10"), "2 dates and 1 rates", id="two days"),
        pytest.param(file_of().replace(b"ecb.int", b"example"), "0 dates and 0 rates", id="another namespace"),
        pytest.param(file_of(rate="1,1592"), "is not a rate", id="a comma"),
        pytest.param(file_of(rate="-1.1592"), "is not a rate", id="a negative rate"),
        pytest.param(file_of(rate="0.0000"), "is not a rate", id="zero"),
        pytest.param(file_of(rate="N/A"), "is not a rate", id="no number"),
        pytest.param(file_of(rate="1e3"), "is not a rate", id="an exponent"),
        pytest.param(file_of(rate="1" * 30), "is not a rate", id="a long number"),
        pytest.param(file_of(day="2026-02-30"), "is not a day", id="no day"),
        pytest.param(file_of(day="11.09.2026"), "is not a rate on a day", id="another form of a day"),
        pytest.param(file_of(cubes=CUBES + " " * MOST_BYTES), "longer than", id="a long file"),
        pytest.param(b"\xff\xfe\x00", "cannot be read", id="bytes"),
        pytest.param(file_of().replace(b"UTF-8", b"no-such"), "cannot be read", id="an unknown encoding"),
    ],
)
def test_any_other_file_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(VenueError, match=why) as caught:
        parse_reference_rate(data)
    assert caught.value.code == "rate-file-unreadable"


@given(data=st.binary(max_size=400) | st.text(alphabet="<>/&;!'= Cubetimrd-0123456789.", max_size=200).map(str.encode))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with pytest.raises(VenueError):
        parse_reference_rate(data)
