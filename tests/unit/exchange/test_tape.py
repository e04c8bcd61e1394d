"""Market tapes read back exactly or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import tape
from exchange.errors import IntegrityError
from exchange.model import DataSource, MarketTrade, Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap, TapeHeader, TapeRecord, TapeTrade

HEADER = TapeHeader("BTCUSDT", DataSource.RECORDED_L2, "somewhere", "MIT", "all of it")
D = Decimal


def snapshot(version: int = 5, at: int = 100) -> DepthSnapshot:
    return DepthSnapshot("BTCUSDT", version, ((D("99.5"), D(1)),), ((D("100.5"), D(2)),), Millis(at), Millis(at + 3))


def delta(first: int, last: int, at: int) -> DepthDelta:
    return DepthDelta("BTCUSDT", first, last, ((D("99.5"), D(0)),), (), Millis(at), Millis(at - 2))


def trade(at: int) -> TapeTrade:
    return TapeTrade(MarketTrade("BTCUSDT", D("100.5"), D("0.25"), Side.BUY, Millis(at), "77"), Millis(at))


def gap(at: int) -> TapeGap:
    return TapeGap("BTCUSDT", Millis(at), Millis(at))


RECORDS: list[TapeRecord] = [snapshot(), trade(100), delta(6, 8, 200), gap(250), snapshot(20, 300), delta(21, 21, 301)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.tape.gz"


@pytest.fixture
def edit(path: Path) -> Callable[[Callable[[list[str]], list[str]]], None]:
    """Write the sample tape, then rewrite its lines."""
    tape.write(path, HEADER, RECORDS)

    def rewrite(change: Callable[[list[str]], list[str]]) -> None:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
        path.write_bytes(gzip.compress("".join(change(lines)).encode()))

    return rewrite


def test_a_written_tape_reads_back(path: Path) -> None:
    tape.write(path, HEADER, RECORDS)
    assert tape.read_header(path) == HEADER
    assert list(tape.read(path)) == RECORDS


def test_the_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    tape.write(tmp_path / "one.gz", HEADER, RECORDS)
    tape.write(tmp_path / "two.gz", HEADER, RECORDS)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_an_inspection_counts_the_records(path: Path) -> None:
    tape.write(path, HEADER, RECORDS)
    found = tape.inspect(path)
    assert (found.records, found.snapshots, found.deltas, found.trades, found.gaps) == (6, 2, 2, 1, 1)
    assert (found.first_at, found.last_at, found.first_version, found.last_version) == (100, 301, 5, 21)
    assert (found.low, found.high, found.volume) == (D("100.5"), D("100.5"), D("0.25"))


def test_an_interrupted_recording_does_not_get_the_tapes_name(path: Path) -> None:
    with pytest.raises(IntegrityError):
        tape.write(path, HEADER, [snapshot(), delta(9, 9, 200)])
    assert not path.exists()


@pytest.mark.parametrize(
    "records",
    [
        [trade(1)],
        [delta(1, 1, 1)],
        [snapshot(), delta(7, 8, 200)],
        [snapshot(), delta(5, 8, 200)],
        [snapshot(), delta(6, 5, 200)],
        [snapshot(), trade(99)],
        [snapshot(), gap(101), delta(6, 6, 200)],
        [snapshot(), snapshot(4, 200)],
        [snapshot(), TapeGap("ETHUSDT", Millis(200), Millis(200))],
    ],
    ids=[
        "trade-first",
        "delta-first",
        "version-skipped",
        "version-repeated",
        "version-backwards",
        "time-backwards",
        "delta-in-gap",
        "older-snapshot",
        "other-symbol",
    ],
)
def test_records_that_cannot_follow_each_other_are_not_written(path: Path, records: list[TapeRecord]) -> None:
    with pytest.raises(IntegrityError):
        tape.write(path, HEADER, records)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [],
        lambda lines: lines[1:],
        lambda lines: lines[:-1],
        lambda lines: lines[:3] + lines[4:],
        lambda lines: [*lines[:-1], lines[-1].strip()],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:-1], '["e",99]\n'],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [lines[0], "nonsense\n", *lines[1:]],
        lambda lines: [lines[0], '["x",1,2]\n', *lines[1:]],
        lambda lines: [*lines[:2], '["t",100,0,"1","NaN","1","B"]\n', *lines[2:]],
        lambda lines: [*lines[:2], '["t",100,0,"1","-5","1","B"]\n', *lines[2:]],
        lambda lines: [*lines[:2], '["t",100,0,"1","5","0","B"]\n', *lines[2:]],
        lambda lines: [*lines[:2], '["t",100,0,"1",5.0,"1","B"]\n', *lines[2:]],
        lambda lines: [*lines[:2], '["t",100,0,"1","5","1","X"]\n', *lines[2:]],
        lambda lines: [lines[0].replace("recorded-l2", "hearsay"), *lines[1:]],
        lambda lines: [lines[0].replace('"version":1', '"version":2'), *lines[1:]],
        lambda lines: [lines[0].replace('"licence"', '"license"'), *lines[1:]],
    ],
)
def test_a_tape_that_was_tampered_with_is_refused(
    path: Path, edit: Callable[[Callable[[list[str]], list[str]]], None], change: Callable[[list[str]], list[str]]
) -> None:
    edit(change)
    with pytest.raises(IntegrityError):
        list(tape.read(path))


def test_a_file_cut_anywhere_is_refused(path: Path) -> None:
    tape.write(path, HEADER, RECORDS)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(IntegrityError):
            list(tape.read(path))


def test_a_missing_tape_is_reported(path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        tape.read_header(path)
    assert caught.value.code == "tape-missing"


decimals = st.decimals(min_value="0.00000001", max_value="999999", allow_nan=False, allow_infinity=False, places=8)


@given(price=decimals, quantity=decimals, lag=st.integers(-5_000, 5_000), trade_id=st.text(max_size=10))
def test_any_trade_reads_back_from_its_line(price: Decimal, quantity: Decimal, lag: int, trade_id: str) -> None:
    market = MarketTrade("BTCUSDT", price, quantity, Side.SELL, Millis(10_000), trade_id)
    record = TapeTrade(market, Millis(10_000 + lag))
    line = json.dumps(tape._encode(record))
    assert tape._decode("BTCUSDT", json.loads(line), 1) == record
