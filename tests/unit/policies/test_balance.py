"""An order needs what other working orders have not reserved, and a reservation that cannot be computed denies by its name."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from exchange.model import OrderIntent, OrderStatus, OrderType, Side
from policies.exposure import OrderRisk
from policies.limits import Deny, LimitContext, LimitRule
from policies.order_rules import Case, balance
from tests.unit.policies.policy_kit import BTC, NOW, QUOTE, REHEARSAL, RULES, buy, context, denied, sell, working


def judged(intent: OrderIntent, inputs: LimitContext) -> Deny | None:
    assert inputs.account is not None
    return balance(Case(intent, inputs, REHEARSAL, inputs.account, RULES, QUOTE, NOW))


def refused(intent: OrderIntent, inputs: LimitContext) -> Deny:
    found = judged(intent, inputs)
    assert found is not None
    return found


def elsewhere(**changes: Any) -> OrderRisk:
    """A working buy of another symbol."""
    return replace(working(OrderStatus.NEW), symbol="ETHUSDT", **changes)


def test_what_working_orders_reserve_is_not_free() -> None:
    assert judged(buy(), context(working(OrderStatus.NEW), usdt="9.61")) is None
    found = refused(buy(), context(working(OrderStatus.NEW), usdt="9.60"))
    assert (found.rule, found.measured, found.threshold) == (LimitRule.BALANCE, "4.8024 USDT", "4.7976 USDT")


def test_a_refusal_without_coins_of_an_owner_does_not_speak_of_one() -> None:
    assert refused(sell(), context()).message == "the order needs 0.00008 BTC; 0 are not reserved by other orders"


def test_a_sale_by_amount_names_the_asset_whose_quantity_is_missing() -> None:
    by_amount = OrderIntent(BTC, Side.SELL, OrderType.MARKET, "a", None, Decimal(5))
    inputs = context(btc="1")
    assert inputs.account is not None
    found = refused(by_amount, replace(inputs, account=replace(inputs.account, kept={"BTC": Decimal("0.3")})))
    assert (found.threshold, found.remedy) == ("a quantity of BTC", "Send the sale with its quantity of BTC.")


def test_a_working_order_of_a_symbol_without_rules_denies() -> None:
    found = refused(buy(), context(elsewhere()))
    assert (found.rule, found.message) == (LimitRule.SYMBOL_RULES, "the venue's rules for ETHUSDT are not known")


@pytest.mark.parametrize("quotes", [{BTC: QUOTE}, {BTC: QUOTE, "ETHUSDT": replace(QUOTE, symbol="ETHUSDT", bid=Decimal(0))}])
def test_a_working_order_of_a_symbol_without_a_quote_denies(quotes: dict[str, Any]) -> None:
    rules = {BTC: RULES, "ETHUSDT": replace(RULES, symbol="ETHUSDT", base="ETH")}
    found = refused(buy(), context(elsewhere(), rules=rules, quotes=quotes))
    assert found.rule is LimitRule.QUOTE
    assert "quote for ETHUSDT" in found.message


def test_a_working_order_without_amounts_denies() -> None:
    found = refused(buy(), context(replace(working(OrderStatus.NEW), quantity=None)))
    assert (found.rule, found.message) == (LimitRule.EXPOSURE, "order w has no valid amounts")


def test_an_order_over_the_cap_and_the_balance_is_refused_for_the_cap() -> None:
    others = (working(OrderStatus.NEW, client_id="v"), working(OrderStatus.NEW))
    assert denied(buy(), context(*others, usdt="9.61")).rule is LimitRule.EXPOSURE
