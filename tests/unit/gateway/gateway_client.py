"""A minimal signing client over the gateway's ASGI application, for tests that need to send exactly what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from controller.gateway.app import create_app
from controller.gateway.limits import GatewayLimits
from controller.gateway.port import BotKey, BotKeys
from controller.serving.throttle import Rate
from exchange.wire.signing import encode_params, signature
from tests.support.fixed_keys import FixedKeys
from tests.unit.gateway.fake_port import FakePort

ALPHA = BotKey("alpha", "mx0alphaalpha", "alpha-secret")
BETA = BotKey("beta", "mx0betabeta", "beta-secret")
PLENTY = GatewayLimits(
    orders=Rate(10_000, 100_000),
    cancels=Rate(10_000, 100_000),
    queries=Rate(10_000, 100_000),
    unsigned=Rate(10_000, 100_000),
    history=Rate(10_000, 100_000),
)
BUY = (("symbol", "MXUSDT"), ("side", "BUY"), ("type", "LIMIT"), ("quantity", "4"), ("price", "2.5"))


class BotClient:
    """Signs like a bot and sends to the application itself, without a socket."""

    def __init__(self, port: FakePort, limits: GatewayLimits = PLENTY, keys: BotKeys | None = None) -> None:
        self.port = port
        transport = httpx.ASGITransport(create_app(port, keys or FixedKeys(ALPHA, BETA), limits))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://gateway")

    async def public(self, path: str, query: str = "") -> httpx.Response:
        """A GET without a key."""
        return await self.http.get(f"/api/v3/{path}{'?' if query else ''}{query}")

    async def signed(
        self, method: str, path: str, params: Sequence[tuple[str, str]] = (), bot: BotKey = ALPHA, **changes: Any
    ) -> httpx.Response:
        """A correctly signed request at the port's time; ``changes`` may set ``timestamp``, ``secret`` or ``headers``."""
        stamped = [*params, ("timestamp", str(changes.get("timestamp", self.port.clock)))]
        payload = encode_params(stamped)
        signed = signature(changes.get("secret", bot.secret), payload)
        return await self.raw(method, path, f"{payload}&signature={signed}", headers=changes.get("headers"), bot=bot)

    async def raw(
        self,
        method: str,
        path: str,
        query: str,
        *,
        headers: dict[str, str] | None = None,
        bot: BotKey = ALPHA,
        content: bytes | None = None,
    ) -> httpx.Response:
        """A request with exactly this query string."""
        head = {"X-MEXC-APIKEY": bot.key, "Content-Type": "application/json"} if headers is None else headers
        url = f"/api/v3/{path}{'?' if query else ''}{query}"
        return await self.http.request(method, url, headers=head, content=content)

    async def buy(self, *extra: tuple[str, str], bot: BotKey = ALPHA, **changes: Any) -> httpx.Response:
        """A plain limit buy."""
        return await self.signed("POST", "order", [*BUY, *extra], bot, **changes)
