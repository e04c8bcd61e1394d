"""An unmodified ccxt.pro watches a whole deployment through its gateway: over a change of stage, a halt and a crash.

Only addresses and keys are changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import ccxt.async_support
import ccxt.pro
import pytest
from ccxt.base.errors import BaseError, NetworkError
from websockets.asyncio.client import connect

from exchange.model import OrderReport, OrderStatus
from exchange.wire.push_decode import decode_push
from exchange.wire.stream import PRIVATE_CHANNELS, subscribe_frames
from tests.support.rig import Rig, rig

PAIR = "BTC/USDT"
SOON_S = 30


@asynccontextmanager
async def watching(deployment: Rig) -> AsyncIterator[Any]:
    """ccxt.pro at the gateway."""
    exchange = ccxt.pro.mexc({"apiKey": deployment.bot_key, "secret": deployment.bot_secret, "enableRateLimit": False})
    exchange.options["recvWindow"] = 60_000
    base, streams = deployment.gateway, deployment.streams
    exchange.urls["api"]["spot"] = {"public": base, "private": base}
    exchange.urls["api"]["contract"] = {"public": f"{base}/api/v1/contract", "private": f"{base}/api/v1/private"}
    exchange.urls["api"]["ws"] = {"spot": streams, "swap": streams}
    try:
        yield exchange
    finally:
        await exchange.close()


async def insisting(watch: Callable[[], Awaitable[Any]]) -> Any:
    """Watch as a bot does: what ended is watched again."""
    async with asyncio.timeout(SOON_S):
        while True:
            with suppress(BaseError, TimeoutError):
                return await asyncio.wait_for(watch(), 5)
            await asyncio.sleep(0.2)


async def test_ccxt_watches_the_market_of_the_stage_and_a_change_of_it(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment, watching(deployment) as exchange:
        await deployment.start()
        await deployment.takes_orders()
        book = await insisting(lambda: exchange.watch_order_book(PAIR))
        assert book["bids"][0][0] < book["asks"][0][0]
        assert await insisting(lambda: exchange.watch_trades(PAIR))
        assert (await insisting(lambda: exchange.watch_ticker(PAIR)))["bid"] > 0
        assert await insisting(lambda: exchange.watch_ohlcv(PAIR, "1m"))

        async def until_it_ends() -> None:
            while True:
                await exchange.watch_order_book(PAIR)

        watched = asyncio.create_task(until_it_ends())
        await deployment.climb("TESTNET_VALIDATING")
        with pytest.raises(NetworkError):
            async with asyncio.timeout(SOON_S):
                await watched
        assert (await insisting(lambda: exchange.watch_order_book(PAIR)))["bids"]


async def test_ccxt_finds_everything_after_the_controller_was_killed(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment, watching(deployment) as exchange:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.takes_orders()
        followed = asyncio.create_task(exchange.watch_orders(PAIR))
        await asyncio.sleep(1)
        placed = (await deployment.buy(await deployment.resting_price(), "0.00003", "before")).json()
        async with asyncio.timeout(SOON_S):
            assert (await followed)[-1]["id"] == placed["orderId"]
        lost = asyncio.create_task(exchange.watch_orders(PAIR))
        await deployment.kill()
        with pytest.raises(NetworkError):
            async with asyncio.timeout(SOON_S):
                await lost
        await deployment.start()
        await deployment.takes_orders()
        # As ccxt does after an hour: its listen key ended with the process.
        exchange.options["listenKey"] = None
        again = asyncio.create_task(exchange.watch_orders(PAIR))
        await asyncio.sleep(1)
        (found,) = await exchange.fetch_open_orders(PAIR)
        assert (found["id"], found["clientOrderId"]) == (placed["orderId"], "before")
        await exchange.cancel_order(placed["orderId"], PAIR)
        async with asyncio.timeout(SOON_S):
            assert (await again)[-1]["status"] == "canceled"


async def test_a_halt_is_on_the_stream_as_it_is_in_rest(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.takes_orders()
        key = (await deployment.bot("POST", "/api/v3/userDataStream")).json()["listenKey"]
        async with asyncio.timeout(60), connect(f"{deployment.streams}?listenKey={key}", proxy=None) as stream:
            for frame in subscribe_frames(PRIVATE_CHANNELS):
                await stream.send(frame)
            assert ",".join(one.name for one in PRIVATE_CHANNELS) in str(await stream.recv())
            price = await deployment.resting_price()
            placed = [(await deployment.buy(price, "0.00003", f"rests-{n}")).json()["orderId"] for n in range(3)]
            assert (await deployment.ask("POST", "/v1/halt", json={"reason": "test"})).status_code == 200
            believed: dict[str, OrderStatus] = {}
            while set(believed.values()) != {OrderStatus.CANCELED}:
                message = await stream.recv()
                if isinstance(message, bytes) and isinstance(order := decode_push(message).body, OrderReport):
                    believed[order.order_id] = order.status
            assert set(believed) == set(placed)
            for order_id in placed:
                found = (await deployment.bot("GET", "/api/v3/order", symbol="BTCUSDT", orderId=order_id)).json()
                assert found["status"] == "CANCELED"
            refused = await deployment.buy(price, "0.00003", "halted")
            assert refused.status_code == 400
