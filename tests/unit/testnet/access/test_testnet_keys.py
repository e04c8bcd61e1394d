"""Permissions per endpoint, pair and address whitelists, expiry, and the rate limits of single endpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from exchange.errors import ConfigError
from exchange.model import Millis
from exchange.testnet.access.auth import ALL_PERMISSIONS, ApiKey, Permission
from exchange.testnet.config import AccountConfig, RateLimits, TestnetConfig
from exchange.testnet.http.endpoint import Endpoint
from exchange.testnet.http.endpoints import ENDPOINTS
from exchange.testnet.server import running_testnet
from exchange.wire.errors import ErrorCode
from exchange.wire.orders import CancelStatus
from tests.support.loopback import http_at

BOT = AccountConfig("bot", "mx0bot", "bot-secret", {"USDT": Decimal(10_000), "BTC": Decimal(1)})
SIGNED = [endpoint for endpoint in ENDPOINTS if endpoint.permission is not None]
PAST, FUTURE = Millis(1), Millis(2**50)


@pytest.fixture
def asked(trader: Any, changed: Callable[..., TestnetConfig]) -> Callable[..., Any]:
    """One request to a new venue: ``key`` changes the bot's key, the other options change the configuration."""

    async def ask(
        method: str, path: str, params: dict[str, Any] | None = None, *, key: dict[str, Any] | None = None, **config: Any
    ) -> httpx.Response:
        options = changed(accounts=(replace(BOT, **(key or {})),), **config)
        async with running_testnet(options) as running, http_at(running.base_url) as http:
            trader.http = http
            reply: httpx.Response = await trader.send(method, path, params)
            return reply

    return ask


@pytest.mark.parametrize("endpoint", SIGNED, ids=lambda one: f"{one.method} {one.path}")
async def test_a_key_without_an_endpoint_s_permission_is_refused_there(
    endpoint: Endpoint, trader: Any, changed: Callable[..., TestnetConfig]
) -> None:
    assert endpoint.permission is not None
    without = ApiKey("mx0without", "without-secret", "bot", ALL_PERMISSIONS - {endpoint.permission})
    only = ApiKey("mx0only", "only-secret", "bot", frozenset({endpoint.permission}))
    config = changed(accounts=(BOT,), extra_keys=(without, only))
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        path = endpoint.path.removeprefix("/api/v3/")
        refused = await type(trader)(http, without.key, without.secret).send(endpoint.method, path)
        allowed = await type(trader)(http, only.key, only.secret).send(endpoint.method, path)
    assert (refused.status_code, refused.json()["code"]) == (400, 700007)
    assert b"700007" not in allowed.content


def test_a_default_key_can_trade_but_not_move_money_out() -> None:
    moves = {Permission.SPOT_WITHDRAW_WRITE, Permission.SPOT_TRANSFER_READ, Permission.SPOT_TRANSFER_WRITE}
    assert BOT.permissions == ALL_PERMISSIONS - moves


@pytest.mark.parametrize("code", [ErrorCode.PAIR_BANNED, ErrorCode.SYMBOL_NOT_SUPPORT_API, ErrorCode.NO_PERMISSION_FOR_SYMBOL])
@pytest.mark.parametrize("path", ["order", "order/test"])
async def test_a_pair_outside_the_key_s_whitelist_is_refused(asked: Callable[..., Any], path: str, code: ErrorCode) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "50000"}
    reply = await asked("POST", path, order, key={"symbols": frozenset({"ETHUSDT"})}, unlisted_pair_code=code)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


async def test_the_symbols_of_a_key_are_its_whitelist(asked: Callable[..., Any]) -> None:
    assert (await asked("GET", "selfSymbols", key={"symbols": frozenset({"ETHUSDT"})})).json()["data"] == []
    assert (await asked("GET", "selfSymbols", key={"symbols": frozenset({"BTCUSDT"})})).json()["data"] == ["BTCUSDT"]


@pytest.mark.parametrize(("addresses", "status"), [({"127.0.0.1"}, 200), ({"192.0.2.7"}, 400)])
async def test_a_key_bound_to_addresses_works_only_from_them(asked: Callable[..., Any], addresses: set[str], status: int) -> None:
    reply = await asked("GET", "account", key={"addresses": frozenset(addresses)})
    assert reply.status_code == status
    assert status == 200 or (reply.json()["code"], "127.0.0.1" in reply.json()["msg"]) == (700006, True)


@pytest.mark.parametrize("code", [ErrorCode.API_KEY_EXPIRED, ErrorCode.BAD_SIGNATURE])
async def test_an_expired_key_gets_the_configured_code(asked: Callable[..., Any], code: ErrorCode) -> None:
    reply = await asked("GET", "account", key={"expires_at": PAST}, expired_key_code=code)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


async def test_a_key_works_until_it_expires(asked: Callable[..., Any]) -> None:
    assert (await asked("GET", "account", key={"expires_at": FUTURE})).status_code == 200


@pytest.mark.parametrize(("shown", "status"), [(CancelStatus.BEFORE, "NEW"), (CancelStatus.AFTER, "CANCELED")])
async def test_a_cancel_reply_shows_the_state_before_or_after_as_configured(
    trader: Any, changed: Callable[..., TestnetConfig], shown: CancelStatus, status: str
) -> None:
    config = changed(cancel_status=shown)
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        trader.http = http
        await trader.place(newClientOrderId="one")
        one = await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "one"})
        await trader.place(newClientOrderId="two")
        (other,) = (await trader.send("DELETE", "openOrders", {"symbol": "BTCUSDT"})).json()
    assert (one.json()["status"], other["status"]) == (status, status)


@pytest.mark.parametrize(("method", "path"), [("POST", "batchOrders"), ("GET", "account")])
async def test_batches_and_account_queries_are_limited_to_two_a_second(
    trader: Any, changed: Callable[..., TestnetConfig], method: str, path: str
) -> None:
    config = changed(rate_limits=RateLimits(orders_per_second=0, requests_per_second=0))
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        trader.http = http
        statuses = [(await trader.send(method, path)).status_code for _ in range(3)]
        other = await trader.send("GET", "openOrders")
    assert (statuses[-1], statuses.count(429), other.status_code) == (429, 1, 200)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"accounts": (BOT, replace(BOT, name="b", api_key="k", uid="10000001"))}, "testnet-uid-unusable"),
        ({"accounts": (replace(BOT, uid="me"),)}, "testnet-uid-unusable"),
        ({"accounts": (replace(BOT, master="nobody"),)}, "testnet-owner-missing"),
        ({"extra_keys": (ApiKey("k", "s", "nobody"),)}, "testnet-owner-missing"),
        ({"mx_price": Decimal(0)}, "testnet-mx-price-invalid"),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        TestnetConfig(**{"accounts": (BOT,), **fields})
    assert refused.value.code == code
