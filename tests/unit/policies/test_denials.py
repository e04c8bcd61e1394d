"""Each denial names its rule, what was measured and what is allowed, because an operator and a bot act on these."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pytest

from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side
from policies.exposure import AccountView, OrderRisk
from policies.guards import Level
from policies.limits import LimitRule
from policies.stage import Stage
from tests.unit.policies.policy_kit import (
    BTC,
    NOW,
    QUOTE,
    REHEARSAL,
    RULES,
    admitted,
    buy,
    changed,
    context,
    denied,
    sell,
    working,
)

ETH_RULES = replace(RULES, symbol="ETHUSDT", base="ETH")
ETH_QUOTE = replace(QUOTE, symbol="ETHUSDT", bid=Decimal("2999.00"), ask=Decimal("3000.00"))
TWO = changed(REHEARSAL, "symbols", [BTC, "ETHUSDT"])


def market(side: Side, quantity: str | None = None, amount: str | None = None) -> OrderIntent:
    return OrderIntent(
        BTC, side, OrderType.MARKET, "m", Decimal(quantity) if quantity else None, Decimal(amount) if amount else None
    )


def judged(intent: OrderIntent, inputs: Any = None, **more: Any) -> tuple[LimitRule, str, str]:
    verdict = denied(intent, inputs, **more)
    assert verdict.message
    assert verdict.remedy
    return verdict.rule, verdict.measured, verdict.threshold


def test_of_a_halted_stage() -> None:
    assert judged(buy(), stage=Stage.HALTED) == (LimitRule.STAGE, Stage.HALTED.value, "a stage that accepts orders")


def test_of_a_ramp_step_names_the_step() -> None:
    verdict = denied(buy(), stage=Stage.RAMPING, step=7)
    assert verdict.message == f"no new orders are accepted in {Stage.RAMPING.value} 7"


def test_of_another_stage_names_no_step() -> None:
    assert denied(buy(), stage=Stage.HALTED, step=7).message == f"no new orders are accepted in {Stage.HALTED.value}"


def test_of_a_symbol_names_the_allowed_ones() -> None:
    intent = replace(buy(), symbol="X" * 40)
    assert judged(intent, policy=TWO, stage=Stage.MOCK) == (LimitRule.SYMBOL, "X" * 32, "BTCUSDT, ETHUSDT")


@pytest.mark.parametrize(("level", "denied_orders"), [(Level.REDUCE, "new buys"), (Level.CANCEL_ALL, "new orders")])
def test_of_a_guard_says_which_orders_it_denies(level: Level, denied_orders: str) -> None:
    verdict = denied(buy(), context(restriction=level))
    assert (verdict.rule, verdict.measured, verdict.threshold) == (LimitRule.GUARD, level.name, "no restriction")
    assert denied_orders in verdict.message


def test_of_a_sell_at_a_severe_guard_names_the_level_that_would_do() -> None:
    assert judged(sell(), context(btc="1", restriction=Level.HALT)) == (LimitRule.GUARD, "HALT", "below CANCEL_ALL")


@pytest.mark.parametrize(
    ("change", "measured"),
    [
        ({"trading": False}, "is not trading"),
        ({"api_allowed": False}, "cannot be traded through the API"),
        ({"buy_allowed": False}, "does not accept BUY orders"),
        ({"sell_allowed": False}, "could not be sold again"),
        ({"order_types": frozenset({OrderType.MARKET})}, "does not accept LIMIT orders"),
        ({"quote": "USDC"}, "is quoted in USDC, which has no EUR rate"),
    ],
    ids=str,
)
def test_of_a_symbol_that_the_venue_does_not_trade(change: dict[str, Any], measured: str) -> None:
    inputs = context(rules={BTC: replace(RULES, **change)})
    assert judged(buy(), inputs) == (LimitRule.SYMBOL_RULES, measured, "accepted by the venue")


def test_of_a_sell_where_the_venue_takes_none() -> None:
    inputs = context(btc="1", rules={BTC: replace(RULES, sell_allowed=False)})
    assert judged(sell(), inputs)[1] == "does not accept SELL orders"


def test_a_sell_passes_where_the_venue_takes_no_buys() -> None:
    admitted(sell(), context(btc="1", rules={BTC: replace(RULES, buy_allowed=False)}))


def test_of_a_price_that_is_missing() -> None:
    assert judged(replace(buy(), price=None)) == (LimitRule.PRICE, "missing", "a positive price")


def test_of_a_price_that_is_no_number_is_cut() -> None:
    rule, measured, threshold = judged(buy(price="-" + "1" * 60))
    assert (rule, len(measured), threshold[:17]) == (LimitRule.PRICE, 40, "a positive number")


def test_of_a_market_order_with_a_price() -> None:
    intent = replace(market(Side.BUY, amount="5"), price=Decimal(60_000))
    assert judged(intent) == (LimitRule.PRICE, "a price", "no price")


def test_of_a_price_between_two_ticks() -> None:
    assert judged(buy(price="60000.001")) == (LimitRule.PRICE, "60000.001", "0.01")


def test_of_two_quantities() -> None:
    assert judged(replace(buy(), quote_quantity=Decimal(5))) == (LimitRule.QUANTITY, "none or both", "one quantity")


def test_of_an_amount_in_the_quote_asset_with_a_price() -> None:
    intent = replace(buy(), quantity=None, quote_quantity=Decimal(5))
    assert judged(intent) == (LimitRule.QUANTITY, "none or both", "one quantity")


def test_of_a_quantity_that_is_no_number_is_cut() -> None:
    rule, measured, threshold = judged(buy("-" + "1" * 60))
    assert (rule, len(measured), threshold[:17]) == (LimitRule.QUANTITY, 40, "a positive number")


def test_of_a_quantity_between_two_steps() -> None:
    assert judged(buy("0.000080001")) == (LimitRule.QUANTITY, "0.000080001", "0.00000001")


def test_of_a_quantity_below_the_minimum() -> None:
    assert judged(buy("0.0000005")) == (LimitRule.QUANTITY, "0.0000005", "0.000001")


def test_a_quantity_at_the_minimum_passes_that_rule() -> None:
    assert judged(buy("0.000001"))[0] is LimitRule.MIN_NOTIONAL


def test_of_a_sell_below_the_minimum_notional() -> None:
    assert judged(sell("0.000016"), context(btc="1")) == (LimitRule.MIN_NOTIONAL, "0.96 USDT", "1 USDT")


def test_a_sell_at_the_minimum_notional_passes() -> None:
    admitted(sell("0.00002"), context(btc="1", rules={BTC: replace(RULES, min_notional=Decimal("1.2"))}))


def test_a_market_order_has_minimum_and_maximum_of_its_own() -> None:
    rules = replace(RULES, min_notional=Decimal(100), max_notional=Decimal(0))
    admitted(market(Side.SELL, quantity="0.00008"), context(btc="1", rules={BTC: rules}))
    rules = replace(RULES, min_notional_market=Decimal(5), max_notional_market=Decimal(4))
    admitted(sell(), context(btc="1", rules={BTC: rules}))
    assert judged(market(Side.SELL, quantity="0.00008"), context(btc="1", rules={BTC: rules}))[0] is LimitRule.MIN_NOTIONAL


def test_of_an_order_above_the_venues_maximum() -> None:
    inputs = context(rules={BTC: replace(RULES, max_notional=Decimal("4.79"))})
    assert judged(buy(), inputs) == (LimitRule.VENUE_MAXIMUM, "4.8 USDT", "4.79 USDT")


def test_an_order_at_the_venues_maximum_passes() -> None:
    admitted(buy(), context(rules={BTC: replace(RULES, max_notional=Decimal("4.8"))}))


def test_an_order_at_the_limit_for_one_order_passes() -> None:
    at_limit = REHEARSAL.limits.order_notional_max_eur * REHEARSAL.eur_rate.quote_per_eur / Decimal(60_000)
    admitted(buy(str(at_limit)))


def test_of_a_buy_whose_rest_after_the_fee_is_too_small() -> None:
    inputs = context(rules={BTC: replace(RULES, min_quantity=Decimal("0.00008"))})
    assert judged(buy("0.00008"), inputs) == (LimitRule.QUANTITY, "0.00007996", "0.00008")


def test_of_a_price_outside_the_collar() -> None:
    assert judged(buy(price="60600.00")) == (LimitRule.PRICE_COLLAR, "100.841736811401 bps", "100 bps")


def test_of_too_many_orders_in_a_while() -> None:
    full = tuple(Millis(NOW - 999 + n) for n in range(20))
    assert judged(buy(), context(admitted_at=full)) == (LimitRule.ORDER_RATE, "21 orders", "20 orders in 1000 ms")


def test_of_too_many_open_orders() -> None:
    small = [working(OrderStatus.UNKNOWN, "0.00001", client_id=str(n)) for n in range(6)]
    assert judged(buy("0.00003"), context(*small)) == (LimitRule.OPEN_ORDERS, "6 open orders", "6 open orders")


def test_of_a_buy_without_the_money() -> None:
    assert judged(buy(), context(usdt="4.8")) == (LimitRule.BALANCE, "4.8024 USDT", "4.8 USDT")


def test_of_a_buy_says_what_other_orders_leave() -> None:
    inputs = context(working(OrderStatus.UNKNOWN), usdt="9.6")
    assert judged(buy(), inputs) == (LimitRule.BALANCE, "4.8024 USDT", "4.7976 USDT")


def test_of_a_buy_when_more_is_reserved_than_held_names_nothing_as_free() -> None:
    inputs = context(working(OrderStatus.UNKNOWN), usdt="1")
    assert judged(buy(), inputs) == (LimitRule.BALANCE, "4.8024 USDT", "0 USDT")


def test_of_a_sell_without_the_coins() -> None:
    assert judged(sell("0.0001"), context(btc="0.00009")) == (LimitRule.BALANCE, "0.0001 BTC", "0.00009 BTC")


def test_of_an_exposure_over_the_cap() -> None:
    inputs = context(working(OrderStatus.UNKNOWN), working(OrderStatus.NEW, client_id="x"))
    rule, measured, threshold = judged(buy(), inputs)
    assert (rule, measured, threshold) == (LimitRule.EXPOSURE, "13.21761468 EUR", "10 EUR")


# What is missing


@pytest.mark.parametrize(
    ("inputs", "rule"),
    [
        (context(account=None), LimitRule.HOLDINGS),
        (context(quotes={}), LimitRule.QUOTE),
        (context(rules={}), LimitRule.SYMBOL_RULES),
        (context(replace(working(OrderStatus.UNKNOWN), quantity=None)), LimitRule.EXPOSURE),
    ],
    ids=["account", "quote", "rules", "amounts"],
)
def test_of_an_order_with_a_missing_input(inputs: Any, rule: LimitRule) -> None:
    assert judged(buy(), inputs) == (rule, "missing", "present and fresh")


@pytest.mark.parametrize(("asset", "intent"), [("USDT", buy()), ("BTC", sell())], ids=["buy", "sell"])
def test_of_an_order_whose_holding_is_not_known_names_the_asset(asset: str, intent: OrderIntent) -> None:
    holdings = {one: held for one, held in (("USDT", Decimal(100)), ("BTC", Decimal(0))) if one != asset}
    verdict = denied(intent, context(account=AccountView(holdings, NOW)))
    assert verdict.message == f"the holding of {asset} is not known"


# What other orders reserve


def other(side: Side = Side.BUY, **changes: Any) -> OrderRisk:
    """A working order in another symbol."""
    return replace(working(OrderStatus.NEW, "0.001", side), symbol="ETHUSDT", price=Decimal("3000.00"), **changes)


def both(*orders: OrderRisk, usdt: str = "100", btc: str = "1", eth: str = "1", **changes: Any) -> Any:
    view = AccountView({"USDT": Decimal(usdt), "BTC": Decimal(btc), "ETH": Decimal(eth)}, NOW, orders)
    rules, quotes = {BTC: RULES, "ETHUSDT": ETH_RULES}, {BTC: QUOTE, "ETHUSDT": ETH_QUOTE}
    return replace(context(), **{"account": view, "rules": rules, "quotes": quotes, **changes})


def test_a_buy_in_another_symbol_reserves_the_same_money() -> None:
    inputs = both(other(), usdt="7.8", btc="0", eth="0")
    assert judged(buy(), inputs, policy=TWO) == (LimitRule.BALANCE, "4.8024 USDT", "4.7985 USDT")


def test_a_sell_in_another_symbol_reserves_none_of_this_base() -> None:
    admitted(sell(), both(other(Side.SELL), btc="0.00008"), policy=TWO)


def test_a_sell_reserves_none_of_the_money() -> None:
    admitted(buy(), context(working(OrderStatus.NEW, side=Side.SELL), usdt="4.8024"))


def test_an_ended_order_reserves_nothing() -> None:
    admitted(sell(), context(working(OrderStatus.FILLED, side=Side.SELL), btc="0.00008"))


def test_an_ended_order_hides_no_working_one_behind_it() -> None:
    orders = (working(OrderStatus.FILLED, side=Side.SELL), working(OrderStatus.NEW, side=Side.SELL, client_id="x"))
    assert judged(sell(), context(*orders, btc="0.00008")) == (LimitRule.BALANCE, "0.00008 BTC", "0 BTC")


def test_the_quote_of_another_symbol_with_a_working_buy_is_needed() -> None:
    inputs = both(other(), quotes={BTC: QUOTE})
    verdict = denied(buy(), inputs, policy=TWO)
    assert (verdict.rule, verdict.message) == (LimitRule.QUOTE, "there is no quote for ETHUSDT")


def test_a_quote_too_old_for_a_reservation_denies_the_order() -> None:
    old = replace(ETH_QUOTE, received_at=Millis(NOW - 2_001))
    inputs = both(other(), usdt="1", quotes={BTC: QUOTE, "ETHUSDT": old})
    verdict = denied(buy(), inputs, policy=TWO)
    assert (verdict.rule, verdict.message) == (
        LimitRule.QUOTE,
        "the quote for ETHUSDT is 2001 ms old; at most 2000 ms are accepted",
    )


def test_a_working_order_in_a_symbol_without_rules_denies_the_next() -> None:
    verdict = denied(buy(), both(other(), rules={BTC: RULES}), policy=TWO)
    assert (verdict.rule, verdict.message) == (LimitRule.SYMBOL_RULES, "the venue's rules for ETHUSDT are not known")


def test_the_executed_part_of_a_sell_is_not_reserved() -> None:
    partial = replace(working(OrderStatus.PARTIALLY_FILLED, side=Side.SELL), executed=Decimal("0.00003"))
    assert judged(sell(), context(partial, btc="0.0001")) == (LimitRule.BALANCE, "0.00008 BTC", "0.00005 BTC")


@pytest.mark.parametrize("status", [OrderStatus.ADMITTED, OrderStatus.UNKNOWN])
def test_an_unproven_sell_reserves_its_whole_quantity(status: OrderStatus) -> None:
    unproven = replace(working(status, side=Side.SELL), executed=Decimal("0.00003"))
    assert judged(sell(), context(unproven, btc="0.0001")) == (LimitRule.BALANCE, "0.00008 BTC", "0.00002 BTC")


def test_a_sell_executed_beyond_its_quantity_frees_nothing() -> None:
    beyond = replace(working(OrderStatus.PARTIALLY_FILLED, side=Side.SELL), executed=Decimal("0.0002"))
    assert judged(sell(), context(beyond, btc="0.00007")) == (LimitRule.BALANCE, "0.00008 BTC", "0.00007 BTC")


def by_amount(status: OrderStatus, spent: str) -> OrderRisk:
    return replace(OrderRisk.of(market(Side.SELL, amount="5.999")), status=status, executed_quote=Decimal(spent))


def test_a_sell_by_amount_reserves_what_it_may_still_take() -> None:
    inputs = context(by_amount(OrderStatus.NEW, "2.9995"), btc="0.0001")
    assert judged(sell(), inputs) == (LimitRule.BALANCE, "0.00008 BTC", "0.00005 BTC")


def test_an_unproven_sell_by_amount_reserves_all_of_it() -> None:
    inputs = context(by_amount(OrderStatus.UNKNOWN, "2.9995"), btc="0.00015")
    assert judged(sell(), inputs) == (LimitRule.BALANCE, "0.00008 BTC", "0.00005 BTC")


def test_a_working_sell_without_amounts_denies_the_next_sell() -> None:
    broken = replace(working(OrderStatus.NEW, side=Side.SELL), quantity=None)
    verdict = denied(sell(), context(broken, btc="1"))
    assert (verdict.rule, verdict.message) == (LimitRule.EXPOSURE, "order w has no valid amounts")


def test_a_market_sell_by_amount_is_valued_at_the_bid() -> None:
    rule, measured, _ = judged(market(Side.SELL, amount="5.99"), context(btc="0.00009"))
    assert (rule, measured[:10]) == (LimitRule.BALANCE, "0.00009984")


def test_a_market_buy_needs_the_money_for_its_buffer() -> None:
    inputs = context(usdt="5.04")
    assert judged(market(Side.BUY, quantity="0.00008"), inputs) == (LimitRule.BALANCE, "5.04252 USDT", "5.04 USDT")


def test_an_exposure_exactly_at_the_cap_is_admitted() -> None:
    caps = REHEARSAL.caps.model_copy(update={"live": Decimal("4.40587156")})
    assert admitted(buy(), policy=REHEARSAL.model_copy(update={"caps": caps})).exposure.eur == Decimal("4.40587156")


def test_a_verdict_does_not_depend_on_the_precision_of_the_caller() -> None:
    with localcontext() as here:
        here.prec = 3
        assert judged(buy("0.00011")) == (LimitRule.ORDER_NOTIONAL, "6.05504588 EUR", "6 EUR")


def test_of_a_market_buy_by_amount_whose_rest_is_too_small() -> None:
    inputs = context(rules={BTC: replace(RULES, min_quantity=Decimal("0.00005"))})
    rule, _, threshold = judged(market(Side.BUY, amount="3"), inputs)
    assert (rule, threshold) == (LimitRule.QUANTITY, "0.00005")


@pytest.mark.parametrize("minimum", ["min_notional", "min_notional_market"])
def test_a_holding_must_be_saleable_under_either_minimum(minimum: str) -> None:
    inputs = context(rules={BTC: replace(RULES, **{minimum: Decimal(4)})})  # type: ignore[arg-type]
    assert judged(buy(), inputs) == (LimitRule.MIN_NOTIONAL, "4.55696038 USDT", "4.8 USDT")


def test_a_holding_worth_exactly_the_minimum_after_the_fall_is_saleable() -> None:
    policy = changed(REHEARSAL, "limits.min_order_factor", "1")
    admitted(buy(), context(rules={BTC: replace(RULES, min_notional=Decimal("4.55696038"))}), policy=policy)


def test_a_rest_of_exactly_the_smallest_quantity_is_saleable() -> None:
    admitted(buy("0.00008"), context(rules={BTC: replace(RULES, min_quantity=Decimal("0.00007996"))}))


def test_of_a_market_buy_by_amount_whose_rest_the_fee_makes_too_small() -> None:
    inputs = context(rules={BTC: replace(RULES, min_quantity=Decimal("0.00005"), taker_fee=Decimal("0.1"))})
    assert judged(market(Side.BUY, amount="3.2"), inputs) == (LimitRule.QUANTITY, "0.000048", "0.00005")


def test_of_a_market_buy_that_its_buffer_lifts_over_the_venues_maximum() -> None:
    inputs = context(rules={BTC: replace(RULES, max_notional_market=Decimal(5))})
    verdict = denied(market(Side.BUY, quantity="0.00008"), inputs)
    assert (verdict.rule, verdict.measured, verdict.threshold) == (LimitRule.VENUE_MAXIMUM, "5.04 USDT", "5 USDT")
    assert verdict.message == "the order is worth 5.04 USDT; the venue accepts at most 5"


def test_of_an_order_where_the_venue_accepts_no_worth_at_all() -> None:
    inputs = context(btc="1", rules={BTC: replace(RULES, max_notional=Decimal(0))})
    assert judged(sell(), inputs) == (LimitRule.VENUE_MAXIMUM, "4.8 USDT", "0 USDT")


def test_a_market_sale_counts_without_a_buffer() -> None:
    admitted(market(Side.SELL, quantity="0.000108"), context(btc="1"))


def test_a_market_buy_is_worth_the_ask() -> None:
    inputs = context(quotes={BTC: replace(QUOTE, bid=Decimal(59000))})
    assert judged(market(Side.BUY, quantity="0.00001667"), inputs)[2] == "1.2 USDT"


def test_a_price_exactly_at_the_collar_passes() -> None:
    admitted(buy(price="59395.05"))


def test_of_a_client_id_shows_its_beginning_and_its_form() -> None:
    verdict = denied(buy(client_id="a b" + "c" * 60))
    assert (verdict.rule, verdict.measured) == (LimitRule.CLIENT_ID, "a b" + "c" * 37)
    assert verdict.threshold == "[A-Za-z0-9_-]{1,32}"
    assert verdict.message == "the venue refuses a client order id of this form"


def test_a_buy_below_the_bid_is_valued_at_its_own_price() -> None:
    assert judged(buy("0.0000211", price="59800.00"))[0] is LimitRule.MIN_NOTIONAL


def test_a_stage_with_a_cap_of_one_euro_accepts_orders() -> None:
    one = REHEARSAL.model_copy(update={"caps": REHEARSAL.caps.model_copy(update={"live": Decimal(1)})})
    assert denied(buy(), policy=one).rule is LimitRule.EXPOSURE
    admitted(sell(), context(btc="1"), policy=one)
