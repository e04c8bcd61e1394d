"""Fees in MX: the discount, what MX is worth, and the fall back to the quote asset."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.matching.mx_fees import MxFees
from exchange.model import Side

D = Decimal


@pytest.fixture
def make_payer(make_desk: Callable[..., Any]) -> Callable[..., Any]:
    """A desk whose account "ours" pays in MX, one MX being worth ``price`` of the quote asset; its taker fee is 5 bps."""

    def make(mx: str, price: str | None = "2") -> Any:
        fees = MxFees(lambda quote: None if price is None or quote != "USDT" else D(price))
        fees.switch("ours", on=True)
        desk = make_desk(fees=fees)
        desk.engine.open_account("ours", {"MX": D(mx)}, desk.now)
        desk.book()
        return desk

    return make


def test_a_fee_in_mx_is_worth_four_fifths_of_the_one_in_quote(make_payer: Callable[..., Any]) -> None:
    desk = make_payer("10")
    (fill,) = desk.fills(desk.order(Side.BUY, "101", "2"))
    assert (fill.fee_asset, fill.fee) == ("MX", D("202") * D("0.0005") * D("0.8") / 2)
    assert desk.money("MX") == (D(10) - fill.fee, D(0))
    assert desk.money("USDT") == (D(100_000) - 202, D(0))


def test_a_sale_s_proceeds_are_whole_when_the_fee_is_in_mx(make_payer: Callable[..., Any]) -> None:
    desk = make_payer("10")
    desk.order(Side.SELL, "100", "2")
    assert desk.money("USDT") == (D(100_200), D(0))


def test_a_fill_that_mx_does_not_cover_pays_the_whole_fee_in_quote(make_payer: Callable[..., Any]) -> None:
    desk = make_payer("0.03")
    first, second = desk.order(Side.BUY, "101", "1"), desk.order(Side.BUY, "101", "1")
    assert [fill.fee_asset for fill in (*desk.fills(first), *desk.fills(second))] == ["MX", "USDT"]
    assert desk.fills(second)[0].fee == D("101") * D("0.0005")


def test_without_a_price_for_mx_the_fee_is_in_quote(make_payer: Callable[..., Any]) -> None:
    desk = make_payer("10", price=None)
    assert desk.fills(desk.order(Side.BUY, "101", "1"))[0].fee_asset == "USDT"


def test_an_account_that_did_not_switch_it_on_pays_in_quote(make_payer: Callable[..., Any]) -> None:
    desk = make_payer("10")
    desk.engine.open_account("theirs", {"MX": D(10)}, desk.now)
    assert desk.fills(desk.order(Side.BUY, "101", "1", account="theirs"), "theirs")[0].fee_asset == "USDT"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mx=st.decimals("0", "0.3", places=6),
    price=st.decimals("0.01", "50", places=4),
    orders=st.lists(st.tuples(st.sampled_from(list(Side)), st.decimals("0.01", "3", places=4)), max_size=8),
)
def test_every_asset_is_conserved_whatever_fees_are_paid_in(
    make_payer: Callable[..., Any], mx: Decimal, price: Decimal, orders: list[tuple[Side, Decimal]]
) -> None:
    desk = make_payer(str(mx), str(price))
    for side, quantity in orders:
        desk.place(side, "102" if side is Side.BUY else "99", str(quantity))
    fills = desk.fills()
    signed = [(1 if fill.side is Side.BUY else -1, fill) for fill in fills]
    fees = {asset: sum((fill.fee for fill in fills if fill.fee_asset == asset), D(0)) for asset in ("MX", "USDT")}
    assert sum(desk.money("MX")) == mx - fees["MX"] >= 0
    assert sum(desk.money("BTC")) == D(100) + sum((way * fill.quantity for way, fill in signed), D(0))
    assert sum(desk.money("USDT")) == D(100_000) - sum((way * fill.quote for way, fill in signed), D(0)) - fees["USDT"]
