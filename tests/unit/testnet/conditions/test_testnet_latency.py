"""Requests take time to arrive and are matched at their arrival."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.client import connect

from exchange.errors import ConfigError
from exchange.testnet.conditions.faults import FaultKind, Operation
from exchange.testnet.conditions.latency import DEFAULT_QUANTILES, Delays
from exchange.testnet.config import StreamLimits, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet

IOC = {"type": "IMMEDIATE_OR_CANCEL", "price": "61000"}


@pytest.fixture
async def distant(changed: Callable[..., TestnetConfig], trader: Any) -> AsyncIterator[RunningTestnet]:
    """A venue with a paused market and a delay of 100 ms for every request."""
    async with running_testnet(changed(entry_latency=(100, 100))) as testnet:
        testnet.venue.pause()
        trader.http.base_url = testnet.base_url
        yield testnet


def under_way(testnet: RunningTestnet, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set as soon as a request is on its way."""
    event, original = asyncio.Event(), testnet.venue.delays.entry

    def entry(operation: Operation) -> int:
        event.set()
        return original(operation)

    monkeypatch.setattr(testnet.venue.delays, "entry", entry)
    return event


async def test_an_order_is_matched_at_its_arrival_and_not_at_its_sending(
    distant: RunningTestnet, trader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_out = under_way(distant, monkeypatch)
    placing = asyncio.create_task(trader.place(**IOC))
    await set_out.wait()
    distant.arm(FaultKind.PRICE_GAP, params={"symbol": "BTCUSDT", "factor": "0.5"})
    await placing
    (fill,) = await trader.get("myTrades", symbol="BTCUSDT")
    assert Decimal(29_000) < Decimal(fill["price"]) < Decimal(31_000)


async def test_a_request_delayed_too_long_is_outside_its_receive_window(distant: RunningTestnet, trader: Any) -> None:
    reply = await trader.place(**IOC, recvWindow=40)
    assert reply.json()["code"] == 700003


async def test_a_reply_can_take_time_after_the_order_took_effect(changed: Callable[..., TestnetConfig], trader: Any) -> None:
    async with running_testnet(changed(response_latency=(60, 60))) as testnet:
        trader.http.base_url = testnet.base_url
        began = time.monotonic()
        order_id = (await trader.place()).json()["orderId"]
        took = time.monotonic() - began
        view = testnet.venue.engine.order("bot", "BTCUSDT", order_id=order_id)
    assert view is not None
    assert took >= 0.055


def draws(delays: Delays, *operations: Operation) -> list[int]:
    return [delays.entry(operation) for operation in operations]


def test_delays_repeat_with_the_seed_and_differ_with_another() -> None:
    orders = [Operation.PLACE, Operation.CANCEL] * 20
    assert draws(Delays(7, DEFAULT_QUANTILES), *orders) == draws(Delays(7, DEFAULT_QUANTILES), *orders)
    assert draws(Delays(7, DEFAULT_QUANTILES), *orders) != draws(Delays(8, DEFAULT_QUANTILES), *orders)


def test_a_clients_queries_do_not_change_the_delays_of_its_orders() -> None:
    polling = [Operation.MARKET, Operation.PLACE, Operation.QUERY, Operation.MARKET, Operation.CANCEL]
    drawn = draws(Delays(7, DEFAULT_QUANTILES), *polling)
    assert [drawn[1], drawn[4]] == draws(Delays(7, DEFAULT_QUANTILES), Operation.PLACE, Operation.CANCEL)


def test_without_quantiles_everything_arrives_at_once() -> None:
    assert draws(Delays(7), *Operation) == [0] * len(Operation)
    assert Delays(7).response(Operation.PLACE) == 0


async def test_a_venue_with_impossible_latencies_is_refused(config: TestnetConfig) -> None:
    with pytest.raises(ConfigError):
        async with running_testnet(replace(config, entry_latency=(5, 4))):
            pytest.fail("it started")


async def test_a_client_that_sends_more_frames_than_allowed_is_cut(changed: Callable[..., TestnetConfig]) -> None:
    limits = StreamLimits(frames_per_second=10)
    async with running_testnet(changed(streams=limits)) as testnet, connect(testnet.ws_url, proxy=None) as socket:
        for _ in range(11):
            await socket.send('{"method":"PING"}')
        await asyncio.wait_for(socket.wait_closed(), 5)
        assert socket.close_reason == "sends too much"
    assert StreamLimits().frames_per_second == 100
