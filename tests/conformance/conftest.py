"""One testnet, and every client of the table connected to it as its users would do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import ccxt.async_support
import ccxt.pro
import pytest
import pytest_asyncio

from exchange.matching.symbols import DEFAULT_RULES
from exchange.mexc.connect import VenueEndpoint, open_feed, open_venue
from exchange.mexc.http import Timeouts
from exchange.mexc.market import MexcFeed
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.mexc.socket import StreamTiming
from exchange.mock.venue import MockVenue
from exchange.model import DataSource, OrderType, Side
from exchange.ports import VenueName
from exchange.testnet import server
from exchange.testnet.access.auth import ALL_PERMISSIONS, DEFAULT_PERMISSIONS, Permission
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.conformance.cases import Case, Client
from tests.conformance.ccxt_trader import UNIFIED, CcxtTrader, CcxtWatcher, closing, point_at
from tests.conformance.pymexc_trader import PymexcTrader, PymexcWatcher, pointed_at
from tests.conformance.trader import BASE, QUOTE, SYMBOL, Trader, Watcher, intent
from tests.conformance.venue_trader import FeedWatcher, OwnTrader, VenueTrader
from tests.conformance.wire_recorder import WireRecorder
from tests.support.rig import Rig, rig

SECRET = "a-secret-of-no-value"
ACCOUNTS = 200
"""Every test trades on its own account, so one venue can serve a whole file."""

FIRST_OF_PYMEXC = 90
"""From this case on the client that watches through the gateway is pymexc."""

BALANCES = {QUOTE: Decimal(5_000_000), BASE: Decimal(50)}
_unused = count()


def credentials() -> tuple[str, str]:
    """Key and secret of an unused account."""
    return f"mx0bot{next(_unused) % ACCOUNTS}", SECRET


@pytest.fixture(scope="module")
def wire_recorder() -> Iterator[WireRecorder]:
    """Records what the testnet of this file is used for."""
    recorder, build = WireRecorder(), server.build_app
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "build_app", lambda venue, token: recorder.recording(build(venue, token)))
        yield recorder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _venue(wire_recorder: WireRecorder) -> AsyncIterator[RunningTestnet]:
    accounts = tuple(AccountConfig(f"bot-{n}", f"mx0bot{n}", SECRET, BALANCES) for n in range(ACCOUNTS))
    reader = AccountConfig("reader", "mx0reader", SECRET, BALANCES, permissions=DEFAULT_PERMISSIONS - {Permission.SPOT_DEAL_WRITE})
    rich = AccountConfig("rich", "mx0rich", SECRET, BALANCES, permissions=ALL_PERMISSIONS)
    config = TestnetConfig(accounts=(*accounts, reader, rich), port=0, speed=Decimal(5), rate_limits=NO_RATE_LIMITS)
    async with running_testnet(config) as running:
        yield running


@pytest.fixture
def testnet(_venue: RunningTestnet) -> Iterator[RunningTestnet]:
    """A synthetic market at five times its pace."""
    yield _venue
    _venue.venue.faults.clear()
    _venue.venue.resume()


@pytest.fixture
def subject(request: pytest.FixtureRequest, wire_recorder: WireRecorder) -> Iterator[tuple[Case, Client]]:
    """The case and its client; afterwards everything the table names must have been used."""
    number, client = request.param
    wire_recorder.used.clear()
    yield number, client
    missing = number.touched(client) - wire_recorder.used
    assert not missing, f"case {number.number} never used {sorted(missing)} with {client}"


@pytest.fixture
def trader(subject: tuple[Case, Client], request: pytest.FixtureRequest) -> Any:
    """One account through the client of the case."""
    return request.getfixturevalue(f"_{subject[1].value}_trader")


@pytest.fixture
def watcher(subject: tuple[Case, Client], request: pytest.FixtureRequest) -> Any:
    """Public streams through the client of the case."""
    return request.getfixturevalue(f"_{subject[1].value}_watcher")


# ccxt


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _shared_ccxt(_venue: RunningTestnet) -> AsyncIterator[Any]:
    async with closing(point_at(ccxt.async_support.mexc(_ccxt_options()), _venue.base_url)) as client:
        await client.load_markets()
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def _ccxt_trader(testnet: RunningTestnet, _shared_ccxt: Any, _ccxt_stream: Any) -> AsyncIterator[CcxtTrader]:
    _shared_ccxt.options["timeDifference"] = 0
    for name in ("apiKey", "secret"):
        setattr(_shared_ccxt, name, getattr(_ccxt_stream, name))
    sessions = testnet.venue.hub.sessions
    one = CcxtTrader(_shared_ccxt, _ccxt_stream, lambda: sum(len(each.channels) for each in sessions if each.listen_key))
    yield one
    await one.close()


@pytest_asyncio.fixture(loop_scope="module")
async def _ccxt_stream(testnet: RunningTestnet, _shared_ccxt: Any) -> AsyncIterator[Any]:
    async with closing(point_at(ccxt.pro.mexc(_ccxt_options()), testnet.base_url, testnet.ws_url)) as client:
        client.set_markets_from_exchange(_shared_ccxt)
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def _ccxt_watcher(_ccxt_stream: Any) -> CcxtWatcher:
    return CcxtWatcher(_ccxt_stream)


def _ccxt_options() -> dict[str, object]:
    key, secret = credentials()
    return {"apiKey": key, "secret": secret, "enableRateLimit": False}


# pymexc


@pytest.fixture(scope="module")
def _pymexc_addresses(_venue: RunningTestnet) -> Iterator[None]:
    with pointed_at(_venue.base_url, _venue.ws_url):
        yield


@pytest_asyncio.fixture(loop_scope="module")
async def _pymexc_trader(testnet: RunningTestnet, _pymexc_addresses: None) -> AsyncIterator[PymexcTrader]:
    with ThreadPoolExecutor(1) as thread:
        one = PymexcTrader(*credentials(), testnet.ws_url, thread)
        yield one
        await one.close()


@pytest_asyncio.fixture(loop_scope="module")
async def _pymexc_watcher(_pymexc_trader: PymexcTrader) -> Watcher:
    return await _pymexc_trader.watch()


# Our own client, and the mock venue on our own feed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _feed(_venue: RunningTestnet) -> AsyncIterator[MexcFeed]:
    feed = open_feed([SYMBOL], _endpoint(_venue), SystemClock(), Random(1), source=DataSource.SYNTHETIC)
    task = asyncio.create_task(feed.run())
    yield feed
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await feed.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def _own_trader(testnet: RunningTestnet, _feed: MexcFeed) -> AsyncIterator[Trader]:
    signer = LocalSigner(*credentials(), SignerLimits(frozenset({SYMBOL}), Decimal(10_000_000)))
    venue = open_venue(VenueName.TESTNET, _endpoint(testnet), signer, SystemClock(), Random(1))
    one = OwnTrader(venue, _feed, _version(testnet))
    yield one
    await one.close()


@pytest_asyncio.fixture(loop_scope="module")
async def _own_watcher(_feed: MexcFeed, testnet: RunningTestnet) -> AsyncIterator[Watcher]:
    feed = open_feed([SYMBOL], _endpoint(testnet), SystemClock(), Random(1), source=DataSource.SYNTHETIC)
    task = asyncio.create_task(feed.run())
    yield FeedWatcher(feed)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await feed.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def _mock_trader(testnet: RunningTestnet, _feed: MexcFeed) -> AsyncIterator[Trader]:
    venue = MockVenue(_feed, {SYMBOL: DEFAULT_RULES[SYMBOL]}, BALANCES, SystemClock(), seed=1)
    one = VenueTrader(venue, _feed, _version(testnet))
    yield one
    await one.close()


def _endpoint(testnet: RunningTestnet) -> VenueEndpoint:
    timing = StreamTiming(ping_every=100, idle_after=2_000, retry_first=10, retry_most=50)
    return VenueEndpoint(testnet.base_url, testnet.ws_url, Reach.LOOPBACK, Timeouts(1_000, 1_000, 1_000, 2_000), timing)


def _version(testnet: RunningTestnet) -> Callable[[], int]:
    return lambda: testnet.venue.engine.depth(SYMBOL, 1)[0]


# The gateway: a whole deployment at MOCK, with its controller in a process of its own


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    directory: Path = tmp_path_factory.mktemp("deployment")
    async with rig(directory) as deployment:
        await deployment.start()
        await deployment.armed()
        # In the first second after its start a gateway takes no signed order; this one is signed again until it does.
        await deployment.bot(
            "POST", "/api/v3/order/test", symbol=SYMBOL, side="BUY", type="LIMIT", quantity="0.00003", price="60000"
        )
        yield deployment


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _gateway_client(_deployment: Rig) -> AsyncIterator[Any]:
    options = {"apiKey": _deployment.bot_key, "secret": _deployment.bot_secret, "enableRateLimit": False}
    async with closing(point_at(ccxt.async_support.mexc(options), _deployment.gateway)) as client:
        async with asyncio.timeout(20):
            while await _book_of(client) is None:  # noqa: ASYNC110 - a process of its own has no event to wait for
                await asyncio.sleep(0.1)
        yield client


async def _book_of(client: Any) -> Any:
    with suppress(ccxt.ExchangeError):
        await client.load_markets()
        return await client.fetch_order_book(UNIFIED)
    return None


@pytest_asyncio.fixture(loop_scope="module")
async def _gateway_stream(_deployment: Rig, _gateway_client: Any) -> AsyncIterator[Any]:
    options = {"apiKey": _deployment.bot_key, "secret": _deployment.bot_secret, "enableRateLimit": False}
    async with closing(point_at(ccxt.pro.mexc(options), _deployment.gateway, _deployment.streams)) as client:
        client.set_markets_from_exchange(_gateway_client)
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def _gateway_pymexc(_deployment: Rig) -> AsyncIterator[PymexcWatcher]:
    with pointed_at(_deployment.gateway, _deployment.streams), ThreadPoolExecutor(1) as thread:
        one = PymexcTrader(_deployment.bot_key, _deployment.bot_secret, _deployment.streams, thread)
        yield await one.watch()
        await one.close()


@pytest.fixture
def _gateway_watcher(subject: tuple[Case, Client], request: pytest.FixtureRequest) -> CcxtWatcher | PymexcWatcher:
    """ccxt, and pymexc for what ccxt does not watch."""
    if subject[0].number < FIRST_OF_PYMEXC:
        return CcxtWatcher(request.getfixturevalue("_gateway_stream"))
    watcher: PymexcWatcher = request.getfixturevalue("_gateway_pymexc")
    return watcher


@pytest_asyncio.fixture(loop_scope="module")
async def _gateway_trader(testnet: RunningTestnet, _gateway_client: Any, _gateway_stream: Any) -> AsyncIterator[Trader]:
    acknowledged: list[str] = []
    on_reply = _gateway_stream.handle_subscription_status
    _gateway_stream.handle_subscription_status = lambda client, message: (
        acknowledged.append(message["msg"]) if "private" in message["msg"] else None,
        on_reply(client, message),
    )
    one = CcxtTrader(_gateway_client, _gateway_stream, lambda: len(acknowledged))
    yield one
    await one.cancel_everything()
    held = (await one.balance()).get(BASE)
    if held is not None and held.free:
        await one.place(intent(Side.SELL, OrderType.MARKET, held.free, None))
