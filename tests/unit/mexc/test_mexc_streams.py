"""The market feed and the private stream against a real websocket server: gaps, cuts, refusals, renewal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import Server, serve

from exchange.errors import ConfigError, UsageError
from exchange.mexc.connect import VenueEndpoint, open_feed
from exchange.mexc.http import Timeouts
from exchange.mexc.market import MexcFeed
from exchange.mexc.reach import Reach
from exchange.mexc.socket import DEFAULT_TIMING, STEADY_MS, Backoff, StreamTiming
from exchange.mexc.stream_watch import DEFAULT_WATCH_LIMITS, WatchLimits
from exchange.model import MarketTrade, Millis, Side
from exchange.ports import FeedEvent, FeedStatus, StreamGap, VenueEvent
from exchange.wire import stream
from exchange.wire.market import DepthReply
from exchange.wire.push import Push, TradeBatch
from exchange.wire.push_decode import decode_push
from exchange.wire.push_encode import encode_push
from tests.support.mexc_stream import ASK, BID, FILL, ONE, QUICK, REPORT, Rest, StubStream, delta, url_of


@pytest.fixture
async def wire() -> AsyncIterator[tuple[StubStream, Server]]:
    stub = StubStream()
    async with serve(stub.handle, "127.0.0.1", 0) as server:
        yield stub, server


Start = Callable[..., Awaitable[tuple[MexcFeed, StubStream, Rest]]]


@pytest.fixture
async def start(wire: tuple[StubStream, Server], serving: Any, clock: Any) -> AsyncIterator[Start]:
    tasks: list[asyncio.Task[None]] = []
    feeds: list[MexcFeed] = []

    async def begin(
        snapshots: Sequence[DepthReply] = (), limits: WatchLimits = DEFAULT_WATCH_LIMITS, timing: StreamTiming = QUICK
    ) -> tuple[MexcFeed, StubStream, Rest]:
        stub, server = wire
        rest, url = await serving(Rest)
        if snapshots:
            rest.snapshots = list(snapshots)
        endpoint = VenueEndpoint(url, url_of(server), Reach.LOOPBACK, Timeouts(5_000, 5_000, 5_000, 8_000), timing)
        feed = open_feed(["MXUSDT"], endpoint, clock, Random(3), watch_limits=limits)
        feeds.append(feed)
        tasks.append(asyncio.create_task(feed.run()))
        return feed, stub, rest

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for feed in feeds:
        await feed.aclose()


async def until(feed: MexcFeed, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await feed.changed()


def version(feed: MexcFeed) -> int:
    depth = feed.depth("MXUSDT", 5)
    return 0 if depth is None else depth[0]


async def test_a_feed_goes_live_from_buffered_deltas_and_a_snapshot(start: Start) -> None:
    feed, stub, _ = await start()
    stub.on_subscribed = [encode_push(Push(stream.depth_channel("MXUSDT"), delta(n, n), sent_at=Millis(9))) for n in range(8, 13)]
    assert feed.status("MXUSDT") is FeedStatus.STALE
    await until(feed, lambda: version(feed) == 12)
    assert feed.status("MXUSDT") is FeedStatus.LIVE


async def test_deltas_move_the_quote(start: Start) -> None:
    feed, stub, _ = await start()
    await until(feed, lambda: version(feed) == 10)
    await stub.push(delta(11, 12, bids=((Decimal("2.5"), ONE),)))
    await until(feed, lambda: version(feed) == 12)
    quote = feed.quote("MXUSDT")
    assert quote is not None
    assert (quote.bid, quote.ask, quote.version) == (Decimal("2.5"), Decimal(3), 12)


async def test_a_gap_hides_the_quote_until_a_newer_snapshot_is_applied(start: Start) -> None:
    late, good = DepthReply(12, (BID,), (ASK,)), DepthReply(20, ((Decimal("2.2"), ONE),), (ASK,))
    feed, stub, _ = await start([DepthReply(10, (BID,), (ASK,)), late, good])
    await until(feed, lambda: version(feed) == 10)
    await stub.push(delta(15, 16))
    await until(feed, lambda: feed.status("MXUSDT") is not FeedStatus.LIVE)
    assert (feed.quote("MXUSDT"), feed.depth("MXUSDT", 5)) == (None, None)
    await until(feed, lambda: version(feed) == 20)
    quote = feed.quote("MXUSDT")
    assert quote is not None
    assert quote.bid == Decimal("2.2")


async def test_a_cut_stream_makes_the_book_stale_and_is_reopened(start: Start) -> None:
    feed, stub, _ = await start()
    await until(feed, lambda: version(feed) == 10)
    await stub.connections[0].close()
    await until(feed, lambda: feed.quote("MXUSDT") is None)
    await until(feed, lambda: version(feed) == 10)
    assert len(stub.connections) == 2
    assert feed.trouble is not None


async def test_an_unreadable_push_causes_a_new_snapshot(start: Start) -> None:
    feed, stub, _ = await start([DepthReply(10, (BID,), (ASK,)), DepthReply(30, (BID,), (ASK,))])
    await until(feed, lambda: version(feed) == 10)
    await stub.connections[0].send(b"\xff\xff\xff")
    await until(feed, lambda: version(feed) == 30)
    assert len(stub.connections) == 1


async def test_a_stream_that_stands_still_while_the_market_moves_is_reopened(start: Start) -> None:
    moved = DepthReply(99, (BID,), (ASK,))
    feed, stub, _ = await start([DepthReply(10, (BID,), (ASK,)), moved], limits=WatchLimits(stall_after=100))
    await until(feed, lambda: version(feed) == 10)
    await until(feed, lambda: version(feed) == 99)
    assert len(stub.connections) == 2


async def test_a_quiet_market_is_confirmed_and_stays_live(start: Start) -> None:
    feed, stub, rest = await start(limits=WatchLimits(stall_after=50))
    await until(feed, lambda: version(feed) == 10)
    asked = len(rest.snapshots)
    async with asyncio.timeout(30):
        while stub.pings < 40:
            await stub.push(TradeBatch("MXUSDT", (MarketTrade("MXUSDT", ONE, ONE, Side.BUY, Millis(9), "t"),)))
            await feed.changed()
    assert (feed.status("MXUSDT"), len(stub.connections), asked) == (FeedStatus.LIVE, 1, 1)


async def test_a_silent_stream_is_closed(start: Start) -> None:
    feed, stub, _ = await start(timing=replace(QUICK, idle_after=300))
    stub.mute = True
    await until(feed, lambda: len(stub.connections) >= 2)
    assert stub.pings > 0


async def test_a_refused_channel_never_looks_subscribed(start: Start) -> None:
    feed, stub, _ = await start()
    stub.refuse = {stream.deals_channel("MXUSDT").name}
    await until(feed, lambda: len(stub.connections) >= 2)
    assert feed.status("MXUSDT") is FeedStatus.STALE
    assert "spot@public.aggre.deals" in (feed.trouble or "")


async def test_a_push_is_decoded_once_however_many_use_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    monkeypatch.setattr("exchange.mexc.market.decode_push", lambda frame: (decoded.append(frame), decode_push(frame))[1])
    feed, stub, _ = await start()
    await until(feed, lambda: version(feed) == 10)
    followers: list[list[FeedEvent]] = [[], [], []]
    for follower in followers:
        feed.follow(follower.append)
    await stub.push(delta(11, 11), delta(12, 12))
    await until(feed, lambda: version(feed) == 12 and feed.quote("MXUSDT") is not None)
    assert [len(follower) for follower in followers] == [2, 2, 2]
    assert len(decoded) == len(set(decoded)) == 2


async def test_trades_come_newest_first(start: Start) -> None:
    feed, stub, _ = await start()
    trades = tuple(MarketTrade("MXUSDT", ONE, ONE, Side.BUY, Millis(n), str(n)) for n in range(3))
    await stub.subscribed.wait()
    await stub.push(TradeBatch("MXUSDT", trades))
    await until(feed, lambda: len(feed.trades("MXUSDT", 9)) == 3)
    assert feed.trades("MXUSDT", 2) == [trades[2], trades[1]]


async def test_a_symbol_outside_the_feed_is_a_usage_error(start: Start) -> None:
    feed, _, _ = await start()
    with pytest.raises(UsageError):
        feed.quote("BTCUSDT")


@pytest.mark.parametrize("count", [0, 16])
def test_a_feed_takes_one_to_fifteen_symbols(count: int, clock: Any) -> None:
    endpoint = VenueEndpoint("http://127.0.0.1:9", "ws://127.0.0.1:9/ws", Reach.LOOPBACK)
    with pytest.raises(ConfigError):
        open_feed([f"A{n}USDT" for n in range(count)], endpoint, clock, Random(1))


Listen = Callable[..., Awaitable[tuple[AsyncIterator[VenueEvent], StubStream, Rest]]]


@pytest.fixture
async def listen(wire: tuple[StubStream, Server], serving: Any, at: Any) -> AsyncIterator[Listen]:
    opened: list[tuple[Any, Any]] = []

    async def begin(timing: StreamTiming = QUICK) -> tuple[AsyncIterator[VenueEvent], StubStream, Rest]:
        stub, server = wire
        rest, url = await serving(Rest)
        venue = at(url, url_of(server), timing)
        events = venue.events()
        opened.append((venue, events))
        return events, stub, rest

    yield begin
    for venue, events in opened:
        await events.aclose()
        await venue.aclose()


async def following(events: AsyncIterator[VenueEvent]) -> VenueEvent:
    async with asyncio.timeout(30):
        return await anext(events)


async def test_a_new_private_stream_starts_with_a_gap_then_reports_events(listen: Listen) -> None:
    events, stub, rest = await listen()
    assert isinstance(await following(events), StreamGap)
    await stub.push(REPORT, FILL)
    assert [await following(events), await following(events)] == [REPORT, FILL]
    assert (stub.paths, rest.created) == (["/ws?listenKey=key1"], 1)


async def test_a_cut_private_stream_reports_a_gap_when_lost_and_when_back(listen: Listen) -> None:
    events, stub, rest = await listen()
    await following(events)
    await stub.connections[0].close()
    lost, back = await following(events), await following(events)
    assert isinstance(lost, StreamGap)
    assert isinstance(back, StreamGap)
    assert (len(stub.connections), rest.created) == (2, 2)


async def test_an_unreadable_event_is_a_gap_and_not_the_end(listen: Listen) -> None:
    events, stub, _ = await listen()
    await following(events)
    await stub.connections[0].send(b"\xff\xff")
    await stub.push(FILL)
    assert isinstance(await following(events), StreamGap)
    assert await following(events) == FILL


async def test_the_listen_key_is_renewed_on_time(listen: Listen) -> None:
    events, stub, rest = await listen(StreamTiming(ping_every=40, idle_after=2_000, renew_every=60, retry_first=10, retry_most=20))
    await following(events)
    waiting = asyncio.create_task(following(events))
    await asyncio.wait_for(rest.renewed_twice.wait(), timeout=5)
    await stub.push(FILL)
    assert (await waiting, len(stub.connections)) == (FILL, 1)


async def test_a_failed_renewal_opens_a_new_stream_with_a_new_key(listen: Listen) -> None:
    events, stub, rest = await listen(StreamTiming(ping_every=40, idle_after=2_000, renew_every=60, retry_first=10, retry_most=20))
    rest.fail_renewal = True
    gaps = [await following(events) for _ in range(3)]
    assert all(isinstance(gap, StreamGap) for gap in gaps)
    assert stub.paths[:2] == ["/ws?listenKey=key1", "/ws?listenKey=key2"]


async def test_a_refused_private_channel_is_reported_as_a_gap(listen: Listen) -> None:
    events, stub, _ = await listen()
    stub.refuse = {stream.DEALS.name}
    gap = await following(events)
    assert isinstance(gap, StreamGap)
    assert "private.deals" in gap.reason


async def test_an_invalid_listen_key_is_a_gap(listen: Listen) -> None:
    events, stub, _ = await listen()
    await following(events)
    await stub.connections[0].send(stream.BAD_LISTEN_KEY)
    gap = await following(events)
    assert isinstance(gap, StreamGap)
    assert "listen key" in gap.reason


async def test_the_listen_key_is_closed_when_the_iteration_ends(listen: Listen, requests: list[Any]) -> None:
    events, _, _ = await listen()
    async with aclosing(events):  # type: ignore[type-var]
        await following(events)
    assert [request.method for request in requests if request.path == "/api/v3/userDataStream"] == ["POST", "DELETE"]


def waits_of(backoff: Backoff, count: int) -> list[int]:
    return [backoff.next_ms() for _ in range(count)]


def test_backoff_grows_is_bounded_and_starts_over() -> None:
    backoff = Backoff(Random(1), StreamTiming(retry_first=100, retry_young=400, young_for=1_000, retry_most=1_000))
    waits = waits_of(backoff, 50)
    assert all(80 <= wait <= 1_000 for wait in waits)
    assert (waits[0] <= 100, max(waits) > 800, max(waits[:4]) <= 400) == (True, True, True)
    backoff.reset()
    assert backoff.next_ms() <= 100


@given(st.integers(0, 2**32))
def test_a_venue_that_comes_back_is_asked_within_two_seconds(seed: int) -> None:
    """For the first two minutes of an outage; and at no time more than 53 tries come in a minute."""
    backoff, at, tries = Backoff(Random(seed), DEFAULT_TIMING), 0, [0]
    while at < 900_000:
        wait = backoff.next_ms()
        assert wait <= (1_500 if at < 120_000 else 10_000)
        at += wait
        tries.append(at)
    assert all(tries[number + 53] - tries[number] >= 60_000 for number in range(len(tries) - 53))


def test_a_stream_that_is_cut_at_once_does_not_start_the_waits_over() -> None:
    backoff = Backoff(Random(1), DEFAULT_TIMING)
    waits_of(backoff, 10)
    backoff.ended(STEADY_MS - 1)
    assert backoff.next_ms() >= 1_200
    backoff.ended(STEADY_MS)
    assert backoff.next_ms() <= 250
