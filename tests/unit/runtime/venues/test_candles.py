"""Candles for bots: paging without a hole or a double, the forming one from trades, and how seldom the venue is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.runtime.venues import candles as module
from controller.runtime.venues.candles import Candles
from exchange.candles import SHORTEST
from exchange.errors import VenueError
from exchange.model import MarketTrade, Millis
from exchange.ports import FeedStatus, VenueName
from exchange.wire.market import Candle, Interval, KlineQuery, parse_klines
from tests.support.candle_market import BEGINNING, SYMBOL, CandleMarket, Feed, trades_of
from tests.support.virtual_time import VirtualTimeLoop, run_in_virtual_time

LIVE = VenueName.LIVE
REST_INTERVALS = [one for one in Interval if one is not Interval.HOUR8]
Work = Callable[[CandleMarket, Candles], Awaitable[None]]


def play(trades: list[MarketTrade], work: Work, *, own: bool = False, **market: Any) -> CandleMarket:
    """Run ``work`` against a market, with the candles following its trades."""
    loop = VirtualTimeLoop()
    venue = CandleMarket(loop, trades, **market)
    feed: Any = Feed(venue)
    made = Candles(sources={LIVE: venue}, feeds={LIVE: feed}, own_history={LIVE} if own else (), clock=venue.clock)

    async def run() -> None:
        following = asyncio.create_task(made.follow(LIVE))
        try:
            await work(venue, made)
        finally:
            following.cancel()

    run_in_virtual_time(run(), loop)
    return venue


async def read(made: Candles, interval: Interval, limit: int = 500, **bounds: int) -> list[Candle]:
    start, end = bounds.get("start"), bounds.get("end")
    query = KlineQuery(SYMBOL, interval, limit, None if start is None else Millis(start), None if end is None else Millis(end))
    view = await made.rows(LIVE, query)
    return list(parse_klines(json.loads(b"[" + b",".join(view.rows) + b"]")))


def spread_over(rng: Random, interval: Interval, candles: int, density: float) -> list[MarketTrade]:
    """Trades over that many candles; with a ``density`` below 1 many candles have none."""
    count = max(1, int(candles * density))
    return trades_of(rng, count, every_ms=max(1, candles * SHORTEST[interval] // count), until=BEGINNING)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    interval=st.sampled_from([Interval.MIN1, Interval.MIN15, Interval.MIN60, Interval.DAY1, Interval.WEEK1]),
    density=st.sampled_from([0.3, 1.0, 2.5]),
    included=st.booleans(),
    own=st.booleans(),
)
def test_paging_forward_has_no_hole_and_no_double(seed: int, interval: Interval, density: float, included: bool, own: bool) -> None:
    rng = Random(seed)
    candles = min(1_700, 10**12 // SHORTEST[interval])

    async def work(market: CandleMarket, made: Candles) -> None:
        length, now = SHORTEST[interval], market.clock.now()
        every = market.every(interval, now)
        since = every[0].open_time - rng.randrange(0, 3 * length)
        found: list[Candle] = []
        # As ccxt and freqtrade page: a window of 500 candles, and the next begins where it ended.
        while since <= now:
            found += await read(made, interval, start=since, end=since + 500 * length)
            since += 500 * length
        assert found == every

    play(spread_over(rng, interval, candles, density), work, own=own, end_is_included=included)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), limit=st.integers(1, 500), density=st.sampled_from([1.0, 3.0]))
def test_paging_by_the_last_candle_has_no_hole_and_no_double(seed: int, limit: int, density: float) -> None:
    rng = Random(seed)

    async def work(market: CandleMarket, made: Candles) -> None:
        every = market.every(Interval.MIN1, market.clock.now())
        found = await read(made, Interval.MIN1, limit, start=every[0].open_time)
        while page := await read(made, Interval.MIN1, limit, start=found[-1].open_time + 1):
            assert len(page) <= limit
            found += page
        assert found == every

    play(spread_over(rng, Interval.MIN1, min(1_300, 30 * limit), density), work)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), limit=st.integers(50, 500))
def test_paging_backward_has_no_hole_and_no_double(seed: int, limit: int) -> None:
    rng = Random(seed)

    async def work(market: CandleMarket, made: Candles) -> None:
        every = market.every(Interval.MIN5, market.clock.now())
        found = await read(made, Interval.MIN5, limit)
        while page := await read(made, Interval.MIN5, limit, end=found[0].open_time):
            found = page + found
        assert found == every

    play(spread_over(rng, Interval.MIN5, 1_300, 2.0), work)


@pytest.mark.parametrize("interval", REST_INTERVALS)
def test_every_interval_is_served(interval: Interval) -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        assert await read(made, interval) == market.every(interval, market.clock.now())[-500:]

    play(spread_over(Random(1), interval, min(1_200, 10**12 // SHORTEST[interval]), 2.0), work)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), interval=st.sampled_from([Interval.MIN1, Interval.MIN5, Interval.DAY1, Interval.MONTH1]))
def test_the_forming_candle_is_the_trades(seed: int, interval: Interval) -> None:
    # Trades come on whole seconds and are delivered soon; requests are sent in between, so no trade is on its way.
    rng = Random(seed)
    trades = trades_of(rng, 900, every_ms=2_000, until=BEGINNING + 900_000, whole_seconds=True)

    async def work(market: CandleMarket, made: Candles) -> None:
        for _ in range(25):
            to_the_half = 500 - market.clock.now() % 1_000
            await asyncio.sleep((to_the_half % 1_000 + 1_000 * rng.randrange(0, 40)) / 1_000)
            now = market.clock.now()
            assert await read(made, interval, 3) == market.every(interval, now)[-3:]

    play(trades, work)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_candle_followed_from_its_opening_is_exact(seed: int) -> None:
    rng = Random(seed)
    trades = trades_of(rng, 1_500, every_ms=200, until=BEGINNING + 300_000)

    async def work(market: CandleMarket, made: Candles) -> None:
        await read(made, Interval.MIN1)
        await asyncio.sleep(61)
        for _ in range(20):
            await asyncio.sleep(rng.uniform(0.01, 4))
            shown = await read(made, Interval.MIN1, 1)
            delivered = [one for one in market.trades_until(market.clock.now()) if one.at >= shown[0].open_time]
            assert shown[0].volume == sum(one.quantity for one in delivered)
            assert shown[0].close == delivered[0].price
            assert (shown[0].high, shown[0].low) == (max(one.price for one in delivered), min(one.price for one in delivered))

    play(trades, work)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), way_s=st.sampled_from([0.01, 0.3, 1.5]))
def test_a_candle_that_had_opened_before_never_counts_a_trade_twice(seed: int, way_s: float) -> None:
    rng = Random(seed)
    trades = trades_of(rng, 3_000, every_ms=100, until=BEGINNING + 120_000)

    async def work(market: CandleMarket, made: Candles) -> None:
        for _ in range(15):
            await asyncio.sleep(rng.uniform(0.01, 5))
            (shown,) = await read(made, Interval.HOUR4, 1)
            (true,) = market.every(Interval.HOUR4, market.clock.now())[-1:]
            missing = sum(
                one.quantity for one in market.trades if market.clock.now() - 65_000 - 4_000 * way_s <= one.at <= market.clock.now()
            )
            assert true.volume - missing <= shown.volume <= true.volume
            assert (shown.open, shown.low >= true.low, shown.high <= true.high) == (true.open, True, True)

    play(trades, work, way_s=way_s)


def test_what_is_final_is_asked_once() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        end = market.clock.now() - 600 * 60_000
        for _ in range(50):
            assert len(await read(made, Interval.MIN1, end=end)) == 500
            await asyncio.sleep(60)
        assert len(market.asked) <= 2

    play(trades_of(Random(2), 3_000, every_ms=30_000, until=BEGINNING), work)


def test_many_bots_at_once_are_one_request() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        pages = await asyncio.gather(*(read(made, Interval.MIN1, 1) for _ in range(60)))
        assert all(page == pages[0] for page in pages)
        assert len(market.asked) == 1

    play(trades_of(Random(3), 3_000, every_ms=1_000, until=BEGINNING + 60_000), work)


def test_one_request_in_all_is_under_way() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        figures = (made.day(LIVE, SYMBOL), made.average_price(LIVE, SYMBOL))
        await asyncio.gather(*(read(made, interval, 1) for interval in REST_INTERVALS), *figures)
        assert market.most_under_way == 1

    play(trades_of(Random(3), 100, every_ms=1_000, until=BEGINNING), work)


def test_a_bot_that_polls_makes_few_requests() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        for _ in range(600):
            await read(made, Interval.MIN5, 200)
            await asyncio.sleep(1)
        # Ten minutes: one a minute for the forming candle, and a few around each of two closes.
        assert len(market.asked) <= 18

    play(trades_of(Random(4), 4_000, every_ms=1_000, until=BEGINNING + 600_000), work)


def test_a_candle_that_closed_is_shown_at_once() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        await read(made, Interval.MIN1)
        await asyncio.sleep((60_000 - market.clock.now() % 60_000 + 5) / 1_000)
        closed = (await read(made, Interval.MIN1, end=market.clock.now()))[-2:]
        assert closed[0] in market.every(Interval.MIN1, market.clock.now())[-2:]

    play(trades_of(Random(5), 900, every_ms=1_000, until=BEGINNING + 300_000, whole_seconds=True), work)


def test_a_venue_that_fails_is_an_error_and_never_an_old_candle() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        await read(made, Interval.MIN1)
        market.fails = "no connection"
        await asyncio.sleep(61)
        with pytest.raises(VenueError, match="no connection"):
            await read(made, Interval.MIN1)
        # What is final cannot grow old.
        assert len(await read(made, Interval.MIN1, end=market.clock.now() - 120_000, limit=5)) == 5

    play(trades_of(Random(6), 900, every_ms=1_000, until=BEGINNING + 300_000), work)


def test_requests_after_a_failure_fail_at_once_for_a_second() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        market.fails = "no connection"
        outcomes = await asyncio.gather(*(read(made, Interval.MIN1) for _ in range(30)), return_exceptions=True)
        assert {type(one) for one in outcomes} == {VenueError}
        assert len(market.asked) == 1
        await asyncio.sleep(module.FAILED_FOR_MS / 1_000)
        market.fails = ""
        assert await read(made, Interval.MIN1)

    play(trades_of(Random(7), 100, every_ms=1_000, until=BEGINNING), work)


def test_without_followed_trades_the_venues_row_is_read_again_soon() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        market.status_now = FeedStatus.STALE
        for _ in range(10):
            await asyncio.sleep(3)
            shown = await read(made, Interval.HOUR4, 1)
            assert shown == market.every(Interval.HOUR4, market.clock.now() - 20)[-1:]

    play(trades_of(Random(8), 900, every_ms=1_000, until=BEGINNING + 300_000, whole_seconds=True), work)


def test_a_break_of_the_feed_ends_what_was_built_from_trades() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        await read(made, Interval.MIN1)
        await asyncio.sleep(70)
        assert await read(made, Interval.MIN1, 1) == market.every(Interval.MIN1, market.clock.now())[-1:]
        market.status_now = FeedStatus.RESYNCING
        await asyncio.sleep(5)
        market.status_now = FeedStatus.LIVE
        await asyncio.sleep(0.5 - market.clock.now() % 1_000 / 1_000 + 1)
        asked = len(market.asked)
        assert await read(made, Interval.MIN1, 1) == market.every(Interval.MIN1, market.clock.now())[-1:]
        assert len(market.asked) > asked

    play(trades_of(Random(9), 900, every_ms=1_000, until=BEGINNING + 300_000, whole_seconds=True), work)


def test_a_testnet_says_where_its_history_begins() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        view = await made.rows(LIVE, KlineQuery(SYMBOL, Interval.MIN1, 500, Millis(0)))
        first = market.every(Interval.MIN1, market.clock.now())[0]
        assert view.begins == first.open_time
        assert json.loads(view.rows[0])[0] == first.open_time
        assert await read(made, Interval.MIN1, start=0, end=first.open_time) == []

    play(trades_of(Random(10), 300, every_ms=60_000, until=BEGINNING), work, own=True)


def test_mexc_is_not_asked_where_its_history_begins() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        view = await made.rows(LIVE, KlineQuery(SYMBOL, Interval.MIN1, 5))
        assert (view.begins, len(market.asked)) == (None, 1)

    play(trades_of(Random(10), 300, every_ms=60_000, until=BEGINNING), work)


def test_a_new_testnet_is_not_shown_the_candles_of_the_one_before() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        assert len(await read(made, Interval.MIN1, 500)) > 100
        market.status_now = FeedStatus.STALE
        await asyncio.sleep(70)
        market.begin_anew(BEGINNING - 30_000)
        market.status_now = FeedStatus.LIVE
        assert await read(made, Interval.MIN1, 500) == market.every(Interval.MIN1, market.clock.now())

    trades = trades_of(Random(11), 300, every_ms=60_000, until=BEGINNING)
    play([*trades, *trades_of(Random(12), 60, every_ms=1_000, until=BEGINNING + 60_000)], work, own=True)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAGES", 3)

    async def work(market: CandleMarket, made: Candles) -> None:
        for number in range(1, 12):
            await read(made, Interval.MIN1, end=market.clock.now() - number * 500 * 60_000)
            assert len(made._pages) <= 3

    play(trades_of(Random(12), 3_000, every_ms=120_000, until=BEGINNING), work)


def test_only_so_many_requests_wait() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        storm = [asyncio.create_task(read(made, Interval.MIN1)) for _ in range(module.MOST_WAITING + 20)]
        outcomes = await asyncio.gather(*storm, return_exceptions=True)
        refused = [one for one in outcomes if isinstance(one, VenueError)]
        assert len(refused) == 20
        assert all("wait already" in one.message for one in refused)

    play(trades_of(Random(13), 100, every_ms=1_000, until=BEGINNING), work)


def test_a_venue_that_hangs_is_waited_for_a_while() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        with pytest.raises(VenueError, match="has not answered within 10 s"):
            await read(made, Interval.MIN1)

    play(trades_of(Random(14), 100, every_ms=1_000, until=BEGINNING), work, way_s=60)


def test_figures_are_kept_for_seconds() -> None:
    async def work(market: CandleMarket, made: Candles) -> None:
        for _ in range(30):
            await asyncio.gather(*(made.day(LIVE, SYMBOL) for _ in range(5)), made.average_price(LIVE, SYMBOL))
            await asyncio.sleep(1)
        assert market.figures["day"] <= 4
        assert market.figures["average"] <= 16

    play(trades_of(Random(15), 900, every_ms=1_000, until=BEGINNING + 100_000), work)
