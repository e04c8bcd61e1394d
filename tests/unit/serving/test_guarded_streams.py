"""Streams obey the bounds of their server: a full one drops no stream that is in use, and each ends in time."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from starlette.types import Receive, Scope, Send

from controller.serving import listen, serve
from controller.serving.acceptor import Acceptor, Acceptors
from controller.serving.bounds import Bounds
from controller.serving.websocket import socket_of, text_frame
from tests.support.crowd import eventually

PATIENT = Bounds(head_seconds=600, request_seconds=600, idle_seconds=600, write_seconds=600)
MEGABYTE = b"x" * 1_000_000


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    """A stream that does what its client says: keep it, say a lot, or end."""
    if scope["type"] == "http":
        await asyncio.sleep(0.5)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    socket = socket_of(scope)
    assert socket is not None
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "keep":
            socket.occupied("", busy=True)
        elif message["text"] == "talk":
            for _ in range(40):
                socket.push(MEGABYTE)
        elif message["text"] == "end":
            socket.end(1008, "because")
        socket.push(text_frame("yes"))


@asynccontextmanager
async def served(bounds: Bounds) -> AsyncIterator[tuple[Acceptor, int]]:
    acceptor, listener = Acceptors().add("test", bounds), listen("127.0.0.1", 0, "test")
    async with serve(streams, listener, acceptor, websockets=True):
        yield acceptor, listener.getsockname()[1]


async def opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client after its handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = base64.b64encode(os.urandom(16))
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame of a client."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> bytes:
    writer.write(frame(1, text.encode()))
    return await asyncio.wait_for(reader.readexactly(5), 5)


async def test_a_full_server_drops_no_stream_in_use() -> None:
    async with served(replace(PATIENT, connections=4, per_address=4)) as (acceptor, port):
        kept, idle = await opened(port), await opened(port)
        assert await said(*kept, "keep") == text_frame("yes")
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(9)]
        await eventually(lambda: len(acceptor.clients) == 4)
        assert await said(*kept, "more") == text_frame("yes")
        assert await asyncio.wait_for(idle[0].read(), 5) == b""
        for _, writer in (kept, idle, *crowd):
            writer.close()


async def test_a_stream_is_one_connection_and_is_forgotten_at_its_end() -> None:
    async with served(PATIENT) as (acceptor, port):
        reader, writer = await opened(port)
        assert len(acceptor.clients) == 1
        assert await said(reader, writer, "keep") == text_frame("yes")
        writer.close()
        await eventually(lambda: not acceptor.clients)


async def test_a_client_that_reads_nothing_is_cut() -> None:
    async with served(replace(PATIENT, write_seconds=0.2)) as (acceptor, port):
        reader, writer = await opened(port)
        writer.write(frame(1, b"talk"))
        await eventually(lambda: not acceptor.clients)
        with suppress(ConnectionError):
            while await reader.read(1_000_000):
                pass
        writer.close()


async def test_a_client_that_does_not_answer_an_end_is_cut() -> None:
    async with served(replace(PATIENT, write_seconds=0.2)) as (acceptor, port):
        reader, writer = await opened(port)
        writer.write(frame(1, b"end"))
        assert b"because" in await asyncio.wait_for(reader.read(), 5)
        await eventually(lambda: not acceptor.clients)
        writer.close()


async def test_pings_are_counted_and_one_that_reads_no_answers_gets_none() -> None:
    async with served(PATIENT) as (acceptor, port):
        reader, writer = await opened(port)
        writer.write(frame(9, b"there") * 3)
        assert await asyncio.wait_for(reader.readexactly(21), 5) == (b"\x8a\x05there") * 3
        writer.write(frame(9, b"") * 300)
        assert b"more than 100 messages in a second" in await asyncio.wait_for(reader.read(), 15)
        writer.close()
        await eventually(lambda: not acceptor.clients)


async def test_no_stream_begins_on_a_connection_with_an_open_request() -> None:
    async with served(PATIENT) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.write(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b" 101 " not in answer
        assert b" 400 " in answer
        writer.close()


async def test_a_message_that_is_too_large_ends_the_stream() -> None:
    async with served(PATIENT) as (acceptor, port):
        reader, writer = await opened(port)
        writer.write(bytes([0x81, 0xFE]) + (60_000).to_bytes(2, "big") + b"\0\0\0\0" + b"x" * 60_000)
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 5)
        await eventually(lambda: not acceptor.clients)
        writer.close()
