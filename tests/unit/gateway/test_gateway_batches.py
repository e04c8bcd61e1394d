"""``batchOrders``: every element is decided and answered as an order of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from controller.gateway.port import Busy, Outstanding, PlaceReply, VenueRejected
from controller.serving.throttle import Rate
from exchange.wire.orders import NewOrder, StpMode
from policies.limits import Deny, LimitRule
from tests.unit.gateway.fake_port import FakePort
from tests.unit.gateway.gateway_client import PLENTY, BotClient


def element(client_id: str = "", **changes: str) -> dict[str, str]:
    named = {"newClientOrderId": client_id} if client_id else {}
    return {"symbol": "MXUSDT", "side": "BUY", "type": "LIMIT", "quantity": "4", "price": "2.5", **named, **changes}


async def send(bot: BotClient, *elements: dict[str, str], **changes: Any) -> httpx.Response:
    return await bot.signed("POST", "batchOrders", [("batchOrders", json.dumps(elements))], **changes)


class PickyPort(FakePort):
    """Answers by client id, and accepts every other order."""

    def __init__(self, **answers: PlaceReply) -> None:
        super().__init__()
        self.answers = answers

    async def place(self, bot: str, order: NewOrder, *, key: str) -> PlaceReply:
        accepted = await super().place(bot, order, key=key)
        return self.answers.get(order.client_id or "", accepted)


async def test_every_element_is_placed_in_order_and_shows_its_id(bot: BotClient, port: FakePort) -> None:
    reply = (await send(bot, element("a"), element("b", type="MARKET"), element("c", side="SELL"))).json()
    assert [order.client_id for order in port.placed()] == ["a", "b", "c"]
    assert [(one["newClientOrderId"], one["symbol"], one["orderListId"]) for one in reply] == [
        (name, "MXUSDT", -1) for name in "abc"
    ]
    orders = {one["newClientOrderId"]: one["orderId"] for one in reply}
    assert orders == {order.client_id: order.order_id for order in port.open_orders("alpha", None)}


async def test_elements_without_an_id_are_answered_by_their_place(bot: BotClient) -> None:
    reply = (await send(bot, element(), element())).json()
    assert [set(one) for one in reply] == [{"symbol", "orderId", "orderListId"}] * 2
    assert reply[0]["orderId"] != reply[1]["orderId"]


async def test_an_element_that_is_no_order_is_refused_by_its_id(bot: BotClient, port: FakePort) -> None:
    good, bad, worse = (await send(bot, element("a"), element("b", quantity="-1"), element("c", side="UP"))).json()
    assert good["orderId"]
    assert (bad["newClientOrderId"], bad["code"]) == ("b", 700008)
    assert (worse["newClientOrderId"], worse["code"]) == ("c", 33333)
    assert [order.client_id for order in port.placed()] == ["a"]


async def test_each_element_has_its_own_refusal() -> None:
    port = PickyPort(
        denied=Deny(LimitRule.EXPOSURE, "12 EUR", "10 EUR", "12 EUR would exceed 10 EUR", "Do less."),
        refused=VenueRejected(30005, "Oversold"),
        busy=Busy(1),
    )
    reply = (await send(BotClient(port), element("denied"), element("fine"), element("refused"), element("busy"))).json()
    assert [(one["newClientOrderId"], one.get("code")) for one in reply] == [
        ("denied", 30032),
        ("fine", None),
        ("refused", 30005),
        ("busy", 429),
    ]
    assert reply[0]["msg"].startswith("gatehouse: exposure: 12 EUR would exceed 10 EUR")


async def test_an_element_of_unknown_outcome_shows_its_id_and_no_refusal() -> None:
    port = PickyPort(a=Outstanding("gh-1", "a", "no outcome yet"), b=Outstanding("", "b", "the controller is slow"))
    known, unknown = (await send(BotClient(port), element("a"), element("b"))).json()
    assert known == {"symbol": "MXUSDT", "orderId": "gh-1", "newClientOrderId": "a", "orderListId": -1}
    assert unknown["code"] == 504
    assert "query it by origClientOrderId=b" in unknown["msg"]


async def test_the_same_batch_again_gives_the_first_orders(bot: BotClient, port: FakePort) -> None:
    first = (await send(bot, element("a"), element("b"))).json()
    assert (await send(bot, element("a"), element("b"))).json() == first
    assert len(port.open_orders("alpha", None)) == 2


async def test_the_same_batch_with_an_order_without_an_id_is_a_replay(bot: BotClient, port: FakePort) -> None:
    await send(bot, element("a"), element())
    again = await send(bot, element("a"), element())
    assert (again.status_code, again.json()["code"]) == (400, 700002)
    assert len(port.open_orders("alpha", None)) == 2


async def test_a_batch_signed_before_the_start_places_nothing(bot: BotClient, port: FakePort) -> None:
    port.started_at = port.clock
    assert (await send(bot, element("a"))).json()["code"] == 700003
    assert port.placed() == []


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", "[[]]", "nonsense", json.dumps([element()] * 21)])
async def test_what_is_not_a_batch_is_refused_whole(bot: BotClient, port: FakePort, text: str) -> None:
    reply = await bot.signed("POST", "batchOrders", [("batchOrders", text)])
    assert reply.status_code == 400
    assert port.heard == []


async def test_a_batch_of_two_symbols_is_refused_whole(bot: BotClient, port: FakePort) -> None:
    assert (await send(bot, element("a"), element("b", symbol="BTCUSDT"))).json()["code"] == 33333
    assert port.heard == []


async def test_a_batch_counts_as_many_orders_as_it_has(port: FakePort) -> None:
    few = BotClient(port, replace(PLENTY, orders=Rate(1, 5)))
    assert (await send(few, *[element(str(number)) for number in range(3)])).status_code == 200
    assert (await send(few, *[element(str(number)) for number in range(3, 6)])).status_code == 429
    assert len(port.placed()) == 3


async def test_a_mode_against_self_trades_is_shown(bot: BotClient) -> None:
    placed = (await bot.buy(("stpMode", "cancel_maker"))).json()
    shown = (await bot.signed("GET", "order", [("symbol", "MXUSDT"), ("orderId", placed["orderId"])])).json()
    (listed,) = (await bot.signed("GET", "openOrders")).json()
    assert {placed["stpMode"], shown["stpMode"], listed["stpMode"]} == {StpMode.CANCEL_MAKER.value}
    assert shown["cancelReason"] is None
