"""Stub venues on loopback: an HTTP server with answers from the test, and a stream server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import VenueEndpoint, open_venue
from exchange.mexc.http import Timeouts
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.mexc.socket import StreamTiming
from exchange.model import Millis
from exchange.ports import VenueName
from tests.support.permits import Leaving


class RealClock:
    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


@dataclass
class LivePermit(Leaving):
    live: bool = True
    epoch: int = 1

    def is_live(self) -> bool:
        return self.live


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]


CUT = object()
"""Answer: close the connection without a byte."""
HANG = object()
"""Answer: keep the connection open and send nothing."""

Answer = object
Handler = Callable[[Request], Answer]


def reply(body: object, status: int = 200, headers: str = "") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(raw)}\r\n{headers}\r\n".encode() + raw


@dataclass
class StubVenue:
    """Answers ``time`` itself; ``handler`` answers everything else."""

    handler: Handler
    url: str = ""
    tells_time: bool = True
    requests: list[Request] = field(default_factory=list)
    connections: list[asyncio.StreamWriter] = field(default_factory=list)

    def received(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        await self.serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
                await reader.readexactly(int(headers.get("content-length", "0")))
                parts = urlsplit(target)
                request = Request(method, parts.path, dict(parse_qsl(parts.query)), headers)
                self.requests.append(request)
                if self.tells_time and parts.path == "/api/v3/time":
                    answer: Answer = reply({"serverTime": time.time_ns() // 1_000_000})
                else:
                    answer = self.handler(request)
                if answer is HANG:
                    await reader.read()
                if not isinstance(answer, bytes):
                    break
                writer.write(answer)
                await writer.drain()


@asynccontextmanager
async def running(handler: Handler) -> AsyncIterator[StubVenue]:
    stub = StubVenue(handler)
    server = await asyncio.start_server(stub.accept, "127.0.0.1", 0)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield stub
    finally:
        server.close()
        for connection in stub.connections:
            connection.close()
        await asyncio.gather(*(connection.wait_closed() for connection in stub.connections), return_exceptions=True)
        await server.wait_closed()


QUICK = StreamTiming(ping_every=50, idle_after=10_000, renew_every=60_000, retry_first=10, retry_most=20, subscribe_within=300)
LIMITS = SignerLimits(frozenset({"MXUSDT"}), Decimal(100))


def venue_at(url: str, stream_url: str = "ws://127.0.0.1:9/ws", timing: StreamTiming = QUICK) -> MexcVenue:
    timeouts = Timeouts(connect=500, write=500, read=250, total=600)
    endpoint = VenueEndpoint(url, stream_url, Reach.LOOPBACK, timeouts, timing)
    return open_venue(VenueName.TESTNET, endpoint, LocalSigner("mx0key", "secret", LIMITS), RealClock(), Random(7))


Make = Callable[[Handler], Awaitable[tuple[StubVenue, MexcVenue]]]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Start a stub with a handler, and a venue client for it."""
    closing: list[Callable[[], Awaitable[object]]] = []

    async def start(handler: Handler) -> tuple[StubVenue, MexcVenue]:
        context = running(handler)
        stub = await context.__aenter__()
        venue = venue_at(stub.url)
        closing.extend([lambda: context.__aexit__(None, None, None), venue.aclose])
        return stub, venue

    yield start
    for close in reversed(closing):
        await close()


@pytest.fixture
def hang() -> object:
    """An answer that never comes."""
    return HANG


@pytest.fixture
def at() -> Callable[..., MexcVenue]:
    """A venue client for a URL."""
    return venue_at


@pytest.fixture
def clock() -> RealClock:
    """The real clock."""
    return RealClock()


@pytest.fixture
def requests() -> list[Request]:
    """The requests to the server of ``serving``."""
    return []


@pytest.fixture
async def serving(requests: list[Request]) -> AsyncIterator[Callable[[Callable[..., Any]], Awaitable[tuple[Any, str]]]]:
    """Start an HTTP server with a handler class built with ``reply``; returns the handler and the URL."""
    contexts: list[Any] = []

    async def begin(handler_type: Callable[..., Any]) -> tuple[Any, str]:
        handler = handler_type(reply)
        context = running(handler)
        stub = await context.__aenter__()
        stub.requests = requests
        contexts.append(context)
        return handler, stub.url

    yield begin
    for context in contexts:
        await context.__aexit__(None, None, None)
