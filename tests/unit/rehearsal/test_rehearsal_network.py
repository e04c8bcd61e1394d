"""Requests and streams inside the process (controller.rehearsal.network), against the testnet's real application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError

from controller.rehearsal.network import Site, Sites
from controller.rehearsal.time import VirtualClock, VirtualLoop, run_virtually
from exchange.mexc.http import Failure, Method, Outcome, Reply, Timeouts
from exchange.mexc.reach import Reach
from exchange.mexc.socket import Connection, StreamTiming
from exchange.testnet.conditions.faults import Fault, FaultKind
from exchange.testnet.config import AccountConfig, TestnetConfig
from exchange.testnet.http.app import build_app
from exchange.testnet.server import build_venue
from exchange.testnet.venue import SimulatedVenue

URL = "http://127.0.0.1:8710"


def at_a_venue(work: Callable[[Sites, Site, SimulatedVenue], Coroutine[Any, Any, Any]]) -> Any:
    """Run ``work`` with a venue that answers at ``URL``."""
    loop = VirtualLoop()

    async def run() -> Any:
        clock, sites = VirtualClock(loop, datetime(2025, 1, 6, tzinfo=UTC)), Sites()
        venue = build_venue(TestnetConfig(accounts=(AccountConfig("a", "mx0key", "secret", {"USDT": Decimal(1)}),)), clock)
        site = sites.at(URL)
        site.app = build_app(venue, "")
        return await work(sites, site, venue)

    return run_virtually(run(), loop)


async def get(sites: Sites, path: str = "/api/v3/time", **options: Any) -> Outcome:
    return await sites.network.transport(URL, Reach.LOOPBACK, Timeouts(), 1).send(Method.GET, path, **options)


async def stream(sites: Sites) -> Connection:
    return await sites.network.connect(URL.replace("http", "ws") + "/ws", StreamTiming())


def test_a_request_gets_the_applications_reply() -> None:
    async def work(sites: Sites, _: Site, venue: SimulatedVenue) -> None:
        reply = await get(sites)
        assert reply == Reply(200, b'{"serverTime":%d}' % venue.clock.now())

    at_a_venue(work)


def test_nothing_is_sent_where_nobody_listens() -> None:
    async def work(sites: Sites, site: Site, _: SimulatedVenue) -> None:
        site.down()
        outcome = await get(sites)
        assert isinstance(outcome, Failure)
        assert outcome.never_sent

    at_a_venue(work)


def test_a_request_whose_permit_is_gone_does_not_arrive() -> None:
    async def work(sites: Sites, site: Site, _: SimulatedVenue) -> None:
        outcome = await get(sites, leave=lambda _: False)
        assert isinstance(outcome, Failure)
        assert (outcome.never_sent, site.requests) == (True, 0)

    at_a_venue(work)


def test_a_reply_that_is_lost_may_have_been_carried_out() -> None:
    async def work(sites: Sites, _: Site, venue: SimulatedVenue) -> None:
        venue.arm(Fault.model_validate({"kind": FaultKind.CONNECTION_RESET, "params": {"operation": "any"}}))
        outcome = await get(sites)
        assert isinstance(outcome, Failure)
        assert not outcome.never_sent

    at_a_venue(work)


def test_a_reply_that_does_not_come_in_time_is_given_up() -> None:
    async def work(sites: Sites, site: Site, _: SimulatedVenue) -> None:
        site.withheld = True
        began = asyncio.get_running_loop().time()
        assert isinstance(await get(sites), Failure)
        assert asyncio.get_running_loop().time() - began == pytest.approx(8)

    at_a_venue(work)


def test_a_stream_carries_frames_both_ways() -> None:
    async def work(sites: Sites, _: Site, __: SimulatedVenue) -> None:
        connection = await stream(sites)
        await connection.send('{"method":"PING"}')
        assert "PONG" in str(await connection.recv())

    at_a_venue(work)


def test_a_venue_that_goes_down_cuts_its_streams() -> None:
    async def work(sites: Sites, site: Site, _: SimulatedVenue) -> None:
        connection = await stream(sites)
        asyncio.get_running_loop().call_later(1, site.down)
        with pytest.raises(ConnectionClosedError):
            await connection.recv()

    at_a_venue(work)


def test_a_half_open_stream_says_nothing_and_does_not_end() -> None:
    async def work(sites: Sites, site: Site, _: SimulatedVenue) -> None:
        connection = await stream(sites)
        site.withheld = True
        await connection.send('{"method":"PING"}')
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await connection.recv()

    at_a_venue(work)
