"""Every pre-trade rule denies what it should, explains itself, and nothing missing is ever let through."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side
from policies.exposure import AccountView
from policies.guards import Level
from policies.limits import LimitContext, LimitRule, cap_eur
from policies.stage import Stage
from tests.unit.policies.policy_kit import (
    BTC,
    NOW,
    QUOTE,
    REHEARSAL,
    RULES,
    account,
    admitted,
    buy,
    changed,
    context,
    denied,
    sell,
    working,
)


def market(side: Side, quantity: str | None = None, amount: str | None = None) -> OrderIntent:
    return OrderIntent(
        BTC, side, OrderType.MARKET, "m", Decimal(quantity) if quantity else None, Decimal(amount) if amount else None
    )


@pytest.mark.parametrize("stage", [Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10])
def test_an_order_within_every_limit_is_admitted(stage: Stage) -> None:
    verdict = admitted(buy(), stage=stage)
    assert verdict.cap_eur == 10
    assert verdict.quote is QUOTE
    assert verdict.exposure.items[-1].subject == "a"


def test_a_halted_deployment_accepts_no_order() -> None:
    assert denied(sell(), context(btc="1"), stage=Stage.HALTED).rule is LimitRule.STAGE


@pytest.mark.parametrize("step", [-1, 0, 3])
def test_a_ramp_step_that_does_not_exist_accepts_no_order(step: int) -> None:
    assert denied(buy(), stage=Stage.RAMPING, step=step).rule is LimitRule.STAGE


def test_a_symbol_that_is_not_listed_is_denied() -> None:
    assert denied(replace(buy(), symbol="ETHUSDT")).rule is LimitRule.SYMBOL


def test_live_eur10_trades_only_the_first_symbol() -> None:
    two = changed(REHEARSAL, "symbols", ["BTCUSDT", "ETHUSDT"])
    assert denied(replace(buy(), symbol="ETHUSDT"), policy=two).rule is LimitRule.SYMBOL
    assert denied(replace(buy(), symbol="ETHUSDT"), policy=two, stage=Stage.RAMPING, step=1).rule is LimitRule.SYMBOL_RULES


def test_live_eur10_sells_what_the_ramp_bought_in_another_symbol() -> None:
    two = changed(REHEARSAL, "symbols", ["BTCUSDT", "ETHUSDT"])
    assert denied(replace(sell(), symbol="ETHUSDT"), policy=two).rule is LimitRule.SYMBOL_RULES
    assert denied(replace(sell(), symbol="XRPUSDT"), policy=two).rule is LimitRule.SYMBOL
    assert denied(replace(sell(), symbol="ETHUSDT"), policy=two, stage=Stage.HALTED).rule is LimitRule.STAGE


@pytest.mark.parametrize("level", Level)
def test_a_guard_denies_buys(level: Level) -> None:
    assert denied(buy(), context(restriction=level)).rule is LimitRule.GUARD


@pytest.mark.parametrize("level", [Level.NO_ENTRY, Level.REDUCE])
def test_a_mild_guard_admits_sells(level: Level) -> None:
    admitted(sell(), context(btc="0.0001", restriction=level))


@pytest.mark.parametrize("level", [Level.NO_ENTRY, Level.REDUCE])
def test_a_mild_guard_denies_a_sell_of_twice_the_holdings(level: Level) -> None:
    assert denied(sell("0.0001"), context(btc="0.00005", restriction=level)).rule is LimitRule.BALANCE


@pytest.mark.parametrize("level", [Level.CANCEL_ALL, Level.FLATTEN, Level.HALT])
def test_a_severe_guard_denies_sells_too(level: Level) -> None:
    assert denied(sell(), context(btc="0.0001", restriction=level)).rule is LimitRule.GUARD


@pytest.mark.parametrize(
    "change",
    [
        {"trading": False},
        {"api_allowed": False},
        {"buy_allowed": False},
        {"sell_allowed": False},
        {"order_types": frozenset()},
        {"quote": "USDC"},
        {"min_notional": Decimal("NaN")},
        {"max_notional": Decimal("Infinity")},
        {"price_precision": -1},
        {"symbol": "ETHUSDT"},
    ],
    ids=str,
)
def test_a_symbol_that_the_venue_does_not_trade_is_denied(change: dict[str, object]) -> None:
    assert denied(buy(), context(rules={BTC: replace(RULES, **change)})).rule is LimitRule.SYMBOL_RULES  # type: ignore[arg-type]


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "sNaN", "Infinity", "-Infinity", "60000.001", "1e999999", "1e-999999"])
def test_a_price_that_is_not_a_positive_tick_is_denied(price: str) -> None:
    assert denied(buy(price=price)).rule is LimitRule.PRICE


def test_a_limit_order_without_a_price_is_denied() -> None:
    assert denied(replace(buy(), price=None)).rule is LimitRule.PRICE


def test_a_market_order_with_a_price_is_denied() -> None:
    assert denied(replace(market(Side.BUY, amount="5"), price=Decimal(60000))).rule is LimitRule.PRICE


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "sNaN", "Infinity", "0.000000001", "0.0000005", "1e999999", "1e-999999"])
def test_a_quantity_off_the_grid_is_denied(quantity: str) -> None:
    assert denied(buy(quantity)).rule is LimitRule.QUANTITY


@pytest.mark.parametrize(
    "intent",
    [
        replace(buy(), quantity=None),
        replace(buy(), quantity=None, quote_quantity=Decimal(5)),
        replace(buy(), quote_quantity=Decimal(5)),
        market(Side.BUY),
        market(Side.BUY, quantity="0.0001", amount="5"),
        market(Side.BUY, amount="NaN"),
    ],
    ids=str,
)
def test_an_order_has_exactly_one_quantity(intent: OrderIntent) -> None:
    assert denied(intent).rule is LimitRule.QUANTITY


def test_a_buy_that_could_not_be_sold_again_after_a_fall_is_denied() -> None:
    """The fee is 0.0005 and the fall is 0.05: to be worth 1.2 USDT then, the order must be worth 1.2638 USDT at the bid now."""
    verdict = denied(buy("0.000021"))
    assert (verdict.rule, verdict.threshold) == (LimitRule.MIN_NOTIONAL, "1.2 USDT")
    assert verdict.measured.startswith("1.1962")
    assert "1.26378978" in verdict.remedy
    admitted(buy("0.0000211"))


def test_a_market_buy_is_judged_by_what_it_leaves_too() -> None:
    def spend(amount: str) -> OrderIntent:
        return OrderIntent(BTC, Side.BUY, OrderType.MARKET, "a", quote_quantity=Decimal(amount))

    admitted(spend("1.27"))
    assert denied(spend("1.26")).rule is LimitRule.MIN_NOTIONAL
    admitted(OrderIntent(BTC, Side.BUY, OrderType.MARKET, "a", quantity=Decimal("0.0000211")))
    assert denied(OrderIntent(BTC, Side.BUY, OrderType.MARKET, "a", quantity=Decimal("0.000021"))).rule is LimitRule.MIN_NOTIONAL


def test_a_limit_above_the_market_does_not_make_the_holding_worth_more() -> None:
    assert denied(buy("0.000021", price="60500.00")).rule is LimitRule.MIN_NOTIONAL


def test_what_the_fee_leaves_must_reach_the_venues_smallest_quantity() -> None:
    rules = {BTC: replace(RULES, min_quantity=Decimal("0.00008"))}
    assert denied(buy("0.00008"), context(rules=rules)).rule is LimitRule.QUANTITY
    admitted(buy("0.0000801"), context(rules=rules))


def test_an_older_policy_without_a_fall_keeps_its_rule() -> None:
    older = REHEARSAL.model_copy(update={"limits": REHEARSAL.limits.model_copy(update={"exit_stop_fraction": None})})
    admitted(buy("0.0000201"), policy=older)


def test_a_sell_only_has_to_reach_the_venues_own_minimum() -> None:
    admitted(sell("0.000019"), context(btc="0.0001"))
    assert denied(sell("0.000016"), context(btc="0.0001")).rule is LimitRule.MIN_NOTIONAL


def test_an_order_above_the_venues_maximum_is_denied() -> None:
    rules = {BTC: replace(RULES, max_notional=Decimal(4))}
    assert denied(buy(), context(rules=rules)).rule is LimitRule.VENUE_MAXIMUM


def test_an_order_above_the_order_limit_is_denied_with_its_value_in_eur() -> None:
    verdict = denied(buy("0.00011"))
    assert verdict.rule is LimitRule.ORDER_NOTIONAL
    assert verdict.measured == "6.05504588 EUR"
    assert verdict.threshold == "6 EUR"
    assert "6.05504588" in verdict.message
    assert "order_notional_max_eur" in verdict.remedy


def test_quantity_and_amount_swapped_is_caught() -> None:
    assert denied(buy("5")).rule is LimitRule.ORDER_NOTIONAL
    assert denied(market(Side.BUY, amount="60000")).rule is LimitRule.ORDER_NOTIONAL


@pytest.mark.parametrize("price", ["60600.00", "59390.00"])
def test_a_price_outside_the_collar_is_denied_on_either_side(price: str) -> None:
    assert denied(buy(price=price)).rule is LimitRule.PRICE_COLLAR
    assert denied(sell(price=price), context(btc="1")).rule is LimitRule.PRICE_COLLAR


@pytest.mark.parametrize("price", ["60590.00", "59400.00"])
def test_a_price_within_the_collar_passes(price: str) -> None:
    admitted(buy(price=price))


def test_the_order_rate_counts_a_sliding_window() -> None:
    full = tuple(Millis(NOW - 999 + n) for n in range(20))
    assert denied(buy(), context(admitted_at=full)).rule is LimitRule.ORDER_RATE
    admitted(buy(), context(admitted_at=full[1:]))
    admitted(buy(), context(admitted_at=(Millis(NOW - 1000), *full[1:])))


def test_open_orders_are_limited_and_unknown_ones_count() -> None:
    small = [working(OrderStatus.UNKNOWN, "0.00001", client_id=str(n)) for n in range(6)]
    assert denied(buy("0.00003"), context(*small)).rule is LimitRule.OPEN_ORDERS
    admitted(buy("0.00003"), context(*small[1:]))


def test_a_buy_needs_its_fee_on_top() -> None:
    assert denied(buy(), context(usdt="4.8")).rule is LimitRule.BALANCE
    admitted(buy(), context(usdt="4.8024"))


def test_other_buys_reserve_their_part() -> None:
    assert denied(buy(), context(working(OrderStatus.UNKNOWN), usdt="9.6")).rule is LimitRule.BALANCE


def test_a_sell_cannot_use_the_base_of_another_sell() -> None:
    other = working(OrderStatus.UNKNOWN, "0.00005", Side.SELL)
    assert denied(sell(), context(other, btc="0.0001")).rule is LimitRule.BALANCE
    admitted(sell("0.00005"), context(other, btc="0.0001"))


def test_a_market_sell_by_amount_needs_the_base_it_may_take() -> None:
    admitted(market(Side.SELL, amount="5"), context(btc="0.0001"))
    assert denied(market(Side.SELL, amount="5"), context(btc="0.00008")).rule is LimitRule.BALANCE


def test_exposure_over_the_cap_is_denied_with_both_figures() -> None:
    verdict = denied(buy(), context(working(OrderStatus.UNKNOWN), working(OrderStatus.NEW, client_id="x")))
    assert verdict.rule is LimitRule.EXPOSURE
    assert verdict.threshold == "10 EUR"
    assert Decimal(verdict.measured.removesuffix(" EUR")) > 10


def test_the_cap_grows_with_the_ramp() -> None:
    inputs = context(working(OrderStatus.NEW), working(OrderStatus.NEW, client_id="x"))
    assert admitted(buy(), inputs, stage=Stage.RAMPING, step=1).cap_eur == 15


def test_a_sell_is_admitted_when_holdings_exceed_the_cap() -> None:
    verdict = admitted(sell(), context(btc="0.001"))
    assert verdict.exposure.eur > verdict.cap_eur


def test_a_sell_beyond_the_holdings_is_denied() -> None:
    assert denied(sell("0.0001"), context(btc="0.00009")).rule is LimitRule.BALANCE


MISSING: dict[str, tuple[LimitContext, LimitRule]] = {
    "account": (context(account=None), LimitRule.HOLDINGS),
    "base holding": (context(account=AccountView({"USDT": Decimal(100)}, NOW)), LimitRule.HOLDINGS),
    "quote holding": (context(account=AccountView({"BTC": Decimal(0)}, NOW)), LimitRule.HOLDINGS),
    "fresh holdings": (context(account=replace(account(), reconciled_at=Millis(NOW - 15_001))), LimitRule.HOLDINGS),
    "symbol rules": (context(rules={}), LimitRule.SYMBOL_RULES),
    "quote": (context(quotes={}), LimitRule.QUOTE),
    "fresh quote": (context(quotes={BTC: replace(QUOTE, received_at=Millis(NOW - 2_001))}), LimitRule.QUOTE),
    "amounts of a working order": (
        context(replace(working(OrderStatus.UNKNOWN), quantity=None)),
        LimitRule.EXPOSURE,
    ),
    "rules of a working order's symbol": (
        context(replace(working(OrderStatus.UNKNOWN), symbol="XUSDT")),
        LimitRule.SYMBOL_RULES,
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_an_order_is_denied_without(name: str) -> None:
    inputs, rule = MISSING[name]
    verdict = denied(buy(), inputs)
    assert verdict.rule is rule
    assert verdict.message
    assert verdict.remedy


@pytest.mark.parametrize("now", [REHEARSAL.eur_rate.valid_until, Millis(REHEARSAL.eur_rate.as_of - 1)])
def test_an_order_is_denied_when_the_eur_rate_is_not_in_force(now: Millis) -> None:
    inputs = context(account=replace(account(), reconciled_at=now), quotes={BTC: replace(QUOTE, received_at=now)})
    assert denied(buy(), inputs, now=now).rule is LimitRule.EUR_RATE


@pytest.mark.parametrize(
    ("stage", "step", "cap"),
    [
        (Stage.MOCK, 0, 10),
        (Stage.TESTNET_VALIDATING, 0, 10),
        (Stage.VALIDATED, 0, 10),
        (Stage.LIVE_EUR10, 0, 10),
        (Stage.RAMPING, 1, 15),
        (Stage.RAMPING, 2, 25),
        (Stage.RAMPING, 0, 0),
        (Stage.RAMPING, 3, 0),
        (Stage.HALTED, 0, 0),
    ],
)
def test_each_stage_has_its_cap(stage: Stage, step: int, cap: int) -> None:
    assert cap_eur(REHEARSAL, stage, step) == cap


def kept(btc: str, owners: str) -> LimitContext:
    """The bot's part of an account whose owner has coins in it too."""
    return context(account=replace(account(btc=btc), kept={"BTC": Decimal(owners)}))


def test_a_sale_by_amount_could_take_the_owners_coins() -> None:
    assert denied(market(Side.SELL, amount="5"), kept("1", "0.3")).rule is LimitRule.QUANTITY
    assert admitted(market(Side.SELL, amount="5"), kept("1", "0"))


def test_a_sale_by_quantity_never_takes_the_owners_coins() -> None:
    assert admitted(market(Side.SELL, "0.00008"), kept("1", "0.3"))
    verdict = denied(market(Side.SELL, "0.00008"), kept("0.00007", "0.3"))
    assert verdict.rule is LimitRule.BALANCE
    assert verdict.message.endswith("; 0.3 BTC in the account are its owner's")
    assert "owner's" not in denied(market(Side.SELL, "0.00008"), kept("0.00007", "0")).message
