"""The account's profile, STP groups, wallet and symbol lists: reply forms and refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from exchange.testnet.access.auth import ALL_PERMISSIONS
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from exchange.wire.profile import KycLevel, parse_mx_deduct
from tests.support.wire_readers import parse_group_reply, parse_groups_reply, parse_kyc, parse_uid

MONEY = {"USDT": Decimal(10_000), "BTC": Decimal(1)}
MASTER = AccountConfig("master", "mx0bot", "bot-secret", MONEY, ALL_PERMISSIONS, uid="209302839", kyc=KycLevel.ADVANCED)
SUB = AccountConfig("sub", "mx0sub", "sub-secret", MONEY, ALL_PERMISSIONS, uid="49910594", master="master")
STRANGER = AccountConfig("stranger", "mx0str", "str-secret", MONEY, ALL_PERMISSIONS, uid="555")


@pytest.fixture
def config() -> TestnetConfig:
    return TestnetConfig(accounts=(MASTER, SUB, STRANGER), port=0, rate_limits=NO_RATE_LIMITS)


@pytest.fixture
async def testnet(config: TestnetConfig) -> AsyncIterator[RunningTestnet]:
    async with running_testnet(config) as running:
        yield running


@pytest.fixture
def sub(trader: Any) -> Any:
    return type(trader)(trader.http, SUB.api_key, SUB.secret)


async def test_an_account_shows_its_kyc_level_and_its_uid(trader: Any) -> None:
    kyc, uid = await trader.get("kyc/status"), await trader.get("uid")
    assert (kyc, uid) == ({"status": "3"}, {"uid": "209302839"})
    assert (parse_kyc(kyc), parse_uid(uid)) == (KycLevel.ADVANCED, "209302839")


async def test_mx_deduction_is_switched_and_shown(trader: Any) -> None:
    before = await trader.get("mxDeduct/enable")
    switched = (await trader.send("POST", "mxDeduct/enable", {"mxDeductEnable": "true"})).json()
    assert (before["data"], before["code"], before["msg"]) == ({"mxDeductEnable": False}, 0, "success")
    assert parse_mx_deduct(switched) is True
    assert parse_mx_deduct(await trader.get("mxDeduct/enable")) is True


@pytest.mark.parametrize(("value", "code"), [("", 700004), ("True", 33333), ("1", 33333)])
async def test_mx_deduction_takes_lower_case_booleans_only(trader: Any, value: str, code: int) -> None:
    reply = await trader.send("POST", "mxDeduct/enable", {"mxDeductEnable": value})
    assert (reply.status_code, reply.json()["code"]) == (400, code)


async def test_a_group_is_created_filled_shown_cleared_and_deleted(trader: Any) -> None:
    created = parse_group_reply((await trader.send("POST", "strategy/group", {"tradeGroupName": "one"})).json())
    ref = {"tradeGroupId": created.id}
    added = (await trader.send("POST", "strategy/group/uid", {**ref, "uid": "209302839,49910594"})).json()
    (listed,) = parse_groups_reply(await trader.get("strategy/group", tradeGroupName="one"))
    shown = parse_group_reply(await trader.get("strategy/group/uid", **ref))
    removed = (await trader.send("DELETE", "strategy/group/uid", {**ref, "uid": "49910594"})).json()
    left = parse_group_reply(await trader.get("strategy/group/uid", **ref))
    deleted = (await trader.send("DELETE", "strategy/group", ref)).json()
    assert (added["code"], added["data"]["tradeGroupUid"], added["data"]["tradeGroupId"]) == (200, "209302839,49910594", 91)
    assert listed.uids == shown.uids == ("209302839", "49910594")
    assert left.uids == ("209302839",)
    assert (removed["data"], deleted["data"], deleted["code"]) == (True, True, 200)
    assert parse_groups_reply(await trader.get("strategy/group")) == ()


async def test_a_group_name_is_unique_and_ten_groups_are_the_limit(trader: Any) -> None:
    for number in range(10):
        assert (await trader.send("POST", "strategy/group", {"tradeGroupName": f"g{number}"})).status_code == 200
    again = await trader.send("POST", "strategy/group", {"tradeGroupName": "g1"})
    eleventh = await trader.send("POST", "strategy/group", {"tradeGroupName": "g10"})
    assert (again.json()["code"], eleventh.json()["code"]) == (33333, 33333)


async def test_a_sub_account_can_read_groups_but_not_create_any(trader: Any, sub: Any) -> None:
    await trader.send("POST", "strategy/group", {"tradeGroupName": "one"})
    refused = await sub.send("POST", "strategy/group", {"tradeGroupName": "two"})
    assert refused.json()["code"] == 140002
    assert [group.name for group in parse_groups_reply(await sub.get("strategy/group"))] == ["one"]


@pytest.mark.parametrize(
    ("method", "path", "params", "code"),
    [
        ("POST", "strategy/group", {}, 700004),
        ("POST", "strategy/group/uid", {"tradeGroupId": 91, "uid": "555"}, 140001),
        ("POST", "strategy/group/uid", {"tradeGroupId": 91, "uid": "me"}, 700008),
        ("POST", "strategy/group/uid", {"tradeGroupId": 92, "uid": "209302839"}, 22222),
        ("DELETE", "strategy/group/uid", {"tradeGroupId": 91, "uid": "49910594"}, 22222),
        ("DELETE", "strategy/group", {"tradeGroupId": 92}, 22222),
        ("DELETE", "strategy/group", {"tradeGroupId": "x"}, 700008),
    ],
)
async def test_an_invalid_group_request_is_refused(trader: Any, method: str, path: str, params: dict[str, Any], code: int) -> None:
    await trader.send("POST", "strategy/group", {"tradeGroupName": "one"})
    reply = await trader.send(method, path, params)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


async def test_symbols_are_listed_in_the_recorded_forms(trader: Any) -> None:
    default = await trader.get("defaultSymbols")
    assert await trader.get("selfSymbols") == {"code": 200, "data": ["BTCUSDT"], "msg": None}
    assert (default["data"], default["code"], default["msg"]) == (["BTCUSDT"], 0, "success")
    assert isinstance(default["timestamp"], int)


async def test_wallet_queries_are_empty_and_withdrawals_are_refused(trader: Any) -> None:
    assert await trader.get("symbol/offline") == {"data": []}
    assert await trader.get("announcements", language="en", page=1, limit=5) == {"code": 0, "data": [], "msg": ""}
    assert (await trader.get("etf/info", symbol="BTC3LUSDT"))["code"] == 30014
    assert await trader.get("capital/withdraw/history") == []
    assert await trader.get("capital/transfer") == {"rows": [], "total": 0}


async def test_a_key_that_may_move_money_gets_another_refusal(trader: Any) -> None:
    withdraw = await trader.send("POST", "capital/withdraw", {"coin": "USDT", "address": "x", "amount": "1"})
    transfer = await trader.send("POST", "capital/transfer", {"asset": "USDT", "amount": "1"})
    cancel = await trader.send("DELETE", "capital/withdraw", {"id": "0" * 32})
    without_id = await trader.send("DELETE", "capital/withdraw", {})
    assert [one.json()["code"] for one in (withdraw, transfer, cancel, without_id)] == [10212, 10206, 22222, 700004]
    assert (await trader.get("account"))["balances"][1] == {"asset": "USDT", "free": "10000", "locked": "0", "available": "10000"}


async def test_several_symbols_are_queried_and_unknown_ones_left_out(http: httpx.AsyncClient) -> None:
    several = (await http.get("/api/v3/exchangeInfo", params={"symbols": "NOPEUSDT,BTCUSDT"})).json()
    unknown = await http.get("/api/v3/exchangeInfo", params={"symbol": "NOPEUSDT"})
    assert [one["symbol"] for one in several["symbols"]] == ["BTCUSDT"]
    assert unknown.json()["code"] == -1121


@pytest.mark.parametrize(
    ("grouped", "mode", "left"),
    [
        (True, "cancel_maker", ["taker"]),
        (True, "cancel_taker", ["maker"]),
        (True, "cancel_both", []),
        (True, "", ["maker", "taker"]),
        (False, "cancel_both", ["maker", "taker"]),
    ],
)
async def test_the_later_orders_mode_decides_when_two_of_a_group_meet(
    trader: Any, sub: Any, testnet: RunningTestnet, grouped: bool, mode: str, left: list[str]
) -> None:
    testnet.venue.pause()
    best = testnet.venue.engine.quote("BTCUSDT", testnet.venue.clock.now())
    assert best is not None
    between = str(best.bid + Decimal("0.01"))
    if grouped:
        await trader.send("POST", "strategy/group", {"tradeGroupName": "one"})
        await trader.send("POST", "strategy/group/uid", {"tradeGroupId": 91, "uid": "209302839,49910594"})
    await sub.place(side="SELL", price=between, newClientOrderId="maker")
    ack = (await trader.place(side="BUY", price=between, newClientOrderId="taker", stpMode=mode)).json()
    still = [*(await sub.get("openOrders")), *(await trader.get("openOrders"))]
    assert ack["stpMode"] == mode
    assert [order["clientOrderId"] for order in still] == left


async def test_an_stp_mode_that_does_not_exist_is_refused(trader: Any) -> None:
    assert (await trader.place(stpMode="CANCEL_MAKER")).json()["code"] == 33333
