"""Recent trades, klines and the ticker."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exchange.model import MarketTrade, Millis, Side
from exchange.testnet.market import DAY, MINUTE, RECENT, Interval, MarketHistory

D = Decimal
NOON = 1_723_118_400_000  # 2024-08-08 12:00 UTC, a Thursday


def trade(at: int, price: str = "100", quantity: str = "1") -> MarketTrade:
    return MarketTrade("X", D(price), D(quantity), Side.BUY, Millis(at), str(at))


@pytest.fixture
def history() -> MarketHistory:
    return MarketHistory("X")


def klines(history: MarketHistory, interval: Interval = Interval.M1, limit: int = 500):
    return history.klines(interval, Millis(0), Millis(2**50), limit)


def test_trades_are_newest_first_and_bounded(history):
    for number in range(RECENT + 5):
        history.add(trade(NOON + number))
    assert [t.at for t in history.trades(2)] == [NOON + RECENT + 4, NOON + RECENT + 3]
    assert len(history.trades(10_000)) == RECENT


def test_a_minute_folds_its_trades(history):
    for second, price, quantity in ((0, "100", "1"), (1, "103", "2"), (2, "99", "1"), (59, "101", "1")):
        history.add(trade(NOON + second * 1_000, price, quantity))
    (kline,) = klines(history)
    assert (kline.open_at, kline.close_at) == (NOON, NOON + MINUTE)
    assert (kline.open, kline.high, kline.low, kline.close) == (100, 103, 99, 101)
    assert (kline.volume, kline.quote_volume) == (5, 506)


def test_a_minute_without_trades_is_flat_at_the_last_price(history):
    history.add(trade(NOON, "100"))
    history.add(trade(NOON + 3 * MINUTE, "110"))
    opens = [(kline.open_at - NOON, kline.open, kline.close, kline.volume) for kline in klines(history)]
    assert opens == [(0, 100, 100, 1), (MINUTE, 100, 100, 0), (2 * MINUTE, 100, 100, 0), (3 * MINUTE, 110, 110, 1)]


def test_longer_intervals_are_made_of_minutes_and_aligned(history):
    history.add(trade(NOON + 4 * MINUTE, "100"))
    history.add(trade(NOON + 5 * MINUTE, "90"))
    history.add(trade(NOON + 9 * MINUTE, "120", "2"))
    first, second = klines(history, Interval.M5)
    assert (first.open_at, first.close_at) == (NOON, NOON + 5 * MINUTE)
    assert (second.open, second.high, second.low, second.close, second.volume) == (90, 120, 90, 120, 3)


def test_weeks_begin_on_monday(history):
    history.add(trade(NOON))
    (week,) = klines(history, Interval.W1)
    monday = 1_722_816_000_000
    assert (week.open_at, week.close_at) == (monday, monday + 7 * DAY)


def test_klines_are_the_latest_of_the_window(history):
    for minute in range(10):
        history.add(trade(NOON + minute * MINUTE))
    assert [kline.open_at for kline in klines(history, limit=2)] == [NOON + 8 * MINUTE, NOON + 9 * MINUTE]
    window = history.klines(Interval.M1, Millis(NOON + MINUTE), Millis(NOON + 3 * MINUTE), 500)
    assert [kline.open_at for kline in window] == [NOON + MINUTE, NOON + 2 * MINUTE, NOON + 3 * MINUTE]


def test_the_ticker_covers_a_day_and_gives_the_change_as_a_fraction(history):
    history.add(trade(NOON - 2 * DAY, "500", "9"))
    history.add(trade(NOON - DAY + MINUTE, "100"))
    history.add(trade(NOON - MINUTE, "102", "2"))
    ticker = history.ticker(Millis(NOON))
    assert (ticker.high, ticker.last, ticker.volume, ticker.quote_volume) == (500, 102, 3, 304)
    assert (ticker.open_at, ticker.close_at) == (NOON - DAY, NOON)
    later = history.ticker(Millis(NOON + 2 * MINUTE))
    assert (later.open, later.change, later.change_fraction) == (100, 2, D("0.0200"))


def test_there_is_no_ticker_before_the_first_trade(history):
    assert history.ticker(Millis(NOON)) is None
    assert history.last is None


def test_the_average_price_is_weighted_by_volume_over_the_last_minutes(history):
    history.add(trade(NOON - 60 * MINUTE, "1"))
    history.add(trade(NOON, "100", "1"))
    history.add(trade(NOON, "104", "3"))
    assert history.average_price(Millis(NOON + 1)) == 103
    assert history.average_price(Millis(NOON + DAY)) == 104


def test_a_long_silence_does_not_fill_memory(history):
    history.add(trade(NOON - 300 * DAY, "90"))
    history.add(trade(NOON, "100"))
    assert [(kline.open, kline.close) for kline in klines(history)] == [(100, 100)]
