"""Every reply and push has the fields, and the kinds of value, of what MEXC publishes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from websockets.asyncio.client import connect

from exchange.testnet.server import RunningTestnet
from exchange.wire.pb.push_pb2 import PushDataV3ApiWrapper
from tests.support.published import PUSHES, REPLIES, Published

TOKEN = {"X-Testnet-Control": "let-me-in"}
BTC = {"symbol": "BTCUSDT"}
SPEND = {**BTC, "side": "BUY", "type": "MARKET", "quoteOrderQty": "20"}
REST = {**BTC, "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "50000"}
BATCH = [{**REST, "newClientOrderId": "a"}, {**REST, "newClientOrderId": "b", "quantity": "0.000001"}, REST]


def kind(value: object) -> object:
    """What a value is, without what it says: lists by their first element."""
    if isinstance(value, dict):
        return {name: kind(one) for name, one in value.items()}
    if isinstance(value, list):
        return [kind(value[0])] if value else []
    return type(value).__name__


def compare(shown: object, published: Published, *, whole: object | None = None) -> None:
    """The shapes are equal, except where a difference is named, and every named difference is one."""
    found = set(differences(kind(shown), kind(published.payload if whole is None else whole)))
    assert found == set(published.differs)


def differences(shown: object, expected: object, name: str = "") -> list[str]:
    if isinstance(shown, dict) and isinstance(expected, dict):
        both = [one for key in shown.keys() & expected.keys() for one in differences(shown[key], expected[key], key)]
        return [*both, *(shown.keys() ^ expected.keys())]
    if isinstance(shown, list) and isinstance(expected, list):
        return differences(shown[0], expected[0], name) if shown and expected else []
    return [] if shown == expected else [name]


async def reply_to(endpoint: str, trader: Any, http: httpx.AsyncClient) -> object:
    """The testnet's reply to a request of the kind that the payload was published for."""
    method, path = endpoint.split(" /api/v3/")
    params: dict[str, Any] = dict(BTC)
    if path in {"klines", "order", "myTrades", "allOrders", "openOrders"}:
        params |= {"interval": "1m"} if path == "klines" else {}
    if method == "GET" and path in {"order", "allOrders", "myTrades"}:
        params["orderId"] = (await trader.send("POST", "order", SPEND)).json()["orderId"]
    elif path in {"order", "openOrders"} and method != "POST":
        placed = await trader.send("POST", "order", {**REST, "newClientOrderId": "mine"})
        params |= {"orderId": placed.json()["orderId"]} if path == "order" else {}
    elif path in {"order", "order/test"}:
        params = SPEND
    elif path == "batchOrders":
        params = {"batchOrders": json.dumps(BATCH)}
    elif path == "mxDeduct/enable":
        params = {"mxDeductEnable": "true"}
    elif path == "userDataStream" and method != "POST":
        params = {"listenKey": (await trader.send("POST", path)).json()["listenKey"]}
    elif path.startswith("capital/"):
        for side in ("deposits", "withdrawals"):
            await http.post(f"/__control/{side}", headers=TOKEN, json={"account": "bot", "asset": "USDT", "amount": "5"})
    reply = await trader.send(method, path, params)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("endpoint", REPLIES)
async def test_a_reply_has_the_shape_of_the_published_one(endpoint: str, trader: Any, http: httpx.AsyncClient) -> None:
    published = REPLIES[endpoint]
    shown = await reply_to(endpoint, trader, http)
    if endpoint.endswith("batchOrders"):
        assert isinstance(shown, list)
        for one, expected in zip(shown, published.payload, strict=True):
            compare(one, published, whole=expected)
    else:
        compare(shown, published)


async def test_an_order_shows_the_client_id_it_was_sent_with_and_none_otherwise(trader: Any) -> None:
    named = await trader.send("POST", "order", {**REST, "newClientOrderId": "mine"})
    bare = await trader.send("POST", "order", REST)
    one, other = [await trader.get("order", **BTC, orderId=reply.json()["orderId"]) for reply in (named, bare)]
    listed = await trader.get("openOrders", **BTC)
    canceled = (await trader.send("DELETE", "openOrders", BTC)).json()
    assert (one["clientOrderId"], other["clientOrderId"]) == ("mine", None)
    assert [order["clientOrderId"] for order in listed] == ["", "mine"]
    assert [(order["origClientOrderId"], order["clientOrderId"]) for order in canceled] == [(None, None), ("mine", "mine")]


async def test_trades_never_show_a_client_id(trader: Any) -> None:
    await trader.send("POST", "order", {**SPEND, "newClientOrderId": "mine"})
    (trade,) = await trader.get("myTrades", **BTC)
    assert trade["clientOrderId"] is None


@pytest.mark.parametrize(
    ("path", "names"), [("openOrders", ("time", "updateTime")), ("allOrders", ("time", "updateTime")), ("myTrades", ("time",))]
)
async def test_orders_and_trades_have_whole_seconds(path: str, names: tuple[str, ...], trader: Any) -> None:
    await trader.send("POST", "order", SPEND)
    await trader.send("POST", "order", REST)
    shown = await trader.get(path, **BTC)
    assert shown
    assert all(one[name] % 1_000 == 0 for one in shown for name in names)


async def test_public_trades_taken_together_have_whole_seconds(trader: Any) -> None:
    for _ in range(100):
        if shown := await trader.get("aggTrades", **BTC):
            break
        await asyncio.sleep(0.05)
    assert shown
    assert all(one["T"] % 1_000 == 0 for one in shown)


@pytest.mark.parametrize("topic", PUSHES)
async def test_a_push_has_the_fields_of_the_published_one(topic: str, trader: Any, testnet: RunningTestnet) -> None:
    private = "@private." in topic
    key = (await trader.send("POST", "userDataStream")).json()["listenKey"]
    body = await pushed(topic, trader, f"{testnet.ws_url}?listenKey={key}" if private else testnet.ws_url)
    compare(body, PUSHES[topic])


async def pushed(topic: str, trader: Any, url: str) -> dict[str, Any]:
    """The first push on a channel that has every list filled; on a private one, of a MARKET order that has filled."""
    name = topic
    if ".aggre." in topic:
        name += "@10ms@BTCUSDT"
    elif "@public." in topic:
        name += "@BTCUSDT" + {"spot@public.kline.v3.api.pb": "@Min1", "spot@public.limit.depth.v3.api.pb": "@5"}.get(topic, "")
    async with asyncio.timeout(20), connect(url, proxy=None, close_timeout=0.1) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": [name]}))
        if "@private." in topic:
            await socket.recv()
            await trader.send("POST", "order", SPEND)
        async for frame in socket:
            if not isinstance(frame, bytes):
                continue
            wrapper = PushDataV3ApiWrapper.FromString(frame)
            body = MessageToDict(getattr(wrapper, str(wrapper.WhichOneof("body"))))
            complete = all(body.get(one) for one in ("asks", "bids") if one in PUSHES[topic].payload)
            if complete and (not topic.startswith("spot@private.orders") or body["status"] == 2):
                return body
    raise AssertionError("the stream ended")


async def test_a_market_buy_leaves_what_its_collar_would_have_cost_more(trader: Any, testnet: RunningTestnet) -> None:
    """As recorded on 2025-08-12: 2000 x 0.001053 - 2.014 = 0.092, with nothing left to buy."""
    topic = "spot@private.orders.v3.api.pb"
    recorded, key = PUSHES[topic].payload, (await trader.send("POST", "userDataStream")).json()["listenKey"]
    for order in (recorded, await pushed(topic, trader, f"{testnet.ws_url}?listenKey={key}")):
        price, quantity, paid, left = (float(order[one]) for one in ("price", "quantity", "cumulativeAmount", "remainAmount"))
        assert (order["amount"], order["remainQuantity"]) == ("0", "0")
        assert left == pytest.approx(price * quantity - paid)
