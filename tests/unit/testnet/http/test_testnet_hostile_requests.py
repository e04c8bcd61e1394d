"""Hostile requests: each is refused in MEXC's form, and the venue keeps running."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.testnet.server import RunningTestnet
from tests.support.tries import tries

NUMBERS = ("NaN", "Infinity", "-1", "0", "-0", "1e400", "1E3", "1" + "0" * 30, "9" * 5000, "", " 1")
MORE_NUMBERS = ("１", "0x10", "1_000", "+1", "1.", ".5", "1,5", "1\n")
TEXTS = ("\x00", "9" * 5000, "<script>", "../..", "é", "' OR 1=1")
BATCHES = ("", "[]", "{}", "[1]", "[[]]", "[" * 3000, '[{"symbol":["a"]}]', "null", '[{"price":1e999}]')
INSTANTS = ("-1", "9" * 15, "1e3", "99999999999999999999")


@pytest.mark.parametrize("field", ["quantity", "price", "quoteOrderQty"])
async def test_a_hostile_number_is_refused_and_nothing_is_placed(trader: Any, field: str) -> None:
    order = {"type": "MARKET", "quantity": ""} if field == "quoteOrderQty" else {}
    replies = {value[:20]: await trader.place(**{**order, field: value}) for value in NUMBERS + MORE_NUMBERS}
    assert {value: reply.status_code for value, reply in replies.items()} == dict.fromkeys(replies, 400)
    assert all(isinstance(reply.json()["code"], int) for reply in replies.values())
    assert await trader.get("openOrders") == []


@pytest.mark.parametrize("field", ["recvWindow", "symbol", "side", "type", "newClientOrderId"])
async def test_a_hostile_text_is_refused(trader: Any, field: str) -> None:
    replies = {value[:20]: await trader.place(**{field: value}) for value in TEXTS}
    if field == "newClientOrderId":
        replies.pop("9" * 20)
        replies["too long"] = await trader.place(newClientOrderId="9" * 33)
    assert {value: reply.status_code for value, reply in replies.items()} == dict.fromkeys(replies, 400)


async def test_a_hostile_limit_is_refused(http: httpx.AsyncClient) -> None:
    replies = [
        await http.get("/api/v3/depth", params={"symbol": "BTCUSDT", "limit": limit}) for limit in ("-1", "1e9", "9" * 400, "NaN")
    ]
    assert {reply.status_code for reply in replies} == {400}


async def test_a_hostile_instant_never_breaks_a_query(trader: Any) -> None:
    replies = []
    for start in INSTANTS:
        window = f"symbol=BTCUSDT&startTime={start}&endTime={start}"
        replies.append(await trader.http.get(f"/api/v3/klines?interval=1M&{window}"))
        replies.append(await trader.http.get(f"/api/v3/aggTrades?{window}"))
        replies.append(await trader.send("GET", "allOrders", {"symbol": "BTCUSDT", "startTime": start}))
    assert {reply.status_code for reply in replies} <= {200, 400}


async def test_a_hostile_batch_is_refused(trader: Any) -> None:
    replies = [await trader.send("POST", "batchOrders", {"batchOrders": batch}) for batch in BATCHES]
    assert all(reply.status_code == 400 or "code" in reply.json()[0] for reply in replies)


async def test_a_body_beyond_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    reply = await http.post("/api/v3/order", content=b"a=" + b"x" * 70_000, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (400, 33333)


async def test_a_thousand_parameters_are_refused(http: httpx.AsyncClient) -> None:
    reply = await http.get("/api/v3/depth?" + "&".join(f"p{n}=1" for n in range(1000)))
    assert reply.status_code == 400


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"\x80=\x80&&&===", b'{"symbol":"BTCUSDT"}', b"%zz=%"])
async def test_a_garbled_body_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "X-MEXC-APIKEY": "mx0bot"}
    assert (await http.post("/api/v3/order", content=body, headers=headers)).status_code == 400


async def test_a_key_of_odd_characters_is_refused(http: httpx.AsyncClient) -> None:
    reply = await http.get("/api/v3/account?timestamp=1&signature=1", headers={"X-MEXC-APIKEY": b"\xe9" * 10})
    assert reply.json()["code"] == 700001


async def test_a_request_that_is_not_http_does_not_stop_the_venue(testnet: RunningTestnet, http: httpx.AsyncClient) -> None:
    _, writer = await asyncio.open_connection(testnet.host, testnet.port)
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    await writer.drain()
    writer.close()
    assert (await http.get("/api/v3/ping")).status_code == 200


async def test_a_client_that_disconnects_during_its_body_is_dropped(
    testnet: RunningTestnet, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection(testnet.host, testnet.port)
    writer.write(b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsymbol=")
    await writer.drain()
    assert (await http.get("/api/v3/ping")).status_code == 200
    writer.close()
    await writer.wait_closed()
    assert (await http.get("/api/v3/ping")).status_code == 200
    assert "Traceback" not in caplog.text


@settings(max_examples=tries(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.binary(max_size=60), path=st.sampled_from(["order", "depth", "klines", "allOrders", "ticker/24hr"]))
async def test_no_query_of_any_bytes_causes_an_internal_error(http: httpx.AsyncClient, query: bytes, path: str) -> None:
    escaped = "".join(f"%{byte:02X}" if byte not in b"=&" else chr(byte) for byte in query)
    reply = await http.get(f"/api/v3/{path}?symbol=BTCUSDT&{escaped}", headers={"X-MEXC-APIKEY": "mx0bot"})
    assert reply.status_code < 500
