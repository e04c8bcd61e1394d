"""``/openapi.json`` against the application, in process: no request causes a 5xx, and every reply matches its schema."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from exchange.matching.engine import DuplicateClientIds
from exchange.model import Millis, OrderType, Side
from exchange.testnet.access.auth import ALL_PERMISSIONS
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.http.app import build_app
from exchange.testnet.http.endpoint import Endpoint
from exchange.testnet.http.endpoints import ENDPOINTS
from exchange.testnet.server import build_venue
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.orders import NewOrder
from exchange.wire.profile import StrategyGroup
from tests.support.proofs import sizes
from tests.support.stopped_clock import StoppedClock

KEY, SECRET = "mx0fuzz", "fuzz-secret"
MONEY = {"USDT": Decimal(1_000_000), "BTC": Decimal(100), "MX": Decimal(10)}
START = Millis(1_700_000_000_000)
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


CLOCK = StoppedClock(START)
BATCH = '[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.01","price":"50000"},{"symbol":"BTCUSDT"}]'
ALWAYS_REFUSED = {"/api/v3/etf/info", "/api/v3/capital/withdraw", "POST /api/v3/capital/transfer"}
ORDER_PATHS = {"/api/v3/order", "/api/v3/order/test"}
PLAUSIBLE = {
    "symbol": ["BTCUSDT"],
    "symbols": ["BTCUSDT,ETHUSDT"],
    "side": ["BUY", "SELL"],
    "type": ["LIMIT", "MARKET"],
    "quantity": ["0.01"],
    "quoteOrderQty": [""],
    "price": ["50000", "60000.01", "70000"],
    "newClientOrderId": [""],
    "origClientOrderId": ["known"],
    "orderId": [""],
    "startTime": [str(START)],
    "endTime": [str(START + 3_600_000)],
    "limit": ["1", "5000"],
    "batchOrders": [BATCH],
    "tradeGroupId": ["91"],
    "uid": ["10000001"],
    "mxDeductEnable": ["false"],
}


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """A venue after ten seconds of its generated market."""
    CLOCK.at = START
    account = AccountConfig("fuzz", KEY, SECRET, MONEY, ALL_PERMISSIONS)
    config = TestnetConfig(accounts=(account,), rate_limits=NO_RATE_LIMITS, duplicates=DuplicateClientIds.ACCEPT)
    venue = build_venue(config, CLOCK)
    CLOCK.at = Millis(START + 10_000)
    while records := venue.market.take_due():
        for record in records:
            venue.feed(record)
    yield venue
    venue.close()


@pytest.fixture(scope="module")
def described(venue: SimulatedVenue) -> Any:
    """The description, bound to an application of the venue."""
    return schemathesis.openapi.from_asgi("/openapi.json", build_app(venue, ""))


@pytest.mark.parametrize("examples", sizes(short=16, long=60))
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_every_reply_matches_its_schema(described: Any, venue: SimulatedVenue, endpoint: Endpoint, examples: int) -> None:
    statuses: set[int] = set()

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=described[endpoint.path][endpoint.method].as_strategy(), plausible=st.randoms(use_true_random=False))
    def ask(case: Any, plausible: Random) -> None:
        chosen = {"listenKey": [furnished(venue)], **PLAUSIBLE}
        query = {name: str(value) for name, value in (case.query or {}).items()}
        # An order needs both, and the schema cannot say so: without this, chance decides whether any order is accepted.
        needed = {"quantity", "price"} if endpoint.path in ORDER_PATHS else set()
        for name in sorted((query.keys() | needed) & chosen.keys()):
            if plausible.randrange(8):
                query[name] = plausible.choice(chosen[name])
        case.headers = {"X-MEXC-APIKEY": KEY, "Content-Type": "application/json"}
        case.query = query if endpoint.permission is None else signed(query)
        statuses.add(case.call_and_validate(checks=CHECKS).status_code)

    ask()
    refused = endpoint.path in ALWAYS_REFUSED or f"{endpoint.method} {endpoint.path}" in ALWAYS_REFUSED
    assert (200 in statuses) is not refused


def furnished(venue: SimulatedVenue) -> str:
    """Create an open order named ``known``, a group and a listen key; returns the key."""
    CLOCK.at = Millis(CLOCK.at + 1_000)
    venue.cancel_all("fuzz")
    venue.place("fuzz", NewOrder("BTCUSDT", Side.BUY, OrderType.LIMIT, "known", Decimal("0.001"), None, Decimal(50_000)))
    venue.groups.load([("fuzz", StrategyGroup(91, "known", START, START, ("10000001",)))])
    return venue.listen_keys.create("fuzz", CLOCK.at)


def signed(query: dict[str, str]) -> dict[str, str]:
    """The generated query with a valid timestamp and signature."""
    fields = {name: value for name, value in query.items() if name not in {"signature", "timestamp", "recvWindow"}}
    fields["timestamp"] = str(CLOCK.at)
    return {**fields, "signature": hmac.new(SECRET.encode(), urlencode(fields).encode(), hashlib.sha256).hexdigest()}


def test_the_description_names_every_endpoint_s_permission(described: Any) -> None:
    paths = described.raw_schema["paths"]
    assert {
        (method.upper(), path): operation.get("x-permission") for path, item in paths.items() for method, operation in item.items()
    } == {(one.method, one.path): one.permission for one in ENDPOINTS}
