"""What the gateway hears a bot by. The controller behind it judges whether that is enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from controller.gateway.app import create_app
from controller.gateway.limits import GatewayLimits
from controller.gateway.port import BotKey
from controller.gateway.server import serving
from controller.serving.throttle import Rate
from exchange.wire.signing import encode_params, signature
from policies.silence import BotLiveness, HeardBy
from tests.support.fixed_keys import FixedKeys
from tests.unit.gateway.fake_port import FakePort
from tests.unit.gateway.gateway_client import ALPHA, BETA, BotClient

HEARTBEAT = "/gatehouse/v1/heartbeat"


def signed(port: FakePort, path: str, bot: BotKey = ALPHA) -> bytes:
    payload = encode_params([("timestamp", str(port.clock))])
    query = f"{payload}&signature={signature(bot.secret, payload)}"
    return f"GET {path}?{query} HTTP/1.1\r\nHost: gateway\r\nX-MEXC-APIKEY: {bot.key}\r\n\r\n".encode()


PING = b"GET /api/v3/ping HTTP/1.1\r\nHost: gateway\r\n\r\n"
DEPTH = b"GET /api/v3/depth?symbol=MXUSDT HTTP/1.1\r\nHost: gateway\r\n\r\n"


@asynccontextmanager
async def gateway(fake: FakePort) -> AsyncIterator[int]:
    limits = GatewayLimits()
    async with serving(create_app(fake, FixedKeys(ALPHA, BETA), limits), "127.0.0.1", 0, limits) as port:
        yield port


async def ask(port: int, *requests: bytes) -> None:
    """Send the requests over one connection, each after the answer to the one before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(30):
        for request in requests:
            await answered(reader, writer, request)
    writer.close()
    await writer.wait_closed()


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """Send a request and read the whole answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


async def test_a_signed_request_is_heard(port: FakePort, bot: BotClient) -> None:
    await bot.signed("GET", "account")
    assert port.signs == [("alpha", HeardBy.REQUEST)]


async def test_a_request_with_a_wrong_signature_is_not_heard(port: FakePort, bot: BotClient) -> None:
    await bot.signed("GET", "account", secret="other")
    assert port.signs == []


async def test_a_bot_that_sends_too_much_is_still_heard(port: FakePort) -> None:
    bot = BotClient(port, GatewayLimits(queries=Rate(1, 1)))
    await bot.signed("GET", "account")
    assert (await bot.signed("GET", "account")).status_code == 429
    assert port.signs == [("alpha", HeardBy.REQUEST)] * 2


async def test_a_heartbeat_is_heard_and_says_how_long_to_be_silent() -> None:
    fake = FakePort(live=BotLiveness("alpha", None, 90_000, ""))
    bot = BotClient(fake)
    payload = encode_params([("timestamp", str(fake.clock))])
    query = f"{payload}&signature={signature(ALPHA.secret, payload)}"
    answer = await bot.http.get(f"{HEARTBEAT}?{query}", headers={"X-MEXC-APIKEY": ALPHA.key})
    assert answer.json() == {"bot": "alpha", "live": True, "silenceMaxMs": 90_000, "serverTime": fake.clock}
    assert fake.signs == [("alpha", HeardBy.HEARTBEAT)]


async def test_a_heartbeat_needs_a_signature(port: FakePort, bot: BotClient) -> None:
    assert (await bot.http.get(HEARTBEAT)).status_code == 400
    assert port.signs == []


async def test_market_data_on_a_bots_connection_is_heard() -> None:
    fake = FakePort()
    async with gateway(fake) as port:
        await ask(port, signed(fake, "/api/v3/account"), DEPTH, PING)
    assert fake.signs == [("alpha", HeardBy.REQUEST), ("alpha", HeardBy.MARKET_DATA), ("alpha", HeardBy.MARKET_DATA)]


async def test_market_data_on_another_connection_is_nobodys() -> None:
    fake = FakePort()
    async with gateway(fake) as port:
        await ask(port, signed(fake, "/api/v3/account"))
        await ask(port, DEPTH)
    assert fake.signs == [("alpha", HeardBy.REQUEST)]


@pytest.mark.parametrize(
    "header", ["Forwarded: for=10.0.0.7", "Via: 1.1 proxy", "X-Forwarded-For: 10.0.0.7", "X-Real-IP: 10.0.0.7"]
)
async def test_market_data_that_a_proxy_passes_on_is_nobodys(header: str) -> None:
    def passed_on(request: bytes) -> bytes:
        return request.replace(b"Host: gateway", f"Host: gateway\r\n{header}".encode())

    fake = FakePort()
    async with gateway(fake) as port:
        await ask(port, passed_on(signed(fake, "/api/v3/account")), passed_on(DEPTH), passed_on(signed(fake, "/api/v3/uid")))
    assert fake.signs == [("alpha", HeardBy.REQUEST), ("alpha", HeardBy.REQUEST)]


async def test_market_data_on_the_connection_of_a_revoked_key_is_nobodys() -> None:
    fake, keys, limits = FakePort(), FixedKeys(ALPHA), GatewayLimits()
    async with serving(create_app(fake, keys, limits), "127.0.0.1", 0, limits) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(30):
            await answered(reader, writer, signed(fake, "/api/v3/account"))
            del keys.by_key[ALPHA.key]
            await answered(reader, writer, DEPTH)
        writer.close()
        await writer.wait_closed()
    assert fake.signs == [("alpha", HeardBy.REQUEST)]


async def test_market_data_on_a_connection_of_two_bots_is_nobodys() -> None:
    fake = FakePort()
    async with gateway(fake) as port:
        await ask(port, signed(fake, "/api/v3/account"), signed(fake, "/api/v3/account", BETA), DEPTH)
        await ask(port, signed(fake, "/api/v3/uid"), DEPTH)
    assert fake.signs == [
        ("alpha", HeardBy.REQUEST),
        ("beta", HeardBy.REQUEST),
        ("alpha", HeardBy.REQUEST),
        ("alpha", HeardBy.MARKET_DATA),
    ]
