"""A reply leaves in one write, and nothing that must leave earlier waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from exchange.http_replies import WholeReplies


class Written(asyncio.Transport):
    """A transport that keeps every write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return


async def answered(app: ASGIApp, *requests: bytes) -> Written:
    """What a connection writes for these requests."""
    state, transport = ServerState(), Written()
    protocol = WholeReplies(uvicorn.Config(app, log_config=None), state, {})
    protocol.connection_made(transport)
    for request in requests:
        protocol.data_received(request)
        await settled()
    protocol.connection_lost(None)
    return transport


async def settled() -> None:
    """Until every task of the server waits for the client or has ended."""
    for _ in range(20):
        await asyncio.sleep(0)


async def says_ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else b"ok"})


async def counts(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(3):
        await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def echoes(scope: Scope, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def waits_for_news(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})


def request(method: bytes, *more: bytes) -> bytes:
    return b"\r\n".join([method + b" / HTTP/1.1", b"host: x", *more, b"", b""])


async def test_head_and_body_of_each_reply_are_one_write() -> None:
    transport = await answered(says_ok, request(b"GET"), request(b"GET"))
    assert len(transport.writes) == 2
    assert all(one.startswith(b"HTTP/1.1 200 OK\r\n") and one.endswith(b"\r\n\r\nok") for one in transport.writes)


async def test_two_requests_in_one_packet_get_their_replies_in_order() -> None:
    transport = await answered(says_ok, request(b"GET") + request(b"GET"))
    assert [one[-2:] for one in transport.writes] == [b"ok", b"ok"]


async def test_a_reply_without_a_body_is_its_head() -> None:
    transport = await answered(says_ok, request(b"HEAD"))
    (head,) = transport.writes
    assert head.endswith(b"\r\n\r\n")


async def test_a_stream_leaves_piece_by_piece() -> None:
    transport = await answered(counts, request(b"GET"))
    assert [one.rpartition(b"\r\n\r\n")[2] for one in transport.writes[:1]] == [b"1\r\n0\r\n"]
    assert transport.writes[1:] == [b"1\r\n1\r\n", b"1\r\n2\r\n", b"0\r\n\r\n"]


async def test_the_head_of_a_stream_does_not_wait_for_its_first_piece() -> None:
    transport = await answered(waits_for_news, request(b"GET"))
    (head,) = transport.writes
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")


async def test_a_client_that_waits_for_permission_to_send_gets_it_at_once() -> None:
    head = request(b"POST", b"content-length: 4", b"expect: 100-continue")
    assert (await answered(echoes, head)).writes[:1] == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    permission, reply = (await answered(echoes, head, b"four")).writes
    assert permission == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert reply.endswith(b"\r\n\r\nfour")


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_a_reply_without_its_end_is_written_before_the_connection_closes(method: bytes) -> None:
    transport = await answered(gives_up, request(method))
    assert b"".join(transport.writes).startswith(b"HTTP/1.1 204 No Content\r\n")
    assert transport.closed
