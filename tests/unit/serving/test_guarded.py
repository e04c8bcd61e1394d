"""Every wait for a client has an end. Each test sets the limit that it is about, and the others so high that they end nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from controller.console.app import create_app
from controller.console.limits import ConsoleLimits
from controller.console.server import serving
from controller.serving import listen, serve
from controller.serving.acceptor import Acceptor, Acceptors
from controller.serving.bounds import Bounds
from controller.serving.guarded import guarded_protocol
from tests.support.crowd import eventually
from tests.support.operator_port import FakePort, an_entry

PATIENT = Bounds(head_seconds=600, request_seconds=600, idle_seconds=600, write_seconds=600)
SOON = 0.3
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
LONG = 64 * 1024 * 1024


async def reads_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer when the body is there."""
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def ignores_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def answers_at_length(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with more than any buffer takes."""
    headers = [(b"content-length", str(LONG).encode())]
    if scope["path"] == "/last":
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * LONG})


@asynccontextmanager
async def talking(app: ASGIApp, bounds: Bounds) -> AsyncIterator[tuple[Acceptor, asyncio.StreamReader, asyncio.StreamWriter]]:
    acceptor, listener = Acceptors().add("test", bounds), listen("127.0.0.1", 0, "test")
    async with serve(app, listener, acceptor):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            yield acceptor, reader, writer
        finally:
            writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server ends the connection."""
    async with asyncio.timeout(30):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def test_a_silent_connection_ends() -> None:
    async with talking(reads_body, replace(PATIENT, head_seconds=SOON)) as (_, reader, _writer):
        assert await rest(reader) == b""


@pytest.mark.parametrize("drip", [b"\r\n", b"a"], ids=["empty lines", "a header"])
async def test_a_head_that_comes_byte_by_byte_ends_the_connection(drip: bytes) -> None:
    async with talking(reads_body, replace(PATIENT, head_seconds=SOON)) as (_, reader, writer):
        writer.write(b"" if drip == b"\r\n" else b"GET / HTTP/1.1\r\nX: ")
        ended = asyncio.ensure_future(rest(reader))
        while not ended.done():
            with suppress(ConnectionError):
                writer.write(drip)
            await asyncio.sleep(SOON / 10)
        assert await ended == b""


async def test_a_head_that_is_too_large_is_refused_in_whatever_pieces_it_comes() -> None:
    async with talking(reads_body, replace(PATIENT, head_bytes=2_000)) as (_, reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(30):
            writer.write(b"X-Pad: " + b"y" * 93)
            await asyncio.sleep(0.01)
        assert b" 200 " not in await rest(reader)


async def test_a_large_body_does_not_count_as_head() -> None:
    async with talking(reads_body, replace(PATIENT, head_bytes=2_000)) as (_, reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n")
        for _ in range(3):
            writer.write(b"y" * 30_000)
            await asyncio.sleep(0.05)
        writer.write(GET)
        async with asyncio.timeout(30):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("app", [reads_body, ignores_body], ids=["awaited", "after its answer"])
async def test_a_body_that_does_not_come_ends_the_connection(app: ASGIApp) -> None:
    async with talking(app, replace(PATIENT, request_seconds=SOON)) as (_, reader, writer):
        writer.write(POST + b"1")
        assert (await rest(reader)).count(b"ok") == (app is ignores_body)


async def test_a_connection_without_a_next_request_ends() -> None:
    async with talking(reads_body, replace(PATIENT, idle_seconds=SOON)) as (_, reader, writer):
        writer.write(GET)
        assert (await rest(reader)).endswith(b"ok")


@pytest.mark.parametrize("path", [b"/", b"/last"], ids=["kept alive", "closing"])
async def test_an_answer_that_is_not_read_ends_the_connection(path: bytes) -> None:
    async with talking(answers_at_length, replace(PATIENT, write_seconds=SOON)) as (acceptor, reader, writer):
        writer.transport.pause_reading()
        writer.write(GET.replace(b"/ ", path + b" ", 1))
        await eventually(lambda: len(acceptor.clients) == 1 and not waits_for_its_request(acceptor))
        await eventually(lambda: not acceptor.clients)
        writer.transport.resume_reading()
        assert len(await rest(reader)) < LONG


def waits_for_its_request(acceptor: Acceptor) -> bool:
    """Whether the only connection has not sent its request yet."""
    (client,) = acceptor.clients
    return not getattr(client, "cycle", None)


class Unflushed(asyncio.Transport):
    """A transport whose peer reads nothing: closing never ends."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.aborted = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it for ever."""

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted.set()


async def test_a_closing_connection_whose_last_bytes_are_not_taken_ends() -> None:
    acceptor, transport = Acceptors().add("test", replace(PATIENT, write_seconds=SOON)), Unflushed()
    protocol = guarded_protocol(acceptor)(config=uvicorn.Config(ignores_body), server_state=ServerState(), app_state={})
    protocol.connection_made(transport)
    protocol.data_received(GET.replace(b"Host", b"Connection: close\r\nHost"))
    async with asyncio.timeout(30):
        await transport.aborted.wait()
    assert transport.closing
    protocol.connection_lost(None)


async def test_several_requests_at_once_are_all_answered() -> None:
    async with talking(reads_body, PATIENT) as (_, reader, writer):
        writer.write((GET + POST + b"123456789") * 3)
        async with asyncio.timeout(30):
            for _ in range(6):
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")


async def test_a_slow_second_head_does_not_end_the_request_in_progress() -> None:
    go = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await ignores_body(scope, receive, send)

    async with talking(waits, replace(PATIENT, head_seconds=SOON)) as (_, reader, writer):
        writer.write(GET + b"GET / HT")
        await asyncio.sleep(SOON * 3)
        go.set()
        assert (await rest(reader)).count(b"ok") == 1


async def test_a_reader_of_the_live_stream_that_does_not_read_is_dropped() -> None:
    operator, limits = FakePort(), ConsoleLimits(connection=replace(PATIENT, write_seconds=SOON))
    async with serving(create_app(operator, local=False, limits=limits), "127.0.0.1", 0, limits) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        try:
            writer.write(b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await eventually(lambda: len(operator.subscribers) == 1)
            entry = an_entry(1).model_copy(update={"summary": "x" * 1_000_000})
            for _ in range(50):
                operator.publish(entry)
            await eventually(lambda: not operator.subscribers)
        finally:
            writer.close()


async def test_places_of_the_live_stream_are_limited_and_free_again_afterwards() -> None:
    operator, limits = FakePort(), ConsoleLimits(readers=4, readers_per_address=3)
    ask = b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with serving(create_app(operator, local=False, limits=limits), "127.0.0.1", 0, limits) as port:
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        for _, writer in clients:
            writer.write(ask)
        async with asyncio.timeout(30):
            heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in clients]
        assert sorted(head[9:12] for head in heads) == [b"200"] * 3 + [b"429"] * 7
        assert all(b"retry-after: " in head for head in heads if head[9:12] == b"429")
        for _, writer in clients:
            writer.close()
        await eventually(lambda: not operator.subscribers)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ask)
        async with asyncio.timeout(30):
            assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
        writer.close()
