"""Ids that collide: of two orders, of two venues, of a bot and gatehouse. Nothing is booked on an order that did not trade."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Repeated
from controller.core.decisions.orders import next_client_id
from controller.core.effects import Place
from exchange.model import Fill, Millis, OrderStatus, Side
from exchange.ports import Ack, VenueName
from exchange.wire.errors import MalformedReply
from exchange.wire.fields import Fields
from policies.stage import Stage
from tests.support.desk import SYMBOL, D, Desk

MOCK = VenueName.MOCK


@pytest.fixture
def desk() -> Desk:
    return Desk(btc="0.00004").arm()


def buy(desk: Desk) -> str:
    return desk.placed(desk.order("0.00005"))


def fill_of(desk: Desk, client_id: str, trade_id: str = "T1") -> Fill:
    order = desk.state.orders[client_id]
    quote = D("0.00003") * desk.price
    return Fill(
        trade_id, order.order_id, client_id, SYMBOL, order.side, desk.price, D("0.00003"), quote, D(0), "USDT", True, desk.now
    )


def booked(desk: Desk, *client_ids: str) -> list[str]:
    return [format(desk.state.orders[client_id].booked, "f") for client_id in client_ids]


# Two orders, one id at the venue


def test_a_second_order_with_the_venues_id_of_the_first_halts(desk: Desk) -> None:
    first = buy(desk)
    second = desk.placed(desk.order("0.00005"), Ack(desk.state.orders[first].order_id, desk.now))
    assert desk.state.position.stage is Stage.HALTED
    assert booked(desk, first, second) == ["0", "0"]


def test_a_trade_of_another_symbol_under_our_orders_id_is_booked_on_none(desk: Desk) -> None:
    first = buy(desk)
    desk.give(i.VenueReported(MOCK, replace(fill_of(desk, first), symbol="ETHUSDT", client_id="")))
    assert (booked(desk, first), desk.state.ledger(MOCK).fills_booked) == (["0"], 1)
    totals = desk.state.ledger(MOCK).totals
    assert totals is not None
    assert totals["ETH"] == D("0.00003")
    assert "was sent as BUY BTCUSDT and traded as BUY ETHUSDT" in desk.state.halt_reason


@pytest.mark.parametrize("trade_id", ["T1", "T2"])
def test_a_trade_under_a_shared_id_is_booked_on_the_order_that_it_fits(desk: Desk, trade_id: str) -> None:
    bought = buy(desk)
    desk.give(i.VenueReported(MOCK, fill_of(desk, bought)))
    decision = desk.order("0.00003", side=Side.SELL)
    assert isinstance(decision.reply, Admitted)
    sold = decision.reply.client_id
    shared = desk.state.orders[bought].order_id
    sale = replace(fill_of(desk, sold, trade_id), order_id=shared)
    for _ in range(2):
        desk.give(i.VenueReported(MOCK, sale))
    assert (booked(desk, bought, sold), desk.state.position.stage) == (["0.00003", "0.00003"], Stage.HALTED)


def test_a_trade_naming_an_order_of_another_venue_is_booked_on_none() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    first = buy(desk)
    before = desk.state.orders[first]
    desk.give(i.VenueReported(VenueName.LIVE, replace(fill_of(desk, first), order_id="C-live")))
    assert desk.state.orders[first] == before
    assert (desk.state.ledger(VenueName.LIVE).fills_booked, desk.state.position.stage) == (1, Stage.HALTED)


def test_ids_that_differ_only_in_leading_zeros_or_length_are_two(desk: Desk) -> None:
    orders = {name: desk.placed(desk.order("0.00002"), Ack(name, desk.now)) for name in ("7", "007", "7" * 64)}
    for name, client_id in orders.items():
        report = replace(desk.report(client_id, OrderStatus.CANCELED), order_id=name, client_id="")
        desk.give(i.VenueReported(MOCK, report))
        assert desk.state.orders[client_id].status is OrderStatus.CANCELED
    assert desk.state.position.stage is Stage.MOCK


# What is an id


@pytest.mark.parametrize(("value", "text"), [(7, "7"), ("007", "007"), (10**19, "1" + "0" * 19), ("x" * 64, "x" * 64), ("0", "0")])
def test_an_id_of_the_venue_is_its_text(value: object, text: str) -> None:
    assert Fields("order", {"orderId": value}).venue_id("orderId") == text


@pytest.mark.parametrize("value", [None, "", " ", "a b", "7\n", "x" * 65, 1.5, True, 10**20, ["7"], "\u0667", "\ud800"])
def test_what_is_no_id_of_the_venue_is_refused(value: object) -> None:
    with pytest.raises(MalformedReply):
        Fields("order", {"orderId": value}).venue_id("orderId")


@pytest.mark.parametrize("value", ["7" * 257, "\u0667" * 257, True, 1.5, 10**20, "\udc00"])
def test_what_is_no_id_of_a_client_is_refused(value: object) -> None:
    with pytest.raises(MalformedReply):
        Fields("order", {"clientOrderId": value}).client_id_or_empty("clientOrderId")


@pytest.mark.parametrize(("value", "text"), [(None, ""), ("", ""), (7, "7"), ("007", "007"), ("7" * 256, "7" * 256)])
def test_an_id_of_a_client_may_be_any_text(value: object, text: str) -> None:
    assert Fields("order", {"clientOrderId": value}).client_id_or_empty("clientOrderId") == text


# A bot that chooses gatehouse's ids


def test_a_bots_id_that_looks_like_gatehouses_own_changes_nothing(desk: Desk) -> None:
    first = buy(desk)
    wanted = [first, next_client_id(desk.state), f"1 {first}", desk.state.orders[first].order_id]
    for name in wanted:
        request = replace(desk.requested("0.00002", bot="other-bot", bot_id=name))
        decision = desk.give(request)
        (place,) = [effect for effect in decision.effects if isinstance(effect, Place)]
        assert place.intent.client_id != first
        assert desk.state.orders[place.intent.client_id].bot == "other-bot"
        assert desk.state.first_of("other-bot", name) == place.intent.client_id
        assert desk.state.first_of("demo-bot", name) is None
        desk.give(i.PlacementAnswered(place.intent.client_id, Ack(f"C02__{place.intent.client_id}", Millis(desk.now))))
        desk.give(i.VenueReported(MOCK, desk.report(place.intent.client_id, OrderStatus.CANCELED)))
    assert desk.state.orders[first].status is OrderStatus.NEW
    assert desk.state.position.stage is Stage.MOCK


def test_one_bot_cannot_cancel_or_repeat_another_bots_order_by_its_id(desk: Desk) -> None:
    first = desk.placed(desk.order("0.00002", bot_id="mine"))
    assert desk.give(i.CancelAsked("other-bot", first)).effects == ()
    again = desk.give(desk.requested("0.00002", bot="other-bot", bot_id="mine"))
    assert isinstance(again.reply, Admitted)
    assert desk.give(desk.requested("0.00002", bot_id="mine")).reply == Repeated(first)
