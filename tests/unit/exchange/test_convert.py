"""Conversion of Binance captures to tapes."""

from __future__ import annotations

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from exchange import tape
from exchange.convert import convert_binance
from exchange.errors import IntegrityError
from exchange.model import DataSource, Side
from exchange.tape import DepthDelta, DepthSnapshot, TapeHeader, TapeTrade

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "exchange/testnet/tapes/btcusdt-20240808.tape.gz"
D = Decimal


def line(at_ms: int, message: object) -> str:
    return f"{at_ms * 1_000_000} {json.dumps(message)}"


def diff(first: int, last: int, at: int, bids: list[list[str]] | None = None) -> str:
    data = {"e": "depthUpdate", "E": at, "s": "X", "U": first, "u": last, "b": bids or [], "a": []}
    return line(at + 5, {"stream": "x@depth", "data": data})


def trade(number: int, at: int, *, buyer_was_maker: bool) -> str:
    data = {"e": "trade", "E": at + 1, "T": at, "t": number, "p": "100.00000000", "q": "0.50000000", "m": buyer_was_maker}
    return line(at + 5, {"stream": "x@trade", "data": data})


SNAPSHOT = line(
    1_000, {"lastUpdateId": 50, "bids": [["99.90000000", "1.00000000"], ["90.00000000", "4"]], "asks": [["100.10000000", "2.0"]]}
)
TICKER = line(1_000, {"stream": "x@bookTicker", "data": {"u": 51, "b": "1", "B": "1", "a": "2", "A": "1"}})
CAPTURE = [
    diff(40, 45, 900),
    trade(1, 950, buyer_was_maker=True),
    SNAPSHOT,
    TICKER,
    diff(46, 55, 1_100, [["99.90000000", "3.00000000"], ["90.00000000", "0.00000000"]]),
    diff(56, 60, 1_200),
    trade(3, 1_150, buyer_was_maker=False),
    trade(2, 1_200, buyer_was_maker=True),
]


def test_the_tape_starts_at_the_snapshot_and_its_versions_chain() -> None:
    records = convert_binance(CAPTURE, "X")
    assert isinstance(records[0], DepthSnapshot)
    assert [(r.from_version, r.to_version) for r in records if isinstance(r, DepthDelta)] == [(51, 55), (56, 60)]


def test_trades_come_in_time_order_and_before_depth_of_the_same_ms() -> None:
    records = convert_binance(CAPTURE, "X")
    assert [type(r).__name__ for r in records] == ["DepthSnapshot", "DepthDelta", "TapeTrade", "TapeTrade", "DepthDelta"]
    assert [r.trade.trade_id for r in records if isinstance(r, TapeTrade)] == ["3", "2"]


def test_a_buyer_who_was_the_maker_means_the_taker_sold() -> None:
    sides = {r.trade.trade_id: r.trade.taker_side for r in convert_binance(CAPTURE, "X") if isinstance(r, TapeTrade)}
    assert sides == {"3": Side.BUY, "2": Side.SELL}


def test_levels_outside_the_band_are_dropped_from_snapshot_and_diffs_alike() -> None:
    records = convert_binance(CAPTURE, "X", band=D("0.02"))
    touched = {price for r in records if isinstance(r, DepthSnapshot | DepthDelta) for price, _ in r.bids}
    assert touched == {D("99.9")}


def test_a_market_near_the_edge_of_the_band_is_refused() -> None:
    with pytest.raises(IntegrityError, match="edge of the band"):
        convert_binance([*CAPTURE, diff(61, 61, 1_300, [["99.9", "0"], ["98.7", "1"]])], "X", band=D("0.02"))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        CAPTURE[:2],
        [SNAPSHOT],
        [SNAPSHOT, diff(53, 55, 1_100)],
        [SNAPSHOT, diff(46, 55, 1_100), diff(57, 60, 1_200)],
        [SNAPSHOT, diff(46, 55, 1_100, [["nonsense", "1"]])],
        ["nonsense"],
        ["12 []"],
    ],
)
def test_a_capture_with_something_missing_is_refused(lines: list[str]) -> None:
    with pytest.raises(IntegrityError):
        convert_binance(lines, "X")


def test_the_shipped_tape_matches_its_readme() -> None:
    found = tape.inspect(SHIPPED)
    assert (found.header.symbol, found.header.source) == ("BTCUSDT", DataSource.RECORDED_L2)
    assert (found.snapshots, found.deltas, found.trades, found.gaps) == (1, 3_449, 9_756, 0)
    assert found.last_at - found.first_at > 345_000
    assert "hftbacktest" in found.header.origin
    assert SHIPPED.stat().st_size < 1_500_000


def test_the_shipped_tape_equals_the_converted_recording(tmp_path: Path) -> None:
    shared = Path(os.environ.get("GATEHOUSE_SHARED", ROOT.parent / "shared"))
    recording = shared / "data/market/binance-btcusdt-l2-20240808.jsonl.gz"
    if not recording.exists():
        pytest.skip(f"the recording is not at {recording}; set GATEHOUSE_SHARED")
    with gzip.open(recording, "rt") as lines:
        records = convert_binance(lines, "BTCUSDT", band=D("0.06"))
    assert records == list(tape.read(SHIPPED))
    header: TapeHeader = tape.read_header(SHIPPED)
    tape.write(tmp_path / "again.gz", header, records)
    assert gzip.decompress((tmp_path / "again.gz").read_bytes()) == gzip.decompress(SHIPPED.read_bytes())
