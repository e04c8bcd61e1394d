"""A tape that is begun in the middle plays on as one that was played until there."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.book import Book, BookStatus
from exchange.model import MarketTrade, Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap, TapeRecord, TapeTrade
from exchange.testnet.market.feeds.tape import TapePlayer
from tests.support.rig import SYMBOL, recorded
from tests.support.tries import tries

START = Millis(1_700_000_000_000)
ONE = Decimal(1)


def level(price: int, quantity: int = 1) -> tuple[tuple[Decimal, Decimal], ...]:
    return ((Decimal(price), Decimal(quantity)),)


GAPPED: tuple[TapeRecord, ...] = (
    DepthSnapshot(SYMBOL, 10, level(99), level(101), Millis(0), Millis(0)),
    TapeTrade(MarketTrade(SYMBOL, Decimal(101), ONE, Side.BUY, Millis(100), "7"), Millis(100)),
    DepthDelta(SYMBOL, 11, 12, level(98, 2), (), Millis(100), Millis(100)),
    TapeGap(SYMBOL, Millis(200), Millis(200)),
    DepthSnapshot(SYMBOL, 20, level(97), level(103), Millis(400), Millis(400)),
    DepthDelta(SYMBOL, 21, 21, (), level(102, 3), Millis(700), Millis(700)),
    TapeTrade(MarketTrade(SYMBOL, Decimal(97), ONE, Side.SELL, Millis(800), "9"), Millis(800)),
    TapeGap(SYMBOL, Millis(900), Millis(900)),
)
"""A small tape with a gap in the middle and one at its end."""


def applied(records: Iterable[TapeRecord]) -> tuple[Book, list[tuple[str, Millis]]]:
    """The book after these records, and the trades with their instants."""
    book, trades = Book(SYMBOL), []
    for record in records:
        match record:
            case DepthSnapshot():
                book.snapshot(record.version, record.bids, record.asks, record.at)
            case DepthDelta():
                book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at)
            case TapeTrade():
                trades.append((record.trade.trade_id, record.at))
            case TapeGap():
                book.mark_stale()
    return book, trades


def compare(tape: tuple[TapeRecord, ...], elapsed: int, further: int, speed: Decimal, *, loop: bool) -> None:
    played = TapePlayer(tape, START, speed=speed, loop=loop)
    skipped = TapePlayer(tape, START, speed=speed, loop=loop)
    skipped.skip(elapsed)
    at = Millis(START + int(elapsed / speed))
    before = played.due(at)
    first = skipped.due(START)
    book, _ = applied(before)
    begun, heard = applied(first)
    assert not heard
    assert begun.status is (BookStatus.LIVE if book.status is BookStatus.LIVE else BookStatus.EMPTY)
    if book.status is BookStatus.LIVE:
        assert (begun.version, begun.depth(100)) == (book.version, book.depth(100))
    assert skipped.rounds == played.rounds
    later, trades = applied((*before, *played.due(Millis(at + further))))
    after, again = applied((*first, *skipped.due(Millis(START + further))))
    assert [(name, when - at) for name, when in trades if when > at] == [(name, when - START) for name, when in again]
    if later.status is BookStatus.LIVE:
        assert (after.version, after.depth(100)) == (later.version, later.depth(100))
    due, next_due = played.next_due(), skipped.next_due()
    assert (due is None) == (next_due is None)
    assert due is None or next_due is None or due - at == next_due - START


@settings(max_examples=tries(200), deadline=None)
@given(elapsed=st.integers(0, 4_000), further=st.integers(0, 3_000), loop=st.booleans())
def test_a_skipped_tape_plays_on_as_a_played_one(elapsed: int, further: int, *, loop: bool) -> None:
    compare(GAPPED, elapsed, further, ONE, loop=loop)


@settings(max_examples=tries(6), deadline=None)
@given(elapsed=st.integers(0, 900_000).map(lambda at: at * 4), further=st.integers(0, 20_000).map(lambda at: at * 4))
def test_the_shipped_tape_can_be_begun_anywhere(elapsed: int, further: int) -> None:
    compare(recorded(), elapsed, further // 4, Decimal(4), loop=True)
