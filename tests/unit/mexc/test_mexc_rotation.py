"""Rotated streams lose nothing, and open streams with wrong data are reopened."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from websockets.asyncio.server import Server, serve

from exchange.mexc.connect import VenueEndpoint, open_feed
from exchange.mexc.http import Timeouts
from exchange.mexc.market import MexcFeed
from exchange.mexc.reach import Reach
from exchange.mexc.socket import StreamTiming
from exchange.mexc.stream_watch import DEFAULT_WATCH_LIMITS, WatchLimits, divergence_bps
from exchange.model import Fill, MarketTrade, Millis, OrderStatus, Quote, Side
from exchange.ports import FeedStatus, StreamGap, VenueEvent
from exchange.wire import stream
from exchange.wire.market import BookTicker, DepthReply
from exchange.wire.push import Push, TradeBatch
from exchange.wire.push_encode import encode_push
from tests.support.mexc_stream import ASK, BID, FILL, ONE, QUICK, REPORT, Rest, StubStream, delta, url_of

SOON = replace(QUICK, idle_after=5_000, rotate_every=60, overlap=80)
LATER = replace(SOON, overlap=1_500)
NEVER_COMPARED = WatchLimits(stall_after=60_000)


def now() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


def trade(number: int, trade_id: str) -> MarketTrade:
    return MarketTrade("MXUSDT", ONE, Decimal(number), Side.BUY, Millis(number), trade_id)


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

    async def begin(timing: StreamTiming = QUICK, limits: WatchLimits = DEFAULT_WATCH_LIMITS) -> tuple[MexcFeed, StubStream, Rest]:
        stub, server = wire
        rest, url = await serving(Rest)
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


async def until(feed: MexcFeed, condition: Callable[[], bool]) -> list[FeedStatus]:
    """Wait for a condition; the statuses received on the way."""
    received = [feed.status("MXUSDT")]
    async with asyncio.timeout(30):
        while not condition():
            await feed.changed()
            received.append(feed.status("MXUSDT"))
    return received


def version(feed: MexcFeed) -> int:
    depth = feed.depth("MXUSDT", 5)
    return 0 if depth is None else depth[0]


async def test_a_rotated_stream_continues_the_book_without_a_gap_or_a_snapshot(start: Start) -> None:
    feed, stub, rest = await start(SOON)
    await until(feed, lambda: version(feed) == 10)
    await stub.streams(2)
    await stub.push(delta(11, 11), to=0)
    # The new stream bundles versions differently: 11 and 12 come as one.
    await stub.push(delta(11, 12, bids=((Decimal("2.5"), ONE),)), to=1)
    received = await until(feed, lambda: feed.rotations >= 1 and version(feed) == 12)
    assert set(received) == {FeedStatus.LIVE}
    assert rest.asked == 1
    await stub.connections[0].wait_closed()


async def test_while_two_streams_run_the_old_one_still_moves_the_book(start: Start) -> None:
    feed, stub, _ = await start(LATER)
    await until(feed, lambda: version(feed) == 10)
    await stub.streams(2)
    await stub.push(delta(11, 11), to=0)
    await until(feed, lambda: version(feed) == 11)
    assert feed.rotations == 0


async def test_versions_missing_after_a_rotation_are_a_gap_like_any_other(start: Start) -> None:
    feed, stub, rest = await start(SOON)
    rest.snapshots = [DepthReply(10, (BID,), (ASK,)), DepthReply(30, (BID,), (ASK,))]
    await until(feed, lambda: version(feed) == 10)
    await stub.streams(2)
    await stub.push(delta(15, 16), to=1)
    await until(feed, lambda: version(feed) == 30)
    assert rest.asked == 2


@pytest.mark.parametrize("ids", [("t1", "t2", "t3"), ("", "", "")])
async def test_a_trade_from_both_streams_is_added_once(start: Start, ids: tuple[str, str, str]) -> None:
    feed, stub, _ = await start(SOON)
    await until(feed, lambda: version(feed) == 10)
    await stub.streams(2)
    one, two, three = (trade(number, name) for number, name in enumerate(ids, 1))
    await stub.push(TradeBatch("MXUSDT", (one, two)), to=0)
    await stub.push(TradeBatch("MXUSDT", (two, three)), to=1)
    await until(feed, lambda: len(feed.trades("MXUSDT", 9)) == 3)
    assert feed.trades("MXUSDT", 9) == [three, two, one]


async def test_a_stream_that_cannot_be_replaced_yet_is_kept_and_replaced_later(start: Start) -> None:
    feed, stub, rest = await start(SOON)
    await until(feed, lambda: version(feed) == 10)
    stub.refuse = {stream.deals_channel("MXUSDT").name}
    await stub.connected(3)
    stub.refuse = set()
    received = await until(feed, lambda: feed.rotations >= 1)
    assert set(received) == {FeedStatus.LIVE}
    assert rest.asked == 1


async def test_a_cut_in_the_overlap_needs_a_snapshot_and_no_reconnect(start: Start) -> None:
    feed, stub, rest = await start(LATER)
    rest.snapshots = [DepthReply(10, (BID,), (ASK,)), DepthReply(30, (BID,), (ASK,))]
    await until(feed, lambda: version(feed) == 10)
    await stub.streams(2)
    await stub.connections[0].close()
    received = await until(feed, lambda: version(feed) == 30)
    assert (received[-1], len(stub.connections)) == (FeedStatus.LIVE, 2)
    assert FeedStatus.STALE in received or FeedStatus.RESYNCING in received


async def test_a_cut_before_the_new_stream_is_ready_hides_the_quote(start: Start) -> None:
    feed, stub, _ = await start(SOON)
    await until(feed, lambda: version(feed) == 10)
    stub.silent = True
    await stub.connected(2)
    await stub.connections[0].close()
    await until(feed, lambda: feed.quote("MXUSDT") is None)
    assert feed.status("MXUSDT") is FeedStatus.STALE


async def test_a_stream_whose_events_are_old_is_reopened(start: Start) -> None:
    limits = WatchLimits(lag_most=2_000, lag_for=20, compare_every=20, look_every=10)
    feed, stub, _ = await start(limits=limits)
    await until(feed, lambda: version(feed) == 10)
    stub.sent_at = Millis(now() - 10_000)
    await stub.push(delta(11, 11))
    received = await until(feed, lambda: feed.trouble is not None and version(feed) == 10)
    assert "late" in (feed.trouble or "")
    assert FeedStatus.STALE in received


async def test_a_stream_that_disagrees_with_rest_for_long_is_reopened(start: Start) -> None:
    feed, _, rest = await start(limits=WatchLimits(compare_every=20, diverge_for=50, look_every=10))
    await until(feed, lambda: version(feed) == 10)
    rest.ticker = BookTicker("MXUSDT", Decimal("2.1"), ONE, Decimal("3.1"), ONE)
    await until(feed, lambda: feed.trouble is not None)
    assert "400 bps from REST's" in (feed.trouble or "")
    assert rest.compared > 1


async def test_a_stream_that_agrees_with_rest_is_left_alone(start: Start) -> None:
    feed, stub, rest = await start(limits=WatchLimits(compare_every=5, diverge_for=1, look_every=5))
    await until(feed, lambda: version(feed) == 10)
    await asyncio.wait_for(rest.compared_often.wait(), 5)
    assert (feed.status("MXUSDT"), len(stub.connections)) == (FeedStatus.LIVE, 1)


def quote(bid: str, ask: str) -> Quote:
    return Quote("MXUSDT", Decimal(bid), ONE, Decimal(ask), ONE, 1, Millis(1), Millis(1))


@pytest.mark.parametrize(("mid", "bps"), [("100", 0), ("101", 0), ("100.5", 0), ("99", 100), ("102.01", 100)])
def test_a_mid_between_the_mids_before_and_after_is_no_divergence(mid: str, bps: int) -> None:
    assert divergence_bps(Decimal(mid), quote("99", "101"), quote("100", "102")) == bps


Listen = Callable[..., Awaitable[tuple[AsyncIterator[VenueEvent], StubStream, Rest]]]


@pytest.fixture
async def listen(wire: tuple[StubStream, Server], serving: Any, at: Any) -> AsyncIterator[Listen]:
    opened: list[tuple[Any, Any]] = []

    async def begin(timing: StreamTiming) -> tuple[AsyncIterator[VenueEvent], StubStream, Rest]:
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


def fill(number: int) -> Fill:
    return replace(FILL, trade_id=f"{number}X1")


async def test_a_rotated_private_stream_reports_events_once_and_one_gap(listen: Listen) -> None:
    events, stub, rest = await listen(replace(SOON, rotate_every=200, overlap=300))
    assert isinstance(await following(events), StreamGap)
    waiting = asyncio.create_task(following(events))
    await stub.streams(2)
    await stub.push(fill(1), to=0)
    assert await waiting == fill(1)
    await stub.push(fill(2), to=0)
    await stub.push(fill(1), fill(2), fill(3), to=1)
    assert await following(events) == fill(2)
    gap = await following(events)
    assert isinstance(gap, StreamGap)
    assert "rotated" in gap.reason
    assert await following(events) == fill(3)
    assert rest.created >= 2
    await stub.connections[0].wait_closed()


async def test_the_same_report_from_both_streams_is_delivered_once(listen: Listen) -> None:
    events, stub, _ = await listen(QUICK)
    await following(events)
    done = replace(REPORT, status=OrderStatus.CANCELED)
    for sent, report in ((9, REPORT), (11, REPORT), (12, done)):
        stub.sent_at = Millis(sent)
        await stub.push(report)
    assert await following(events) == REPORT
    assert await following(events) == replace(done, updated_at=Millis(12))


async def test_a_private_stream_that_cannot_be_replaced_yet_continues(listen: Listen) -> None:
    events, stub, _ = await listen(replace(SOON, rotate_every=60, overlap=30))
    await following(events)
    stub.refuse = {stream.DEALS.name}
    waiting = asyncio.create_task(following(events))
    await stub.connected(3)
    await stub.push(FILL, to=0)
    assert await waiting == FILL


async def test_a_frame_buffered_by_the_new_stream_is_not_older_than_the_book(start: Start) -> None:
    feed, stub, rest = await start(SOON)
    await until(feed, lambda: version(feed) == 10)
    old = Push(stream.depth_channel("MXUSDT"), delta(9, 10), sent_at=Millis(9))
    stub.on_subscribed = [encode_push(old)]
    received = await until(feed, lambda: feed.rotations >= 2)
    assert (set(received), version(feed), rest.asked) == ({FeedStatus.LIVE}, 10, 1)
