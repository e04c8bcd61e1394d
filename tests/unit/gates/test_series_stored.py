"""Columns of a run's series keep every item exactly, however long they grow, and name what they hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import state_codec
from exchange.model import Millis, OrderType, Side
from gates.series import Column, EquityPoint, Execution, RoundTrip, RunSeries
from tests.support.tries import tries

AMOUNTS = st.decimals(min_value=-10_000, max_value=10_000, places=8)
AT = st.integers(0, 2_000_000_000_000).map(Millis)
POINTS = st.builds(EquityPoint, AT, AMOUNTS, st.none() | AMOUNTS, AMOUNTS, AMOUNTS)
TRIPS = st.builds(RoundTrip, st.just("BTCUSDT"), AT, AT, AMOUNTS, AMOUNTS)
EXECUTIONS = st.builds(
    Execution,
    st.just("BTCUSDT"),
    st.sampled_from(Side),
    st.sampled_from(OrderType),
    *(AT, AT, AMOUNTS, st.none() | AMOUNTS),
    *([AMOUNTS] * 4),
    st.none() | st.integers(0, 10_000),
)


def column(items: list[Any]) -> Column[Any]:
    made: Column[Any] = Column()
    for item in items:
        made = made.with_item(item)
    return made


@pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 600])
def test_a_column_gives_back_its_items_in_order(length: int) -> None:
    items = [RoundTrip("BTCUSDT", Millis(n), Millis(n + 1), Decimal(n), Decimal("-0.10")) for n in range(length)]
    made = column(items)
    assert (list(made), len(made)) == (items, length)


@settings(max_examples=tries(30))
@given(st.sampled_from([POINTS, TRIPS, EXECUTIONS]), st.data())
def test_packed_items_are_equal_to_those_that_were_added(kind: st.SearchStrategy[Any], data: st.DataObject) -> None:
    few = data.draw(st.lists(kind, min_size=1, max_size=3))
    items = (few * 300)[:300]
    made = column(items)
    assert list(made) == items
    assert [type(item) for item in made] == [type(item) for item in items]


def test_a_packed_column_takes_few_bytes_for_an_order() -> None:
    one = Execution(
        "BTCUSDT", Side.BUY, OrderType.LIMIT, Millis(1_800_000_000_000), Millis(1_800_000_000_300), Decimal("60000.5"),
        Decimal(60001), Decimal("0.00003"), Decimal("0.00003"), Decimal("1.80"), Decimal("0.0009"), 41,
    )  # fmt: skip
    many = column([one] * 2_560)
    assert sum(map(len, many.chunks)) < 30 * len(many)


def test_the_digest_of_a_column_depends_on_every_item() -> None:
    items = [RoundTrip("BTCUSDT", Millis(n), Millis(n + 1), Decimal(n), Decimal(1)) for n in range(300)]
    other = [*items[:7], RoundTrip("BTCUSDT", Millis(7), Millis(8), Decimal(7), Decimal("1.1")), *items[8:]]
    assert column(items).digest() != column(other).digest()
    assert column(items).digest() == column(list(items)).digest()


def test_the_digest_does_not_depend_on_how_a_number_is_written() -> None:
    one, other = (column([RoundTrip("BTCUSDT", Millis(1), Millis(2), Decimal(text), Decimal(1))]) for text in ("1.5", "1.500"))
    assert one.digest() == other.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"started_at": Millis(2)},
        {"cap_eur": Decimal(11)},
        {"quote_per_eur": Decimal("1.1")},
        {"equity": column([EquityPoint(Millis(1), Decimal(1), None, Decimal(0), Decimal(0))])},
        {"round_trips": column([RoundTrip("BTCUSDT", Millis(1), Millis(2), Decimal(1), Decimal(1))])},
    ],
    ids=str,
)
def test_the_digest_of_a_series_depends_on_each_of_its_parts(change: dict[str, Any]) -> None:
    base = {"started_at": Millis(1), "cap_eur": Decimal(10), "quote_per_eur": Decimal("1.2")}
    assert RunSeries(**{**base, **change}).digest() != RunSeries(**base).digest()


@pytest.mark.parametrize("length", [0, 3, 260])
def test_a_series_survives_a_snapshot(length: int) -> None:
    points = column([EquityPoint(Millis(n), Decimal(n), None, Decimal(0), Decimal("0.5")) for n in range(length)])
    series = RunSeries(Millis(1), Decimal(10), Decimal("1.2"), equity=points)
    assert state_codec.read(RunSeries, state_codec.write(RunSeries, series)) == series
