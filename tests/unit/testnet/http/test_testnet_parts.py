"""Small parts of the testnet: the outbox, the rate window, listen keys, history and playback."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import DataSource, MarketTrade, Millis, Quote, Side
from exchange.push.listenkeys import LIFETIME_MS, MAX_KEYS, ListenKeys
from exchange.tape import DepthSnapshot, TapeRecord, TapeTrade
from exchange.testnet.access.ratelimit import SlidingWindow
from exchange.testnet.market.feeds.tape import TapePlayer
from exchange.testnet.market.history import History
from exchange.testnet.market.playback import Playback, StreamPlayer
from exchange.testnet.push.outbox import Outbox
from exchange.wire.market import Interval

SECOND_NS = 1_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE


def trade(price: str, at: int, quantity: str = "1") -> MarketTrade:
    return MarketTrade("BTCUSDT", Decimal(price), Decimal(quantity), Side.BUY, Millis(at), str(at))


def drained(box: Outbox) -> list[str | bytes]:
    taken = []
    while (message := box.take()) is not None:
        taken.append(message)
    return taken


def test_pushes_of_the_present_state_replace_each_other_in_place() -> None:
    box = Outbox(10)
    box.put_latest("ticker", b"old")
    box.put(b"event")
    box.put_latest("ticker", b"new")
    assert drained(box) == [b"new", b"event"]


def test_a_full_outbox_overflows_instead_of_losing_a_message() -> None:
    box = Outbox(2)
    for message in (b"1", b"2"):
        box.put(message)
    assert not box.overflowed
    box.put(b"3")
    assert box.overflowed


@given(st.lists(st.integers(0, 3 * SECOND_NS), max_size=60).map(sorted), st.integers(1, 5))
def test_no_second_has_more_events_than_the_limit(instants: list[int], limit: int) -> None:
    window = SlidingWindow(limit)
    admitted = [at for at in instants if window.admit("one", at)]
    assert all(later - first >= SECOND_NS for first, later in zip(admitted, admitted[limit:], strict=False))


def test_a_limit_of_zero_is_no_limit() -> None:
    window = SlidingWindow(0)
    assert all(window.admit("one", 0) for _ in range(1000))


def test_a_listen_key_expires_after_an_hour_unless_it_is_renewed() -> None:
    keys = ListenKeys(Random(1))
    kept, left = keys.create("bot", Millis(0)), keys.create("bot", Millis(0))
    assert keys.renew(kept, "bot", Millis(LIFETIME_MS - 1))
    assert keys.of("bot", Millis(LIFETIME_MS)) == [kept]
    assert keys.owner(left, Millis(LIFETIME_MS)) is None


def test_a_listen_key_can_only_be_renewed_or_deleted_by_its_owner() -> None:
    keys = ListenKeys(Random(1))
    key = keys.create("bot", Millis(0))
    assert not keys.renew(key, "stranger", Millis(0))
    assert not keys.delete(key, "stranger", Millis(0))
    assert keys.owner(key, Millis(0)) == "bot"


def test_the_number_of_an_accounts_listen_keys_is_limited() -> None:
    keys = ListenKeys(Random(1))
    created = [keys.create("bot", Millis(0)) for _ in range(MAX_KEYS + 5)]
    assert len(set(created)) == MAX_KEYS
    assert set(created[MAX_KEYS:]) == {created[MAX_KEYS - 1]}


def test_trades_become_candles_of_their_minute_and_minutes_join_into_hours() -> None:
    history = History(["BTCUSDT"])
    for one in (trade("10", HOUR), trade("12", HOUR + 5), trade("9", HOUR + MINUTE), trade("11", 2 * HOUR)):
        history.record(one)
    minutes = history.candles("BTCUSDT", Interval.MIN1, limit=10)
    hours = history.candles("BTCUSDT", Interval.MIN60, limit=10)
    assert [(c.open_time, c.open, c.high, c.low, c.close, c.volume) for c in minutes] == [
        (HOUR, 10, 12, 10, 12, 2),
        (HOUR + MINUTE, 9, 9, 9, 9, 1),
        (2 * HOUR, 11, 11, 11, 11, 1),
    ]
    assert [(c.open_time, c.close_time, c.open, c.close, c.quote_volume) for c in hours] == [
        (HOUR, 2 * HOUR, 10, 9, 31),
        (2 * HOUR, 3 * HOUR, 11, 11, 11),
    ]


def test_the_end_of_a_candle_query_is_exclusive() -> None:
    history = History(["BTCUSDT"])
    for minute in range(5):
        history.record(trade("10", minute * MINUTE))
    candles = history.candles("BTCUSDT", Interval.MIN1, limit=10, start=Millis(MINUTE), end=Millis(3 * MINUTE))
    assert [candle.open_time for candle in candles] == [MINUTE, 2 * MINUTE]


@pytest.mark.parametrize(
    ("interval", "opened"),
    [(Interval.WEEK1, 1_722_816_000_000), (Interval.MONTH1, 1_722_470_400_000), (Interval.DAY1, 1_723_075_200_000)],
)
def test_long_candles_begin_on_monday_on_the_first_and_at_midnight(interval: Interval, opened: int) -> None:
    history = History(["BTCUSDT"])
    history.record(trade("10", 1_723_161_240_000))  # Thursday 2024-08-08 23:54 UTC
    (candle,) = history.candles("BTCUSDT", interval, limit=5)
    assert candle.open_time == opened


def test_the_average_price_weighs_trades_by_their_size() -> None:
    history = History(["BTCUSDT"])
    history.record(trade("10", HOUR, "3"))
    history.record(trade("20", HOUR, "1"))
    assert history.average_price("BTCUSDT", Millis(HOUR)) == Decimal("12.5")


def test_before_the_first_trade_the_day_is_the_book_s_mid_price() -> None:
    quote = Quote("BTCUSDT", Decimal(9), Decimal(1), Decimal(11), Decimal(1), 1, Millis(0), Millis(0))
    day = History(["BTCUSDT"]).day("BTCUSDT", quote, Millis(HOUR))
    assert day is not None
    assert (day.last, day.open, day.volume) == (10, 10, 0)
    assert History(["BTCUSDT"]).day("BTCUSDT", None, Millis(HOUR)) is None


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1_000

    def now(self) -> Millis:
        return Millis(self.at)

    def monotonic_ns(self) -> int:
        return self.at * 1_000_000


def records(times: int) -> list[TapeRecord]:
    levels = ((Decimal(9), Decimal(1)),), ((Decimal(11), Decimal(1)),)
    first: list[TapeRecord] = [DepthSnapshot("BTCUSDT", 1, *levels, Millis(0), Millis(0))]
    return first + [TapeTrade(trade("10", 10 * n), Millis(10 * n)) for n in range(1, times)]


def test_a_paused_market_continues_with_the_current_time() -> None:
    clock = Hand()
    playback = Playback(TapePlayer(records(5), clock.now()), clock, source=DataSource.SYNTHETIC, speed=Decimal(1))
    clock.at += 10
    before = playback.take_due()
    playback.pause()
    clock.at += 500
    during = playback.take_due()
    playback.resume()
    clock.at += 10
    after = playback.take_due()
    assert [one.at for one in before] == [1_000, 1_010]
    assert during == []
    assert [one.at for one in after] == [1_520]


def test_an_endless_market_is_played_at_its_speed() -> None:
    player = StreamPlayer((TapeTrade(trade("10", 1_000 + 10 * n), Millis(0)) for n in count()), Millis(1_000), Decimal(5))
    assert [one.at for one in player.due(Millis(1_006))] == [1_000, 1_002, 1_004, 1_006]
    assert player.next_due() == 1_008
