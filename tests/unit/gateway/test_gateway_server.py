from __future__ import annotations

import asyncio
import socket

import pytest

from controller.gateway.app import create_app
from controller.gateway.limits import GatewayLimits
from controller.gateway.server import serving
from controller.serving.bounds import Bounds
from exchange.errors import ConfigError
from tests.support.fixed_keys import FixedKeys
from tests.unit.gateway.fake_port import FakePort
from tests.unit.gateway.gateway_client import ALPHA

PING = b"GET /api/v3/ping HTTP/1.1\r\nHost: gateway\r\n\r\n"
POST = b"POST /api/v3/order HTTP/1.1\r\nHost: gateway\r\nX-MEXC-APIKEY: " + ALPHA.key.encode() + b"\r\n"


async def talk(port: int, *parts: bytes) -> bytes:
    """Send the parts and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_it_answers_on_the_port_it_reports() -> None:
    async with serving(create_app(FakePort(), FixedKeys(ALPHA), GatewayLimits()), "127.0.0.1", 0, GatewayLimits()) as port:
        answer = await talk(port, PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"{}")
    assert b"uvicorn" not in answer


async def test_an_address_in_use_is_a_configuration_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot listen"):
            async with serving(
                create_app(FakePort(), FixedKeys(), GatewayLimits()), "127.0.0.1", taken.getsockname()[1], GatewayLimits()
            ):
                pass


@pytest.mark.parametrize("sent", [b"", b"GET /api/v3/ping HTTP/1.1\r\nHost: g", PING + b"GET /api/v3/pi"])
async def test_a_request_head_that_does_not_arrive_ends_the_connection(sent: bytes) -> None:
    limits = GatewayLimits(connection=Bounds(head_seconds=0))
    async with serving(create_app(FakePort(), FixedKeys(ALPHA), limits), "127.0.0.1", 0, limits) as port:
        answer = await talk(port, sent)
    assert answer.count(b"HTTP/1.1 200") <= sent.count(b"\r\n\r\n")


async def test_a_request_head_that_is_too_large_is_refused() -> None:
    limits = GatewayLimits(connection=Bounds(head_bytes=4_096))
    async with serving(create_app(FakePort(), FixedKeys(ALPHA), limits), "127.0.0.1", 0, limits) as port:
        answer = await talk(port, b"GET /api/v3/ping HTTP/1.1\r\nHost: gateway\r\n", b"X-Pad: " + b"y" * 9_000)
    assert answer.startswith(b"HTTP/1.1 400") or answer == b""


SMUGGLED = [
    POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    POST + b"Content-Length: +4\r\n\r\nabcd",
    POST + b"Content-Length: 4, 4\r\n\r\nabcd",
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabcd\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: xchunked\r\n\r\nabcd",
    POST + b" folded: x\r\n\r\n",
    POST + b"Content Length: 4\r\n\r\nabcd",
    b"GET http://mexc/api/v3/ping HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n",
    b"GET /api/v3/ping HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"GET /api/v3/ping HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    b"GET /api/v3/ping HTTP/9.9\r\nHost: gateway\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
]


@pytest.mark.parametrize("sent", SMUGGLED, ids=range(len(SMUGGLED)))
async def test_a_request_that_two_servers_could_read_differently_is_refused(sent: bytes) -> None:
    fake, limits = FakePort(), GatewayLimits(body_seconds=1, connection=Bounds(idle_seconds=0, head_seconds=1))
    async with serving(create_app(fake, FixedKeys(ALPHA), limits), "127.0.0.1", 0, limits) as port:
        answer = await talk(port, sent)
    assert answer[9:10] in {b"4", b""}, answer
    assert b"HTTP/1.1 200" not in answer
    assert fake.heard == []
