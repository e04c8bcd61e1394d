"""A client that does not read, or that only connects, takes nothing from the others."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from contextlib import suppress
from dataclasses import replace

from controller.gateway.stream_port import OrderNews
from controller.serving.acceptor import Acceptors
from controller.serving.bounds import Bounds
from controller.serving.websocket import GuardedWebSocket
from exchange.model import OrderReport
from exchange.wire.push import OrderExtras
from tests.support.crowd import eventually
from tests.unit.gateway.fake_port import START
from tests.unit.gateway.gateway_client import BETA
from tests.unit.gateway.stream_kit import DEPTH, ORDERS, Gateway, gateway
from tests.unit.gateway.test_gateway_private_streams import REPORT, order
from tests.unit.gateway.test_gateway_streams import moved


async def handshake(served: Gateway, query: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A websocket of a client that will not read more than the handshake's head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.number, limit=1_024)
    key = base64.b64encode(os.urandom(16))
    writer.write(
        b"GET /ws" + query.encode() + b" HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def masked(text: str) -> bytes:
    """A text frame of a client."""
    payload = text.encode()
    return bytes([0x81, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


SUBSCRIBE = masked(json.dumps({"method": "SUBSCRIPTION", "params": [ORDERS]}))
BIG = OrderNews("beta", replace(REPORT, client_id="x" * 100_000), OrderExtras(), START)


async def fill_up(served: Gateway) -> None:
    """Push more than the kernel and the gateway keep for one client."""
    for _ in range(200):
        served.port.streams.say(BIG)
        await asyncio.sleep(0)


async def test_a_reader_that_never_reads_is_cut_and_the_others_miss_nothing() -> None:
    async with gateway(connection=Bounds(write_seconds=0.3)) as served:
        reader, writer = await handshake(served, f"?listenKey={await served.listen_key(BETA)}")
        writer.write(SUBSCRIBE)
        await reader.readexactly(2)
        key = await served.listen_key()
        async with served.stream(key) as mine, served.stream() as market:
            await mine.subscribe(ORDERS)
            await market.subscribe(DEPTH)
            await fill_up(served)
            served.port.streams.market(moved(8, 8))
            served.port.streams.say(order())
            assert isinstance((await mine.push()).body, OrderReport)
            assert (await market.push()).channel.name == DEPTH
            await eventually(lambda: "beta" not in served.port.streams.listening())
            async with asyncio.timeout(60):
                with suppress(ConnectionError):
                    while await reader.read(1_000_000):
                        pass
        writer.close()


async def test_a_slow_reader_that_reads_again_finds_the_reason() -> None:
    async with gateway() as served:
        reader, writer = await handshake(served, f"?listenKey={await served.listen_key(BETA)}")
        writer.write(SUBSCRIBE)
        await reader.readexactly(2)
        await fill_up(served)
        end = b""
        async with asyncio.timeout(60):
            while b"read too slowly" not in end:
                end = end[-200:] + await reader.read(1_000_000)
        assert b"What was not sent is in REST" in end
        writer.close()


async def test_a_stream_that_answers_no_ping_is_cut_with_what_it_did_not_read() -> None:
    acceptors = Acceptors()
    async with gateway(connection=Bounds(write_seconds=0.3), acceptors=acceptors) as served:
        reader, writer = await handshake(served, f"?listenKey={await served.listen_key(BETA)}")
        writer.write(SUBSCRIBE)
        await reader.readexactly(2)
        clients = (client for acceptor in acceptors._remote for client in acceptor.clients)
        stream = next(client for client in clients if isinstance(client, GuardedWebSocket))
        while not stream.transport.get_write_buffer_size():
            stream.push(bytes(16_384))
        assert not stream.unread, "little enough waits that the gateway would send more"
        stream.keepalive_timeout()
        await eventually(lambda: "beta" not in served.port.streams.listening())
        writer.close()


async def test_300_half_open_sockets_cost_no_stream_and_no_request() -> None:
    async with gateway(connection=Bounds(connections=64, per_address=64, head_seconds=5)) as served:
        key = await served.listen_key()
        async with served.stream() as public, served.stream(key) as private:
            await public.subscribe(DEPTH)
            await private.subscribe(ORDERS)
            crowd = [await asyncio.open_connection("127.0.0.1", served.number) for _ in range(300)]
            for _, writer in crowd[::2]:
                writer.write(b"GET /ws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\n")
            assert (await served.ask("GET", "openOrders")).status_code == 200
            served.port.streams.market(moved(8, 8))
            served.port.streams.say(order())
            assert (await public.push()).channel.name == DEPTH
            assert (await private.push()).channel.name == ORDERS
            for _, writer in crowd:
                writer.close()
