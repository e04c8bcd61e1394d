"""The testnet's REST API on the wire: types, outer objects, ways to send parameters, permissions."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from exchange.testnet.config import TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.support.loopback import http_at
from tests.unit.testnet.conftest import LIMIT_BUY, SigningClient


async def test_ping_is_an_empty_object_and_nothing_else(http: httpx.AsyncClient) -> None:
    reply = await http.get("/api/v3/ping")
    assert (reply.content, reply.headers["content-type"]) == (b"{}", "application/json")


@pytest.mark.parametrize("path", ["/", "/api/v3/time", "/api/v3/order", "/nowhere", "/__control/state"])
async def test_every_response_says_that_the_venue_is_simulated(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).headers["x-gatehouse-testnet"] == "simulated"


async def test_instants_and_versions_are_numbers_and_quantities_are_text(trader: Any) -> None:
    await trader.place()
    depth = await trader.get("depth", symbol="BTCUSDT", limit=1)
    (order,) = await trader.get("openOrders", symbol="BTCUSDT")
    assert isinstance(depth["lastUpdateId"], int)
    assert all(isinstance(part, str) for part in depth["bids"][0])
    assert isinstance(order["time"], int)
    assert isinstance(order["updateTime"], int)
    assert order["timeInForce"] is None
    assert (order["origQty"], order["cummulativeQuoteQty"]) == ("0.01", "0")


async def test_fees_are_json_numbers(trader: Any) -> None:
    reply = await trader.send("GET", "tradeFee", {"symbol": "BTCUSDT"})
    assert b'"takerCommission":0.000500000000000000' in reply.content


async def test_an_order_in_a_form_body_labelled_as_json_is_accepted(trader: Any) -> None:
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": "0.01",
        "type": "LIMIT",
        "newClientOrderId": "HUMBOT-1",
        "price": "50000",
        "timeInForce": "GTC",
    }
    reply = await trader.send("POST", "order", order, body=True)
    found = await trader.get("order", symbol="BTCUSDT", origClientOrderId="HUMBOT-1")
    assert reply.status_code == 200
    assert set(reply.json()) >= {"symbol", "orderId", "orderListId"}
    assert "status" not in reply.json()
    assert (found["clientOrderId"], found["status"]) == ("HUMBOT-1", "NEW")


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=UTF-8", FORM.upper()])
async def test_an_order_in_a_form_body_is_accepted(trader: Any, content_type: str) -> None:
    headers = {"X-MEXC-APIKEY": trader.key, "Content-Type": content_type}
    order = {**LIMIT_BUY, "newClientOrderId": "form-1"}
    placed = await trader.send("POST", "order", order, body=True, headers=headers)
    assert placed.status_code == 200, placed.text
    found = await trader.get("order", symbol="BTCUSDT", orderId=placed.json()["orderId"])
    assert (found["clientOrderId"], found["origQty"], found["price"]) == ("form-1", "0.01", "50000")
    ended = await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "form-1"}, body=True, headers=headers)
    assert (ended.status_code, ended.json()["orderId"]) == (200, placed.json()["orderId"])


async def test_an_order_in_query_and_form_body_is_signed_over_both(http: httpx.AsyncClient, trader: Any) -> None:
    order = {**LIMIT_BUY, "timestamp": str(int(time.time() * 1000))}
    query = urlencode({name: order.pop(name) for name in ("symbol", "side", "type")})
    body = urlencode(order)
    signed = hmac.new(trader.secret.encode(), f"{query}{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"X-MEXC-APIKEY": trader.key, "Content-Type": FORM}
    for signature, status in (("0" * 64, 400), (signed, 200)):
        content = f"{body}&signature={signature}"
        reply = await http.post(f"/api/v3/order?{query}", content=content, headers=headers)
        assert reply.status_code == status, reply.text


async def test_a_listen_key_is_created_from_a_signed_body(trader: Any) -> None:
    reply = await trader.send("POST", "userDataStream", body=True)
    assert len(reply.json()["listenKey"]) == 64


async def test_the_query_wins_over_the_body(http: httpx.AsyncClient) -> None:
    reply = await http.request("GET", "/api/v3/ticker/bookTicker?symbol=BTCUSDT", content="symbol=NOPEUSDT")
    assert reply.json()["symbol"] == "BTCUSDT"


async def test_stray_parameters_are_tolerated(http: httpx.AsyncClient) -> None:
    reply = await http.get("/api/v3/depth?symbol=BTCUSDT&limit=5&recvWindow=5000&timestamp=1&signature=x")
    assert reply.status_code == 200


async def test_a_body_needs_a_content_type(trader: Any) -> None:
    reply = await trader.send("POST", "order", LIMIT_BUY, body=True, headers={"X-MEXC-APIKEY": trader.key})
    assert (reply.status_code, reply.json()["code"]) == (400, 700013)


async def test_a_strict_testnet_refuses_a_write_without_a_content_type(config: TestnetConfig) -> None:
    async with running_testnet(replace(config, strict_content_type=True)) as strict, http_at(strict.base_url) as http:
        trader = SigningClient(http)
        reply = await trader.send("DELETE", "order/all", {}, headers={"X-MEXC-APIKEY": trader.key})
        assert (reply.status_code, reply.json()["code"]) == (400, 700013)
        assert (await trader.place()).status_code == 200


async def test_a_write_without_a_body_needs_no_content_type(trader: Any) -> None:
    reply = await trader.send("POST", "order", {}, headers={"X-MEXC-APIKEY": trader.key})
    assert reply.json()["code"] == 700004
    reply = await trader.send("DELETE", "order/all", {}, headers={"X-MEXC-APIKEY": trader.key})
    assert reply.json()["code"] == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", 700004),
        ("?timestamp=1", 700004),
        ("?signature=00", 700004),
        ("?timestamp=1&signature=00", 700002),
    ],
)
async def test_an_unsigned_or_wrongly_signed_request_is_refused(http: httpx.AsyncClient, query: str, code: int) -> None:
    reply = await http.get(f"/api/v3/account{query}", headers={"X-MEXC-APIKEY": "mx0bot"})
    assert (reply.status_code, reply.json()["code"]) == (400, code)


async def test_a_request_without_a_key_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v3/account")).json()["code"] == 400


async def test_a_receive_window_beyond_a_minute_is_refused(trader: Any) -> None:
    assert (await trader.get("account", recvWindow=60001))["code"] == 700005


async def test_a_key_can_only_use_its_permissions(reader: Any) -> None:
    assert await reader.get("openOrders", symbol="BTCUSDT") == []
    assert (await reader.get("account"))["code"] == 700007
    assert (await reader.place()).json()["code"] == 700007


async def test_one_account_cannot_see_or_cancel_another_s_order(trader: Any, reader: Any, testnet: RunningTestnet) -> None:
    order = (await trader.place()).json()
    assert (await reader.get("order", symbol="BTCUSDT", orderId=order["orderId"]))["code"] == -2013
    assert await reader.get("openOrders") == []


async def test_an_unknown_order_carries_mexc_s_extra_key(trader: Any) -> None:
    reply = await trader.send("GET", "order", {"symbol": "BTCUSDT", "orderId": "C02__1"})
    assert reply.status_code == 400
    assert reply.json() == {"msg": "Order does not exist.", "code": -2013, "_extend": None}


async def test_a_cancel_reply_shows_the_state_before_the_cancel(trader: Any) -> None:
    await trader.place(newClientOrderId="one")
    reply = await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "one", "clientOrderId": "one"})
    again = await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "one"})
    assert reply.json()["status"] == "NEW"
    assert (again.status_code, again.json()["code"]) == (400, -2011)


async def test_the_emergency_cancel_reports_success_with_code_200(trader: Any) -> None:
    await trader.place()
    reply = (await trader.send("DELETE", "order/all")).json()
    assert (reply["code"], reply["msg"]) == (200, "success")
    assert await trader.get("openOrders") == []


async def test_a_batch_answers_element_by_element(trader: Any) -> None:
    good = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT_ORDER",
        "quantity": "0.01",
        "price": "50000",
        "newClientOrderId": "a",
    }
    poor = {**good, "quantity": "9", "newClientOrderId": "b"}
    reply = await trader.send("POST", "batchOrders", {"batchOrders": json.dumps([good, poor])})
    first, second = reply.json()
    assert reply.status_code == 200
    assert (first["newClientOrderId"], first["symbol"]) == ("a", "BTCUSDT")
    assert (second["newClientOrderId"], second["code"]) == ("b", 30004)


async def test_a_test_order_answers_an_empty_object(trader: Any) -> None:
    reply = await trader.send("POST", "order/test", {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "10"})
    assert reply.content == b"{}"


async def test_an_order_without_a_client_id_shows_none(trader: Any) -> None:
    await trader.place()
    (order,) = await trader.get("openOrders", symbol="BTCUSDT")
    assert order["clientOrderId"] == ""


async def test_listen_keys_are_listed_renewed_and_closed(trader: Any) -> None:
    key = (await trader.send("POST", "userDataStream")).json()["listenKey"]
    listed = await trader.get("userDataStream")
    renewed = (await trader.send("PUT", "userDataStream", {"listenKey": key})).json()
    closed = (await trader.send("DELETE", "userDataStream", {"listenKey": key})).json()
    after = await trader.send("PUT", "userDataStream", {"listenKey": key})
    assert (listed, renewed, closed) == ({"listenKey": [key]}, {"listenKey": key}, {"listenKey": key})
    assert after.status_code == 400


async def test_futures_are_answered_with_an_empty_success(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v1/contract/detail")).json() == {"success": True, "code": 0, "data": []}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/v3/nothing", 404), ("PATCH", "/api/v3/order", 405)])
async def test_an_unsupported_request_gets_an_error_in_mexcs_form(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    reply = await http.request(method, path)
    assert reply.status_code == status
    assert set(reply.json()) == {"code", "msg"}


async def test_only_known_symbols_are_listed_when_several_are_asked_for(http: httpx.AsyncClient) -> None:
    reply = (await http.get("/api/v3/exchangeInfo?symbols=BTCUSDT,NOPEUSDT")).json()
    assert [one["symbol"] for one in reply["symbols"]] == ["BTCUSDT"]


async def test_the_page_says_simulated_and_shows_an_open_order_escaped(
    trader: Any, http: httpx.AsyncClient, testnet: RunningTestnet
) -> None:
    order = (await trader.place()).json()
    page = (await http.get("/")).text
    assert "SIMULATED" in page
    assert "synthetic" in page
    assert order["orderId"] in page
    assert "bot-secret" not in page
    assert "http" not in page.replace("http-equiv", "")
