"""Fees in MX: the discount, the price of MX, and the fall-back to the quote asset."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.matching.mx_fees import MxFees
from exchange.model import Side
from tests.support.tries import tries

D = Decimal


@pytest.fixture
def make_payer(make_driver: Callable[..., Any]) -> Callable[..., Any]:
    """A driver whose account "ours" pays in MX at ``price`` of the quote asset; its taker fee is 5 bps."""

    def make(mx: str, price: str | None = "2") -> Any:
        fees = MxFees(lambda quote: None if price is None or quote != "USDT" else D(price))
        fees.switch("ours", on=True)
        driver = make_driver(fees=fees)
        driver.engine.open_account("ours", {"MX": D(mx)}, driver.now)
        driver.book()
        return driver

    return make


def test_a_fee_in_mx_is_worth_four_fifths_of_the_one_in_quote(make_payer: Callable[..., Any]) -> None:
    driver = make_payer("10")
    (fill,) = driver.fills(driver.order(Side.BUY, "101", "2"))
    assert (fill.fee_asset, fill.fee) == ("MX", D("202") * D("0.0005") * D("0.8") / 2)
    assert driver.money("MX") == (D(10) - fill.fee, D(0))
    assert driver.money("USDT") == (D(100_000) - 202, D(0))


def test_a_sale_keeps_all_its_proceeds_when_the_fee_is_in_mx(make_payer: Callable[..., Any]) -> None:
    driver = make_payer("10")
    driver.order(Side.SELL, "100", "2")
    assert driver.money("USDT") == (D(100_200), D(0))


def test_a_fill_with_too_little_mx_pays_the_whole_fee_in_quote(make_payer: Callable[..., Any]) -> None:
    driver = make_payer("0.03")
    first, second = driver.order(Side.BUY, "101", "1"), driver.order(Side.BUY, "101", "1")
    assert [fill.fee_asset for fill in (*driver.fills(first), *driver.fills(second))] == ["MX", "USDT"]
    assert driver.fills(second)[0].fee == D("101") * D("0.0005")


def test_without_a_price_for_mx_the_fee_is_in_quote(make_payer: Callable[..., Any]) -> None:
    driver = make_payer("10", price=None)
    assert driver.fills(driver.order(Side.BUY, "101", "1"))[0].fee_asset == "USDT"


def test_an_account_that_did_not_switch_it_on_pays_in_quote(make_payer: Callable[..., Any]) -> None:
    driver = make_payer("10")
    driver.engine.open_account("theirs", {"MX": D(10)}, driver.now)
    assert driver.fills(driver.order(Side.BUY, "101", "1", account="theirs"), "theirs")[0].fee_asset == "USDT"


@settings(max_examples=tries(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mx=st.decimals("0", "0.3", places=6),
    price=st.decimals("0.01", "50", places=4),
    orders=st.lists(st.tuples(st.sampled_from(list(Side)), st.decimals("0.01", "3", places=4)), max_size=8),
)
def test_every_asset_is_conserved_whatever_fees_are_paid_in(
    make_payer: Callable[..., Any], mx: Decimal, price: Decimal, orders: list[tuple[Side, Decimal]]
) -> None:
    driver = make_payer(str(mx), str(price))
    for side, quantity in orders:
        driver.place(side, "102" if side is Side.BUY else "99", str(quantity))
    fills = driver.fills()
    signed = [(1 if fill.side is Side.BUY else -1, fill) for fill in fills]
    fees = {asset: sum((fill.fee for fill in fills if fill.fee_asset == asset), D(0)) for asset in ("MX", "USDT")}
    assert sum(driver.money("MX")) == mx - fees["MX"] >= 0
    assert sum(driver.money("BTC")) == D(100) + sum((way * fill.quantity for way, fill in signed), D(0))
    assert sum(driver.money("USDT")) == D(100_000) - sum((way * fill.quote for way, fill in signed), D(0)) - fees["USDT"]
