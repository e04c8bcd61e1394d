"""What the testnet refuses for its form the limits refuse first, so that it is never sent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from exchange.matching.engine import Engine
from exchange.matching.events import Refusal
from exchange.model import Millis, OrderIntent, OrderType, Side, SymbolRules
from exchange.tape import DepthSnapshot
from exchange.wire.errors import ErrorCode, WireRefusal
from exchange.wire.order_errors import SCALE_INVALID
from exchange.wire.orders import order_params, parse_new_order
from policies.limits import Deny, LimitContext, LimitRule, check
from policies.stage import Stage
from tests.support.tries import tries
from tests.unit.policies.policy_kit import BTC, NOW, QUOTE, REHEARSAL, RULES, account, context, denied

D = Decimal
FORM = {
    LimitRule.SYMBOL_RULES,
    LimitRule.CLIENT_ID,
    LimitRule.PRICE,
    LimitRule.QUANTITY,
    LimitRule.MIN_NOTIONAL,
    LimitRule.VENUE_MAXIMUM,
}
ABOUT_THE_ACCOUNT = {ErrorCode.INSUFFICIENT_POSITION, ErrorCode.OVERSOLD}

CLIENT_IDS = st.sampled_from([*["gh-1_A"] * 8, "", "a" * 32, "a" * 33])
PRICES = st.sampled_from([*[D("60000"), D("59990.00")] * 3, D("60000.001"), D("0.01"), D("99999.99"), D(0)])
QUANTITIES = st.one_of(
    st.integers(min_value=0, max_value=12_000).map(lambda steps: D(steps).scaleb(-8)),
    st.integers(min_value=0, max_value=120).map(lambda steps: D(steps).scaleb(-6)),
    st.sampled_from([D("1e12"), D("1e-19"), *[D(40)] * 4]),
)
AMOUNTS = st.one_of(
    st.integers(min_value=0, max_value=900).map(lambda cents: D(cents).scaleb(-2)),
    st.decimals(min_value=0, max_value=9, places=9),
    st.sampled_from([D(2_000_000), D("999999999999.99")]),
)
ANY = st.one_of(st.none(), PRICES, QUANTITIES, AMOUNTS)


def orders(kind: OrderType, **numbers: st.SearchStrategy[D | None]) -> st.SearchStrategy[OrderIntent]:
    return st.builds(OrderIntent, st.just(BTC), st.sampled_from(Side), st.just(kind), CLIENT_IDS, **numbers)


LIMITED = st.sampled_from([kind for kind in OrderType if kind is not OrderType.MARKET])
INTENTS = st.one_of(
    LIMITED.flatmap(lambda kind: orders(kind, quantity=QUANTITIES, price=PRICES)),
    orders(OrderType.MARKET, quantity=QUANTITIES),
    orders(OrderType.MARKET, quote_quantity=AMOUNTS),
    st.sampled_from(OrderType).flatmap(lambda kind: orders(kind, quantity=ANY, quote_quantity=ANY, price=ANY)),
)
SYMBOLS = st.builds(
    replace,
    st.just(RULES),
    quantity_precision=st.sampled_from([0, 6, 8, 8]),
    min_quantity=st.sampled_from([D(0), D("0.000001"), D("0.001")]),
    min_notional=st.sampled_from([D(0), D(1), D(5)]),
    min_notional_market=st.sampled_from([D(0), D(1), D(5)]),
    max_notional_market=st.sampled_from([D(7), D(1_000_000)]),
    order_types=st.sampled_from(
        [frozenset(OrderType), frozenset(OrderType), frozenset({OrderType.MARKET}), frozenset({OrderType.LIMIT})]
    ),
    trading=st.sampled_from([*[True] * 7, False]),
    sell_allowed=st.sampled_from([*[True] * 7, False]),
)


def refused_by_testnet(rules: SymbolRules, intent: OrderIntent) -> int | None:
    """The code with which the testnet refuses the order as our client would send it."""
    engine = Engine({BTC: rules})
    engine.open_account("ours", {"USDT": D(10**11), "BTC": D(10**11)}, NOW)
    engine.feed(DepthSnapshot(BTC, 1, ((QUOTE.bid, D(10**6)),), ((QUOTE.ask, D(10**6)),), NOW, NOW))
    try:
        order = parse_new_order(dict(order_params(intent)))
    except WireRefusal as refusal:
        return refusal.error.code
    outcome = engine.place("ours", order.intent(order.client_id or ""), Millis(NOW))
    return outcome.code if isinstance(outcome, Refusal) else None


def denied_by_limits(rules: SymbolRules, intent: OrderIntent) -> str | None:
    """The rule with which the limits deny the order, with more money than it can need."""
    inputs = LimitContext(account(usdt=str(10**11), btc=str(10**11)), {BTC: rules}, {BTC: QUOTE}, ())
    verdict = check(intent, inputs, REHEARSAL, Stage.TESTNET_VALIDATING, 0, NOW)
    return verdict.rule if isinstance(verdict, Deny) else None


NINE_DECIMALS = OrderIntent(BTC, Side.BUY, OrderType.MARKET, "a", quote_quantity=D("5.123456789"))


@settings(max_examples=tries(500), deadline=None)
@given(intent=INTENTS, rules=SYMBOLS)
@example(intent=NINE_DECIMALS, rules=RULES)
@example(
    intent=OrderIntent(BTC, Side.SELL, OrderType.MARKET, "a", quantity=D("0.0000166667")),
    rules=replace(RULES, quantity_precision=10),
)
@example(
    intent=OrderIntent(BTC, Side.BUY, OrderType.MARKET, "a", quote_quantity=D(5)), rules=replace(RULES, min_quantity=D("0.00008"))
)
def test_a_form_that_the_testnet_refuses_the_limits_deny_for_its_form(intent: OrderIntent, rules: SymbolRules) -> None:
    refused = refused_by_testnet(rules, intent)
    event("accepted" if refused is None else f"refused with {refused}")
    if refused is not None and refused not in ABOUT_THE_ACCOUNT:
        assert denied_by_limits(rules, intent) in FORM


def test_an_amount_with_nine_decimals_is_denied_before_it_is_sent() -> None:
    assert refused_by_testnet(RULES, NINE_DECIMALS) == SCALE_INVALID
    verdict = denied(NINE_DECIMALS)
    assert (verdict.rule, verdict.measured, verdict.threshold) == (LimitRule.QUANTITY, "5.123456789", "0.01")
    assert verdict.message.startswith("amount 5.123456789 is not a multiple of the quote asset's step 0.01")


def test_a_market_sale_is_worth_the_bid() -> None:
    """0.00001667 BTC are worth 1.0002 USDT at the ask and 1.00003 at the bid; at 59,000 they are worth less than the minimum."""
    sale = OrderIntent(BTC, Side.SELL, OrderType.MARKET, "a", quantity=D("0.00001667"))
    below = replace(QUOTE, bid=D("59000"))
    assert denied(sale, context(btc="1", quotes={BTC: below})).rule is LimitRule.MIN_NOTIONAL


@pytest.mark.parametrize("client_id", ["a b", "é", "a" * 33])
def test_a_client_order_id_that_the_venue_refuses_is_denied(client_id: str) -> None:
    order = OrderIntent(BTC, Side.BUY, OrderType.LIMIT, client_id, quantity=D("0.00008"), price=D(60_000))
    assert denied(order).rule is LimitRule.CLIENT_ID
