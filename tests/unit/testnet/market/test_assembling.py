"""Pushes and snapshots become a tape without missing versions."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.book import Book
from exchange.model import MarketTrade, Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, RecordOrder, TapeGap, TapeRecord, TapeTrade
from exchange.testnet.market.feeds.assemble import Assembler
from exchange.wire.market import DepthReply
from exchange.wire.push import DepthUpdate, TradeBatch

D = Decimal
LEVELS = ((D(1), D(1)),)


def depth(assembler: Assembler, first: int, last: int, at: int) -> None:
    assembler.on_depth(DepthUpdate("X", first, last, ((D(1), D(last)),), ()), Millis(at), Millis(at))


def trade(assembler: Assembler, at: int, trade_id: str = "1", received_at: int | None = None) -> None:
    one = MarketTrade("X", D(1), D(1), Side.BUY, Millis(at), trade_id)
    assembler.on_trades(TradeBatch("X", (one,)), Millis(at if received_at is None else received_at))


def snapshot(assembler: Assembler, version: int, at: int = 100) -> bool:
    return assembler.on_snapshot(DepthReply(version, LEVELS, LEVELS, Millis(at)), Millis(at))


def summary(records: list[TapeRecord]) -> list[object]:
    lines: list[object] = []
    for record in records:
        match record:
            case DepthSnapshot():
                lines.append(("s", record.version))
            case DepthDelta():
                lines.append((record.from_version, record.to_version))
            case TapeTrade():
                lines.append(record.trade.trade_id)
            case TapeGap():
                lines.append("gap")
    return lines


@pytest.fixture
def assembler() -> Assembler:
    return Assembler("X", hold_ms=0)


def test_changes_wait_for_a_snapshot_and_continue_right_after_it(assembler: Assembler) -> None:
    assert not assembler.wants_snapshot
    for first, last in ((1, 3), (4, 8), (9, 9)):
        depth(assembler, first, last, 100 + first)
    assert assembler.wants_snapshot
    assert snapshot(assembler, 5)
    assert summary(assembler.ready()) == [("s", 5), (6, 8), (9, 9)]


def test_a_snapshot_older_than_the_waiting_changes_is_not_used(assembler: Assembler) -> None:
    depth(assembler, 8, 9, 100)
    assert not snapshot(assembler, 5)
    assert assembler.wants_snapshot
    assert assembler.ready() == []
    assert snapshot(assembler, 7)


def test_a_missing_version_is_a_gap_until_the_next_snapshot(assembler: Assembler) -> None:
    depth(assembler, 1, 2, 100)
    snapshot(assembler, 1)
    depth(assembler, 5, 6, 120)
    assert assembler.wants_snapshot
    depth(assembler, 7, 7, 130)
    assert snapshot(assembler, 6, 140)
    assert summary(assembler.ready()) == [("s", 1), (2, 2), "gap", ("s", 6), (7, 7)]


def test_a_lost_connection_is_one_gap_even_if_reported_twice(assembler: Assembler) -> None:
    depth(assembler, 1, 2, 100)
    snapshot(assembler, 1)
    for _ in range(3):
        assembler.lost(Millis(150))
    assert summary(assembler.ready()) == [("s", 1), (2, 2), "gap"]


def test_repeated_versions_are_ignored(assembler: Assembler) -> None:
    depth(assembler, 1, 2, 100)
    snapshot(assembler, 1)
    depth(assembler, 1, 2, 110)
    depth(assembler, 3, 3, 120)
    assert summary(assembler.ready()) == [("s", 1), (2, 2), (3, 3)]


def test_trades_from_before_the_first_book_are_dropped(assembler: Assembler) -> None:
    trade(assembler, 90, "early")
    depth(assembler, 1, 2, 100)
    snapshot(assembler, 1)
    trade(assembler, 99, "late but older")
    trade(assembler, 101, "after")
    assert summary(assembler.ready()) == [("s", 1), (2, 2), "after"]


def test_a_late_trade_is_released_before_the_depth_it_caused() -> None:
    assembler = Assembler("X", hold_ms=100)
    depth(assembler, 1, 1, 90)
    snapshot(assembler, 1, 95)
    depth(assembler, 2, 2, 110)
    trade(assembler, 105, received_at=160)
    assert summary(assembler.ready(Millis(190))) == []
    assert summary(assembler.ready(Millis(300))) == [("s", 1), "1", (2, 2)]


def test_a_record_that_is_too_late_gets_the_last_released_time(assembler: Assembler) -> None:
    depth(assembler, 1, 2, 100)
    snapshot(assembler, 1)
    assembler.ready()
    depth(assembler, 3, 3, 500)
    assembler.ready()
    trade(assembler, 400)
    (late,) = assembler.ready()
    assert late.at == 500


def test_trades_without_an_id_get_unique_ids(assembler: Assembler) -> None:
    depth(assembler, 1, 2, 100)
    snapshot(assembler, 1)
    trade(assembler, 101, "")
    trade(assembler, 101, "")
    ids = [record.trade.trade_id for record in assembler.ready() if isinstance(record, TapeTrade)]
    assert len(set(ids)) == 2
    assert all(ids)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("depth"), st.integers(-2, 2), st.integers(0, 3), st.integers(-5, 40)),
        st.tuples(st.just("trade"), st.integers(-50, 50), st.just(0), st.just(0)),
        st.tuples(st.just("snapshot"), st.integers(-4, 1), st.just(0), st.just(0)),
        st.tuples(st.just("lost"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@given(steps, st.integers(0, 100))
def test_any_input_is_released_as_a_valid_tape(steps: list[tuple[str, int, int, int]], hold_ms: int) -> None:
    assembler, order, book = Assembler("X", hold_ms), RecordOrder("X"), Book("X")
    now, version = 1_000, 50
    left: list[TapeRecord] = []
    for kind, first, second, third in steps:
        now += 7
        if kind == "depth":
            depth(assembler, version + 1 + first, version + 1 + max(first, 0) + second, now + third)
            version += 1 + max(first, 0) + second
        elif kind == "trade":
            trade(assembler, now + first, received_at=now)
        elif kind == "snapshot":
            snapshot(assembler, version + first, now)
        else:
            assembler.lost(Millis(now))
        left += assembler.ready(Millis(now))
    for record in [*left, *assembler.ready()]:
        order.check(record)
        if isinstance(record, DepthSnapshot):
            book.snapshot(record.version, record.bids, record.asks, record.at)
        elif isinstance(record, DepthDelta):
            assert book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at) == "applied"
        elif isinstance(record, TapeGap):
            book.mark_stale()
