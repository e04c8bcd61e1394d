"""A bot that sizes its order by the balance it is shown is never refused for the exposure, nor for the balance."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import inputs as i
from controller.core.decisions.account import spendable_quote
from controller.core.decisions.draft import Admitted
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import VenueName
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import RULES, SYMBOL, D, Desk, demo_policy
from tests.unit.core.test_owners_holdings import bots_view

STEP = D(1).scaleb(-RULES.quantity_precision)
LIMITS = demo_policy().limits.model_copy(update={"order_notional_max_eur": D(10)})
LARGE_ORDERS = demo_policy().model_copy(update={"limits": LIMITS})


class Sizing(Enum):
    """How bots turn an amount into an order."""

    LIMIT_AT_THE_ASK = "ccxt, freqtrade with price_side other"
    LIMIT_AT_THE_BID = "freqtrade with price_side same"
    LIMIT_FAR_BELOW = "a grid's lowest order"
    MARKET_BY_AMOUNT = "ccxt's createMarketBuyOrderWithCost"
    MARKET_BY_QUANTITY = "freqtrade and hummingbot with MARKET"
    MARKET_BY_QUANTITY_AT_THE_BID = "the same, from the other side's price"


def sized(desk: Desk, how: Sizing, amount: Decimal) -> i.OrderRequested:
    """The order of a bot that spends ``amount``, rounded to the symbol's steps as ccxt rounds."""
    quote = desk.quote()
    asked = desk.requested("1", str(quote.ask))
    far = (quote.mid * D("0.9901")).quantize(D("0.01"))
    price = {
        Sizing.LIMIT_AT_THE_BID: quote.bid,
        Sizing.LIMIT_FAR_BELOW: far,
        Sizing.MARKET_BY_QUANTITY_AT_THE_BID: quote.bid,
    }.get(how, quote.ask)
    quantity = (amount / price).quantize(STEP, rounding=ROUND_DOWN)
    market = how.name.startswith("MARKET")
    intent = OrderIntent(
        SYMBOL,
        Side.BUY,
        OrderType.MARKET if market else OrderType.LIMIT,
        "",
        None if how is Sizing.MARKET_BY_AMOUNT else quantity,
        amount.quantize(D("0.01"), rounding=ROUND_DOWN) if how is Sizing.MARKET_BY_AMOUNT else None,
        None if market else price,
    )
    return replace(asked, intent=intent)


def free(desk: Desk) -> Decimal:
    return bots_view(desk)["USDT"][0]


@pytest.mark.parametrize("how", Sizing)
@pytest.mark.parametrize("usdt", ["10000", "10.9", "7"])
def test_everything_that_is_shown_can_be_spent_at_once(how: Sizing, usdt: str) -> None:
    desk = Desk(LARGE_ORDERS, usdt=usdt).arm()
    reply = desk.give(sized(desk, how, free(desk))).reply
    short = isinstance(reply, Deny) and reply.rule == "balance" and usdt == "7" and "QUANTITY" in how.name
    # An account that has less than the cap cannot lock what a MARKET order by quantity may cost.
    assert isinstance(reply, Admitted) or short, reply


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(Sizing), st.integers(25, 100), st.integers(-300, 300), st.sampled_from(["fill", "half", "rest"])),
        max_size=4,
    ),
    last=st.sampled_from(Sizing),
)
def test_no_order_within_the_balance_is_refused_for_exposure(steps: list[tuple[Sizing, int, int, str]], last: Sizing) -> None:
    desk = Desk(LARGE_ORDERS, usdt="10000").arm()
    for how, percent, move_bps, then in [*steps, (last, 100, 0, "rest")]:
        amount = free(desk) * percent / 100
        if amount < D("1.2"):
            continue
        decision = desk.give(sized(desk, how, amount))
        assert isinstance(decision.reply, Admitted) or (
            isinstance(decision.reply, Deny) and decision.reply.rule not in {"exposure", "balance"}
        ), decision.reply
        if not isinstance(decision.reply, Admitted):
            continue
        client_id = desk.placed(decision)
        order = desk.state.orders[client_id]
        if then != "rest" and order.quantity is not None:
            part = order.quantity if then == "fill" else (order.quantity / 2).quantize(STEP)
            if part:
                desk.fill(client_id, str(part))
        desk.price += desk.price * move_bps / 10_000
        desk.tick()


def test_buying_and_selling_do_not_change_what_the_bot_counts_as_its_own() -> None:
    desk = Desk(LARGE_ORDERS, usdt="10000").arm()
    before = free(desk)
    desk.fill(desk.placed(desk.order("0.00010", "60000")), "0.00010", "60000")
    shown = bots_view(desk)
    worth = shown["USDT"][0] + shown["USDT"][1] + shown["BTC"][0] * 60_000
    assert abs(worth - before) < D("0.001")


def test_a_profit_above_the_cap_is_not_shown_as_spendable() -> None:
    desk = Desk(LARGE_ORDERS, usdt="10000").arm()
    desk.fill(desk.placed(desk.order("0.00010", "60000")), "0.00010", "60000")
    desk.price = D(90_000)
    desk.tick()
    # 9 of 10.9 USDT are in BTC now.
    assert free(desk) < D("1.9")
    assert bots_view(desk)["BTC"][0] == D("0.0001")


def test_without_a_price_the_budget_alone_is_shown() -> None:
    desk = Desk(LARGE_ORDERS, usdt="10000").arm()
    assert desk.state.position.stage is Stage.MOCK
    shown = spendable_quote(desk.state, desk.policy, VenueName.MOCK, ({}, {SYMBOL: RULES}), D(0), desk.now)
    assert shown == D("10.37576448")
