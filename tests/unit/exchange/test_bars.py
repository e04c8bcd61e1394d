"""Conversion of bars to tapes of a reconstructed market."""

from __future__ import annotations

import dataclasses
import gzip
import os
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.bars import Bar, BarMarket, convert_bars, read_bars
from exchange.book import Book, DeltaOutcome
from exchange.errors import ConfigError, IntegrityError
from exchange.model import Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, RecordOrder, TapeGap, TapeRecord, TapeTrade

D = Decimal
ROOT = Path(__file__).resolve().parents[3]
MINUTE = 60_000
MARKET = BarMarket("BTCUSDT", quantity_step=D("0.01"), spread_bps=D(10))
HEADER = "timestamp,open,high,low,close,volume\n"
RISING = Bar(Millis(MINUTE), D(100), D(110), D(95), D(105), D("12.07"))
FALLING = Bar(Millis(2 * MINUTE), D(105), D(106), D(90), D(91), D(6))


def trades(records: list[TapeRecord]) -> list[TapeTrade]:
    return [record for record in records if isinstance(record, TapeTrade)]


cents = st.integers(500, 30_000).map(lambda number: D(number) / 100)
volumes = st.integers(0, 10_000).map(lambda number: D(number) / 100)


@st.composite
def bars(draw: st.DrawFn) -> list[Bar]:
    """A few bars in a row, some missing."""
    made, at = [], MINUTE
    for _ in range(draw(st.integers(1, 5))):
        low, *middle, high = sorted(draw(st.lists(cents, min_size=4, max_size=4)))
        opened, close = draw(st.permutations(middle))
        made.append(Bar(Millis(at), opened, high, low, close, draw(volumes)))
        at += MINUTE * draw(st.sampled_from([1, 1, 1, 3]))
    return made


@given(bars(), st.integers(4, 20))
def test_the_prints_of_a_bar_have_its_open_high_low_close_and_volume(made_bars: list[Bar], steps: int) -> None:
    market = dataclasses.replace(MARKET, steps=steps)
    records = list(convert_bars(made_bars, market))
    for bar in made_bars:
        if bar.volume < steps:
            continue
        inside = [t.trade for t in trades(records) if bar.opened_at <= t.at < bar.opened_at + MINUTE]
        prices = [trade.price for trade in inside]
        assert (prices[0], max(prices), min(prices), prices[-1]) == (bar.open, bar.high, bar.low, bar.close)
        assert sum(trade.quantity for trade in inside) == bar.volume


@given(bars())
def test_the_tape_is_ordered_and_each_print_is_at_a_best_price(made_bars: list[Bar]) -> None:
    order, book = RecordOrder("BTCUSDT"), Book("BTCUSDT")
    for record in convert_bars(made_bars, MARKET):
        order.check(record)
        if isinstance(record, DepthSnapshot):
            book.snapshot(record.version, record.bids, record.asks, record.at)
        elif isinstance(record, DepthDelta):
            outcome = book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at)
            assert outcome is DeltaOutcome.APPLIED
        elif isinstance(record, TapeTrade):
            assert record.trade.price == book.best(record.trade.taker_side.opposite)
        assert not book.is_crossed


def test_a_rising_bar_visits_its_low_first_and_a_falling_one_its_high() -> None:
    prices = [trade.trade.price for trade in trades(list(convert_bars([RISING, FALLING], MARKET)))]
    assert prices.index(D(95)) < prices.index(D(110))
    assert prices[12:].index(D(106)) < prices[12:].index(D(90))


def test_upward_prints_are_bought_and_downward_ones_sold() -> None:
    made = [t.trade for t in trades(list(convert_bars([RISING], MARKET)))]
    for before, after in pairwise(made):
        if before.price != after.price:
            assert after.taker_side is (Side.BUY if after.price > before.price else Side.SELL)


def test_the_book_shows_a_share_of_the_previous_bar_only() -> None:
    louder = dataclasses.replace(FALLING, volume=D(6_000))
    quiet, loud = (
        [r for r in convert_bars([RISING, second], MARKET) if not isinstance(r, TapeTrade)] for second in (FALLING, louder)
    )
    assert quiet == loud
    assert isinstance(quiet[0], DepthSnapshot)
    assert {quantity for _, quantity in quiet[0].bids} == {D("0.12")}


def test_a_missing_bar_is_a_gap_and_a_new_snapshot() -> None:
    later = dataclasses.replace(FALLING, opened_at=Millis(5 * MINUTE))
    records = list(convert_bars([RISING, later], MARKET))
    gap = next(number for number, record in enumerate(records) if isinstance(record, TapeGap))
    assert records[gap].at == 2 * MINUTE
    assert isinstance(records[gap + 1], DepthSnapshot)


def test_the_same_bars_make_the_same_tape() -> None:
    assert list(convert_bars([RISING, FALLING], MARKET)) == list(convert_bars([RISING, FALLING], MARKET))


@pytest.mark.parametrize("second", [RISING, dataclasses.replace(FALLING, opened_at=Millis(0))])
def test_bars_that_overlap_or_go_back_are_refused(second: Bar) -> None:
    with pytest.raises(IntegrityError):
        list(convert_bars([RISING, second], MARKET))


def test_no_bars_make_no_tape() -> None:
    with pytest.raises(IntegrityError):
        list(convert_bars([], MARKET))


def test_bars_are_read_with_utc_times_and_base_volumes() -> None:
    lines = [HEADER, "2022-01-01 00:01:00.000000,100,110,90,100,1000\n", "1640995320000,100,100,100,100,50\n"]
    first, second = read_bars(lines, MARKET, volume_in_quote=True)
    assert (first.opened_at, first.volume) == (1_640_995_260_000, 10)
    assert (second.opened_at, second.volume) == (1_640_995_320_000, D("0.5"))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["open,high,low,close,volume\n"],
        [HEADER, "yesterday,1,1,1,1,1\n"],
        [HEADER, "1,100,99,98,100,1\n"],
        [HEADER, "1,100,110,101,105,1\n"],
        [HEADER, "1,100,110,90,105,-1\n"],
        [HEADER, "1,NaN,110,90,105,1\n"],
        [HEADER, "1,0,0,0,0,1\n"],
        [HEADER, "1,100\n"],
    ],
)
def test_a_row_that_is_not_a_bar_is_refused(lines: list[str]) -> None:
    with pytest.raises(IntegrityError):
        list(read_bars(lines, MARKET))


@pytest.mark.parametrize("change", [{"tick": D(0)}, {"depth": D("NaN")}, {"levels": 0}, {"steps": 3}, {"length_ms": 5}])
def test_impossible_market_options_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(MARKET, **change)  # type: ignore[arg-type]


def test_the_recorded_bars_convert() -> None:
    shared = Path(os.environ.get("GATEHOUSE_SHARED", ROOT.parent / "shared"))
    path = shared / "data/market/btc-perp-1m-20220101-0116.csv.gz"
    if not path.exists():
        pytest.skip(f"the bars are not at {path}; set GATEHOUSE_SHARED")
    with gzip.open(path, "rt") as lines:
        records = list(
            convert_bars(islice(read_bars(lines, BarMarket("BTCUSDT"), volume_in_quote=True), 200), BarMarket("BTCUSDT"))
        )
    assert (len(trades(records)), records[0].at) == (2_400, 1_640_991_660_000)
