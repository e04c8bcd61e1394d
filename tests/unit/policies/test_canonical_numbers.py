"""Canonical JSON and exact numbers: what is written, what is read, and what is refused with which words."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import IntegrityError
from policies import canonical
from policies.numbers import parse, rounded_down, rounded_up, text


def refused(data: bytes, **limit: int) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        canonical.decode(data, **limit)
    assert caught.value.code == "not-canonical"
    return caught.value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=30,
)


@given(VALUES)
def test_the_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [1.5, 2**53, -(2**53), [0.0], {"a": (1, 2.0)}, "\ud800"])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(IntegrityError):
        canonical.encode(value)


def test_a_document_may_be_as_long_as_the_limit() -> None:
    assert canonical.decode(b"[1]", limit=3) == [1]
    assert "3 bytes is more than 2" in refused(b"[1]", limit=2).message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a":1,"a":2}', "a key occurs twice"),
        (b"[1.5]", "1.5 is not a string or an integer"),
        (b"[NaN]", "NaN is not a string or an integer"),
        (b"[Infinity]", "Infinity is not a string or an integer"),
        (b"[1 ]", "the bytes are not in canonical form"),
        (b"{", "Expecting property name"),
    ],
)
def test_what_is_not_canonical_is_refused_with_the_reason(data: bytes, says: str) -> None:
    assert says in refused(data).message


def test_a_long_reason_is_cut() -> None:
    assert refused(b"[1." + b"5" * 900 + b"]").message == f"not canonical JSON: 1.{'5' * 38} is not a string or an integer"


@pytest.mark.parametrize("value", [1.5, [1.5], (1.5,), {"a": 1.5}, {"a": [{"b": 1.5}]}])
def test_a_float_is_refused_however_deep_it_is(value: Any) -> None:
    with pytest.raises(IntegrityError, match="it contains a float"):
        canonical.encode(value)


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53 - 1), True, None, "1.5"])
def test_what_every_machine_writes_alike_is_accepted(value: Any) -> None:
    assert canonical.decode(canonical.encode(value)) == value


@pytest.mark.parametrize("value", [2**53, -(2**53), [2**53]])
def test_an_integer_that_not_every_machine_holds_is_refused(value: Any) -> None:
    with pytest.raises(IntegrityError, match=r"an integer beyond 2\*\*53-1"):
        canonical.encode(value)


def test_what_json_does_not_know_is_refused_with_the_reason() -> None:
    with pytest.raises(IntegrityError, match="unsupported type") as caught:
        canonical.encode(object())
    assert caught.value.code == "not-canonical"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("1.50", "1.5"),
        ("100", "100"),
        ("100.00", "100"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0.000", "0"),
        ("-1.10", "-1.1"),
        ("1e2", "100"),
    ],
)
def test_a_number_is_written_in_one_way(value: str, written: str) -> None:
    assert text(Decimal(value)) == written


@pytest.mark.parametrize(("value", "number"), [(Decimal("1.50"), "1.5"), (7, "7"), ("-0.25", "-0.25"), (Decimal("1e2"), "100")])
def test_a_number_is_read_exactly(value: object, number: str) -> None:
    assert parse(value) == Decimal(number)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Decimal("NaN"), "NaN is not a finite number"),
        (Decimal("Infinity"), "Infinity is not a finite number"),
        (True, "a bool is not an exact number"),
        (1.5, "a float is not an exact number"),
        (None, "a NoneType is not an exact number"),
        ("1\n", "is not a plain decimal number"),
        ("01", "is not a plain decimal number"),
        ("1234567890123", "is not a plain decimal number"),
    ],
)
def test_what_is_no_exact_number_is_refused(value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(value)


def test_a_refused_number_is_shown_cut() -> None:
    with pytest.raises(ValueError, match="is not a plain") as caught:
        parse("9" * 60)
    assert str(caught.value).startswith(f"'{'9' * 40}' is not")


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [("0.0000000000015", "0.000000000001", "0.000000000002"), ("-0.0000000000015", "-0.000000000002", "-0.000000000001")],
)
def test_rounding_goes_the_way_it_says(value: str, down: str, up: str) -> None:
    assert (rounded_down(Decimal(value)), rounded_up(Decimal(value))) == (Decimal(down), Decimal(up))


def test_rounding_does_not_depend_on_the_precision_of_the_caller() -> None:
    with localcontext() as here:
        here.prec = 6
        assert (rounded_down(Decimal("123456.5")), rounded_up(Decimal("123456.5"))) == (Decimal("123456.5"), Decimal("123456.5"))
