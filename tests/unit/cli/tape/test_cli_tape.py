"""The verbs for tapes: their files, their output and their errors."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from controller.cli.run.testnet_options import tape_symbols
from controller.cli.tape.record import Recording, record
from controller.cli.tape.view import MidPrices, sparkline
from exchange import tape
from exchange.errors import ConfigError, Unreachable
from exchange.model import DataSource, MarketTrade, Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap, TapeHeader, TapeRecord, TapeTrade
from exchange.testnet.config import NO_RATE_LIMITS, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.support.cli_kit import Run, printed

D = Decimal
SHIPPED = Path(__file__).resolve().parents[4] / "exchange/testnet/tapes/btcusdt-20240808.tape.gz"
BARS = "timestamp,open,high,low,close,volume\n2022-01-01 00:01:00,100,110,95,105,1200\n2022-01-01 00:02:00,105,106,90,91,600\n"
CAPTURE = [
    {"lastUpdateId": 5, "bids": [["99.9", "1"]], "asks": [["100.1", "1"]]},
    {"e": "depthUpdate", "E": 1_000, "U": 6, "u": 7, "b": [["99.8", "2"]], "a": []},
    {"e": "trade", "T": 1_001, "t": 1, "p": "99.9", "q": "0.5", "m": True},
]


def at(moment: int) -> tuple[Millis, Millis]:
    return Millis(moment), Millis(moment)


def book(version: int, moment: int, bid: str, symbol: str = "BTCUSDT") -> DepthSnapshot:
    return DepthSnapshot(symbol, version, ((D(bid), D(1)),), ((D(bid) + 2, D("0.25")),), *at(moment))


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    path = tmp_path / "bars.csv"
    path.write_text(BARS)
    return path


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return tmp_path / "made.tape.gz"


def test_inspecting_tells_what_is_in_a_tape(run: Run) -> None:
    found = printed(run("tape", "inspect", SHIPPED, "-o", "json"))
    assert (found["symbol"], found["source"], found["trades"], found["gaps"]) == ("BTCUSDT", "recorded-l2", 9_756, 0)
    assert len(found["mids"]) == 60
    assert all(D(61_500) < D(mid) < D(62_000) for mid in found["mids"])


def test_inspecting_draws_the_mid_price_for_people(run: Run) -> None:
    shown = run("tape", "inspect", SHIPPED)
    assert shown.exit_code == 0
    assert "█" in shown.stdout
    assert "2024-08-08 23:54" in shown.stdout


def test_a_damaged_tape_is_an_error_with_a_remedy(run: Run, made: Path) -> None:
    made.write_bytes(SHIPPED.read_bytes()[:20_000])
    result = run("tape", "inspect", made, "-o", "json")
    assert result.exit_code == 1
    assert printed(result, error=True)["error"]["code"] == "tape-malformed"


def test_bars_become_a_tape_that_says_it_is_reconstructed(run: Run, bars: Path, made: Path) -> None:
    found = printed(
        run("tape", "convert", bars, "--from", "bars", "--out", made, "--quote-volume", "--licence", "MIT", "-o", "json")
    )
    assert (found["source"], found["licence"], found["trades"], found["high"]) == ("reconstructed-bars", "MIT", 24, "110")
    assert tape.read_header(made).source is DataSource.RECONSTRUCTED_BARS
    assert "Reconstructed from bars" in run("tape", "inspect", made).stdout


def test_captures_become_one_tape_whether_or_not_they_are_packed(run: Run, tmp_path: Path, made: Path) -> None:
    lines = [f"{1_000_000 * number} {json.dumps(message)}\n" for number, message in enumerate(CAPTURE, 1)]
    first, second = tmp_path / "1.jsonl.gz", tmp_path / "2.jsonl"
    first.write_bytes(gzip.compress("".join(lines[:1]).encode()))
    second.write_text("".join(lines[1:]))
    found = printed(run("tape", "convert", first, second, "--from", "binance", "--out", made, "-o", "json"))
    assert (found["snapshots"], found["deltas"], found["trades"], found["origin"]) == (1, 1, 1, "1.jsonl.gz, 2.jsonl")


@pytest.mark.parametrize(
    ("options", "code", "exit_code"),
    [
        (["--from", "tea-leaves"], "tape-source-unknown", 2),
        (["--from", "binance"], "capture-unusable", 1),
        (["--from", "bars", "--spread", "wide"], "not-a-number", 2),
        (["--from", "bars", "--spread", "-1"], "bar-market-invalid", 2),
    ],
)
def test_a_conversion_that_cannot_be_is_refused_and_leaves_no_tape(
    run: Run, bars: Path, made: Path, options: list[str], code: str, exit_code: int
) -> None:
    result = run("tape", "convert", bars, "--out", made, *options, "-o", "json")
    assert (result.exit_code, printed(result, error=True)["error"]["code"]) == (exit_code, code)
    assert not made.exists()


def test_a_file_that_is_missing_or_damaged_is_an_error(run: Run, tmp_path: Path, made: Path) -> None:
    missing = run("tape", "convert", tmp_path / "none.csv", "--from", "bars", "--out", made, "-o", "json")
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(BARS.encode())[:-4])
    damaged = run("tape", "convert", tmp_path / "x.csv.gz", "--from", "bars", "--out", made, "-o", "json")
    codes = [printed(result, error=True)["error"]["code"] for result in (missing, damaged)]
    assert codes == ["file-unusable", "capture-damaged"]


def test_quotes_are_compared_under_every_fill_model(run: Run, bars: Path, made: Path) -> None:
    run("tape", "convert", bars, "--from", "bars", "--out", made)
    options = ("tape", "compare", made, "--latency", "5,50", "-o", "json")
    found = printed(run(*options))
    assert [one["model"] for one in found["models"]] == ["pessimistic", "base", "optimistic"]
    assert (found["source"], found["latency"]) == ("reconstructed-bars", [5, 50])
    assert found == printed(run(*options))


def test_a_comparison_is_a_table_for_people(run: Run, bars: Path, made: Path) -> None:
    run("tape", "convert", bars, "--from", "bars", "--out", made)
    shown = run("tape", "compare", made).stdout
    assert all(word in shown for word in ("pessimistic", "base", "optimistic", "profit", "entry latency 8,14,22,45,180"))


def test_a_tape_of_another_symbol_brings_rules_with_its_own_decimals(run: Run, made: Path) -> None:
    records: list[TapeRecord] = [book(1, 10, "2.345", "MXUSDT")]
    trade = MarketTrade("MXUSDT", D("2.3"), D("0.1234"), Side.BUY, Millis(11), "1")
    tape.write(made, TapeHeader("MXUSDT", DataSource.SYNTHETIC, "x", "x"), [*records, TapeTrade(trade, Millis(11))])
    (rules,) = tape_symbols(made)
    assert (rules.base, rules.quote, rules.price_precision, rules.quantity_precision) == ("MX", "USDT", 3, 4)
    assert run("tape", "compare", made).exit_code == 0


def test_a_tape_of_who_knows_what_is_refused(made: Path) -> None:
    tape.write(made, TapeHeader("WHAT", DataSource.SYNTHETIC, "x", "x"), [book(1, 10, "2", "WHAT")])
    with pytest.raises(ConfigError):
        tape_symbols(made)


def test_the_mid_prices_of_a_tape_are_carried_on_and_missing_in_a_gap() -> None:
    delta = DepthDelta("BTCUSDT", 2, 2, ((D(101), D(1)),), (), *at(40))
    records: list[TapeRecord] = [book(1, 0, "100"), delta, TapeGap("BTCUSDT", *at(60)), book(9, 100, "103")]
    prices = MidPrices()
    for one in records:
        prices.see(one)
    assert prices.parts(5) == [D(101), D(101), D("101.5"), None, D(104)]
    assert MidPrices().parts(2) == [None, None]


def test_a_sparkline_spans_from_the_lowest_to_the_highest() -> None:
    assert sparkline([D(1), None, D(2), D(3)]) == "▁·▄█"
    assert sparkline([D(1), D(1)]) == "▁▁"
    assert sparkline([None]) == "·"


@pytest.fixture
async def origin() -> AsyncIterator[RunningTestnet]:
    async with running_testnet(TestnetConfig(accounts=(), port=0, rate_limits=NO_RATE_LIMITS, speed=D(5))) as running:
        yield running


async def test_a_recording_of_a_simulated_venue_is_a_whole_tape_that_says_so(origin: RunningTestnet, made: Path) -> None:
    await record(Recording("BTCUSDT", origin.base_url, origin.ws_url, made, 1, "for own use"))
    found = tape.inspect(made)
    assert found.header.source is DataSource.SYNTHETIC
    assert (found.snapshots, found.gaps) == (1, 0)
    assert found.deltas > 3


async def test_a_recording_that_is_interrupted_keeps_what_it_has(origin: RunningTestnet, made: Path) -> None:
    recording = asyncio.create_task(record(Recording("BTCUSDT", origin.base_url, origin.ws_url, made, 600, "x")))
    async with asyncio.timeout(10):
        while len(origin.venue.hub.sessions) == 0:  # noqa: ASYNC110 - the venue tells nobody who listens
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.6)
    recording.cancel()
    await asyncio.gather(recording, return_exceptions=True)
    assert tape.inspect(made).deltas > 0


async def test_a_recording_of_nothing_is_unreachable_and_leaves_nothing(origin: RunningTestnet, made: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        await record(Recording("BTCUSDT", origin.base_url, "ws://127.0.0.1:9/ws", made, 1, "x"))
    assert caught.value.code == "recording-empty"
    assert list(made.parent.iterdir()) == []


def test_a_venue_that_is_not_there_is_unreachable_with_its_exit_code(run: Run, made: Path) -> None:
    options = ("--from-rest", "http://127.0.0.1:9", "--from-ws", "ws://127.0.0.1:9/ws", "--out", made, "-o", "json")
    result = run("tape", "record", "BTCUSDT", *options)
    assert (result.exit_code, printed(result, error=True)["error"]["code"]) == (6, "rest-unreachable")
