"""The gateway seen by an unmodified ccxt client over a real socket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest
from ccxt.base import errors

from controller.gateway.app import create_app
from controller.gateway.limits import GatewayLimits
from controller.gateway.port import BotKey, Busy, Outstanding
from controller.gateway.server import serving
from exchange.model import Millis
from policies.limits import Deny, LimitRule
from tests.support.fixed_keys import FixedKeys
from tests.unit.gateway.fake_port import FakePort

BOT = BotKey("alpha", "mx0alphaalpha", "alpha-secret")
RAISED = {
    "not-armed": errors.InvalidOrder,
    LimitRule.STAGE: errors.InvalidOrder,
    LimitRule.SYMBOL: errors.BadSymbol,
    LimitRule.GUARD: errors.InvalidOrder,
    LimitRule.SYMBOL_RULES: errors.InvalidOrder,
    LimitRule.EUR_RATE: errors.InvalidOrder,
    LimitRule.EUR_RATE_BAND: errors.InvalidOrder,
    LimitRule.QUOTE: errors.InvalidOrder,
    LimitRule.HOLDINGS: errors.InvalidOrder,
    LimitRule.CLIENT_ID: errors.BadRequest,
    LimitRule.PRICE: errors.InvalidOrder,
    LimitRule.QUANTITY: errors.InvalidOrder,
    LimitRule.MIN_NOTIONAL: errors.InvalidOrder,
    LimitRule.VENUE_MAXIMUM: errors.InvalidOrder,
    LimitRule.ORDER_NOTIONAL: errors.InvalidOrder,
    LimitRule.PRICE_COLLAR: errors.InvalidOrder,
    LimitRule.ORDER_RATE: errors.RateLimitExceeded,
    LimitRule.OPEN_ORDERS: errors.InvalidOrder,
    LimitRule.BALANCE: errors.InsufficientFunds,
    LimitRule.EXPOSURE: errors.InvalidOrder,
}


class LivePort(FakePort):
    """The fake controller on the wall clock, because the client signs with it."""

    def now(self) -> Millis:
        self.clock = Millis(time.time_ns() // 1_000_000)
        return self.clock


@pytest.fixture
def port() -> LivePort:
    return LivePort()


@pytest.fixture
async def client(port: LivePort) -> AsyncIterator[Any]:
    limits = GatewayLimits()
    async with serving(create_app(port, FixedKeys(BOT), limits), "127.0.0.1", 0, limits) as number:
        exchange = ccxt.mexc({"apiKey": BOT.key, "secret": BOT.secret, "enableRateLimit": False})
        base = f"http://127.0.0.1:{number}"
        exchange.urls["api"]["spot"] = {"public": base, "private": base}
        exchange.urls["api"]["contract"] = {"public": f"{base}/api/v1/contract", "private": f"{base}/api/v1/private"}
        try:
            yield exchange
        finally:
            await exchange.close()


async def test_markets_load_with_the_symbols_rules(client: Any) -> None:
    market = (await client.load_markets())["MX/USDT"]
    assert (market["active"], market["precision"]["price"], market["precision"]["amount"]) == (True, 0.0001, 0.01)
    assert market["limits"]["cost"]["min"] == 1


async def test_market_data_is_read(client: Any) -> None:
    book = await client.fetch_order_book("MX/USDT")
    ticker = await client.fetch_ticker("MX/USDT")
    trades = await client.fetch_trades("MX/USDT")
    best = await client.fetch_bids_asks()
    assert (book["bids"][0], book["asks"][0]) == ([2.5, 10.0], [2.51, 4.0])
    assert (ticker["last"], ticker["bid"], ticker["baseVolume"], ticker["open"]) == (2.505, 2.5, 1000.0, 2.3)
    assert len(trades) == 2
    assert best["MX/USDT"]["ask"] == 2.51


async def test_status_and_time_are_read(client: Any, port: LivePort) -> None:
    assert (await client.fetch_status())["status"] == "ok"
    assert await client.fetch_time() <= port.now()


async def test_the_balance_is_read(client: Any) -> None:
    balance = await client.fetch_balance()
    assert (balance["USDT"]["free"], balance["USDT"]["used"], balance["MX"]["total"]) == (900.0, 100.0, 12.5)


async def test_the_fee_is_read(client: Any) -> None:
    assert (await client.fetch_trading_fee("MX/USDT"))["taker"] == 0.0005


async def test_an_order_is_placed_read_and_cancelled(client: Any) -> None:
    placed = await client.create_order("MX/USDT", "limit", "buy", 4, 2.5, {"clientOrderId": "mine-1"})
    found = await client.fetch_order(placed["id"], "MX/USDT")
    opened = await client.fetch_open_orders("MX/USDT")
    cancelled = await client.cancel_order(placed["id"], "MX/USDT")
    after = await client.fetch_order(placed["id"], "MX/USDT")
    assert placed["id"] == found["id"] == cancelled["id"] == opened[0]["id"] == "gh-alpha-000001"
    assert (found["status"], found["clientOrderId"], found["amount"], found["price"]) == ("open", "mine-1", 4.0, 2.5)
    assert after["status"] == "canceled"
    assert await client.fetch_open_orders("MX/USDT") == []


async def test_an_order_is_cancelled_by_the_bots_own_id(client: Any) -> None:
    placed = await client.create_order("MX/USDT", "limit", "sell", 4, 2.6, {"clientOrderId": "mine-2"})
    cancelled = await client.cancel_order("", "MX/USDT", {"clientOrderId": "mine-2"})
    assert cancelled["id"] == placed["id"]


async def test_everything_is_cancelled_with_and_without_a_symbol(client: Any, port: LivePort) -> None:
    await client.create_order("MX/USDT", "limit", "buy", 4, 2.5)
    await client.cancel_all_orders("MX/USDT")
    await client.create_order("MX/USDT", "limit", "buy", 4, 2.4)
    await client.cancel_all_orders()
    assert port.open_orders("alpha", None) == []


async def test_fills_are_read(client: Any, port: LivePort) -> None:
    placed = await client.create_order("MX/USDT", "limit", "buy", 4, 2.5)
    port.fill("alpha", placed["id"], Decimal("2.5"))
    trades = await client.fetch_my_trades("MX/USDT")
    filled = await client.fetch_order(placed["id"], "MX/USDT")
    assert [(one["order"], one["amount"], one["cost"], one["fee"]["currency"]) for one in trades] == [
        (placed["id"], 4.0, 10.0, "USDT")
    ]
    assert (filled["status"], filled["filled"], filled["average"]) == ("closed", 4.0, 2.5)
    assert [one["id"] for one in await client.fetch_orders("MX/USDT")] == [placed["id"]]


async def test_a_market_order_by_cost_is_accepted(client: Any, port: LivePort) -> None:
    await client.create_market_buy_order_with_cost("MX/USDT", 10)
    assert (port.placed()[0].quote_quantity, port.placed()[0].quantity) == (Decimal(10), None)


async def test_a_dry_run_places_nothing(client: Any, port: LivePort) -> None:
    await client.create_order("MX/USDT", "limit", "buy", 4, 2.5, {"test": True})
    assert port.heard == []


async def test_each_denial_raises_the_matching_error_and_names_its_rule(client: Any, port: LivePort) -> None:
    raised: dict[str, type[BaseException]] = {}
    for rule in RAISED:
        port.answer = Deny(str(rule), "12 EUR", "10 EUR", "12 EUR would exceed 10 EUR", "Do less.")
        with pytest.raises(errors.BaseError, match=f"gatehouse: {rule}: 12 EUR would exceed 10 EUR") as caught:
            await client.create_order("MX/USDT", "limit", "buy", 4, 2.5, {"clientOrderId": f"denied-by-{rule}"})
        raised[rule] = type(caught.value)
    assert raised == RAISED


def test_every_rule_that_can_deny_is_tested() -> None:
    assert set(LimitRule) <= set(RAISED)


async def test_an_unknown_outcome_raises_a_timeout_that_names_the_order(client: Any, port: LivePort) -> None:
    port.answer = Outstanding("gh-1", "", "the venue did not answer in time")
    with pytest.raises(errors.RequestTimeout, match="orderId=gh-1"):
        await client.create_order("MX/USDT", "limit", "buy", 4, 2.5)
    assert len(port.placed()) == 1


async def test_a_full_inbox_raises_a_rate_limit(client: Any, port: LivePort) -> None:
    port.answer = Busy(1)
    with pytest.raises(errors.RateLimitExceeded):
        await client.create_order("MX/USDT", "limit", "buy", 4, 2.5)


async def test_a_wrong_secret_raises_an_authentication_error(client: Any, port: LivePort) -> None:
    await client.load_markets()
    client.secret = "wrong"
    with pytest.raises(errors.AuthenticationError):
        await client.create_order("MX/USDT", "limit", "buy", 4, 2.5)
    assert port.heard == []


async def test_a_withdrawal_fails_and_says_why(client: Any) -> None:
    with pytest.raises(errors.ExchangeError, match="by design"):
        await client.spot_private_post_capital_withdraw({"coin": "USDT", "address": "x", "amount": "1"})


async def test_a_market_that_is_away_raises_a_network_error_with_the_reason(client: Any, port: LivePort) -> None:
    await client.load_markets()
    port.market_problem = "no connection"
    for ask in (client.fetch_ohlcv("MX/USDT", "1h"), client.fetch_ticker("MX/USDT")):
        with pytest.raises(errors.ExchangeNotAvailable, match="no connection"):
            await ask


async def test_the_orders_of_a_batch_are_answered_one_by_one(client: Any, port: LivePort) -> None:
    wanted = [("buy", "mine-1", 4), ("sell", "mine-2", 2), ("buy", "mine-3", -1)]
    await client.load_markets()
    made = await client.create_orders(
        [
            {"symbol": "MX/USDT", "type": "limit", "side": side, "amount": amount, "price": 2.5, "params": {"clientOrderId": name}}
            for side, name, amount in wanted
        ]
    )
    shown = [(one["info"]["newClientOrderId"], one["status"]) for one in made]
    assert shown == [("mine-1", None), ("mine-2", None), ("mine-3", "rejected")]
    assert [order.client_id for order in port.placed()] == ["mine-1", "mine-2"]
    found = await client.fetch_order(made[0]["id"], "MX/USDT")
    assert (found["clientOrderId"], found["status"]) == ("mine-1", "open")
