"""A testnet of our own, and an unmodified exchange library pointed at it the way its users would (mexc-spot-v3.md §8.1, §8.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any

import ccxt.async_support
import ccxt.pro
import pytest
import pytest_asyncio

from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet

SECRET = "a-secret-of-no-value"
ACCOUNTS = 80
"""Every test trades on an account of its own, so that one venue can serve a whole file."""

_unused = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _venue() -> AsyncIterator[RunningTestnet]:
    balances = {"USDT": Decimal(10_000), "BTC": Decimal("0.5")}
    accounts = tuple(AccountConfig(f"bot-{n}", f"mx0bot{n}", SECRET, balances) for n in range(ACCOUNTS))
    config = TestnetConfig(accounts=accounts, port=0, speed=Decimal(5), rate_limits=NO_RATE_LIMITS)
    async with running_testnet(config) as running:
        yield running


@pytest.fixture
def testnet(_venue: RunningTestnet) -> Iterator[RunningTestnet]:
    """A synthetic market at five times its pace."""
    yield _venue
    _venue.venue.faults.clear()
    _venue.venue.resume()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _shared_client(_venue: RunningTestnet) -> AsyncIterator[Any]:
    async with closing(point_at(_venue, ccxt.async_support.mexc(_credentials()))) as client:
        await client.load_markets()
        yield client


@pytest.fixture
def client(testnet: RunningTestnet, _shared_client: Any) -> Any:
    """The library's REST client with its markets loaded, on an account that nobody has used."""
    _shared_client.options["timeDifference"] = 0
    for name, value in _credentials().items():
        setattr(_shared_client, name, value)
    return _shared_client


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(testnet: RunningTestnet) -> AsyncIterator[Any]:
    """The library's streaming client with its markets loaded."""
    async with closing(point_at(testnet, ccxt.pro.mexc(_credentials()))) as client:
        await client.load_markets()
        yield client


def _credentials() -> dict[str, object]:
    return {"apiKey": f"mx0bot{next(_unused) % ACCOUNTS}", "secret": SECRET, "enableRateLimit": False}


@asynccontextmanager
async def closing(client: Any) -> AsyncIterator[Any]:
    try:
        yield client
    finally:
        await client.close()


def point_at(testnet: RunningTestnet, client: Any) -> Any:
    base = testnet.base_url
    client.urls["api"]["spot"] = {"public": base, "private": base}
    client.urls["api"]["contract"] = {"public": base + "/api/v1/contract", "private": base + "/api/v1/private"}
    client.urls["api"]["ws"] = {"spot": testnet.ws_url, "swap": testnet.ws_url}
    return client
