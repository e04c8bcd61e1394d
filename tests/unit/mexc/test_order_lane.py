"""Orders and cancels have a connection each beside the pool, and an answer there proves what it proves in the pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from exchange.mexc import http as module
from exchange.mexc import lane as lane_module
from exchange.mexc.http import MAX_REPLY, Failure, HttpTransport, Method, Reply, Timeouts
from exchange.mexc.reach import Reach
from tests.support.certificates import self_signed
from tests.unit.mexc.conftest import LivePermit

ORDER, OTHER = "/api/v3/order", "/api/v3/order/test"
OK = b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n{}"
QUICK = Timeouts(connect=2_000, read=300, total=3_000)


@dataclass
class Venue:
    """Answers every request with the same bytes, and counts connections and requests."""

    answer: bytes = OK
    close: bool = False
    connections: list[asyncio.Transport] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    by_connection: list[list[str]] = field(default_factory=list)


class Side(asyncio.Protocol):
    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._venue.connections.append(transport)
        self._methods: list[str] = []
        self._venue.by_connection.append(self._methods)

    def data_received(self, data: bytes) -> None:
        self._venue.requests.append(data)
        self._methods.append(data.split()[0].decode())
        self._task = asyncio.create_task(self._answer())

    async def _answer(self) -> None:
        await self._venue.may_answer.wait()
        self._transport.write(self._venue.answer)
        if self._venue.close:
            self._transport.close()


async def opened(venue: Venue, connections: int) -> None:
    """Wait for so many connections, and then for the client to see the last one open."""
    while len(venue.connections) < connections:  # noqa: ASYNC110 - it opens in the next turns of the loop
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)


async def warm(venue: Venue, transport: HttpTransport, method: Method) -> None:
    """The second request in short order has the lane opened; the first ones leave by the pool."""
    answer, close, known = venue.answer, venue.close, len(venue.connections)
    venue.answer, venue.close = OK, False
    for _ in range(2):
        assert isinstance(await transport.send(method, ORDER), Reply)
    await opened(venue, max(known, 1) + 1)
    venue.answer, venue.close = answer, close
    venue.requests.clear()


@asynccontextmanager
async def reached(venue: Venue, *, answers: bool = True) -> AsyncIterator[HttpTransport]:
    venue.may_answer.set()
    server = await asyncio.get_running_loop().create_server(lambda: Side(venue), "127.0.0.1", 0)
    transport = HttpTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", Reach.LOOPBACK, QUICK)
    try:
        await warm(venue, transport, Method.POST)
        if not answers:
            venue.may_answer.clear()
        yield transport
    finally:
        await transport.aclose()
        server.close()
        # One that was accepted just now is known some turns later.
        for _ in range(50):
            await asyncio.sleep(0)
        for one in venue.connections:
            one.abort()
        await asyncio.sleep(0)


def head(request: bytes) -> tuple[str, dict[str, str]]:
    first, *rest = request.decode().rstrip().split("\r\n")
    return first, {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}


async def test_an_order_is_the_same_request_in_its_lane_and_in_the_pool() -> None:
    venue = Venue()
    async with reached(venue) as transport:
        for path in (ORDER, OTHER):
            await transport.send(Method.POST, path, "symbol=BTCUSDT&price=1.5", {"X-MEXC-APIKEY": "k"})
    (lane, of_lane), (pool, of_pool) = map(head, venue.requests)
    assert lane == f"POST {ORDER}?symbol=BTCUSDT&price=1.5 HTTP/1.1"
    assert (of_lane, lane) == (of_pool, pool.replace(OTHER, ORDER))


async def test_a_cancel_is_the_same_request_in_its_lane_and_in_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = Venue()
    async with reached(venue) as transport:
        await warm(venue, transport, Method.DELETE)
        await transport.send(Method.DELETE, ORDER, "symbol=BTCUSDT", {"X-MEXC-APIKEY": "k"})
        monkeypatch.setattr(module.Lane, "carries", lambda *_: False)
        await transport.send(Method.DELETE, ORDER, "symbol=BTCUSDT", {"X-MEXC-APIKEY": "k"})
    assert head(venue.requests[0]) == head(venue.requests[1])


async def test_orders_share_one_connection_and_cancels_another() -> None:
    venue = Venue()
    async with reached(venue) as transport:
        await warm(venue, transport, Method.DELETE)
        for _ in range(3):
            await transport.send(Method.POST, ORDER)
            await transport.send(Method.DELETE, ORDER)
    pool, orders, cancels = venue.by_connection
    assert (pool, orders, cancels) == (2 * ["POST"] + 2 * ["DELETE"], 3 * ["POST"], 3 * ["DELETE"])


async def test_an_order_beside_a_busy_lane_takes_the_pool() -> None:
    venue = Venue()
    async with reached(venue, answers=False) as transport:
        placing = [asyncio.create_task(transport.send(Method.POST, ORDER)) for _ in range(3)]
        while len(venue.requests) < 3:  # noqa: ASYNC110 - the requests arrive in the next turns of the loop
            await asyncio.sleep(0)
        venue.may_answer.set()
        assert [type(one) for one in await asyncio.gather(*placing)] == [Reply] * 3
    assert sorted(map(len, venue.by_connection)) == [1, 1, 3]


@pytest.mark.parametrize("query", ["a=1 2", "a=ä", "a=1\r\nX: 1", 'a="1"', "a=1#b"])
async def test_what_would_have_to_be_encoded_is_left_to_httpx(query: str) -> None:
    venue = Venue()
    async with reached(venue) as transport:
        outcome = await transport.send(Method.POST, ORDER, query)
    assert isinstance(outcome, Failure) or b"\r\nX: 1" not in venue.requests[0]
    assert all(httpx.URL(f"http://h{ORDER}?{query}").raw_path in one for one in venue.requests)


@pytest.mark.parametrize(
    ("answer", "close", "status", "body", "retry_after"),
    [
        (b"HTTP/1.1 400 X\r\ncontent-length: 1\r\nRetry-After: 7\r\n\r\nx", False, 400, b"x", 7),
        (b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n", False, 200, b"xyz", None),
        (b"HTTP/1.1 200 X\r\n\r\nto the end", True, 200, b"to the end", None),
        (b"HTTP/1.1 103 X\r\nlink: a\r\n\r\n" + OK, False, 200, b"{}", None),
        (b"HTTP/1.1 204 X\r\n\r\n", False, 204, b"", None),
    ],
)
@pytest.mark.parametrize("path", [ORDER, OTHER])
async def test_a_whole_reply_is_read(
    path: str, answer: bytes, close: bool, status: int, body: bytes, retry_after: int | None
) -> None:
    async with reached(Venue(answer, close)) as transport:
        assert await transport.send(Method.POST, path) == Reply(status, body, retry_after)


@pytest.mark.parametrize(
    ("answer", "close"),
    [
        (b"", True),
        (b"HTTP/1.1 200 X\r\ncontent-le", True),
        (b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n{}", True),
        (b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n", True),
        (b"no HTTP at all\r\n\r\n", False),
        (b"HTTP/1.1 200 X\r\ncontent-length: x\r\n\r\n{}", False),
        (b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", False),
        (b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n", False),
        (b"HTTP/1.1 200 X\r\na: " + b"b" * 300_000, False),
        (b"HTTP/1.1 200 X\r\ncontent-length: %d\r\n\r\n" % (2 * MAX_REPLY) + b"x" * (2 * MAX_REPLY), False),
    ],
)
@pytest.mark.parametrize("path", [ORDER, OTHER])
async def test_no_whole_reply_means_that_the_order_may_have_arrived(path: str, answer: bytes, close: bool) -> None:
    async with reached(Venue(answer, close)) as transport:
        outcome = await transport.send(Method.POST, path)
    assert isinstance(outcome, Failure), outcome
    assert not outcome.never_sent


@pytest.mark.parametrize(
    "answer",
    [OK + b"junk", OK + OK, b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", b"HTTP/1.0 200 X\r\n\r\n"],
)
async def test_a_connection_that_cannot_be_trusted_is_not_used_again(answer: bytes) -> None:
    venue = Venue(answer, close=answer.startswith(b"HTTP/1.0"))
    async with reached(venue) as transport:
        for _ in range(2):
            assert isinstance(await transport.send(Method.POST, ORDER), Reply)
    assert len(venue.by_connection[1]) == 1


async def test_a_connection_that_the_venue_closed_meanwhile_is_replaced() -> None:
    venue = Venue()
    async with reached(venue) as transport:
        venue.connections[1].close()
        await asyncio.sleep(0.05)
        for _ in range(2):
            assert isinstance(await transport.send(Method.POST, ORDER), Reply)
            await opened(venue, 3)
    assert list(map(len, venue.by_connection)) == [3, 0, 1]


async def test_an_order_ends_with_the_transport_that_is_closed() -> None:
    venue = Venue()
    async with reached(venue, answers=False) as transport:
        placing = asyncio.create_task(transport.send(Method.POST, ORDER))
        while not venue.requests:  # noqa: ASYNC110 - the request arrives in the next turns of the loop
            await asyncio.sleep(0)
        await transport.aclose()
        outcome = await placing
    assert isinstance(outcome, Failure)
    assert not outcome.never_sent


async def test_orders_that_are_rare_leave_by_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = Venue()
    async with reached(venue) as transport:
        monkeypatch.setattr(lane_module, "_EXPIRES_S", -1)
        for _ in range(3):
            await transport.send(Method.POST, ORDER)
            await asyncio.sleep(0.01)
    assert list(map(len, venue.by_connection)) == [5, 0]


async def test_after_an_order_that_was_given_up_the_next_has_a_new_connection() -> None:
    venue = Venue()
    async with reached(venue, answers=False) as transport:
        placing = asyncio.create_task(transport.send(Method.POST, ORDER))
        while not venue.requests:  # noqa: ASYNC110 - the request arrives in the next turns of the loop
            await asyncio.sleep(0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        venue.may_answer.set()
        assert isinstance(await transport.send(Method.POST, ORDER), Reply)
    assert len(venue.by_connection[1]) == 1


async def test_no_byte_leaves_without_a_live_permit() -> None:
    venue = Venue()
    async with reached(venue) as transport:
        outcome = await transport.send(Method.POST, ORDER, leave=LivePermit(live=False).leave)
        assert isinstance(outcome, Failure)
        assert (outcome.never_sent, venue.requests) == (True, [])
        assert isinstance(await transport.send(Method.POST, ORDER), Reply)


async def test_a_venue_that_nobody_serves_got_nothing() -> None:
    outcome = await HttpTransport("http://127.0.0.1:1", Reach.LOOPBACK).send(Method.POST, ORDER)
    assert outcome == Failure("no connection (ConnectError)", never_sent=True)


@pytest.mark.parametrize("method", [Method.POST, Method.DELETE])
async def test_a_certificate_of_somebody_else_gets_no_request(
    method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, venue = await _over_tls(method, tmp_path, monkeypatch, lambda _, other: other)
    assert outcome == Failure("its certificate is refused: self-signed certificate", never_sent=True)
    assert venue.requests == []


@pytest.mark.parametrize("method", [Method.POST, Method.DELETE])
async def test_a_certificate_that_is_trusted_gets_the_request(
    method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, venue = await _over_tls(method, tmp_path, monkeypatch, lambda own, _: own)
    assert outcome == Reply(200, b"{}")
    assert len(venue.by_connection) == 2, "the pool has one, and the lane has one"


async def _over_tls(
    method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusts: Callable[..., object]
) -> tuple[object, Venue]:
    (tmp_path / "other").mkdir()
    server_side, own = self_signed(tmp_path)
    _, other = self_signed(tmp_path / "other")
    monkeypatch.setattr(module.authorities, "trusted", lambda: trusts(own, other))
    venue = Venue()
    venue.may_answer.set()
    server = await asyncio.get_running_loop().create_server(lambda: Side(venue), "127.0.0.1", 0, ssl=server_side)
    transport = HttpTransport(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", Reach.LOOPBACK)
    for _ in range(300):
        outcome = await transport.send(method, ORDER)
        await asyncio.sleep(0.01)
        if isinstance(outcome, Failure) or (len(venue.by_connection) > 1 and venue.by_connection[1]):
            break
    await transport.aclose()
    server.close()
    await asyncio.sleep(0.01)
    for one in venue.connections:
        one.abort()
    await asyncio.sleep(0.01)
    return outcome, venue
