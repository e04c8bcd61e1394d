from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from controller.gateway.denials import CODE_OF_RULE
from controller.gateway.port import Accepted, Busy, CancelRefused, Outstanding, VenueRejected, Window
from exchange.model import Millis, OrderStatus, OrderType, Side
from exchange.wire.errors import ErrorCode
from exchange.wire.orders import NewOrder
from exchange.wire.signing import encode_params, signature
from policies.limits import Deny, LimitRule
from tests.unit.gateway.fake_port import START, FakePort
from tests.unit.gateway.gateway_client import ALPHA, BETA, BUY, BotClient

EXPOSURE = Deny(
    "exposure",
    "12.34 EUR",
    "10.00 EUR",
    "worst case 12.34 EUR would exceed the cap of 10.00 EUR at LIVE_€10",
    "Make the order smaller.",
)


async def place(bot: BotClient, *extra: tuple[str, str]) -> str:
    reply = await bot.buy(*extra)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["orderId"])


async def test_an_accepted_order_answers_with_gatehouses_own_order_id(bot: BotClient) -> None:
    reply = await bot.buy(("newClientOrderId", "mine-1"))
    assert reply.status_code == 200
    assert reply.json() == {
        "symbol": "MXUSDT",
        "orderId": "gh-alpha-000001",
        "orderListId": -1,
        "price": "2.5",
        "origQty": "4",
        "type": "LIMIT",
        "side": "BUY",
        "stpMode": "",
        "transactTime": START,
    }


async def test_the_port_gets_the_order_as_typed_values(bot: BotClient, port: FakePort) -> None:
    await bot.buy(("newClientOrderId", "mine-1"))
    assert port.placed() == [NewOrder("MXUSDT", Side.BUY, OrderType.LIMIT, "mine-1", Decimal(4), None, Decimal("2.5"))]


async def test_a_client_id_of_another_order_is_refused_with_its_code(bot: BotClient, port: FakePort) -> None:
    port.answer = Deny("client-id", "SELL 1", "gh-1: BUY 1", "mine-1 already names gh-1: BUY 1. This is SELL 1", "Use another id.")
    reply = await bot.buy(("newClientOrderId", "mine-1"))
    assert reply.status_code == 400
    assert reply.json() == {
        "code": 30026,
        "msg": "gatehouse: client-id: mine-1 already names gh-1: BUY 1. This is SELL 1. Use another id.",
    }


async def test_the_port_gets_what_was_asked_besides_the_amounts(bot: BotClient, port: FakePort) -> None:
    await bot.buy(("newClientOrderId", "mine-1"), ("timeInForce", "GTC"), ("stpMode", "cancel_maker"))
    assert port.placed()[0].conditions == "timeInForce=GTC, stpMode=cancel_maker"


BOT_IDS = [str(UUID(int=1 << 127)), "x" * 64, "a b", "a;b", "ünï-☃", "../x", "${x}", "[red]x", '"quoted"', "é☃" * 32, " a "]


@pytest.mark.parametrize("own", BOT_IDS)
async def test_a_bots_own_id_may_be_any_printable_text_up_to_64_characters(bot: BotClient, port: FakePort, own: str) -> None:
    assert (await bot.buy(("newClientOrderId", own))).status_code == 200
    ref = (("symbol", "MXUSDT"), ("origClientOrderId", own))
    assert (await bot.signed("GET", "order", ref)).json()["clientOrderId"] == own
    assert (await bot.signed("DELETE", "order", ref)).json()["origClientOrderId"] == own
    tested = await bot.signed("POST", "order/test", [*BUY, ("newClientOrderId", own)], timestamp=port.clock + 1)
    assert tested.status_code == 200, tested.text


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ("x" * 65, "it has 65 characters, and at most 64 are accepted"),
        ("☃" * 65, "it has 65 characters, and at most 64 are accepted"),
        (" ", "it is blank"),
        (" " * 64, "it is blank"),
        ("\u2003", "it is blank"),
        ("a\u2003b", "it contains U+2003, which cannot be printed"),
        ("a\nb", "it contains U+000A, which cannot be printed"),
        ("a\u202eb", "it contains U+202E, which cannot be printed"),
    ],
)
async def test_a_refused_client_id_gives_the_real_reason(bot: BotClient, own: str, why: str) -> None:
    reply = (await bot.buy(("newClientOrderId", own))).json()
    assert reply == {"code": 700008, "msg": f"gatehouse: newClientOrderId is not accepted: {why}."}


async def test_a_client_id_that_is_not_utf_8_is_refused_for_that(bot: BotClient) -> None:
    payload = f"{encode_params(BUY)}&newClientOrderId=a%ff&timestamp={bot.port.clock}"
    reply = await bot.raw("POST", "order", f"{payload}&signature={signature(ALPHA.secret, payload)}")
    assert reply.json() == {"code": 700008, "msg": "gatehouse: newClientOrderId is not accepted: it is not UTF-8 text."}


async def test_a_denial_names_the_rule_the_measure_and_the_threshold(bot: BotClient, port: FakePort) -> None:
    port.answer = EXPOSURE
    reply = await bot.buy()
    assert reply.status_code == 400
    assert reply.json() == {
        "code": 30032,
        "msg": "gatehouse: exposure: worst case 12.34 EUR would exceed the cap of 10.00 EUR at LIVE_€10. Make the order smaller.",
    }


async def test_a_denial_message_without_its_numbers_gets_them_appended(bot: BotClient, port: FakePort) -> None:
    port.answer = replace(EXPOSURE, message="too much")
    msg = (await bot.buy()).json()["msg"]
    assert "(measured: 12.34 EUR; limit: 10.00 EUR)" in msg


def test_every_limit_rule_has_a_mexc_code() -> None:
    assert {rule.value for rule in LimitRule} <= set(CODE_OF_RULE)


async def test_an_order_rate_denial_is_a_429_with_retry_after(bot: BotClient, port: FakePort) -> None:
    port.answer = Deny("order-rate", "11 orders", "10 orders", "too many", "Send orders more slowly.")
    reply = await bot.buy()
    assert (reply.status_code, reply.json()["code"], reply.headers["retry-after"]) == (429, 429, "1")


async def test_a_full_inbox_is_a_429_with_retry_after(bot: BotClient, port: FakePort) -> None:
    port.answer = Busy(7)
    reply = await bot.buy()
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")


async def test_an_unknown_outcome_is_a_504_that_says_not_to_send_again(bot: BotClient, port: FakePort) -> None:
    port.answer = Outstanding("gh-1", "mine-1", "the venue did not answer in time")
    reply = await bot.buy()
    assert (reply.status_code, reply.json()["code"]) == (504, 504)
    assert "Do not send it again; query it by orderId=gh-1 or origClientOrderId=mine-1" in reply.json()["msg"]


async def test_the_venues_own_refusal_keeps_its_code_and_message(bot: BotClient, port: FakePort) -> None:
    port.answer = VenueRejected(30002, "The minimum transaction volume cannot be less than:1USDT")
    reply = await bot.buy()
    assert (reply.status_code, reply.json()["code"]) == (400, 30002)
    assert reply.json()["msg"] == "The minimum transaction volume cannot be less than:1USDT"


@pytest.mark.parametrize("code", [0, 200, 500, 504])
async def test_a_certain_refusal_never_looks_like_success_or_unknown(bot: BotClient, port: FakePort, code: int) -> None:
    port.answer = VenueRejected(code, "no")
    reply = await bot.buy()
    assert (reply.status_code, reply.json()["code"]) == (400, 26)


async def test_an_order_is_found_by_either_id(bot: BotClient) -> None:
    order_id = await place(bot, ("newClientOrderId", "mine-1"))
    by_id = await bot.signed("GET", "order", [("symbol", "MXUSDT"), ("orderId", order_id)])
    by_own = await bot.signed("GET", "order", [("symbol", "MXUSDT"), ("origClientOrderId", "mine-1")])
    assert by_id.json() == by_own.json()
    assert by_id.json()["clientOrderId"] == "mine-1"


async def test_an_unknown_order_is_shown_as_open_with_a_numeric_update_time(bot: BotClient, port: FakePort) -> None:
    order_id = await place(bot)
    port.orders["alpha"][order_id] = replace(port.orders["alpha"][order_id], status=OrderStatus.UNKNOWN)
    shown = (await bot.signed("GET", "order", [("symbol", "MXUSDT"), ("orderId", order_id)])).json()
    assert (shown["status"], shown["updateTime"]) == ("NEW", START)


async def test_a_market_order_shows_what_it_asked_to_spend(bot: BotClient) -> None:
    spend = [("symbol", "MXUSDT"), ("side", "BUY"), ("type", "MARKET"), ("quoteOrderQty", "10")]
    order_id = (await bot.signed("POST", "order", spend)).json()["orderId"]
    shown = (await bot.signed("GET", "order", [("symbol", "MXUSDT"), ("orderId", order_id)])).json()
    assert (shown["price"], shown["origQty"], shown["origQuoteOrderQty"]) == ("0", "0", "10")


async def test_a_market_order_is_answered_with_what_the_venue_made_of_it(bot: BotClient, port: FakePort) -> None:
    """The numbers of a recorded reply: mexcdevelop/mexc-api-sdk, issue 77, 2024-06-06."""
    taken = NewOrder(
        "MXUSDT", Side.BUY, OrderType.MARKET, None, Decimal("32.69"), quote_quantity=Decimal(6), price=Decimal("0.183503")
    )
    port.answer = Accepted(taken, "gh-1", START)
    spend = [("symbol", "MXUSDT"), ("side", "BUY"), ("type", "MARKET"), ("quoteOrderQty", "6")]
    shown = (await bot.signed("POST", "order", spend)).json()
    assert (shown["price"], shown["origQty"], shown["type"]) == ("0.183503", "32.69", "MARKET")


@pytest.mark.parametrize(("method", "code"), [("GET", -2013), ("DELETE", -2011)])
async def test_another_bots_order_does_not_exist(bot: BotClient, port: FakePort, method: str, code: int) -> None:
    order_id = await place(bot, ("newClientOrderId", "mine-1"))
    for name, value in (("orderId", order_id), ("origClientOrderId", "mine-1")):
        reply = await bot.signed(method, "order", [("symbol", "MXUSDT"), (name, value)], BETA)
        assert (reply.status_code, reply.json()["code"]) == (400, code)
    assert [call[0] for call in port.heard] == ["place"]


async def test_lists_show_only_the_bots_own_orders(bot: BotClient) -> None:
    await place(bot)
    mine = await bot.signed("GET", "openOrders", [("symbol", "MXUSDT")], ALPHA)
    theirs = [
        (await bot.signed("GET", path, [("symbol", "MXUSDT")], BETA)).json() for path in ("openOrders", "allOrders", "myTrades")
    ]
    assert len(mine.json()) == 1
    assert theirs == [[], [], []]


async def test_cancelling_everything_leaves_other_bots_orders_alone(bot: BotClient, port: FakePort) -> None:
    await place(bot)
    await bot.buy(bot=BETA)
    reply = await bot.signed("DELETE", "order/all", bot=BETA)
    assert reply.json() == {"code": 200, "msg": "success", "timestamp": START}
    assert len(port.open_orders("alpha", None)) == 1


async def test_a_cancel_shows_the_order_as_it_was_before(bot: BotClient, port: FakePort) -> None:
    order_id = await place(bot, ("newClientOrderId", "mine-1"))
    reply = await bot.signed("DELETE", "order", [("symbol", "MXUSDT"), ("origClientOrderId", "mine-1")])
    assert (reply.json()["orderId"], reply.json()["status"]) == (order_id, "NEW")
    assert port.heard[-1] == ("cancel", "alpha", "MXUSDT", order_id)


async def test_a_filled_order_cannot_be_cancelled(bot: BotClient, port: FakePort) -> None:
    order_id = await place(bot)
    port.fill("alpha", order_id, Decimal("2.5"))
    reply = await bot.signed("DELETE", "order", [("symbol", "MXUSDT"), ("orderId", order_id)])
    assert reply.json()["code"] == -2011


async def test_a_cancel_the_venue_did_not_accept_keeps_its_code(bot: BotClient, port: FakePort) -> None:
    order_id = await place(bot)
    port.cancel_answer = CancelRefused(504, "the venue did not answer")
    reply = await bot.signed("DELETE", "order", [("symbol", "MXUSDT"), ("orderId", order_id)])
    assert (reply.status_code, reply.json()["code"]) == (504, 504)


async def test_cancelling_a_symbols_orders_lists_them(bot: BotClient) -> None:
    ids = [await place(bot, ("newClientOrderId", f"mine-{n}")) for n in range(2)]
    reply = await bot.signed("DELETE", "openOrders", [("symbol", "MXUSDT")])
    assert sorted(one["orderId"] for one in reply.json()) == ids


async def test_history_is_a_day_by_default_and_a_week_at_most(bot: BotClient, port: FakePort) -> None:
    await bot.signed("GET", "allOrders", [("symbol", "MXUSDT")])
    await bot.signed("GET", "allOrders", [("symbol", "MXUSDT"), ("startTime", "1"), ("states", "3")])
    day, week = port.heard
    assert day[3:] == (Window(Millis(START - 86_400_000), START), 500, None)
    assert week[3:] == (Window(Millis(START - 7 * 86_400_000), START), 500, frozenset({OrderStatus.FILLED}))


async def test_a_dry_run_checks_the_symbols_rules_and_places_nothing(bot: BotClient, port: FakePort) -> None:
    good = await bot.signed("POST", "order/test", [("symbol", "MXUSDT"), ("side", "SELL"), ("type", "MARKET"), ("quantity", "1")])
    small = [("symbol", "MXUSDT"), ("side", "BUY"), ("type", "LIMIT"), ("quantity", "0.01"), ("price", "1")]
    assert good.json() == {}
    assert (await bot.signed("POST", "order/test", small)).json()["code"] == ErrorCode.BELOW_MINIMUM
    assert port.heard == []


async def test_an_order_that_gatehouse_ended_says_why(port: FakePort, bot: BotClient) -> None:
    order_id = (await bot.buy()).json()["orderId"]
    shown = [("symbol", "MXUSDT"), ("orderId", order_id)]
    assert (await bot.signed("GET", "order", shown)).json()["cancelReason"] is None
    port.reasons[order_id] = "gatehouse: the deployment is HALTED"
    assert (await bot.signed("GET", "order", shown)).json()["cancelReason"] == "gatehouse: the deployment is HALTED"
