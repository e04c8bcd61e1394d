"""Cases 60 to 71: the requests of another well-known bot, byte for byte as its source code makes them (mexc-spot-v3.md §2.5, §8.4).

It needs another Python and a long build, so `make bots` runs the client itself, and its forms are sent here over plain HTTP: a
form-encoded body labelled as JSON on POST, everything in the query otherwise, and orders known by their client id alone.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.server import RunningTestnet
from exchange.wire.push_decode import decode_push
from exchange.wire.signing import encode_params, signature
from tests.conformance.cases import case
from tests.conformance.conftest import credentials
from tests.conformance.trader import SYMBOL
from tests.support.loopback import http_at
from tests.support.rig import Rig

pytestmark = pytest.mark.asyncio(loop_scope="module")
API = "/api/v3"


class Hummingbot:
    """Its request forms on one account."""

    def __init__(self, http: httpx.AsyncClient, key: str, secret: str, ws: str, quantity: str = "0.001") -> None:
        self._http = http
        self._key = key
        self._secret = secret
        self.ws = ws
        self._quantity = quantity
        self._orders = 0

    async def public(self, path: str, **params: str) -> Any:
        return (await self._http.get(f"{API}/{path}", params=params)).json()

    async def post(self, path: str, **params: str) -> httpx.Response:
        """The form in the body, labelled as JSON, without a query."""
        return await self._http.post(f"{API}/{path}", content=self._signed(params), headers=self._headers())

    async def ask(self, method: str, path: str, **params: str) -> httpx.Response:
        """Everything in the query, with the same header."""
        return await self._http.request(method, f"{API}/{path}?{self._signed(params)}", headers=self._headers())

    async def place(self, side: str, price: str, quantity: str = "", type_: str = "LIMIT") -> tuple[str, httpx.Response]:
        """The client id and the reply. It sends ``timeInForce``, which MEXC does not know, and no ``recvWindow``."""
        self._orders += 1
        name = f"HUMBOT{side[0]}{SYMBOL}{self._orders:016d}"
        priced = {"price": price, "timeInForce": "GTC"} if type_ == "LIMIT" else {}
        fields = {"symbol": SYMBOL, "side": side, "quantity": quantity or self._quantity, "type": type_, "newClientOrderId": name}
        return name, await self.post("order", **fields, **priced)

    async def resting_price(self) -> str:
        best = await self.public("ticker/bookTicker", symbol=SYMBOL)
        return f"{float(best['bidPrice']) * 0.995:.2f}"

    async def crossing_price(self) -> str:
        best = await self.public("ticker/bookTicker", symbol=SYMBOL)
        return f"{float(best['askPrice']) * 1.005:.2f}"

    def _signed(self, params: dict[str, str]) -> str:
        payload = encode_params([*params.items(), ("timestamp", str(time.time_ns() // 1_000_000))])
        return f"{payload}&signature={signature(self._secret, payload)}"

    def _headers(self) -> dict[str, str]:
        return {"X-MEXC-APIKEY": self._key, "Content-Type": "application/json"}


@pytest_asyncio.fixture(loop_scope="module")
async def _raw_trader(testnet: RunningTestnet) -> AsyncIterator[Hummingbot]:
    async with http_at(testnet.base_url) as http:
        yield Hummingbot(http, *credentials(), testnet.ws_url)


@pytest_asyncio.fixture(loop_scope="module")
async def _gateway_trader(_deployment: Rig) -> AsyncIterator[Hummingbot]:
    async with http_at(_deployment.gateway) as http:
        yield Hummingbot(http, _deployment.bot_key, _deployment.bot_secret, _deployment.streams, quantity="0.00003")


@case(60)
async def test_60_the_start_reads_the_clock_the_rules_and_the_prices(trader: Hummingbot) -> None:
    assert await trader.public("ping") == {}
    assert isinstance((await trader.public("time"))["serverTime"], int)
    (rules,) = (await trader.public("exchangeInfo"))["symbols"]
    assert (rules["status"], "SPOT" in rules["permissions"], rules["isSpotTradingAllowed"]) == ("1", True, True)
    assert {one["symbol"] for one in await trader.public("ticker/bookTicker")} == {SYMBOL}
    assert float((await trader.public("ticker/24hr", symbol=SYMBOL))["lastPrice"]) > 0
    assert len((await trader.public("depth", symbol=SYMBOL, limit="1000"))["bids"]) > 10


@case(61)
async def test_61_an_order_in_a_form_labelled_as_json_is_accepted(trader: Hummingbot) -> None:
    _, reply = await trader.place("BUY", await trader.resting_price())
    placed = reply.json()
    assert reply.status_code == 200
    assert isinstance(placed["orderId"], str)
    assert isinstance(placed["transactTime"], int)


@case(62)
async def test_62_a_market_order_by_quantity_is_accepted_on_both_sides(trader: Hummingbot) -> None:
    for side in ("BUY", "SELL"):
        name, reply = await trader.place(side, "", type_="MARKET")
        assert reply.status_code == 200, reply.text
        found = (await trader.ask("GET", "order", symbol=SYMBOL, origClientOrderId=name)).json()
        assert (found["status"], found["executedQty"]) == ("FILLED", "0.001")


@case(63)
async def test_63_a_cancel_by_client_id_reports_the_state_before_it(trader: Hummingbot) -> None:
    name, _ = await trader.place("BUY", await trader.resting_price())
    canceled = await trader.ask("DELETE", "order", symbol=SYMBOL, origClientOrderId=name)
    assert (canceled.status_code, canceled.json()["status"]) == (200, "NEW")


@case(64)
async def test_64_the_state_of_an_order_has_numbers_where_the_bot_needs_them(trader: Hummingbot) -> None:
    name, reply = await trader.place("BUY", await trader.resting_price())
    found = (await trader.ask("GET", "order", symbol=SYMBOL, origClientOrderId=name)).json()
    assert (found["orderId"], found["clientOrderId"], found["status"]) == (reply.json()["orderId"], name, "NEW")
    assert float(found["updateTime"]) > 0


@case(65)
async def test_65_fills_are_queried_by_order_and_by_time(trader: Hummingbot) -> None:
    began = int(time.time() * 1000)
    _, reply = await trader.place("BUY", await trader.crossing_price())
    order_id = reply.json()["orderId"]
    by_order = (await trader.ask("GET", "myTrades", symbol=SYMBOL, orderId=order_id)).json()
    by_time = (await trader.ask("GET", "myTrades", symbol=SYMBOL, startTime=str(began - 1))).json()
    assert by_order == by_time
    assert sum(float(one["qty"]) for one in by_order) == pytest.approx(0.001)
    assert {(one["orderId"], one["commissionAsset"]) for one in by_order} == {(order_id, "USDT")}


@case(66)
async def test_66_balances_are_read(trader: Hummingbot) -> None:
    balances = {one["asset"]: one for one in (await trader.ask("GET", "account")).json()["balances"]}
    assert float(balances["USDT"]["free"]) > 0
    assert float(balances["BTC"]["locked"]) == 0


@case(67)
async def test_67_an_unknown_order_has_the_texts_the_bot_looks_for(trader: Hummingbot) -> None:
    asked = await trader.ask("GET", "order", symbol=SYMBOL, origClientOrderId="HUMBOTnever")
    canceled = await trader.ask("DELETE", "order", symbol=SYMBOL, origClientOrderId="HUMBOTnever")
    assert (asked.json()["code"], "Order does not exist" in asked.json()["msg"]) == (-2013, True)
    assert (canceled.json()["code"], "Unknown order sent" in canceled.json()["msg"]) == (-2011, True)


@case(68)
async def test_68_a_503_after_accepting_says_that_the_state_is_unknown(trader: Hummingbot, testnet: RunningTestnet) -> None:
    price = await trader.resting_price()
    testnet.arm(FaultKind.ERROR_AFTER_ACCEPT, params={"status": 503})
    name, reply = await trader.place("BUY", price)
    assert reply.status_code == 503
    assert "Unknown error, please check your request or try again later." in reply.text
    assert (await trader.ask("GET", "order", symbol=SYMBOL, origClientOrderId=name)).json()["status"] == "NEW"


@case(69)
async def test_69_a_listen_key_comes_from_a_signed_body_and_is_renewed_by_query(trader: Hummingbot) -> None:
    key = (await trader.post("userDataStream")).json()["listenKey"]
    renewed = (await trader.ask("PUT", "userDataStream", listenKey=key)).json()
    assert renewed == {"listenKey": key}


async def reply(socket: ClientConnection) -> Any:
    """The next text; a balance may be pushed before it."""
    while isinstance(frame := await socket.recv(), bytes):
        pass
    return json.loads(frame)


@case(70)
async def test_70_the_private_stream_names_every_order_by_client_id(trader: Hummingbot) -> None:
    key = (await trader.post("userDataStream")).json()["listenKey"]
    price = await trader.resting_price()
    async with asyncio.timeout(5), connect(f"{trader.ws}?listenKey={key}", proxy=None) as socket:
        for number, name in ((1, "orders"), (2, "deals"), (3, "account")):
            channel = f"spot@private.{name}.v3.api.pb"
            await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": [channel], "id": number}))
            assert await reply(socket) == {"id": number, "code": 0, "msg": channel}
        await socket.send(json.dumps({"method": "PING"}))
        assert (await reply(socket))["msg"] == "PONG"
        name, _ = await trader.place("BUY", price)
        channels = {}
        while "spot@private.orders.v3.api.pb" not in channels:
            if isinstance(frame := await socket.recv(), bytes):
                push = decode_push(frame)
                channels[push.channel.name] = push.body
    assert channels["spot@private.orders.v3.api.pb"].client_id == name  # type: ignore[union-attr]


@case(71)
async def test_71_book_and_trade_streams_are_acknowledged_with_their_ids(trader: Hummingbot) -> None:
    channels = [f"spot@public.aggre.{name}.v3.api.pb@100ms@{SYMBOL}" for name in ("deals", "depth")]
    received: set[str] = set()
    async with asyncio.timeout(10), connect(trader.ws, proxy=None) as socket:
        for number, channel in enumerate(channels, 1):
            await socket.send(json.dumps({"method": "SUBSCRIPTION", "params": [channel], "id": number}))
        while len(received) < 4:
            frame = await socket.recv()
            received.add(json.loads(frame)["msg"] + " acknowledged" if isinstance(frame, str) else decode_push(frame).channel.name)
    assert received == {*channels, *(f"{channel} acknowledged" for channel in channels)}
