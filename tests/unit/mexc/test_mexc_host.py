"""One ``VenueHost`` per host: its rate limits, lock-outs and clock count for all its users."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from exchange.errors import VenueError
from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import VenueEndpoint, VenueHost, open_venue
from exchange.mexc.http import Timeouts
from exchange.mexc.ratelimit import HeldBack, LockOut
from exchange.mexc.reach import Reach
from exchange.mexc.rest import RestCaller, VenueRefusal
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.ports import CancelFailed, ClockedVenue, VenueName

NO_ORDERS = SignerLimits(frozenset(), Decimal(0))


class Stub:
    """Answers with ``answer``; ``{}`` by default."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.answer: bytes = reply({})

    def __call__(self, request: Any) -> bytes:
        return self.answer


@pytest.fixture
async def shared(serving: Any, clock: Any) -> AsyncIterator[tuple[Stub, VenueHost, MexcVenue, list[LockOut]]]:
    stub, url = await serving(Stub)
    lockouts = list[LockOut]()
    endpoint = VenueEndpoint(url, "ws://127.0.0.1:9/ws", Reach.LOOPBACK, Timeouts(500, 500, 500, 800))
    host = VenueHost(endpoint, clock, on_lockout=lockouts.append)
    signer = LocalSigner("mx0key", "secret", NO_ORDERS)
    venue = open_venue(VenueName.LIVE, endpoint, signer, clock, Random(1), host=host)
    yield stub, host, venue, lockouts
    await host.aclose()


async def test_a_lock_out_stops_every_caller_and_is_reported_once(shared: Any) -> None:
    stub, host, venue, lockouts = shared
    stub.answer = stub.reply({"code": 418, "msg": "banned"}, 418, "retry-after: 120\r\n")
    with pytest.raises(VenueRefusal):
        await RestCaller(host).public("/depth")
    with pytest.raises(HeldBack):
        await venue.open_orders("MXUSDT")
    assert [(one.status, one.seconds) for one in lockouts] == [(418, 120)]
    assert host.lockout is not None


async def test_a_cancel_is_still_sent_during_a_lock_out(shared: Any, requests: list[Any]) -> None:
    stub, host, venue, _ = shared
    await venue.server_time()
    stub.answer = stub.reply(b"<html>Access Denied</html>", 403)
    with pytest.raises(VenueRefusal):
        await RestCaller(host).public("/depth")
    assert isinstance(await venue.cancel("MXUSDT", "gh-1"), CancelFailed)
    assert [request.method for request in requests if request.path == "/api/v3/order"] == ["DELETE"]


async def test_a_refused_permission_with_status_403_is_no_lock_out(shared: Any) -> None:
    stub, host, venue, lockouts = shared
    stub.answer = stub.reply({"code": 700007, "msg": "No permission to access the endpoint."}, 403)
    with pytest.raises(VenueRefusal):
        await venue.balances()
    assert (host.lockout, lockouts) == (None, [])


async def test_the_feed_and_the_venue_share_one_rate_limit(shared: Any) -> None:
    _, host, venue, _ = shared
    feed = RestCaller(host)
    first = [asyncio.create_task(feed.public("/ping")) for _ in range(12)]
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    await venue.server_time()
    assert asyncio.get_running_loop().time() - began > 0.5
    await asyncio.gather(*first)


async def test_the_clock_is_measured_once_for_every_caller_of_a_host(shared: Any, requests: list[Any]) -> None:
    stub, host, venue, _ = shared
    stub.answer = stub.reply([])
    other = RestCaller(host, LocalSigner("mx0other", "secret", SignerLimits(frozenset(), 0)))  # type: ignore[arg-type]
    await asyncio.gather(venue.open_orders("MXUSDT"), other.query("/openOrders"))
    assert len([request for request in requests if request.path == "/api/v3/time"]) == 3


async def test_a_venue_has_a_clock_reading_after_the_first_measurement(shared: Any) -> None:
    _, _, venue, _ = shared
    assert isinstance(venue, ClockedVenue)
    assert venue.clock_reading is None
    await venue.server_time()
    reading = venue.clock_reading
    assert reading is not None
    assert abs(reading.offset_ms) < 100
    assert 0 <= reading.age_ms < 1_000


async def test_a_shared_host_stays_open_after_its_users_close(shared: Any) -> None:
    _, host, venue, _ = shared
    await venue.aclose()
    assert await RestCaller(host).public("/ping") == {}


async def test_a_silent_venue_is_a_typed_error(shared: Any) -> None:
    stub, _, venue, _ = shared
    stub.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"
    with pytest.raises(VenueError):
        await venue.open_orders("MXUSDT")


async def test_a_closed_host_is_a_typed_error_and_a_failed_cancel(shared: Any) -> None:
    _, host, venue, _ = shared
    await host.aclose()
    with pytest.raises(VenueError):
        await venue.server_time()
    assert isinstance(await venue.cancel("MXUSDT", "gh-1"), CancelFailed)
