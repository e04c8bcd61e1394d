"""The error MEXC would give an order for its form, and for a symbol that does not accept it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.model import OrderIntent, OrderType, Side, SymbolRules
from exchange.wire.errors import ErrorCode
from exchange.wire.order_errors import SCALE_INVALID, order_error

D = Decimal
RULES = SymbolRules(
    symbol="MXUSDT",
    base="MX",
    quote="USDT",
    quantity_precision=2,
    price_precision=4,
    min_quantity=D("0.01"),
    min_notional=D(1),
    min_notional_market=D(2),
    max_notional=D(1_000),
    max_notional_market=D(500),
    maker_fee=D(0),
    taker_fee=D("0.0005"),
    order_types=frozenset(OrderType),
    trading=True,
    api_allowed=True,
)
GOOD = OrderIntent("MXUSDT", Side.BUY, OrderType.LIMIT, "gh-1", quantity=D(10), price=D(2))
BY_AMOUNT = OrderIntent("MXUSDT", Side.BUY, OrderType.MARKET, "gh-1", quote_quantity=D(10))
SELL = OrderIntent("MXUSDT", Side.SELL, OrderType.MARKET, "gh-1", quantity=D(10))


def test_an_order_within_the_rules_has_no_error() -> None:
    assert [order_error(order, RULES, D(2)) for order in (GOOD, BY_AMOUNT, SELL)] == [None, None, None]


@pytest.mark.parametrize(
    ("order", "rules", "code"),
    [
        (GOOD, replace(RULES, trading=False), ErrorCode.TRADING_SUSPENDED),
        (GOOD, replace(RULES, api_allowed=False), ErrorCode.SYMBOL_NOT_SUPPORT_API),
        (GOOD, replace(RULES, buy_allowed=False, sell_allowed=False), ErrorCode.TRADING_DISABLED),
        (GOOD, replace(RULES, buy_allowed=False), ErrorCode.SIDE_NOT_ALLOWED),
        (SELL, replace(RULES, sell_allowed=False), ErrorCode.SIDE_NOT_ALLOWED),
        (GOOD, replace(RULES, order_types=frozenset({OrderType.MARKET})), ErrorCode.TYPE_NOT_ALLOWED),
        (BY_AMOUNT, replace(RULES, order_types=frozenset({OrderType.LIMIT})), ErrorCode.API_MARKET_ORDER_DISABLED),
        (replace(GOOD, client_id="a b"), RULES, ErrorCode.ILLEGAL_CHARACTERS),
        (replace(GOOD, client_id="a" * 33), RULES, ErrorCode.ILLEGAL_CHARACTERS),
        (replace(GOOD, quantity=D("1.001")), RULES, SCALE_INVALID),
        (replace(GOOD, price=D("1.00001")), RULES, SCALE_INVALID),
        (replace(BY_AMOUNT, quote_quantity=D("10.123456789")), RULES, SCALE_INVALID),
        (replace(GOOD, price=D(0)), RULES, ErrorCode.BAD_PARAMETER),
        (replace(GOOD, quantity=D(-1)), RULES, ErrorCode.BAD_PARAMETER),
        (replace(GOOD, price=None), RULES, ErrorCode.MISSING_PARAMETER),
        (replace(GOOD, quantity=None), RULES, ErrorCode.MISSING_PARAMETER),
        (replace(SELL, quantity=None), RULES, ErrorCode.MISSING_PARAMETER),
        (replace(SELL, quote_quantity=D(10)), RULES, ErrorCode.BAD_PARAMETER),
        (replace(SELL, price=D(2)), RULES, ErrorCode.BAD_PARAMETER),
        (replace(GOOD, quote_quantity=D(10)), RULES, ErrorCode.BAD_PARAMETER),
        (replace(GOOD, price=D("NaN")), RULES, ErrorCode.ILLEGAL_CHARACTERS),
        (replace(GOOD, quantity=D("Infinity")), RULES, ErrorCode.ILLEGAL_CHARACTERS),
        (replace(GOOD, quantity=D("1e12")), RULES, ErrorCode.ILLEGAL_CHARACTERS),
        (replace(GOOD, quantity=D("1e-19")), RULES, ErrorCode.ILLEGAL_CHARACTERS),
        (replace(GOOD, quantity=D("0.49")), RULES, ErrorCode.BELOW_MINIMUM),
        (replace(GOOD, quantity=D("500.01")), RULES, ErrorCode.ABOVE_MAXIMUM),
        (replace(BY_AMOUNT, quote_quantity=D("1.99")), RULES, ErrorCode.BELOW_MINIMUM),
        (replace(BY_AMOUNT, quote_quantity=D("500.01")), RULES, ErrorCode.ABOVE_MAXIMUM),
        (replace(SELL, quantity=D("0.01")), replace(RULES, min_quantity=D(1)), ErrorCode.BELOW_MINIMUM),
    ],
)  # fmt: skip
def test_an_order_outside_the_rules_has_its_code(order: OrderIntent, rules: SymbolRules, code: int) -> None:
    error = order_error(order, rules)
    assert error is not None
    assert error.code == code


def test_the_bounds_themselves_are_accepted() -> None:
    smallest, largest = replace(GOOD, quantity=D("0.5")), replace(GOOD, quantity=D(500))
    assert [order_error(order, RULES) for order in (smallest, largest)] == [None, None]


def test_trailing_zeros_are_no_decimals() -> None:
    assert order_error(replace(GOOD, price=D("2." + "0" * 30)), RULES) is None


def test_the_best_price_values_a_market_order_given_in_base() -> None:
    error = order_error(SELL, RULES, D("0.1"))
    assert error is not None
    assert (error.code, error.msg) == (30002, "The minimum transaction volume cannot be less than:2USDT")


def test_an_amount_too_small_for_one_step_at_the_collar_is_refused() -> None:
    """Two USDT at 190.4762 and the collar of 5 % buy 0.0099999 MX, and at 190.4761 they buy 0.01."""
    two = replace(BY_AMOUNT, quote_quantity=D(2))
    assert order_error(two, RULES, D("190.4761")) is None
    error = order_error(two, RULES, D("190.4762"))
    assert error is not None
    assert (error.code, error.msg) == (30002, "The minimum transaction volume cannot be less than:0.01MX")
