"""Playing tapes, generating markets, and delaying requests."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from exchange.book import Book, DeltaOutcome
from exchange.errors import ConfigError, UsageError
from exchange.matching.symbols import BTCUSDT
from exchange.model import MarketTrade, Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, RecordOrder, TapeGap, TapeRecord, TapeTrade, read
from exchange.testnet.conditions.latency import LatencyModel
from exchange.testnet.market.feeds.synthetic import SyntheticMarket, synthetic
from exchange.testnet.market.feeds.tape import TapePlayer

D = Decimal
START = Millis(1_000_000)
SHIPPED = Path(__file__).resolve().parents[4] / "exchange/testnet/tapes/btcusdt-20240808.tape.gz"


def at(moment: int) -> tuple[Millis, Millis]:
    return Millis(moment), Millis(moment)


def short_tape(trade_id: str = "7") -> list[TapeRecord]:
    return [
        DepthSnapshot("X", 10, ((D(99), D(1)),), ((D(101), D(1)),), *at(500)),
        TapeTrade(MarketTrade("X", D(101), D(1), Side.BUY, Millis(600), trade_id), Millis(600)),
        DepthDelta("X", 11, 14, ((D(98), D(2)),), ((D(101), D(5)),), *at(700)),
    ]


def test_records_come_when_due_with_the_callers_time() -> None:
    player = TapePlayer(short_tape(), START)
    assert [record.at for record in player.due(Millis(START + 150))] == [START, START + 100]
    assert player.next_due() == START + 200
    assert [record.at for record in player.due(Millis(START + 999))] == [START + 200]
    assert player.next_due() is None


def test_speed_compresses_time() -> None:
    player = TapePlayer(short_tape(), START, speed=D(10))
    assert [record.at for record in player.due(Millis(START + 20))] == [START, START + 10, START + 20]


def test_the_number_of_records_taken_at_once_can_be_limited() -> None:
    player = TapePlayer(short_tape(), START)
    assert len(player.due(Millis(START + 999), limit=2)) == 2
    assert len(player.due(Millis(START + 999), limit=2)) == 1


def test_a_loop_bridges_the_end_to_the_beginning_with_one_chained_delta() -> None:
    player = TapePlayer(short_tape(), START, loop=True)
    bridge = player.due(Millis(START + 300))[3]
    assert isinstance(bridge, DepthDelta)
    assert (bridge.from_version, bridge.to_version) == (15, 15)
    assert set(bridge.bids) == {(D(98), D(0))}
    assert set(bridge.asks) == {(D(101), D(1))}


def test_a_loop_keeps_trade_ids_rising() -> None:
    player = TapePlayer(short_tape(), START, loop=True)
    trades = [record.trade.trade_id for record in player.due(Millis(START + 1_000)) if isinstance(record, TapeTrade)]
    assert trades == ["7", "8", "9", "10"]


def test_a_loop_keeps_trade_ids_without_numbers_distinct() -> None:
    player = TapePlayer(short_tape("abc"), START, loop=True)
    trades = [record.trade.trade_id for record in player.due(Millis(START + 700)) if isinstance(record, TapeTrade)]
    assert trades == ["abc", "abc-1", "abc-2"]


def test_a_tape_that_ends_in_a_gap_starts_over_with_a_snapshot() -> None:
    player = TapePlayer([*short_tape(), TapeGap("X", *at(800))], START, loop=True)
    again = player.due(Millis(START + 400))[4]
    assert isinstance(again, DepthSnapshot)
    assert again.version == 15


def test_a_looped_real_tape_stays_ordered_and_its_book_stays_live() -> None:
    records = list(islice(read(SHIPPED), 400))
    span = records[-1].at - records[0].at
    player = TapePlayer(records, START, loop=True)
    order, book = RecordOrder("BTCUSDT"), Book("BTCUSDT")
    for record in player.due(Millis(START + 5 * span)):
        order.check(record)
        if isinstance(record, DepthSnapshot):
            book.snapshot(record.version, record.bids, record.asks, record.at)
        elif isinstance(record, DepthDelta):
            assert book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at) is DeltaOutcome.APPLIED
            assert book.is_tradable
    assert player.rounds >= 4


@pytest.mark.parametrize("speed", ["0", "-1", "NaN"])
def test_a_speed_that_is_not_positive_is_refused(speed: str) -> None:
    with pytest.raises(UsageError):
        TapePlayer(short_tape(), START, speed=D(speed))


def test_a_tape_without_a_book_cannot_be_played() -> None:
    with pytest.raises(UsageError):
        TapePlayer(short_tape()[1:], START)


MARKET = SyntheticMarket(BTCUSDT, D(60_000), seed=3)


def test_a_generated_market_is_a_valid_tape_and_never_crosses() -> None:
    order, book = RecordOrder("BTCUSDT"), Book("BTCUSDT")
    for record in islice(synthetic(MARKET, START), 2_000):
        order.check(record)
        if isinstance(record, DepthSnapshot):
            book.snapshot(record.version, record.bids, record.asks, record.at)
        elif isinstance(record, DepthDelta):
            book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at)
        elif isinstance(record, TapeTrade):
            assert record.trade.price == book.best(record.trade.taker_side.opposite)
        assert book.quote(START) is not None


def test_the_same_seed_generates_the_same_market() -> None:
    again, other = synthetic(MARKET, START), synthetic(dataclasses.replace(MARKET, seed=4), START)
    first = list(islice(synthetic(MARKET, START), 50))
    assert first == list(islice(again, 50))
    assert first != list(islice(other, 50))


def test_a_generated_market_needs_prices_above_zero() -> None:
    with pytest.raises(ConfigError):
        next(synthetic(dataclasses.replace(MARKET, start_price=D("0.05")), START))


def test_latencies_repeat_with_their_seed_and_stay_within_their_quantiles() -> None:
    model, again = LatencyModel(5, (10, 20, 90)), LatencyModel(5, (10, 20, 90))
    drawn = [model.sample() for _ in range(500)]
    assert drawn == [again.sample() for _ in range(500)]
    assert min(drawn) >= 10
    assert max(drawn) <= 90
    assert 200 < sum(latency < 20 for latency in drawn) < 300


def test_an_arrival_is_never_before_the_request_was_sent() -> None:
    assert LatencyModel(1, (0, 0)).arrival(START) == START


@pytest.mark.parametrize("quantiles", [(), (5,), (5, 4), (-1, 4)])
def test_invalid_quantiles_are_refused(quantiles: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        LatencyModel(1, quantiles)
