"""Faults of the stream itself: events out of order, and connections that end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from exchange.model import OrderReport, OrderStatus
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.server import RunningTestnet
from exchange.wire.push import BalanceUpdate
from exchange.wire.push_decode import decode_push
from exchange.wire.stream import ACCOUNT, ORDERS

DEPTH = "spot@public.aggre.depth.v3.api.pb@10ms@BTCUSDT"


@asynccontextmanager
async def listening(testnet: RunningTestnet, *channels: str, key: str | None = None) -> AsyncIterator[ClientConnection]:
    url = testnet.ws_url if key is None else f"{testnet.ws_url}?listenKey={key}"
    async with asyncio.timeout(10), connect(url, proxy=None, close_timeout=0.1) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": list(channels)}))
        assert json.loads(await socket.recv())["msg"] == ",".join(channels)
        yield socket


async def private(testnet: RunningTestnet) -> str:
    return testnet.venue.listen_keys.create("bot", testnet.venue.clock.now())


async def bodies(socket: ClientConnection, count: int) -> list[object]:
    received = [await socket.recv() for _ in range(count)]
    return [decode_push(frame).body for frame in received if isinstance(frame, bytes)]


async def test_a_reordered_private_event_comes_after_the_next_one(testnet: RunningTestnet, trader: Any) -> None:
    async with listening(testnet, ORDERS.name, ACCOUNT.name, key=await private(testnet)) as socket:
        testnet.arm(FaultKind.REORDERED_PRIVATE_EVENTS, params={"ms": 60_000})
        await trader.place()
        first, second = await bodies(socket, 2)
        await trader.send("DELETE", "openOrders", {"symbol": "BTCUSDT"})
        third, fourth = await bodies(socket, 2)
    # Without the fault funds are told of before the order.
    assert [type(first), type(second)] == [OrderReport, BalanceUpdate]
    assert [type(third), type(fourth)] == [OrderReport, BalanceUpdate]


async def test_a_held_back_event_without_a_successor_is_pushed_later(testnet: RunningTestnet, trader: Any) -> None:
    async with listening(testnet, ORDERS.name, key=await private(testnet)) as socket:
        testnet.arm(FaultKind.REORDERED_PRIVATE_EVENTS, params={"ms": 30, "channel": "orders"})
        await trader.place()
        (report,) = await bodies(socket, 1)
    assert isinstance(report, OrderReport)
    assert report.status is OrderStatus.NEW


async def test_a_stream_cut_ends_every_connection_that_listens_to_the_channel(testnet: RunningTestnet) -> None:
    async with listening(testnet, DEPTH) as cut, listening(testnet, ORDERS.name, key=await private(testnet)) as kept:
        testnet.arm(FaultKind.STREAM_CUT, params={"channel": "aggre.depth"})
        async for _ in cut:
            continue
        await kept.send('{"method":"PING"}')
        assert json.loads(await kept.recv())["msg"] == "PONG"
    assert cut.close_reason == "connected for as long as a connection may be"


async def test_a_stream_cut_without_a_channel_ends_them_all(testnet: RunningTestnet) -> None:
    async with listening(testnet, DEPTH) as one, listening(testnet, ORDERS.name, key=await private(testnet)) as other:
        testnet.arm(FaultKind.STREAM_CUT)
        await asyncio.gather(one.wait_closed(), other.wait_closed())
    assert testnet.venue.hub.sessions == []
