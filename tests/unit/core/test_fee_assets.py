"""A fee in an asset that the policy does not name halts with a plain reason; a free trade needs no asset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause, HaltClass
from controller.core.decisions.draft import Decision
from exchange.model import Fill, Millis, Side
from exchange.ports import VenueName
from exchange.wire.account import fill_json, parse_fill
from policies.stage import Stage
from tests.support.desk import SYMBOL, D, Desk


@pytest.fixture
def desk() -> Desk:
    made = Desk().walk_to(Stage.LIVE_EUR10)
    made.tick()
    return made


def traded(desk: Desk, fee: str, asset: str) -> Decision:
    client_id = desk.placed(desk.order("0.00003"))
    order = desk.state.orders[client_id]
    fill = Fill(
        "T-fee", order.order_id, client_id, SYMBOL, Side.BUY, D(60000), D("0.00003"), D("1.8"), D(fee), asset, False, desk.now
    )
    return desk.give(i.VenueReported(VenueName.LIVE, fill))


@pytest.mark.parametrize(("asset", "shown"), [("MX", "0.01 MX"), ("", "0.01 of an asset that the venue does not name")])
def test_a_fee_in_another_asset_is_booked_and_halts_with_its_reason(desk: Desk, asset: str, shown: str) -> None:
    traded(desk, "0.01", asset)
    assert desk.state.position.stage is Stage.HALTED
    assert (desk.state.halt_cause, desk.state.halt_class) == (Cause.BREACH, HaltClass.BREACH)
    assert f"cost a fee of {shown}; the policy names USDT, BTC" in desk.state.halt_reason
    breach = desk.events(e.BreachDetected)[-1]
    assert isinstance(breach, e.BreachDetected)
    assert (breach.guard, breach.level, breach.venue) == ("fee-asset", "HALT", VenueName.LIVE)
    booked = desk.events(e.FillBooked)[-1]
    assert isinstance(booked, e.FillBooked)
    assert (booked.trade_id, booked.fee, booked.fee_asset) == ("T-fee", D("0.01"), asset)


@pytest.mark.parametrize("asset", ["USDT", "BTC"])
def test_a_fee_in_an_asset_of_the_policy_is_counted_and_halts_nothing(desk: Desk, asset: str) -> None:
    before = (desk.state.ledger(VenueName.LIVE).totals or {})[asset] if asset == "USDT" else D(0)
    traded(desk, "0.0000001", asset)
    after = (desk.state.ledger(VenueName.LIVE).totals or {})[asset]
    assert after == before + (D("-1.8") if asset == "USDT" else D("0.00003")) - D("0.0000001")
    assert desk.state.position.stage is Stage.LIVE_EUR10


@pytest.mark.parametrize("asset", ["USDT", "BTC"])
def test_a_rebate_is_counted_and_halts_nothing(desk: Desk, asset: str) -> None:
    before = (desk.state.ledger(VenueName.LIVE).totals or {})[asset] if asset == "USDT" else D(0)
    traded(desk, "-0.0000001", asset)
    after = (desk.state.ledger(VenueName.LIVE).totals or {})[asset]
    assert after == before + (D("-1.8") if asset == "USDT" else D("0.00003")) + D("0.0000001")
    assert desk.state.position.stage is Stage.LIVE_EUR10


def test_a_rebate_in_another_asset_halts(desk: Desk) -> None:
    traded(desk, "-0.01", "MX")
    assert (desk.state.position.stage, desk.state.halt_cause) == (Stage.HALTED, Cause.BREACH)


@pytest.mark.parametrize(
    ("fee", "asset", "halts"),
    [
        ("1.8", "USDT", False),
        ("1.80000001", "USDT", True),
        ("-1.80000001", "USDT", True),
        ("0.00003", "BTC", False),
        ("0.00003001", "BTC", True),
        ("-0.00003001", "BTC", True),
    ],
)
def test_a_fee_larger_than_the_trade_is_booked_and_halts(desk: Desk, fee: str, asset: str, halts: bool) -> None:
    traded(desk, fee, asset)
    booked = desk.events(e.FillBooked)[-1]
    assert isinstance(booked, e.FillBooked)
    assert (booked.trade_id, booked.fee) == ("T-fee", D(fee))
    assert (desk.state.halt_cause is Cause.INTEGRITY) is halts
    assert ("was traded" in desk.state.halt_reason) is halts


@pytest.mark.parametrize("asset", ["", "MX"])
def test_a_fee_of_nothing_is_a_free_trade_whatever_asset_it_names(desk: Desk, asset: str) -> None:
    traded(desk, "0", asset)
    assert desk.state.position.stage is Stage.LIVE_EUR10
    assert "" not in (desk.state.ledger(VenueName.LIVE).totals or {})


def test_a_trade_without_an_asset_for_its_fee_is_read_from_the_wire() -> None:
    fill = Fill("1", "2", "3", SYMBOL, Side.BUY, D(1), D(1), D(1), D(0), "", True, Millis(5))
    assert parse_fill({**fill_json(fill), "commissionAsset": None}) == fill
    assert parse_fill({**fill_json(fill), "commission": "0.5", "commissionAsset": None}) == replace(fill, fee=D("0.5"))
