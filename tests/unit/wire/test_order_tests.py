"""An answer to ``order/test`` counts against the testnet unless it is about something else than the order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exchange.model import OrderIntent, OrderType, Side
from exchange.wire.errors import ErrorCode, WireError
from exchange.wire.order_tests import amounts, disagreement, not_about_the_order

ORDER = OrderIntent("BTCUSDT", Side.BUY, OrderType.LIMIT, "gh-parity", quantity=Decimal("0.00009"), price=Decimal(60_000))

OTHER = {
    ErrorCode.INSUFFICIENT_POSITION: "holds too little",
    ErrorCode.OVERSOLD: "holds too little",
    ErrorCode.INSUFFICIENT_BALANCE: "holds too little",
    ErrorCode.NO_OPPOSING_ORDER: "no price",
    ErrorCode.TOO_MANY_OPEN_ORDERS: "own orders",
    ErrorCode.BAD_SIGNATURE: "key cannot ask",
    ErrorCode.NO_PERMISSION: "key cannot ask",
    ErrorCode.TOO_MANY_REQUESTS: "did not look",
    ErrorCode.OUTSIDE_RECV_WINDOW: "did not look",
    ErrorCode.SERVICE_UNAVAILABLE: "did not look",
    ErrorCode.MAINTENANCE: "did not look",
}


@pytest.mark.parametrize("code", OTHER, ids=lambda code: code.name)
def test_what_is_not_about_the_order_is_not_counted(code: ErrorCode) -> None:
    assert OTHER[code] in not_about_the_order(WireError.of(code, "refused"))


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.SIDE_NOT_ALLOWED,
        ErrorCode.BELOW_MINIMUM,
        ErrorCode.ABOVE_MAXIMUM,
        ErrorCode.TYPE_NOT_ALLOWED,
        ErrorCode.PRICE_OUT_OF_RANGE,
        ErrorCode.SYMBOL_NOT_SUPPORT_API,
        ErrorCode.BUYING_SUSPENDED,
        ErrorCode.PAIR_BANNED,
        ErrorCode.BAD_PARAMETER,
    ],
    ids=lambda code: code.name,
)
def test_what_is_about_the_order_is_a_disagreement(code: ErrorCode) -> None:
    assert not_about_the_order(WireError.of(code, "refused")) == ""


def test_a_code_that_nobody_documents_is_a_disagreement() -> None:
    assert not_about_the_order(WireError(123_456, "never seen")) == ""


def test_too_many_decimals_is_not_a_missing_key() -> None:
    assert not_about_the_order(WireError(400, " price scale is invalid")) == ""
    assert not_about_the_order(WireError(400, "api key required")) == "the key cannot ask"


def test_a_page_of_a_firewall_says_nothing() -> None:
    assert not_about_the_order(WireError(403, "", 403, coded=False)) == "the venue did not look at it"


def test_a_disagreement_names_the_code_and_the_order() -> None:
    error = WireError.of(ErrorCode.BELOW_MINIMUM, "cannot be less than:5USDT")
    assert disagreement(ORDER, error) == "30002 on LIMIT BUY BTCUSDT: cannot be less than:5USDT"
    assert amounts(ORDER) == "quantity 0.00009, price 60000"
