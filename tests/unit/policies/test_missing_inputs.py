"""What is missing is named: which input, of what, and in which words. The bounds of what counts as missing are exact."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pytest

from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side
from policies import exposure as module
from policies.eur import NO_RATES, RateReading, Rates, RateSource
from policies.exposure import (
    AccountView,
    Exposure,
    InputName,
    MissingInput,
    OrderRisk,
    at_rate,
    in_eur,
    missing_account,
    missing_quote,
    missing_rate,
    missing_rules,
    sane,
    working_buy_quote,
    worst_case,
)
from policies.schema import Policy
from tests.unit.policies.policy_kit import BTC, NOW, QUOTE, REHEARSAL, RULES, account, buy, changed, following, working

TWO = changed(REHEARSAL, "symbols", [BTC, "ETHUSDT"])
ETH_RULES, ETH_QUOTE = replace(RULES, symbol="ETHUSDT", base="ETH"), replace(QUOTE, symbol="ETHUSDT")


def what(found: MissingInput | None) -> tuple[InputName, str, str] | None:
    return None if found is None else (found.input, found.subject, found.message)


def exposure(view: AccountView | None, **changes: Any) -> Exposure | MissingInput:
    inputs: dict[str, Any] = {"quotes": {BTC: QUOTE}, "rules": {BTC: RULES}, "policy": REHEARSAL, "now": NOW, **changes}
    return worst_case(view, **inputs)


def lacking(view: AccountView | None, **changes: Any) -> tuple[InputName, str, str] | None:
    found = exposure(view, **changes)
    assert isinstance(found, MissingInput), found
    return what(found)


# The rate


def test_a_rate_is_in_force_from_its_first_to_before_its_last_instant() -> None:
    rate = REHEARSAL.eur_rate
    instants = (rate.as_of - 1, rate.as_of, rate.valid_until - 1, rate.valid_until)
    assert [missing_rate(REHEARSAL, Millis(at)) is None for at in instants] == [False, True, True, False]


def test_a_rate_that_is_not_in_force_says_on_which_side() -> None:
    rate = REHEARSAL.eur_rate
    assert what(missing_rate(REHEARSAL, rate.valid_until)) == (InputName.EUR_RATE, "USDT", "the pinned USDT rate has expired")
    before = missing_rate(REHEARSAL, Millis(rate.as_of - 1))
    assert what(before) == (InputName.EUR_RATE, "USDT", "the pinned USDT rate is from the future")


def test_a_rate_without_a_fresh_source_names_its_asset() -> None:
    found = at_rate(following(REHEARSAL), NO_RATES, NOW)
    assert not isinstance(found, Policy)
    assert what(found) == (InputName.EUR_RATE, "USDT", "there is no fresh USDT rate from ecb or venue")


def test_a_rate_outside_its_band_names_its_asset_and_says_so() -> None:
    outside = RateReading(RateSource.ECB, Decimal("1.2"), Decimal("1.2"), NOW)
    found = at_rate(following(REHEARSAL), Rates(None, (outside,)), NOW)
    assert not isinstance(found, Policy)
    assert (found.input, found.subject) == (InputName.EUR_RATE_BAND, "USDT")
    assert "1.2 USDT per EUR" in found.message


# Quotes


def test_a_quote_may_be_as_old_as_the_limit() -> None:
    assert missing_quote(BTC, QUOTE, REHEARSAL, Millis(NOW + 2_000)) is None
    found = missing_quote(BTC, QUOTE, REHEARSAL, Millis(NOW + 2_001))
    assert what(found) == (InputName.QUOTE, BTC, f"the quote for {BTC} is 2001 ms old; at most 2000 ms are accepted")


@pytest.mark.parametrize(
    ("quote", "says"),
    [
        (None, f"there is no quote for {BTC}"),
        (replace(QUOTE, symbol="X"), f"there is no quote for {BTC}"),
        (replace(QUOTE, bid=Decimal(0)), f"the quote for {BTC} has no bid below its ask"),
        (replace(QUOTE, ask=Decimal(0)), f"the quote for {BTC} has no bid below its ask"),
        (replace(QUOTE, bid=QUOTE.ask + 1), f"the quote for {BTC} has no bid below its ask"),
        (replace(QUOTE, received_at=Millis(NOW + 1)), f"the quote for {BTC} is from the future"),
    ],
)
def test_a_quote_that_cannot_be_used_is_named(quote: Any, says: str) -> None:
    assert what(missing_quote(BTC, quote, REHEARSAL, NOW)) == (InputName.QUOTE, BTC, says)


def test_a_quote_without_a_spread_can_be_used() -> None:
    assert missing_quote(BTC, replace(QUOTE, bid=QUOTE.ask), REHEARSAL, NOW) is None


# Holdings


def test_holdings_may_be_as_old_as_the_limit() -> None:
    assert missing_account(account(), REHEARSAL, Millis(NOW + 15_000)) is None
    found = missing_account(account(), REHEARSAL, Millis(NOW + 15_001))
    says = "the holdings were last reconciled with the venue 15001 ms ago; at most 15000 ms are accepted"
    assert what(found) == (InputName.HOLDINGS, "account", says)


def test_a_holding_that_is_no_amount_is_named() -> None:
    found = missing_account(account(btc="-1"), REHEARSAL, NOW)
    assert what(found) == (InputName.HOLDINGS, "BTC", "the holding of BTC is -1, which is not an amount")


def test_an_account_that_was_never_read_is_named() -> None:
    assert lacking(None) == (InputName.HOLDINGS, "account", "the holding of account is not known")


def test_a_holding_that_is_absent_is_named() -> None:
    found = lacking(AccountView({"USDT": Decimal(1)}, NOW))
    assert found == (InputName.HOLDINGS, "BTC", "the holding of BTC is not known")


# Rules


@pytest.mark.parametrize(
    "change",
    [
        {"min_quantity": Decimal(-1)},
        {"min_notional": Decimal("NaN")},
        {"min_notional_market": Decimal("NaN")},
        {"max_notional": Decimal("Infinity")},
        {"max_notional_market": Decimal(-1)},
        {"taker_fee": Decimal("-0.1")},
        {"taker_fee": Decimal(1)},
        {"price_precision": -1},
        {"price_precision": 19},
        {"quantity_precision": -1},
        {"quantity_precision": 19},
    ],
    ids=str,
)
def test_rules_that_are_no_numbers_are_named(change: dict[str, Any]) -> None:
    found = missing_rules(BTC, replace(RULES, **change))
    assert what(found) == (InputName.SYMBOL_RULES, BTC, f"the venue's rules for {BTC} are not valid numbers")


@pytest.mark.parametrize(
    "change",
    [
        {"price_precision": 0},
        {"price_precision": 18},
        {"quantity_precision": 0},
        {"quantity_precision": 18},
        {"taker_fee": Decimal("0.999")},
        {"min_quantity": Decimal(0)},
    ],
    ids=str,
)
def test_rules_at_the_bounds_can_be_used(change: dict[str, Any]) -> None:
    assert missing_rules(BTC, replace(RULES, **change)) is None


@pytest.mark.parametrize("rules", [None, ETH_RULES])
def test_rules_of_no_or_another_symbol_are_not_known(rules: Any) -> None:
    found = missing_rules(BTC, rules)
    assert what(found) == (InputName.SYMBOL_RULES, BTC, f"the venue's rules for {BTC} are not known")


def test_rules_that_were_accepted_once_say_nothing_about_others() -> None:
    assert missing_rules(BTC, RULES) is None
    assert missing_rules(BTC, replace(RULES, taker_fee=Decimal(2))) is not None
    assert missing_rules("ETHUSDT", RULES) is not None


def test_rules_that_were_accepted_are_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = replace(RULES)
    assert missing_rules(BTC, rules) is None
    monkeypatch.delattr(module, "_amount")
    assert missing_rules(BTC, rules) is None


def test_a_quote_asset_without_a_rate_is_named() -> None:
    found = lacking(account(btc="1"), rules={BTC: replace(RULES, quote="USDC")})
    assert found == (InputName.EUR_RATE, "USDC", f"{BTC} is quoted in USDC, which has no EUR rate")


# Orders


def test_an_order_without_amounts_is_named() -> None:
    found = lacking(account(replace(working(OrderStatus.NEW), quantity=None)))
    assert found == (InputName.ORDER, "w", "order w has no valid amounts")


@pytest.mark.parametrize("field", ["quantity", "quote_quantity", "price", "executed", "executed_quote"])
def test_an_order_with_a_broken_amount_has_no_cost(field: str) -> None:
    order = replace(working(OrderStatus.NEW), **{field: Decimal("NaN")})  # type: ignore[arg-type]
    assert isinstance(working_buy_quote(order, QUOTE.ask, RULES.taker_fee), MissingInput)


def test_the_risk_of_a_new_order_is_all_of_it() -> None:
    intent = OrderIntent(BTC, Side.BUY, OrderType.LIMIT, "c", Decimal(2), None, Decimal(3))
    found = OrderRisk.of(intent)
    assert found == OrderRisk("c", BTC, Side.BUY, OrderType.LIMIT, OrderStatus.ADMITTED, Decimal(2), None, Decimal(3))


def test_the_risk_of_a_buy_by_amount_is_that_amount() -> None:
    intent = OrderIntent(BTC, Side.BUY, OrderType.MARKET, "c", None, Decimal(5))
    assert OrderRisk.of(intent).quote_quantity == 5


def test_a_buy_executed_beyond_its_quantity_costs_nothing_more() -> None:
    order = replace(working(OrderStatus.PARTIALLY_FILLED), executed=Decimal(1))
    assert working_buy_quote(order, QUOTE.ask, RULES.taker_fee) == 0


def test_an_unproven_buy_by_amount_counts_in_full() -> None:
    intent = OrderIntent(BTC, Side.BUY, OrderType.MARKET, "c", None, Decimal(5))
    order = replace(OrderRisk.of(intent), status=OrderStatus.UNKNOWN, executed_quote=Decimal(2))
    assert working_buy_quote(order, QUOTE.ask, RULES.taker_fee) == Decimal("5.0025")


# Items


def test_each_item_says_what_it_is_worth_in_both_currencies() -> None:
    found = exposure(account(working(OrderStatus.NEW), btc="0.0001"))
    assert isinstance(found, Exposure)
    items = [(item.subject, item.symbol, item.status, item.quote, item.eur) for item in found.items]
    assert items == [
        ("BTC", BTC, None, Decimal(6), Decimal("5.50458716")),
        ("w", BTC, OrderStatus.NEW, Decimal("4.8024"), Decimal("4.40587156")),
    ]


def test_every_symbol_of_the_policy_and_of_an_order_counts_once() -> None:
    holdings = {"USDT": Decimal(1), "BTC": Decimal("0.0001"), "ETH": Decimal("0.0001")}
    both = {"quotes": {BTC: QUOTE, "ETHUSDT": ETH_QUOTE}, "rules": {BTC: RULES, "ETHUSDT": ETH_RULES}}
    eth = replace(working(OrderStatus.NEW), symbol="ETHUSDT")
    listed = exposure(AccountView(holdings, NOW), policy=TWO, **both)
    foreign = exposure(AccountView(holdings, NOW, (working(OrderStatus.NEW), eth)), **both)
    assert isinstance(listed, Exposure)
    assert isinstance(foreign, Exposure)
    assert [item.subject for item in listed.items] == ["BTC", "ETH"]
    assert [item.subject for item in foreign.items] == ["BTC", "w", "ETH", "w"]


def test_a_symbol_without_holdings_and_buys_needs_no_quote() -> None:
    holdings = {"USDT": Decimal(1), "BTC": Decimal("0.0001"), "ETH": Decimal(0)}
    found = exposure(AccountView(holdings, NOW), policy=TWO, rules={BTC: RULES, "ETHUSDT": ETH_RULES})
    assert isinstance(found, Exposure)


def test_an_ended_order_of_another_symbol_needs_nothing() -> None:
    ended = replace(working(OrderStatus.CANCELED), symbol="XUSDT")
    assert isinstance(exposure(account(ended)), Exposure)


def test_a_buy_alone_needs_a_quote() -> None:
    assert lacking(account(working(OrderStatus.NEW)), quotes={}) == (InputName.QUOTE, BTC, f"there is no quote for {BTC}")


def test_a_small_amount_is_rounded_up_in_eur() -> None:
    assert in_eur(Decimal("0.00000001"), REHEARSAL) == Decimal("0.00000001")
    assert in_eur(Decimal("1.09"), REHEARSAL) == 1


@pytest.mark.parametrize(
    ("value", "is_sane"),
    [
        ("1e15", True),
        ("9.9e15", True),
        ("1e16", False),
        ("1e-24", True),
        ("1e-25", False),
        ("0", False),
        ("-1", False),
        ("0.000001", True),
        ("NaN", False),
        ("Infinity", False),
    ],
)
def test_an_amount_is_of_a_size_that_is_exact(value: str, *, is_sane: bool) -> None:
    assert sane(Decimal(value)) is is_sane


def test_a_buy_is_named_by_its_client_id() -> None:
    found = exposure(account(replace(OrderRisk.of(buy(client_id="mine")))))
    assert isinstance(found, Exposure)
    assert [item.subject for item in found.items] == ["mine"]


def test_a_cost_does_not_depend_on_the_precision_of_the_caller() -> None:
    with localcontext() as here:
        here.prec = 3
        assert working_buy_quote(working(OrderStatus.NEW), QUOTE.ask, RULES.taker_fee) == Decimal("4.8024")
        assert in_eur(Decimal("4.8024"), REHEARSAL) == Decimal("4.40587156")
