"""Fees of fills, and the log of fills with their evidence."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

import pytest

from exchange.errors import IntegrityError
from exchange.matching.accounts import LedgerAccount, MovementReason, fee_on
from exchange.matching.events import BalanceChanged
from exchange.matching.fees import Charge
from exchange.model import OrderType, Side, SymbolRules
from exchange.testnet.export import export_fills, fill_document

D = Decimal


class InMx:
    """A fee 20 % lower, in MX at a price of 2, while there is MX."""

    def charge(self, account: LedgerAccount, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
        in_quote = fee_on(notional, rules.maker_fee if maker else rules.taker_fee)
        in_mx = in_quote * D("0.8") / 2
        return Charge("MX", in_mx) if account.free("MX") >= in_mx else Charge(rules.quote, in_quote)


@pytest.fixture
def mx_driver(make_driver):
    driver = make_driver(fees=InMx())
    driver.book()
    driver.engine.open_account("ours", {"MX": D("0.05")}, driver.now)
    return driver


@pytest.mark.parametrize("side", list(Side))
def test_a_policy_can_charge_another_asset_than_the_quote_asset(mx_driver, side):
    mx_driver.order(side, "101" if side is Side.BUY else "100", "1", OrderType.IMMEDIATE_OR_CANCEL)
    (fill,) = mx_driver.fills()
    assert fill.fee_asset == "MX"
    assert mx_driver.money("MX") == (D("0.05") - fill.fee, 0)
    assert mx_driver.money("USDT") == (D(100_000) + (-fill.quote if side is Side.BUY else fill.quote), 0)


def test_the_fee_is_reported_as_a_movement_of_its_asset(mx_driver):
    mx_driver.order(Side.BUY, "101", "1")
    fees = [e.change for e in mx_driver.log if isinstance(e, BalanceChanged) and e.change.reason is MovementReason.FEE]
    assert [(change.asset, change.free_delta) for change in fees] == [("MX", D("-0.0202"))]


def test_without_the_other_asset_the_locked_quote_asset_pays(mx_driver):
    for _ in range(3):
        mx_driver.order(Side.BUY, "101", "1")
    assert [fill.fee_asset for fill in mx_driver.fills()] == ["MX", "MX", "USDT"]
    assert mx_driver.money("USDT")[1] == 0


def test_a_policy_that_charges_too_much_is_an_integrity_error(make_driver):
    class Greedy:
        def charge(self, account: LedgerAccount, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
            return Charge("MX", D(1))

    driver = make_driver(fees=Greedy())
    driver.book()
    with pytest.raises(IntegrityError):
        driver.order(Side.BUY, "101", "1")


@pytest.fixture
def traded(driver):
    """A taker's fill, and a maker's fill with two public trades as evidence."""
    driver.order(Side.BUY, "101", "2")
    driver.order(Side.BUY, "100", "1", account="theirs")
    driver.sold("100", "4")
    driver.sold("100", "1.5")
    return driver


def test_the_log_holds_every_account_s_fills_in_order_with_their_evidence(traded):
    documents = [fill_document(record) for record in traded.engine.fill_log()]
    assert [(d["account"], d["maker"], d["price"], d["quantity"]) for d in documents] == [
        ("ours", False, "101", "2"),
        ("theirs", True, "100", "0.5"),
    ]
    assert [d["evidence"] for d in documents] == [{"bookVersion": 1, "tradeIds": []}, {"bookVersion": 1, "tradeIds": ["1", "2"]}]


def test_the_lines_of_an_export_prove_that_it_is_complete(traded, tmp_path):
    path = tmp_path / "fills.jsonl"
    assert export_fills(traded.engine, path) == 2
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    digest = hashlib.sha256("".join(d["line"] + "\n" for d in documents).encode()).hexdigest()
    assert digest == traded.engine.fills_digest()
    assert [path] == list(tmp_path.iterdir())
