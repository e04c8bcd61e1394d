"""Scripted quotes against a tape at full speed."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from exchange.errors import ConfigError, UsageError
from exchange.matching.resting import FillModel
from exchange.model import MarketTrade, Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, TapeRecord, TapeTrade, read
from exchange.testnet.replay import Script, compare, replay

D = Decimal
SHIPPED = Path(__file__).resolve().parents[3] / "exchange/testnet/tapes/btcusdt-20240808.tape.gz"
EVERY_STEP = Script(D(1), quote_every=1, renew_every=1_000, take_every=1_000)


@pytest.fixture(scope="module")
def records() -> list[TapeRecord]:
    return list(islice(read(SHIPPED), 5_000))


def test_the_three_models_are_compared_on_the_same_quotes(records):
    results = compare(records)
    assert [result.model for result in results] == [FillModel.PESSIMISTIC, FillModel.BASE, FillModel.OPTIMISTIC]
    assert len({(result.records, result.orders) for result in results}) == 1
    made = [result.made for result in results]
    assert made == sorted(made)
    assert len({result.digest for result in results}) == 3


def test_the_same_seed_and_latency_give_the_same_fills_and_others_do_not(records):
    def digest(seed: int) -> str:
        return replay(records, seed=seed, latency=(10, 50, 400)).digest

    assert digest(7) == digest(7)
    assert digest(7) != digest(8)


def test_latency_changes_the_fills(records):
    assert replay(records, latency=(300, 300)).digest != replay(records).digest


def walk() -> list[TapeRecord]:
    """A book that moves up by ten between the first quote and a request's arrival 50 ms later."""

    def book(version: int, bid: int, at: int) -> DepthDelta:
        bids, asks = ((D(bid), D(1)), (D(bid - 10), D(0))), ((D(bid + 2), D(1)), (D(bid - 8), D(0)))
        return DepthDelta("BTCUSDT", version, version, bids, asks, Millis(at), Millis(at))

    first = DepthSnapshot("BTCUSDT", 1, ((D(100), D(1)),), ((D(102), D(1)),), Millis(0), Millis(0))
    trade = TapeTrade(MarketTrade("BTCUSDT", D(102), D(1), Side.BUY, Millis(10), "1"), Millis(10))
    return [first, trade, book(2, 110, 40), book(3, 120, 60), book(4, 130, 2_000)]


def test_a_request_meets_the_book_of_its_arrival():
    at_once = replay(walk(), script=EVERY_STEP)
    late = replay(walk(), latency=(50, 50), script=EVERY_STEP)
    assert at_once.taken == 0
    assert late.taken > 0


def test_profit_is_the_gain_at_the_last_mid_price():
    result = replay(walk()[:3], script=dataclasses.replace(EVERY_STEP, quote_every=2, take_every=2, take_amount=D("117.6")))
    assert (result.taken, result.fees, result.made) == (1, D("0.056"), 0)
    assert result.profit == 111 - 112 - D("0.056")


def test_a_tape_without_a_first_book_or_a_known_symbol_is_refused(records):
    with pytest.raises(UsageError):
        replay(records[1:])
    with pytest.raises(UsageError):
        replay([])
    with pytest.raises(UsageError):
        replay([dataclasses.replace(records[0], symbol="NOPEUSDT")])


def test_impossible_latencies_are_refused(records):
    with pytest.raises(ConfigError):
        replay(records, latency=(5, 1))
