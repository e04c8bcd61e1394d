"""The acceptor of a server: whom it drops, whom it keeps, and who is still served in a crowd."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from controller.console.app import create_app as create_console
from controller.console.limits import ConsoleLimits
from controller.console.server import serving as serving_console
from controller.console.server import serving_socket
from controller.gateway.app import create_app as create_gateway
from controller.gateway.port import BotKey
from controller.gateway.server import serving as serving_gateway
from controller.serving import listen, serve
from controller.serving.acceptor import Acceptor, Acceptors
from controller.serving.bounds import Bounds, counted_address
from exchange.wire.signing import encode_params, signature
from tests.support.crowd import Crowd, eventually
from tests.support.fixed_keys import FixedKeys
from tests.support.loopback import http_at, http_over
from tests.support.operator_port import FakePort as FakeOperator
from tests.unit.gateway.fake_port import START, FakePort
from tests.unit.gateway.gateway_client import ALPHA, BETA, PLENTY

BOTS = (ALPHA, BETA, BotKey("gamma", "mx0gammagamma", "gamma-secret"))
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ROOMY = Bounds(head_seconds=600, request_seconds=600, idle_seconds=600, write_seconds=600)
"""No time limit ends a connection in these tests: only the acceptor does."""


class Slow:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@dataclass
class Scene:
    """A served ``Slow`` application and its clients."""

    app: Slow
    acceptor: Acceptor
    port: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, sent: bytes = b"", source: str = "127.0.0.1") -> asyncio.StreamReader:
        """A new client that sends something."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
        self.writers.append(writer)
        writer.write(sent)
        return reader


@asynccontextmanager
async def slow(bounds: Bounds, acceptors: Acceptors | None = None) -> AsyncIterator[Scene]:
    app, acceptor, listener = Slow(), (acceptors or Acceptors()).add("test", bounds), listen("127.0.0.1", 0, "test")
    scene = Scene(app, acceptor, listener.getsockname()[1])
    async with serve(app, listener, acceptor):
        try:
            yield scene
        finally:
            app.go.set()
            for writer in scene.writers:
                writer.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the server ended the connection without an answer."""
    async with asyncio.timeout(30):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


async def account(client: httpx.AsyncClient, bot: BotKey) -> int:
    payload = encode_params([("timestamp", str(START))])
    query = f"{payload}&signature={signature(bot.secret, payload)}"
    return (await client.get(f"/api/v3/account?{query}", headers={"X-MEXC-APIKEY": bot.key})).status_code


async def test_every_bot_is_served_while_500_connections_are_idle_or_slow() -> None:
    limits = replace(PLENTY, connection=replace(ROOMY, connections=256, per_address=128))
    app = create_gateway(FakePort(), FixedKeys(*BOTS), limits)
    async with (
        serving_gateway(app, "127.0.0.1", 0, limits) as port,
        AsyncExitStack() as stack,
        Crowd(port, idle=250, drips=250) as crowd,
    ):
        clients = [await stack.enter_async_context(http_at(f"http://127.0.0.1:{port}")) for _ in BOTS]
        for _ in range(3):
            assert [await account(client, bot) for client, bot in zip(clients, BOTS, strict=True)] == [200, 200, 200]
        assert 100 < crowd.still_open() <= 128


async def test_status_and_halt_are_answered_while_crowds_hold_both_consoles(tmp_path: Path) -> None:
    operator, acceptors, path = FakeOperator(), Acceptors(), tmp_path / "gatehouse.sock"
    async with (
        serving_console(create_console(operator, local=False), "127.0.0.1", 0, acceptors=acceptors) as port,
        serving_socket(create_console(operator, local=True), path, acceptors=acceptors),
        Crowd(port, idle=150, drips=150),
        Crowd(path, idle=100, drips=100),
        http_over(path) as local,
        http_at(f"http://127.0.0.1:{port}") as remote,
    ):
        assert (await local.get("/v1/status")).status_code == 200
        assert (await remote.get("/v1/status")).status_code == 200
        assert (await local.post("/v1/halt", json={"reason": "stop"})).status_code == 200
    assert operator.halted == ["stop"]


async def test_the_connection_that_has_waited_the_longest_is_dropped_first() -> None:
    async with slow(replace(ROOMY, connections=3)) as scene:
        first, second, third = [await scene.connect() for _ in range(3)]
        await eventually(lambda: len(scene.acceptor.clients) == 3)
        await scene.connect()
        assert await ended(first)
        await scene.connect()
        assert await ended(second)
        assert not third.at_eof()


async def test_a_request_in_progress_is_never_dropped() -> None:
    async with slow(replace(ROOMY, connections=3)) as scene:
        reader = await scene.connect(GET)
        await eventually(lambda: scene.app.begun == 1)
        async with Crowd(scene.port, idle=30), asyncio.timeout(30):
            scene.app.go.set()
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")


async def test_a_new_connection_is_refused_when_every_other_one_is_being_served() -> None:
    async with slow(replace(ROOMY, connections=2)) as scene:
        busy = [await scene.connect(GET) for _ in range(2)]
        await eventually(lambda: scene.app.begun == 2)
        assert await ended(await scene.connect())
        assert not any(reader.at_eof() for reader in busy)


async def test_a_request_whose_body_is_missing_is_no_request_in_progress() -> None:
    async with slow(replace(ROOMY, connections=2)) as scene:
        part = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"
        held = [await scene.connect(part) for _ in range(2)]
        await eventually(lambda: scene.app.begun == 2)
        await scene.connect()
        assert await ended(held[0])


async def test_a_connection_with_a_valid_signature_is_dropped_last() -> None:
    limits = replace(PLENTY, connection=replace(ROOMY, connections=8, per_address=8))
    app = create_gateway(FakePort(), FixedKeys(ALPHA), limits)
    async with serving_gateway(app, "127.0.0.1", 0, limits) as port, http_at(f"http://127.0.0.1:{port}") as bot:
        assert await account(bot, ALPHA) == 200
        (pooled,) = bot._transport._pool.connections
        async with Crowd(port, idle=40) as crowd:
            await eventually(lambda: crowd.still_open() == 7)
            assert await account(bot, ALPHA) == 200
            assert bot._transport._pool.connections == [pooled]


async def test_a_bot_with_very_many_connections_takes_no_place_of_another() -> None:
    limits = replace(PLENTY, connection=replace(ROOMY, connections=24, per_address=24))
    app = create_gateway(FakePort(), FixedKeys(ALPHA, BETA), limits)
    async with serving_gateway(app, "127.0.0.1", 0, limits) as port, AsyncExitStack() as stack:
        many = [await stack.enter_async_context(http_at(f"http://127.0.0.1:{port}")) for _ in range(23)]
        for client in many:
            assert await account(client, ALPHA) == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        stack.callback(writer.close)
        for _ in range(5):
            more = await stack.enter_async_context(http_at(f"http://127.0.0.1:{port}"))
            assert await account(more, ALPHA) == 200
        assert not reader.at_eof()


async def test_a_wrong_signature_does_not_keep_a_connection() -> None:
    limits = replace(PLENTY, connection=replace(ROOMY, connections=8, per_address=8))
    app = create_gateway(FakePort(), FixedKeys(ALPHA), limits)
    async with serving_gateway(app, "127.0.0.1", 0, limits) as port, http_at(f"http://127.0.0.1:{port}") as bot:
        assert await account(bot, replace(ALPHA, secret="guessed")) == 400
        (pooled,) = bot._transport._pool.connections
        async with Crowd(port, idle=40):
            await eventually(pooled.has_expired)


async def test_one_address_cannot_take_the_connections_of_another() -> None:
    async with slow(replace(ROOMY, connections=10, per_address=5)) as scene:
        other = await scene.connect(source="127.0.0.2")
        async with Crowd(scene.port, idle=40):
            await eventually(lambda: len(scene.acceptor.clients) == 6)
            assert not other.at_eof()


async def test_a_connection_that_has_ended_does_not_count() -> None:
    async with slow(replace(ROOMY, connections=2)) as scene:
        for _ in range(5):
            await scene.connect()
            scene.writers[-1].close()
        await eventually(lambda: not scene.acceptor.clients)


async def test_clients_over_tcp_never_take_the_descriptors_that_are_kept(tmp_path: Path) -> None:
    with socket.socket() as probe:
        ceiling = probe.fileno() + 20
    operator, acceptors, path = FakeOperator(), Acceptors(ceiling), tmp_path / "gatehouse.sock"
    limits = ConsoleLimits(connection=ROOMY)
    async with (
        serving_console(create_console(operator, local=False), "127.0.0.1", 0, limits, acceptors) as port,
        serving_socket(create_console(operator, local=True), path, acceptors=acceptors),
        Crowd(port, idle=60) as crowd,
        http_over(path) as local,
    ):
        # The ceiling is a number, and this process has the clients' ends too.
        await eventually(lambda: crowd.still_open() < 20)
        assert (await local.post("/v1/halt", json={"reason": "stop"})).status_code == 200


class Exhausted(socket.socket):
    """A listening socket that finds no descriptor until it is told that there are some."""

    attempts = 0
    exhausted = True

    def accept(self) -> tuple[socket.socket, Any]:
        self.attempts += 1
        if self.exhausted:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_a_server_without_descriptors_drops_idle_clients_and_tries_rarely() -> None:
    acceptors, app = Acceptors(), Slow()
    listener = Exhausted()
    listener.bind(("127.0.0.1", 0))
    async with slow(ROOMY, acceptors) as other, serve(app, listener, acceptors.add("exhausted", ROOMY)):
        waiting = await other.connect()
        await eventually(lambda: len(other.acceptor.clients) == 1)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(GET)
        assert await ended(waiting)
        await asyncio.sleep(1)
        assert 1 < listener.attempts < 40
        listener.exhausted = False
        app.go.set()
        async with asyncio.timeout(30):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        (("127.0.0.1", 5), "127.0.0.1"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        ("", "local"),
    ],
)
def test_a_host_with_ipv6_counts_as_its_network(peer: object, counted: str) -> None:
    assert counted_address(peer) == counted
