"""The permit is asked in the moment before the first byte leaves: no order reaches the venue after the latch has fallen."""

from __future__ import annotations

import array
import asyncio
import fcntl
import ssl
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from exchange.mexc import http as module
from exchange.mexc.http import Failure, HttpTransport, Method, Outcome, Reply
from exchange.mexc.reach import Reach
from tests.support.certificates import self_signed
from tests.support.proofs import sizes
from tests.unit.mexc.conftest import LivePermit

ANSWER = b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n{}"


class Counting(asyncio.Protocol):
    """A venue's side of one connection. It answers every request, and hangs up after some, so that new connections are needed."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._venue.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._venue.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._venue.read += len(data)
        self._venue.orders += data.count(b"\r\n\r\n")
        self._transport.write(ANSWER)
        if self._venue.chance.random() < 0.4:
            self._transport.close()


class Venue:
    """Counts what arrived: what was read, and what the kernel holds for it."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.open: set[asyncio.Transport] = set()
        self.read = self.orders = 0

    async def close(self) -> None:
        """Hang up on everybody."""
        for transport in list(self.open):
            transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def arrived(self) -> int:
        """Bytes that have reached this machine's end of the connections, read or not."""
        return self.read + sum(_unread(transport) for transport in self.open)


def _unread(transport: asyncio.Transport) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, waiting)
    return waiting[0]


@asynccontextmanager
async def serving(make: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
    finally:
        server.close()


@pytest.mark.parametrize("path", ["/o", "/order"], ids=["pool", "lane"])
@pytest.mark.parametrize("halts", sizes(short=300, long=1_000))
async def test_nothing_arrives_after_the_latch(halts: int, path: str) -> None:
    venue, chance = Venue(1), Random(2)
    sent = withheld = 0
    async with serving(lambda: Counting(venue)) as url:
        transport = HttpTransport(url, Reach.LOOPBACK)
        for _ in range(halts):
            permit = LivePermit()
            placing = [asyncio.create_task(transport.send(Method.POST, path, leave=permit.leave)) for _ in range(4)]
            for _ in range(chance.randrange(90)):
                await asyncio.sleep(0)
            permit.live = False
            latched = venue.arrived()
            outcomes = await asyncio.gather(*placing)
            assert venue.arrived() == latched
            sent += sum(isinstance(outcome, Reply) for outcome in outcomes)
            withheld += sum(isinstance(outcome, Failure) and outcome.never_sent for outcome in outcomes)
        await transport.aclose()
        await venue.close()
    assert sent <= venue.orders <= 4 * halts - withheld
    assert sent > halts // 4, "the latch fell too early to show anything"
    assert withheld > halts // 4, "the latch fell too late to show anything"


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


class Slow(asyncio.Protocol):
    """Passes bytes on to the venue once it may."""

    def __init__(self, port: int, may_pass: asyncio.Event) -> None:
        self._port, self._may_pass = port, may_pass
        self._venue: asyncio.Transport | None = None
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._client = transport
        self._passing = asyncio.create_task(self._pass())

    async def _pass(self) -> None:
        await self._may_pass.wait()
        _, venue = await asyncio.get_running_loop().create_connection(lambda: Back(self._client), "127.0.0.1", self._port)
        self._venue = venue.transport
        self._venue.write(self._held)

    def data_received(self, data: bytes) -> None:
        if self._venue is None:
            self._held += data
        else:
            self._venue.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._venue is not None:
            self._venue.abort()


class Back(asyncio.Protocol):
    """The venue's bytes on their way back."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._client.write(data)


async def test_an_order_waits_for_no_handshake_that_outlives_its_permit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, venue = await _slow_handshake(tmp_path, monkeypatch, halt=True)
    assert (isinstance(outcome, Failure) and outcome.never_sent, venue.orders) == (True, 0)


async def test_a_slow_handshake_alone_keeps_no_order_from_leaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, venue = await _slow_handshake(tmp_path, monkeypatch, halt=False)
    assert (isinstance(outcome, Reply), venue.orders) == (True, 1)


async def _slow_handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, halt: bool) -> tuple[Outcome, Venue]:
    """One order over TLS, whose handshake is held up until the latch has fallen or not."""
    venue, permit, may_pass = Venue(1), LivePermit(), asyncio.Event()
    server_side, client_side = self_signed(tmp_path)
    monkeypatch.setattr(module.authorities, "trusted", lambda: client_side)
    async with serving(lambda: Counting(venue), server_side) as url, serving(lambda: Slow(_port(url), may_pass)) as proxy:
        transport = HttpTransport(proxy.replace("http:", "https:"), Reach.LOOPBACK)
        placing = asyncio.create_task(transport.send(Method.POST, "/order", leave=permit.leave))
        await asyncio.sleep(0.05)
        permit.live = not halt
        may_pass.set()
        outcome = await placing
        await transport.aclose()
        await venue.close()
    return outcome, venue
