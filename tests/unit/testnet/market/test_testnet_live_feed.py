"""The live feed against our own testnet over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx
import pytest

from exchange.book import Book, DeltaOutcome
from exchange.errors import Unreachable, UsageError, VenueError
from exchange.model import DataSource
from exchange.tape import DepthDelta, DepthSnapshot, RecordOrder, TapeGap, TapeRecord, TapeTrade
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.config import TestnetConfig
from exchange.testnet.market.feeds.live import ERROR_STATUS, Fetch, LiveFeed, LiveMarket, LiveTiming, live_rules, live_source
from exchange.testnet.server import RunningTestnet, running_testnet

QUICK = LiveTiming(snapshot_every=20, retry_first=20, retry_most=40, release_every=5, hold=30)


@pytest.fixture
async def origin(changed: Callable[..., TestnetConfig]) -> AsyncIterator[RunningTestnet]:
    """The venue of the feed; its market runs at five times its speed."""
    async with running_testnet(changed(speed=Decimal(5))) as testnet:
        yield testnet


@pytest.fixture
def fetch(origin: RunningTestnet, http: httpx.AsyncClient) -> Fetch:
    async def get(path: str) -> bytes:
        return (await http.get(origin.base_url + path)).content

    return get


class Recorder:
    """Keeps what a feed delivers, and checks that it is a valid tape whose book stays live."""

    def __init__(self) -> None:
        self.records: list[TapeRecord] = []
        self.book = Book("BTCUSDT")
        self._order = RecordOrder("BTCUSDT")
        self._more = asyncio.Event()

    def take(self, record: TapeRecord) -> None:
        self._order.check(record)
        self.records.append(record)
        if isinstance(record, DepthSnapshot):
            self.book.snapshot(record.version, record.bids, record.asks, record.at)
        elif isinstance(record, DepthDelta):
            outcome = self.book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at)
            assert outcome is DeltaOutcome.APPLIED
        elif isinstance(record, TapeGap):
            self.book.mark_stale()
        self._more.set()

    def count(self, kind: type) -> int:
        return sum(isinstance(record, kind) for record in self.records)

    async def until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._more.clear()
            await self._more.wait()


@asynccontextmanager
async def recording(feed: LiveFeed) -> AsyncIterator[Recorder]:
    recorder = Recorder()
    running = asyncio.create_task(feed.run(recorder.take))
    try:
        async with asyncio.timeout(10):
            yield recorder
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def feed(origin: RunningTestnet, fetch: Fetch) -> LiveFeed:
    return LiveFeed("BTCUSDT", origin.ws_url, fetch, SystemClock(), QUICK)


async def test_a_recording_rebuilds_the_book_of_the_recorded_venue(origin: RunningTestnet, feed: LiveFeed) -> None:
    async with recording(feed) as recorder:
        await recorder.until(lambda: recorder.count(DepthDelta) >= 5 and recorder.count(TapeTrade) >= 5)
        origin.venue.pause()
        version = origin.venue.engine.depth("BTCUSDT", 1)[0]
        await recorder.until(lambda: recorder.book.version == version)
    assert isinstance(recorder.records[0], DepthSnapshot)
    assert recorder.count(TapeGap) == 0
    assert (version, *recorder.book.depth(50)) == origin.venue.engine.depth("BTCUSDT", 50)


async def test_a_lost_version_is_a_gap_followed_by_a_fresh_snapshot(origin: RunningTestnet, feed: LiveFeed) -> None:
    async with recording(feed) as recorder:
        await recorder.until(lambda: recorder.count(DepthDelta) >= 3)
        origin.arm(FaultKind.VERSION_GAP)
        await recorder.until(lambda: recorder.count(DepthSnapshot) == 2)
        before = recorder.count(DepthDelta)
        await recorder.until(lambda: recorder.count(DepthDelta) > before + 3)
    assert recorder.count(TapeGap) == 1
    assert feed.connections == 1


async def test_a_cut_connection_is_a_gap_and_a_new_connection(origin: RunningTestnet, feed: LiveFeed) -> None:
    async with recording(feed) as recorder:
        await recorder.until(lambda: recorder.count(DepthDelta) >= 3)
        origin.venue.hub.sessions[0].end("cut")
        await recorder.until(lambda: recorder.count(DepthSnapshot) == 2)
    assert recorder.count(TapeGap) == 1
    assert (feed.connections, feed.failure) == (2, None)


async def test_silence_is_a_failure(origin: RunningTestnet, fetch: Fetch) -> None:
    feed = LiveFeed("BTCUSDT", origin.ws_url, fetch, SystemClock(), LiveTiming(silence=80, retry_first=10, hold=0, release_every=5))
    async with recording(feed) as recorder:
        await recorder.until(lambda: recorder.count(DepthDelta) >= 3)
        origin.venue.pause()
        await recorder.until(lambda: recorder.count(TapeGap) == 1)
    assert feed.failure is not None


async def test_a_failing_rest_api_is_retried(origin: RunningTestnet, fetch: Fetch) -> None:
    failures = [Unreachable("no", code="unreachable", remedy="Wait."), TimeoutError("slow")]

    async def sometimes(path: str) -> bytes:
        if failures:
            raise failures.pop()
        return await fetch(path)

    async with recording(LiveFeed("BTCUSDT", origin.ws_url, sometimes, SystemClock(), QUICK)) as recorder:
        await recorder.until(lambda: recorder.count(DepthDelta) >= 1)
    assert failures == []


async def test_a_venue_that_does_not_listen_is_retried_and_reported(fetch: Fetch) -> None:
    feed = LiveFeed("BTCUSDT", "ws://127.0.0.1:9/ws", fetch, SystemClock(), QUICK)
    async with recording(feed), asyncio.timeout(5):
        while feed.failure is None or "Error" not in feed.failure:  # noqa: ASYNC110 - the feed has no event for its failures
            await asyncio.sleep(0.01)


async def test_a_feed_without_data_says_why_once(fetch: Fetch) -> None:
    said: list[str] = []
    feed = LiveFeed("BTCUSDT", "ws://127.0.0.1:9/ws", fetch, SystemClock(), QUICK, said.append)
    async with recording(feed), asyncio.timeout(5):
        while not said:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
    assert len(said) == 1
    assert said[0].startswith("no market data of BTCUSDT from ws://127.0.0.1:9/ws: ConnectionRefusedError")


async def test_a_feed_says_when_data_comes_again(origin: RunningTestnet, fetch: Fetch) -> None:
    said: list[str] = []
    async with recording(LiveFeed("BTCUSDT", origin.ws_url, fetch, SystemClock(), QUICK, said.append)) as recorder:
        await recorder.until(lambda: recorder.count(DepthDelta) >= 3)
    assert said == [f"market data of BTCUSDT comes from {origin.ws_url}"]


async def test_a_symbol_the_venue_does_not_list_ends_the_feed(origin: RunningTestnet, fetch: Fetch) -> None:
    with pytest.raises(UsageError):
        await LiveFeed("NOPEUSDT", origin.ws_url, fetch, SystemClock(), QUICK).run(lambda _: None)


async def test_a_failing_receiver_ends_the_feed_with_its_error(feed: LiveFeed) -> None:
    def refuse(record: TapeRecord) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(feed.run(refuse), 5)


async def test_rules_are_taken_from_the_venue(origin: RunningTestnet, fetch: Fetch) -> None:
    assert (await live_rules("BTCUSDT", fetch)).tick_size == Decimal("0.01")


async def test_rules_the_venue_does_not_have_are_an_error(origin: RunningTestnet) -> None:
    async def empty(path: str) -> bytes:
        return b'{"symbols":[]}'

    with pytest.raises(UsageError):
        await live_rules("BTCUSDT", empty)


async def follow(testnet: RunningTestnet, version: Callable[[int], bool]) -> None:
    while not version(testnet.venue.engine.depth("BTCUSDT", 1)[0]):  # noqa: ASYNC110 - an engine has no event for its books
        await asyncio.sleep(0.01)


async def test_a_venue_can_run_on_the_live_market_of_another(
    origin: RunningTestnet, feed: LiveFeed, changed: Callable[..., TestnetConfig]
) -> None:
    market = LiveMarket(feed, DataSource.SYNTHETIC)
    async with running_testnet(changed(), market=market) as mirror, asyncio.timeout(10):
        await follow(mirror, lambda version: version > 3)
        origin.venue.pause()
        last = origin.venue.engine.depth("BTCUSDT", 1)[0]
        await follow(mirror, lambda version: version == last)
        assert mirror.venue.engine.depth("BTCUSDT", 20)[1:] == origin.venue.engine.depth("BTCUSDT", 20)[1:]
        state = mirror.venue.state()
    assert state["source"] == DataSource.SYNTHETIC.value
    assert market.records > 3


async def test_a_paused_live_market_continues_from_a_new_book(
    origin: RunningTestnet, feed: LiveFeed, changed: Callable[..., TestnetConfig]
) -> None:
    async with running_testnet(changed(), market=LiveMarket(feed, DataSource.SYNTHETIC)) as mirror, asyncio.timeout(10):
        await follow(mirror, lambda version: version > 3)
        mirror.venue.pause()
        held = mirror.venue.engine.depth("BTCUSDT", 1)[0]
        await follow(origin, lambda version: version > held + 5)
        assert mirror.venue.engine.depth("BTCUSDT", 1)[0] == held
        mirror.venue.resume()
        await follow(mirror, lambda version: version > held + 5)
        assert mirror.venue.engine.quote("BTCUSDT", mirror.venue.clock.now()) is not None


async def test_a_venue_that_declares_itself_simulated_is_never_live_data(fetch: Fetch) -> None:
    assert await live_source(fetch) is DataSource.SYNTHETIC


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"code":404}'])
async def test_a_venue_without_a_declaration_is_live(answer: bytes) -> None:
    async def get(path: str) -> bytes:
        return answer

    assert await live_source(get) is DataSource.LIVE


@pytest.mark.parametrize(("code", "counts"), [(ERROR_STATUS, True), ("rest-unreachable", False)])
async def test_only_a_reply_counts_as_no_declaration(code: str, counts: bool) -> None:
    async def get(path: str) -> bytes:
        raise Unreachable("no", code=code, remedy="Wait.")

    if counts:
        assert await live_source(get) is DataSource.LIVE
    else:
        with pytest.raises(Unreachable):
            await live_source(get)


async def test_a_venue_that_declares_an_unknown_source_is_refused() -> None:
    async def get(path: str) -> bytes:
        return b'{"simulated":true,"source":"dreams"}'

    with pytest.raises(VenueError):
        await live_source(get)
