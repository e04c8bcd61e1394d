"""What a fill costs, and the log of fills with what justifies them."""

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
    """A fifth less, in MX at a price of 2, for as long as there is MX."""

    def charge(self, account: LedgerAccount, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
        in_quote = fee_on(notional, rules.maker_fee if maker else rules.taker_fee)
        in_mx = in_quote * D("0.8") / 2
        return Charge("MX", in_mx) if account.free("MX") >= in_mx else Charge(rules.quote, in_quote)


@pytest.fixture
def mx_desk(make_desk):
    desk = make_desk(fees=InMx())
    desk.book()
    desk.engine.open_account("ours", {"MX": D("0.05")}, desk.now)
    return desk


@pytest.mark.parametrize("side", list(Side))
def test_a_policy_can_charge_another_asset_and_the_quote_asset_is_left_alone(mx_desk, side):
    mx_desk.order(side, "101" if side is Side.BUY else "100", "1", OrderType.IMMEDIATE_OR_CANCEL)
    (fill,) = mx_desk.fills()
    assert fill.fee_asset == "MX"
    assert mx_desk.money("MX") == (D("0.05") - fill.fee, 0)
    assert mx_desk.money("USDT") == (D(100_000) + (-fill.quote if side is Side.BUY else fill.quote), 0)


def test_the_fee_is_told_as_a_movement_of_the_asset_it_was_charged_in(mx_desk):
    mx_desk.order(Side.BUY, "101", "1")
    fees = [e.change for e in mx_desk.log if isinstance(e, BalanceChanged) and e.change.reason is MovementReason.FEE]
    assert [(change.asset, change.free_delta) for change in fees] == [("MX", D("-0.0202"))]


def test_when_the_other_asset_runs_out_the_quote_asset_pays_and_was_locked_for_it(mx_desk):
    for _ in range(3):
        mx_desk.order(Side.BUY, "101", "1")
    assert [fill.fee_asset for fill in mx_desk.fills()] == ["MX", "MX", "USDT"]
    assert mx_desk.money("USDT")[1] == 0


def test_a_policy_that_charges_what_is_not_there_is_a_broken_ledger(make_desk):
    class Greedy:
        def charge(self, account: LedgerAccount, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
            return Charge("MX", D(1))

    desk = make_desk(fees=Greedy())
    desk.book()
    with pytest.raises(IntegrityError):
        desk.order(Side.BUY, "101", "1")


@pytest.fixture
def traded(desk):
    """A taker's fill, and a maker's that two public trades argue for."""
    desk.order(Side.BUY, "101", "2")
    desk.order(Side.BUY, "100", "1", account="theirs")
    desk.sold("100", "4")
    desk.sold("100", "1.5")
    return desk


def test_the_log_holds_every_account_s_fills_in_order_with_their_evidence(traded):
    documents = [fill_document(record) for record in traded.engine.fill_log()]
    assert [(d["account"], d["maker"], d["price"], d["quantity"]) for d in documents] == [
        ("ours", False, "101", "2"),
        ("theirs", True, "100", "0.5"),
    ]
    assert [d["evidence"] for d in documents] == [{"bookVersion": 1, "tradeIds": []}, {"bookVersion": 1, "tradeIds": ["1", "2"]}]


def test_an_export_proves_by_its_lines_that_it_is_whole(traded, tmp_path):
    path = tmp_path / "fills.jsonl"
    assert export_fills(traded.engine, path) == 2
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    digest = hashlib.sha256("".join(d["line"] + "\n" for d in documents).encode()).hexdigest()
    assert digest == traded.engine.fills_digest()
    assert [path] == list(tmp_path.iterdir())
