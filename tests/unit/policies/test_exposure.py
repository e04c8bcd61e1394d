"""Worst-case exposure is never understated, and missing inputs give no number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side
from exchange.orders import TERMINAL, WORKING
from policies.exposure import EUR_STEP, AccountView, Exposure, InputName, MissingInput, OrderRisk, worst_case
from tests.unit.policies.policy_kit import BTC, NOW, QUOTE, REHEARSAL, RULES, account, working

RATE = REHEARSAL.eur_rate.quote_per_eur
FEE = 1 + RULES.taker_fee


def exposure(view: AccountView | None, **changes: Any) -> Exposure | MissingInput:
    inputs: dict[str, Any] = {"quotes": {BTC: QUOTE}, "rules": {BTC: RULES}, "policy": REHEARSAL, "now": NOW, **changes}
    return worst_case(view, **inputs)


def eur(view: AccountView) -> Decimal:
    found = exposure(view)
    assert isinstance(found, Exposure), found
    return found.eur


def near(quote_amount: Decimal) -> Decimal:
    """The amount in EUR, rounded up to the step."""
    return (quote_amount / RATE / EUR_STEP).__ceil__() * EUR_STEP


def test_holdings_count_at_the_ask() -> None:
    assert eur(account(btc="0.0001")) == near(Decimal("0.0001") * QUOTE.ask)


def test_an_empty_account_has_no_exposure() -> None:
    assert eur(account()) == 0


@pytest.mark.parametrize("status", sorted(WORKING))
def test_a_working_buy_counts_with_its_fee(status: OrderStatus) -> None:
    assert eur(account(working(status))) == near(Decimal("0.00008") * QUOTE.ask * FEE)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_finished_order_reserves_nothing(status: OrderStatus) -> None:
    assert eur(account(working(status))) == 0


@pytest.mark.parametrize("status", sorted(WORKING))
def test_a_working_sell_adds_nothing(status: OrderStatus) -> None:
    assert eur(account(working(status, side=Side.SELL), btc="0.00008")) == eur(account(btc="0.00008"))


def test_a_buy_below_the_ask_counts_at_the_ask() -> None:
    resting = replace(working(OrderStatus.NEW), price=Decimal("59900.00"))
    assert eur(account(resting)) == near(Decimal("0.00008") * QUOTE.ask * FEE)


def test_a_buy_above_the_ask_counts_at_its_limit() -> None:
    eager = replace(working(OrderStatus.NEW), price=Decimal("60300.00"))
    assert eur(account(eager)) == near(Decimal("0.00008") * Decimal(60300) * FEE)


def test_the_executed_part_does_not_count_as_open() -> None:
    half = replace(working(OrderStatus.PARTIALLY_FILLED), executed=Decimal("0.00004"))
    assert eur(account(half)) == near(Decimal("0.00004") * QUOTE.ask * FEE)


def test_an_unknown_order_counts_in_full() -> None:
    unknown = replace(working(OrderStatus.UNKNOWN), executed=Decimal("0.00008"))
    assert eur(account(unknown)) == eur(account(working(OrderStatus.UNKNOWN)))


def test_a_market_buy_by_quantity_counts_five_percent_above_the_ask() -> None:
    order = OrderRisk.of(OrderIntent(BTC, Side.BUY, OrderType.MARKET, "m", quantity=Decimal("0.00008")))
    assert eur(account(order)) == near(Decimal("0.00008") * QUOTE.ask * Decimal("1.05") * FEE)


def test_a_market_buy_by_amount_counts_what_it_has_not_spent() -> None:
    order = OrderRisk.of(OrderIntent(BTC, Side.BUY, OrderType.MARKET, "m", quote_quantity=Decimal(5)))
    spent = replace(order, status=OrderStatus.PARTIALLY_FILLED, executed_quote=Decimal(2))
    assert eur(account(order)) == near(5 * FEE)
    assert eur(account(spent)) == near(3 * FEE)


def test_the_breakdown_names_each_part_and_adds_up() -> None:
    found = exposure(account(working(OrderStatus.UNKNOWN, client_id="u"), working(OrderStatus.NEW, client_id="n"), btc="0.0001"))
    assert isinstance(found, Exposure)
    assert [(item.subject, item.status) for item in found.items] == [
        ("BTC", None),
        ("u", OrderStatus.UNKNOWN),
        ("n", OrderStatus.NEW),
    ]
    assert sum(item.eur for item in found.items) == found.eur


HELD = account(working(OrderStatus.NEW), btc="0.0001")
BROKEN: dict[str, tuple[Callable[[], Exposure | MissingInput], InputName]] = {
    "no account": (lambda: exposure(None), InputName.HOLDINGS),
    "no holding of the base": (lambda: exposure(AccountView({"USDT": Decimal(1)}, NOW)), InputName.HOLDINGS),
    "a negative holding": (lambda: exposure(account(btc="-0.1")), InputName.HOLDINGS),
    "a holding that is NaN": (lambda: exposure(account(btc="NaN")), InputName.HOLDINGS),
    "a holding that signals NaN": (lambda: exposure(account(btc="sNaN")), InputName.HOLDINGS),
    "an infinite holding": (lambda: exposure(account(btc="Infinity")), InputName.HOLDINGS),
    "old holdings": (
        lambda: exposure(HELD, now=Millis(NOW + 15_001), quotes={BTC: replace(QUOTE, received_at=NOW + 15_001)}),
        InputName.HOLDINGS,
    ),
    "holdings from the future": (lambda: exposure(replace(HELD, reconciled_at=Millis(NOW + 1))), InputName.HOLDINGS),
    "no quote": (lambda: exposure(HELD, quotes={}), InputName.QUOTE),
    "a quote for another symbol": (lambda: exposure(HELD, quotes={BTC: replace(QUOTE, symbol="X")}), InputName.QUOTE),
    "an old quote": (lambda: exposure(HELD, now=Millis(NOW + 2_001)), InputName.QUOTE),
    "a quote from the future": (lambda: exposure(HELD, quotes={BTC: replace(QUOTE, received_at=Millis(NOW + 1))}), InputName.QUOTE),
    "a crossed quote": (lambda: exposure(HELD, quotes={BTC: replace(QUOTE, bid=Decimal(60001))}), InputName.QUOTE),
    "a zero quote": (lambda: exposure(HELD, quotes={BTC: replace(QUOTE, bid=Decimal(0))}), InputName.QUOTE),
    "a NaN quote": (lambda: exposure(HELD, quotes={BTC: replace(QUOTE, ask=Decimal("NaN"))}), InputName.QUOTE),
    "a quote of 1e30": (lambda: exposure(HELD, quotes={BTC: replace(QUOTE, ask=Decimal("1e30"))}), InputName.QUOTE),
    "no symbol rules": (lambda: exposure(HELD, rules={}), InputName.SYMBOL_RULES),
    "a NaN fee": (lambda: exposure(HELD, rules={BTC: replace(RULES, taker_fee=Decimal("NaN"))}), InputName.SYMBOL_RULES),
    "another quote asset": (lambda: exposure(HELD, rules={BTC: replace(RULES, quote="USDC")}), InputName.EUR_RATE),
    "an expired rate": (lambda: exposure(HELD, now=REHEARSAL.eur_rate.valid_until), InputName.EUR_RATE),
    "a rate from the future": (lambda: exposure(HELD, now=Millis(REHEARSAL.eur_rate.as_of - 1)), InputName.EUR_RATE),
    "an order without amounts": (lambda: exposure(account(replace(working(OrderStatus.NEW), quantity=None))), InputName.ORDER),
    "an order without a price": (lambda: exposure(account(replace(working(OrderStatus.NEW), price=None))), InputName.ORDER),
    "a NaN order": (lambda: exposure(account(replace(working(OrderStatus.NEW), executed=Decimal("sNaN")))), InputName.ORDER),
    "an order for an unknown symbol": (
        lambda: exposure(account(replace(working(OrderStatus.NEW), symbol="XUSDT"))),
        InputName.SYMBOL_RULES,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_there_is_no_number_with(name: str) -> None:
    compute, expected = BROKEN[name]
    found = compute()
    assert isinstance(found, MissingInput), found
    assert found.input is expected


@given(
    held=st.decimals(min_value=0, max_value=1, places=8),
    quantities=st.lists(st.decimals(min_value=Decimal("1e-8"), max_value=1, places=8), max_size=4),
    prices=st.lists(st.decimals(min_value=1, max_value=100_000, places=2), min_size=4, max_size=4),
    ask=st.decimals(min_value=60_000, max_value=90_000, places=2),
)
def test_exposure_is_never_understated(held: Decimal, quantities: list[Decimal], prices: list[Decimal], ask: Decimal) -> None:
    orders = tuple(
        replace(working(OrderStatus.UNKNOWN, client_id=str(number)), quantity=quantity, price=prices[number])
        for number, quantity in enumerate(quantities)
    )
    quote = replace(QUOTE, ask=ask)
    found = exposure(account(*orders, btc=str(held)), quotes={BTC: quote})
    assert isinstance(found, Exposure)
    exact = Fraction(held) * Fraction(ask)
    for order in orders:
        assert order.quantity is not None
        assert order.price is not None
        exact += Fraction(order.quantity) * Fraction(max(order.price, ask)) * Fraction(FEE)
    exact /= Fraction(RATE)
    assert exact <= Fraction(found.eur) <= exact + (len(orders) + 1) * Fraction(EUR_STEP)


def test_exposure_does_not_depend_on_the_precision_of_the_caller() -> None:
    view = account(working(OrderStatus.NEW), btc="0.00012345678")
    with localcontext() as here:
        here.prec = 3
        found = eur(view)
    assert found == eur(view)
