"""Symbols that are switched while the venue runs, and orders that faults refuse."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.server import RunningTestnet

TOKEN = {"X-Testnet-Control": "let-me-in"}
MARKET = {"type": "MARKET", "price": ""}


async def switch(http: httpx.AsyncClient, **change: object) -> httpx.Response:
    return await http.post("/__control/symbols", headers=TOKEN, json={"symbol": "BTCUSDT", **change})


@pytest.mark.parametrize(
    ("change", "side", "code"),
    [
        ({"status": 2}, "BUY", 30000),
        ({"status": 3}, "SELL", 30000),
        ({"trade_side_type": 2}, "BUY", None),
        ({"trade_side_type": 2}, "SELL", 30001),
        ({"trade_side_type": 3}, "BUY", 30001),
        ({"trade_side_type": 3}, "SELL", None),
        ({"trade_side_type": 4}, "BUY", 30016),
        ({"api_allowed": False}, "BUY", 10007),
    ],
)
async def test_a_switched_symbol_refuses_orders_and_tests_alike(
    trader: Any, http: httpx.AsyncClient, change: dict[str, object], side: str, code: int | None
) -> None:
    await switch(http, **change)
    order = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "quantity": "0.01", "price": "60000"}
    placed, tested = await trader.send("POST", "order", order), await trader.send("POST", "order/test", order)
    assert (placed.json().get("code"), tested.json().get("code")) == (code, code)


async def test_exchange_info_shows_a_switched_symbol_and_its_return(http: httpx.AsyncClient) -> None:
    changed = (await switch(http, status=3, trade_side_type=2, market_orders=False, api_allowed=False)).json()
    (shown,) = (await http.get("/api/v3/exchangeInfo?symbol=BTCUSDT")).json()["symbols"]
    offline = (await http.get("/api/v3/symbol/offline")).json()
    names = (await http.get("/api/v3/defaultSymbols")).json()["data"]
    assert (shown["status"], shown["tradeSideType"], shown["orderTypes"]) == ("3", 2, ["LIMIT", "LIMIT_MAKER"])
    assert shown["isSpotTradingAllowed"] is False
    assert offline == {"data": [{"symbol": "BTCUSDT", "state": 3, "offlineTime": changed["since"]}]}
    assert names == []
    await switch(http, status=1, trade_side_type=1, market_orders=True, api_allowed=True)
    (back,) = (await http.get("/api/v3/exchangeInfo?symbol=BTCUSDT")).json()["symbols"]
    assert (back["status"], back["tradeSideType"], back["isSpotTradingAllowed"]) == ("1", 1, True)
    assert (await http.get("/api/v3/symbol/offline")).json() == {"data": []}


async def test_market_orders_can_be_switched_off_while_limit_orders_go_on(trader: Any, http: httpx.AsyncClient) -> None:
    await switch(http, market_orders=False)
    assert (await trader.place(**MARKET)).json()["code"] == 30019
    assert (await trader.place()).status_code == 200


async def test_an_order_on_a_paused_symbol_can_still_be_cancelled(trader: Any, http: httpx.AsyncClient) -> None:
    order = (await trader.place()).json()
    await switch(http, status=2)
    canceled = await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "orderId": order["orderId"]})
    assert canceled.status_code == 200


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"symbol":"BTCUSDT","status":4}', '{"symbol":"BTCUSDT","x":1}', '{"symbol":"NO"}']
)
async def test_an_invalid_switch_is_refused(http: httpx.AsyncClient, body: str) -> None:
    reply = await http.post("/__control/symbols", headers=TOKEN, content=body)
    assert reply.status_code == 400
    (shown,) = (await http.get("/__control/symbols", headers=TOKEN)).json()["symbols"]
    assert (shown["status"], shown["trade_side_type"]) == (1, 1)


@pytest.mark.parametrize("path", ["order", "order/test"])
async def test_a_symbol_closed_by_a_fault_is_refused_with_10007(trader: Any, testnet: RunningTestnet, path: str) -> None:
    testnet.arm(FaultKind.SYMBOL_NOT_SUPPORTED, params={"symbol": "BTCUSDT"})
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "50000"}
    first, second = await trader.send("POST", path, order), await trader.send("POST", path, order)
    assert (first.status_code, first.json()["code"], second.status_code) == (400, 10007, 200)


async def test_market_orders_disabled_by_a_fault_are_refused_with_30051(trader: Any, testnet: RunningTestnet) -> None:
    testnet.arm(FaultKind.MARKET_ORDER_DISABLED, count=None)
    market, limit = await trader.place(**MARKET), await trader.place()
    assert (market.status_code, market.json()["code"], limit.status_code) == (400, 30051, 200)


async def test_a_fault_for_another_symbol_does_not_strike(trader: Any, testnet: RunningTestnet) -> None:
    testnet.arm(FaultKind.SYMBOL_NOT_SUPPORTED, params={"symbol": "ETHUSDT"})
    assert (await trader.place()).status_code == 200
