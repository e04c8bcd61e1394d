"""A testnet on a free port, and a minimal client: httpx with MEXC's signature."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from exchange.testnet.access.auth import Permission
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.support.loopback import http_at

BOT = AccountConfig("bot", "mx0bot", "bot-secret", {"USDT": Decimal(10_000), "BTC": Decimal(1)})
READER = AccountConfig("reader", "mx0reader", "reader-secret", {}, frozenset({Permission.SPOT_DEAL_READ}))
LIMIT_BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "50000"}


@dataclass
class SigningClient:
    """Signs and sends requests. ``body`` sends a form body labelled ``application/json``, as one known client does."""

    http: httpx.AsyncClient
    key: str = BOT.api_key
    secret: str = BOT.secret

    async def send(
        self, method: str, path: str, params: Mapping[str, object] | None = None, *, body: bool = False, headers: Any = None
    ) -> httpx.Response:
        fields = {**(params or {}), "timestamp": int(time.time() * 1000)}
        payload = urlencode({name: str(value) for name, value in fields.items()})
        payload += "&signature=" + hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        sent = {"X-MEXC-APIKEY": self.key, "Content-Type": "application/json"} if headers is None else headers
        if body:
            return await self.http.request(method, f"/api/v3/{path}", content=payload, headers=sent)
        return await self.http.request(method, f"/api/v3/{path}?{payload}", headers=sent)

    async def place(self, **changes: object) -> httpx.Response:
        return await self.send("POST", "order", {**LIMIT_BUY, **changes})

    async def get(self, path: str, **params: object) -> Any:
        return (await self.send("GET", path, params)).json()


@pytest.fixture
def config() -> TestnetConfig:
    """One account with every permission, one that may only read, no rate limits, a generated market."""
    return TestnetConfig(accounts=(BOT, READER), port=0, rate_limits=NO_RATE_LIMITS, control_token="let-me-in")


@pytest.fixture
async def testnet(config: TestnetConfig) -> AsyncIterator[RunningTestnet]:
    async with running_testnet(config) as running:
        yield running


@pytest.fixture
async def http(testnet: RunningTestnet) -> AsyncIterator[httpx.AsyncClient]:
    async with http_at(testnet.base_url) as client:
        yield client


@pytest.fixture
def trader(http: httpx.AsyncClient) -> SigningClient:
    return SigningClient(http)


@pytest.fixture
def reader(http: httpx.AsyncClient) -> SigningClient:
    return SigningClient(http, READER.api_key, READER.secret)


@pytest.fixture
def changed(config: TestnetConfig) -> Callable[..., TestnetConfig]:
    """The default configuration with a few fields changed."""

    def change(**fields: Any) -> TestnetConfig:
        return replace(config, **fields)

    return change
