"""The control endpoint, the rate limits, and what a testnet refuses to start with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange import tape
from exchange.errors import ConfigError, IntegrityError, Unreachable
from exchange.model import DataSource, Millis
from exchange.testnet.config import RateLimits, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet, serve
from tests.support.loopback import http_at

TOKEN = {"X-Testnet-Control": "let-me-in"}


@pytest.mark.parametrize("headers", [{}, {"X-Testnet-Control": ""}, {"X-Testnet-Control": "guess"}])
async def test_the_control_endpoint_needs_its_token(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for method, path in (("GET", "state"), ("POST", "pause"), ("POST", "faults"), ("DELETE", "faults")):
        assert (await http.request(method, f"/__control/{path}", headers=headers)).status_code == 403


async def test_without_a_token_there_is_no_control_endpoint(changed: Callable[..., TestnetConfig]) -> None:
    async with running_testnet(changed(control_token="")) as running, http_at(running.base_url) as http:
        assert (await http.get("/__control/state", headers={"X-Testnet-Control": ""})).status_code == 404


async def test_faults_are_armed_listed_and_lifted_over_http(http: httpx.AsyncClient) -> None:
    armed = await http.post(
        "/__control/faults", headers=TOKEN, json=[{"kind": "lost-ack"}, {"kind": "rate-limited", "count": None}]
    )
    limited = await http.get("/api/v3/ping")
    listed = (await http.get("/__control/faults", headers=TOKEN)).json()["faults"]
    lifted = (await http.delete("/__control/faults?kind=rate-limited", headers=TOKEN)).json()
    assert armed.json() == {"armed": [1, 2]}
    assert limited.status_code == 429
    assert [(one["kind"], one["struck"]) for one in listed] == [("lost-ack", 0), ("rate-limited", 1)]
    assert lifted == {"lifted": 1}
    assert (await http.get("/api/v3/ping")).status_code == 200


@pytest.mark.parametrize(
    "body", ["", "{}", '{"kind":"earthquake"}', "[" * 5000, '{"kind":"lost-ack","count":0}', '{"kind":"lost-ack","x":1}']
)
async def test_a_fault_that_does_not_exist_is_refused(http: httpx.AsyncClient, body: str) -> None:
    reply = await http.post("/__control/faults", headers=TOKEN, content=body)
    assert (reply.status_code, reply.json()["error"]) == (400, "fault-unusable")


async def test_the_state_shows_how_often_each_order_reached_the_venue(trader: Any, http: httpx.AsyncClient) -> None:
    await trader.place(newClientOrderId="twice")
    await trader.place(newClientOrderId="twice")
    state = (await http.get("/__control/state", headers=TOKEN)).json()
    assert state["accounts"]["bot"]["receipts"] == {"twice": {"received": 2, "accepted": 1}}
    assert [order["clientOrderId"] for order in state["accounts"]["bot"]["orders"]] == ["twice"]
    assert state["source"] == "synthetic"


async def move(http: httpx.AsyncClient, side: str, **changes: object) -> httpx.Response:
    wanted = {"account": "bot", "asset": "USDT", "amount": "12.5", **changes}
    return await http.post(f"/__control/{side}", headers=TOKEN, json=wanted)


async def test_money_comes_and_goes_through_the_control_endpoint(trader: Any, http: httpx.AsyncClient) -> None:
    assert (await move(http, "deposits")).json() == {"id": f"{1:032x}"}
    assert (await move(http, "withdrawals", amount="10000")).json() == {"id": f"{2:032x}"}
    usdt = next(one for one in (await trader.get("account"))["balances"] if one["asset"] == "USDT")
    (came,), (left,) = await trader.get("capital/deposit/hisrec"), await trader.get("capital/withdraw/history")
    assert usdt["free"] == "12.5"
    assert (came["coin"], came["amount"], came["status"]) == ("USDT", "12.5", 5)
    assert (left["coin"], left["amount"], left["status"]) == ("USDT", "10000", 7)
    assert await trader.get("capital/deposit/hisrec", coin="BTC") == []


@pytest.mark.parametrize(
    ("side", "changes", "error"),
    [
        ("withdrawals", {"amount": "10000.01"}, "withdrawal-too-large"),
        ("withdrawals", {"amount": "0.00000000000000001"}, "withdrawal-invalid"),
        ("withdrawals", {"amount": "0"}, "transfer-unusable"),
        ("deposits", {"amount": "1e12"}, "deposit-invalid"),
        ("deposits", {"account": "nobody"}, "account-missing"),
        ("deposits", {"asset": "usdt"}, "transfer-unusable"),
        ("deposits", {"note": "x"}, "transfer-unusable"),
    ],
)
async def test_a_transfer_that_cannot_be_is_refused(
    http: httpx.AsyncClient, trader: Any, side: str, changes: dict[str, object], error: str
) -> None:
    reply = await move(http, side, **changes)
    assert (reply.status_code, reply.json()["error"]) == (400, error)
    assert await trader.get("capital/deposit/hisrec") == []


async def test_a_paused_market_does_not_move_until_it_is_resumed(http: httpx.AsyncClient, testnet: RunningTestnet) -> None:
    await http.post("/__control/pause", headers=TOKEN)
    first = (await http.get("/__control/state", headers=TOKEN)).json()["tape"]
    assert testnet.venue.market.take_due() == []
    second = (await http.get("/__control/state", headers=TOKEN)).json()["tape"]
    assert first == second
    assert first["paused"] is True
    assert (await http.post("/__control/resume", headers=TOKEN)).json() == {"paused": False}


async def test_placing_and_cancelling_share_one_limit(changed: Callable[..., TestnetConfig], trader: Any) -> None:
    config = changed(rate_limits=RateLimits(orders_per_second=3, requests_per_second=0))
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        trader.http = http
        for _ in range(2):
            assert (await trader.place()).status_code == 200
        assert (await trader.send("DELETE", "order/all")).status_code == 200
        refused = await trader.place()
        query = await trader.send("GET", "openOrders")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, 429, "1")
    assert query.status_code == 200


async def test_all_requests_together_have_a_limit(changed: Callable[..., TestnetConfig]) -> None:
    config = changed(rate_limits=RateLimits(orders_per_second=0, requests_per_second=5))
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        statuses = [(await http.get("/api/v3/ping")).status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_a_host_that_others_could_reach_is_refused(changed: Callable[..., TestnetConfig], host: str) -> None:
    with pytest.raises(ConfigError) as refused:
        changed(host=host)
    assert refused.value.code == "testnet-host-not-loopback"


async def test_a_port_in_use_is_reported(testnet: RunningTestnet, changed: Callable[..., TestnetConfig]) -> None:
    with pytest.raises(Unreachable) as refused:
        async with running_testnet(changed(port=testnet.port)):
            pass
    assert refused.value.code == "testnet-port-taken"


async def test_a_missing_tape_file_is_reported(changed: Callable[..., TestnetConfig], tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as refused:
        await serve(changed(tape=tmp_path / "none.tape.gz"))
    assert refused.value.code == "tape-missing"


async def test_a_recorded_tape_is_played_and_its_source_named(changed: Callable[..., TestnetConfig], tmp_path: Path) -> None:
    path = tmp_path / "short.tape.gz"
    level = (Decimal(100), Decimal(1)), (Decimal(101), Decimal(1))
    start = tape.DepthSnapshot("BTCUSDT", 7, level[:1], level[1:], Millis(1_000), Millis(1_000))
    tape.write(path, tape.TapeHeader("BTCUSDT", DataSource.RECORDED_L2, "a test", "none"), [start])
    async with running_testnet(changed(tape=path, loop=False)) as running, http_at(running.base_url) as http:
        depth = (await http.get("/api/v3/depth?symbol=BTCUSDT")).json()
        page = (await http.get("/")).text
    assert (depth["lastUpdateId"], depth["bids"], depth["asks"]) == (7, [["100", "1"]], [["101", "1"]])
    assert "recorded-l2" in page


async def test_unknown_keys_share_one_rate_limit(changed: Callable[..., TestnetConfig]) -> None:
    config = changed(rate_limits=RateLimits(orders_per_second=0, requests_per_second=3))
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        statuses = [(await http.get("/api/v3/ping", headers={"X-MEXC-APIKEY": f"k{n}"})).status_code for n in range(4)]
    assert statuses == [200, 200, 200, 429]


async def test_a_served_testnet_reports_its_address_and_stops_on_cancel(config: TestnetConfig) -> None:
    ready: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(config, lambda host, port: ready.set_result((host, port))))
    host, port = await asyncio.wait_for(ready, 5)
    async with http_at(f"http://{host}:{port}") as http:
        assert (await http.get("/api/v3/ping")).status_code == 200
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)
