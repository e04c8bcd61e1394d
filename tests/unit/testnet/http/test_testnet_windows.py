"""Time range and page size of queries: orders 7 days, trades a month and 100 per page, candles 500."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from exchange.model import MarketTrade, Millis, OrderType, Side
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.http.app import build_app
from exchange.testnet.server import build_venue
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.orders import NewOrder
from tests.support.stopped_clock import StoppedClock

DAY = 86_400_000
NOW = 1_700_000_000_000
BOT = AccountConfig("bot", "mx0bot", "bot-secret", {"USDT": Decimal(10_000_000)})

Get = Callable[..., Any]


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(NOW - 40 * DAY)


@pytest.fixture
async def venue(clock: StoppedClock) -> AsyncIterator[SimulatedVenue]:
    venue = build_venue(TestnetConfig((BOT,), rate_limits=NO_RATE_LIMITS), clock)
    yield venue
    venue.close()


@pytest.fixture
async def get(venue: SimulatedVenue, clock: StoppedClock) -> AsyncIterator[Get]:
    """A signed GET of the application in process: the status and the decoded reply."""
    transport = httpx.ASGITransport(build_app(venue, ""))
    async with httpx.AsyncClient(base_url="http://testnet", transport=transport) as http:

        async def ask(path: str, **params: object) -> tuple[int, Any]:
            query = urlencode({**params, "timestamp": clock.at})
            signature = hmac.new(b"bot-secret", query.encode(), hashlib.sha256).hexdigest()
            reply = await http.get(f"/api/v3/{path}?{query}&signature={signature}", headers={"X-MEXC-APIKEY": "mx0bot"})
            return reply.status_code, reply.json()

        yield ask


def place(venue: SimulatedVenue, clock: StoppedClock, age: int, name: str, kind: OrderType = OrderType.LIMIT) -> None:
    clock.at = Millis(NOW - age)
    price = None if kind is OrderType.MARKET else Decimal(50_000)
    venue.place("bot", NewOrder("BTCUSDT", Side.BUY, kind, name, Decimal("0.001"), None, price))


async def test_all_orders_reach_a_day_back_by_default_and_seven_days_at_most(
    venue: SimulatedVenue, clock: StoppedClock, get: Get
) -> None:
    for age, name in ((8 * DAY, "old"), (6 * DAY, "week"), (2 * DAY, "days"), (DAY // 2, "today")):
        place(venue, clock, age, name)
    clock.at = Millis(NOW)
    default = (await get("allOrders", symbol="BTCUSDT"))[1]
    wide = (await get("allOrders", symbol="BTCUSDT", startTime=NOW - 30 * DAY))[1]
    inside = (await get("allOrders", symbol="BTCUSDT", startTime=NOW - 7 * DAY, endTime=NOW - DAY))[1]
    one = (await get("allOrders", symbol="BTCUSDT", startTime=NOW - 30 * DAY, limit=1))[1]
    assert [order["clientOrderId"] for order in default] == ["today"]
    assert [order["clientOrderId"] for order in wide] == ["today", "days", "week"]
    assert [order["clientOrderId"] for order in inside] == ["days", "week"]
    assert [order["clientOrderId"] for order in one] == ["today"]


async def test_my_trades_reach_a_month_back_and_are_a_hundred_at_most(venue: SimulatedVenue, clock: StoppedClock, get: Get) -> None:
    place(venue, clock, 31 * DAY, "old", OrderType.MARKET)
    for number in range(105):
        place(venue, clock, 20 * DAY - number, f"t{number}", OrderType.MARKET)
    clock.at = Millis(NOW)
    trades = (await get("myTrades", symbol="BTCUSDT", startTime=1, limit=1000))[1]
    early = (await get("myTrades", symbol="BTCUSDT", startTime=1, endTime=NOW - 25 * DAY))[1]
    newest = venue.engine.order("bot", "BTCUSDT", client_id="t104")
    assert newest is not None
    assert (len(trades), trades[0]["orderId"]) == (100, newest.report.order_id)
    assert early == []


@pytest.mark.parametrize("window", [{"startTime": NOW}, {"endTime": NOW}])
async def test_agg_trades_take_both_ends_of_a_window_or_neither(get: Get, window: dict[str, int]) -> None:
    status, reply = await get("aggTrades", symbol="BTCUSDT", **window)
    assert (status, reply["code"], reply["_extend"]) == (400, -1128, None)
    assert (await get("aggTrades", symbol="BTCUSDT", startTime=1, endTime=NOW))[0] == 200


@pytest.mark.parametrize("interval", ["1h", "8h", "1w", "2m"])
async def test_candles_of_an_interval_rest_does_not_have_are_refused(get: Get, interval: str) -> None:
    status, reply = await get("klines", symbol="BTCUSDT", interval=interval)
    assert (status, reply["code"]) == (400, 33333)


async def test_candles_are_five_hundred_at_most_in_rows_of_eight(venue: SimulatedVenue, clock: StoppedClock, get: Get) -> None:
    first = NOW - NOW % 60_000 - 600 * 60_000
    for minute in range(600):
        at = Millis(first + minute * 60_000)
        venue.history.record(MarketTrade("BTCUSDT", Decimal(60_000 + minute), Decimal(1), Side.BUY, at, str(minute)))
    clock.at = Millis(NOW)
    rows = (await get("klines", symbol="BTCUSDT", interval="1m", limit=1000))[1]
    ends = (await get("klines", symbol="BTCUSDT", interval="1m", startTime=first, endTime=first + 60_000))[1]
    assert (len(rows), {len(row) for row in rows}) == (500, {8})
    assert [type(part) for part in rows[0]] == [int, str, str, str, str, str, int, str]
    assert [(row[0], row[6]) for row in ends] == [(first, first + 60_000)]
