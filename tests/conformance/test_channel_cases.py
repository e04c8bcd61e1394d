"""Cases 90 to 96: the channels that no trading client of the table needs, and how streams refuse and end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from exchange.model import OrderReport
from exchange.ports import StreamGap
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.server import RunningTestnet
from exchange.wire.push import DepthBatch
from exchange.wire.push_decode import decode_push
from tests.conformance.cases import Case, Client, case
from tests.conformance.pymexc_trader import PymexcWatcher
from tests.conformance.trader import SYMBOL, resting
from tests.conformance.venue_trader import LivePermit, OwnTrader

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def _raw_trader(testnet: RunningTestnet) -> AsyncIterator[str]:
    """Where the streams are."""
    yield testnet.ws_url


@pytest.fixture
def streams(subject: tuple[Case, Client], request: pytest.FixtureRequest) -> str:
    """Where the streams of the case's venue are."""
    if subject[1] is Client.GATEWAY:
        return str(request.getfixturevalue("_deployment").streams)
    return str(request.getfixturevalue("testnet").ws_url)


@case(90)
async def test_90_snapshots_of_the_best_levels_are_received(watcher: PymexcWatcher) -> None:
    body = await watcher.first(watcher.socket.limit_depth_stream, SYMBOL, 5)
    assert len(body.bids) == len(body.asks) == 5
    assert Decimal(body.bids[0].price) < Decimal(body.asks[0].price)
    assert int(body.version) > 0


@case(91)
async def test_91_best_prices_in_batches_are_received(watcher: PymexcWatcher) -> None:
    body = await watcher.first(watcher.socket.book_ticker_batch_stream, [SYMBOL])
    assert all(Decimal(item.bidPrice) < Decimal(item.askPrice) for item in body.items)
    assert body.items


@case(92)
async def test_92_the_day_of_a_symbol_and_of_all_symbols_are_received(watcher: PymexcWatcher) -> None:
    one = await watcher.first(watcher.socket.mini_ticker_stream, SYMBOL)
    every = await watcher.first(watcher.socket.mini_tickers_stream)
    assert one.symbol == SYMBOL
    assert SYMBOL in {item.symbol for item in every.items}
    assert Decimal(one.low) <= Decimal(one.price) <= Decimal(one.high)


@case(93)
async def test_93_depth_in_batches_chains_from_version_to_version(trader: str) -> None:
    versions: list[int] = []
    async with asyncio.timeout(10), connect(trader, proxy=None) as socket:
        await socket.send(
            json.dumps({"method": "SUBSCRIPTION", "params": [f"spot@public.increase.depth.batch.v3.api.pb@{SYMBOL}"]})
        )
        await socket.recv(decode=True)
        while len(versions) < 20:
            batch = decode_push(await socket.recv(decode=False)).body
            assert isinstance(batch, DepthBatch)
            versions += [step.version for step in batch.steps]
    assert versions == list(range(versions[0], versions[0] + len(versions)))


@case(94)
async def test_94_a_channel_that_does_not_exist_is_refused_by_name_with_code_0(streams: str) -> None:
    async with asyncio.timeout(5), connect(streams, proxy=None) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": ["spot@public.nope.v3.api.pb"], "id": 7}))
        reply = json.loads(await socket.recv())
    assert (reply["id"], reply["code"]) == (7, 0)
    assert reply["msg"].startswith("Not Subscribed successfully! [spot@public.nope.v3.api.pb]")


@case(95)
async def test_95_a_bad_listen_key_gets_a_plain_text(streams: str) -> None:
    async with asyncio.timeout(5), connect(f"{streams}?listenKey=nope", proxy=None) as socket:
        assert await socket.recv() == "Invalid listen key"


@case(96)
async def test_96_an_expired_listen_key_ends_its_stream_and_a_new_one_works(trader: OwnTrader, testnet: RunningTestnet) -> None:
    events = trader.venue.events()
    async with asyncio.timeout(10):
        assert isinstance(await anext(events), StreamGap)
        testnet.arm(FaultKind.LISTENKEY_EXPIRY)
        assert [type(await anext(events)), type(await anext(events))] == [StreamGap, StreamGap]
        await trader.venue.place(await resting(trader), LivePermit())
        assert isinstance(await anext(events), OrderReport)
    await events.aclose()  # type: ignore[attr-defined]
