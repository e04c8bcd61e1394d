"""A gateway on loopback with a controller in memory, and a client of its streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from controller.gateway.app import create_app
from controller.gateway.limits import GatewayLimits
from controller.gateway.port import BotKey, BotKeys
from controller.gateway.server import serving
from controller.gateway.stream_limits import StreamLimits
from controller.serving.acceptor import Acceptors
from controller.serving.bounds import Bounds
from controller.serving.throttle import Rate
from exchange.wire.push import Push
from exchange.wire.push_decode import decode_push
from exchange.wire.signing import encode_params, signature
from tests.support.loopback import http_at
from tests.unit.gateway.fake_port import FakePort
from tests.unit.gateway.gateway_client import ALPHA, BETA, PLENTY

SYMBOL = "MXUSDT"
DEPTH = f"spot@public.aggre.depth.v3.api.pb@100ms@{SYMBOL}"
DEALS = f"spot@public.aggre.deals.v3.api.pb@100ms@{SYMBOL}"
TICKER = f"spot@public.aggre.bookTicker.v3.api.pb@100ms@{SYMBOL}"
ORDERS, FILLS, ACCOUNT = (f"spot@private.{name}.v3.api.pb" for name in ("orders", "deals", "account"))


@dataclass
class Keys:
    """The bots' keys, which a test can take away."""

    keys: dict[str, BotKey] = field(default_factory=lambda: {one.key: one for one in (ALPHA, BETA)})

    def find(self, api_key: str) -> BotKey | None:
        return self.keys.get(api_key)


@dataclass
class Gateway:
    """A served gateway."""

    port: FakePort
    keys: Keys
    number: int

    async def ask(self, method: str, path: str, bot: BotKey = ALPHA, **params: str) -> httpx.Response:
        """A signed request."""
        payload = encode_params([*params.items(), ("timestamp", str(self.port.clock))])
        url = f"/api/v3/{path}?{payload}&signature={signature(bot.secret, payload)}"
        async with http_at(f"http://127.0.0.1:{self.number}") as client:
            return await client.request(method, url, headers={"X-MEXC-APIKEY": bot.key})

    async def listen_key(self, bot: BotKey = ALPHA) -> str:
        """A new listen key."""
        return str((await self.ask("POST", "userDataStream", bot)).json()["listenKey"])

    @asynccontextmanager
    async def stream(self, listen_key: str | None = None, path: str = "/ws", **options: Any) -> AsyncIterator[Stream]:
        """An open stream."""
        query = "" if listen_key is None else f"?listenKey={listen_key}"
        url = f"ws://127.0.0.1:{self.number}{path}{query}"
        async with asyncio.timeout(90), connect(url, proxy=None, close_timeout=0.2, **options) as socket:
            yield Stream(socket)


@dataclass
class Stream:
    """A client."""

    socket: ClientConnection

    async def subscribe(self, *channels: str) -> str:
        """Subscribe and return the reply's text."""
        return await self.say({"method": "SUBSCRIPTION", "params": list(channels)})

    async def say(self, message: object) -> str:
        """Send a message and return the text of the reply, which may come after pushes."""
        await self.socket.send(json.dumps(message))
        while not isinstance(reply := await self.socket.recv(), str):
            pass
        return str(json.loads(reply)["msg"])

    async def push(self) -> Push:
        """The next push."""
        while isinstance(frame := await self.socket.recv(), str):
            pass
        return decode_push(frame)

    async def ending(self) -> tuple[int | None, str | None]:
        """The code and the reason with which the gateway closes it."""
        await self.socket.wait_closed()
        return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def gateway(
    streams: StreamLimits | None = None,
    connection: Bounds | None = None,
    keys: BotKeys | None = None,
    acceptors: Acceptors | None = None,
    history: Rate = PLENTY.history,
) -> AsyncIterator[Gateway]:
    """Serve a gateway."""
    port, found = FakePort(), keys if isinstance(keys, Keys) else Keys()
    limits: GatewayLimits = replace(PLENTY, streams=streams or StreamLimits(), connection=connection or Bounds(), history=history)
    async with serving(create_app(port, found, limits), "127.0.0.1", 0, limits, acceptors) as number:
        yield Gateway(port, found, number)
