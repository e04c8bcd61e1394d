"""The L2 order book with MEXC's version rule."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.book import Book, BookStatus, DeltaOutcome, Level
from exchange.errors import IntegrityError
from exchange.model import Millis, Side

NOW = Millis(1_000)
D = Decimal


def level(price: str, quantity: str) -> Level:
    return D(price), D(quantity)


@pytest.fixture
def book() -> Book:
    book = Book("BTCUSDT")
    book.snapshot(10, [level("99", "1"), level("98", "2")], [level("101", "3"), level("102", "4")], NOW)
    return book


def test_a_book_without_a_snapshot_has_no_quote_and_ignores_deltas() -> None:
    book = Book("BTCUSDT")
    assert book.delta(1, 2, [level("99", "1")], [], NOW) is DeltaOutcome.IGNORED
    assert book.status is BookStatus.EMPTY
    assert book.quote(NOW) is None


def test_the_quote_is_the_best_of_both_sides_with_version_and_times(book: Book) -> None:
    quote = book.quote(Millis(1_005))
    assert quote is not None
    assert (quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity) == (D(99), D(1), D(101), D(3))
    assert (quote.version, quote.at, quote.received_at) == (10, 1_000, 1_005)


def test_a_delta_sets_absolute_quantities_and_zero_removes_a_level(book: Book) -> None:
    assert book.delta(11, 12, [level("99", "0"), level("98", "5")], [level("100", "1")], NOW) is DeltaOutcome.APPLIED
    assert book.depth(10) == ([level("98", "5")], [level("100", "1"), level("101", "3"), level("102", "4")])


def test_removing_a_level_that_is_not_there_changes_nothing(book: Book) -> None:
    before = book.depth(10)
    book.delta(11, 11, [level("50", "0")], [], NOW)
    assert book.depth(10) == before


def test_a_skipped_version_makes_the_book_stale_and_takes_its_quote_away(book: Book) -> None:
    assert book.delta(12, 13, [level("99", "9")], [], NOW) is DeltaOutcome.GAP
    assert book.status is BookStatus.STALE
    assert book.quote(NOW) is None


def test_a_stale_book_ignores_every_delta_until_the_next_snapshot(book: Book) -> None:
    book.delta(12, 13, [], [], NOW)
    assert book.delta(11, 11, [], [], NOW) is DeltaOutcome.IGNORED
    book.snapshot(20, [level("99", "1")], [level("101", "1")], NOW)
    assert book.delta(21, 21, [], [], NOW) is DeltaOutcome.APPLIED


def test_a_delta_that_is_entirely_old_is_dropped(book: Book) -> None:
    assert book.delta(9, 10, [level("99", "7")], [], NOW) is DeltaOutcome.OLD
    assert book.quantity_at(Side.BUY, D(99)) == 1
    assert book.status is BookStatus.LIVE


def test_the_first_delta_after_a_snapshot_may_begin_before_it(book: Book) -> None:
    assert book.delta(8, 12, [level("99", "7")], [], NOW) is DeltaOutcome.APPLIED
    assert book.version == 12


def test_a_later_delta_that_overlaps_its_predecessor_is_a_gap(book: Book) -> None:
    book.delta(11, 14, [], [], NOW)
    assert book.delta(14, 15, [], [], NOW) is DeltaOutcome.GAP


@pytest.mark.parametrize("bid", ["101", "105"])
def test_a_crossed_or_locked_book_has_no_quote_and_cannot_be_traded(book: Book, bid: str) -> None:
    book.delta(11, 11, [level(bid, "1")], [], NOW)
    assert book.quote(NOW) is None
    assert not book.is_tradable


def test_a_book_with_an_empty_side_has_no_quote(book: Book) -> None:
    book.delta(11, 11, [level("99", "0"), level("98", "0")], [], NOW)
    assert book.quote(NOW) is None
    assert book.best(Side.BUY) is None
    assert book.depth(5)[0] == []


def test_a_book_can_be_marked_stale_after_a_cut_connection(book: Book) -> None:
    book.mark_stale()
    assert book.quote(NOW) is None


@pytest.mark.parametrize(
    ("price", "quantity"), [("0", "1"), ("-1", "1"), ("NaN", "1"), ("1", "NaN"), ("1", "-1"), ("Infinity", "1"), ("1", "Infinity")]
)
def test_an_invalid_level_is_refused_and_makes_the_book_stale(book: Book, price: str, quantity: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        book.delta(11, 11, [], [level(price, quantity)], NOW)
    assert caught.value.code == "book-level-invalid"
    assert book.status is BookStatus.STALE


def test_depth_is_best_first_and_limited(book: Book) -> None:
    assert book.depth(1) == ([level("99", "1")], [level("101", "3")])
    assert book.depth(0) == ([], [])
    assert list(book.levels(Side.BUY)) == [level("99", "1"), level("98", "2")]
    assert list(book.levels(Side.SELL)) == [level("101", "3"), level("102", "4")]


prices = st.integers(1, 40).map(lambda cents: D(cents) / 100)
quantities = st.integers(0, 5).map(D)
levels = st.lists(st.tuples(prices, quantities), max_size=8)


@given(snapshot=st.tuples(levels, levels), deltas=st.lists(st.tuples(levels, levels), max_size=12))
def test_the_book_agrees_with_a_plain_dictionary(
    snapshot: tuple[list[Level], list[Level]], deltas: list[tuple[list[Level], list[Level]]]
) -> None:
    book = Book("X")
    book.snapshot(1, *snapshot, NOW)
    naive = [{price: quantity for price, quantity in side if quantity} for side in snapshot]
    for version, delta in enumerate(deltas, 2):
        assert book.delta(version, version, *delta, NOW) is DeltaOutcome.APPLIED
        for side, changes in zip(naive, delta, strict=True):
            for price, quantity in changes:
                side[price] = quantity
        naive = [{price: quantity for price, quantity in side.items() if quantity} for side in naive]
    bids, asks = sorted(naive[0].items(), reverse=True), sorted(naive[1].items())
    assert book.depth(1_000) == (bids, asks)
    assert list(book.levels(Side.BUY)) == bids
    assert (book.quote(NOW) is not None) == bool(bids and asks and bids[0][0] < asks[0][0])


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 4)), max_size=20))
def test_a_live_book_has_applied_every_version_since_its_snapshot(spans: list[tuple[int, int]]) -> None:
    book = Book("X")
    book.snapshot(3, [], [], NOW)
    applied = {3}
    for first, length in spans:
        if book.delta(first, first + length, [], [], NOW) is DeltaOutcome.APPLIED:
            applied |= set(range(first, first + length + 1))
    if book.status is BookStatus.LIVE:
        assert set(range(3, book.version + 1)) <= applied
