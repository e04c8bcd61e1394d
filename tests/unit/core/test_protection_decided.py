"""A sample says why nothing could stop the loss of a position, and the run counts it while there is one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import inputs as i
from controller.core.decisions.drills import subject_of
from controller.core.decisions.protection import why_not
from controller.core.fold.positions import at_risk
from exchange.model import OrderStatus
from exchange.ports import VenueName
from gates.protection import Protection
from policies.authority import Verb
from policies.drills import DrillKind
from policies.stage import Stage
from tests.support.desk import Desk


@pytest.fixture(scope="module")
def holding() -> Desk:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(2_000)
    client_id = desk.placed(desk.order("0.00004", "60010"))
    desk.fill(client_id, "0.00004")
    desk.give(i.VenueReported(VenueName.TESTNET, desk.report(client_id, OrderStatus.FILLED, "0.00004")))
    desk.run(2_000)
    return desk


@pytest.fixture
def desk(holding: Desk) -> Desk:
    return holding.fork()


def protection(desk: Desk) -> Protection:
    assert desk.state.tally is not None
    return desk.state.tally.protection


def test_a_position_with_fresh_prices_is_protected(desk: Desk) -> None:
    desk.run(3_000)
    found = protection(desk)
    assert found.samples > 0
    assert found.longest_ms == 0


def test_a_position_without_a_price_is_not(desk: Desk) -> None:
    desk.pass_time(1_000)
    desk.tick(quoted=False)
    desk.pass_time(1_000)
    desk.tick(quoted=False)
    found = protection(desk)
    assert found.longest_ms == 2_000
    assert "no price of BTCUSDT" in found.longest_why


def test_a_price_that_is_too_old_does_not_protect(desk: Desk) -> None:
    desk.pass_time(1_000)
    desk.tick(age_ms=20_000)
    assert protection(desk).longest_ms == 1_000


def test_without_a_position_nothing_is_unprotected() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(2_000)
    desk.pass_time(1_000)
    desk.tick(quoted=False)
    assert protection(desk) == Protection()


def test_what_cannot_be_sold_is_no_position(desk: Desk) -> None:
    ledger = desk.state.ledger(VenueName.TESTNET)
    assert at_risk(desk.state, ledger)
    left = replace(ledger, cost=ledger.cost.set("BTC", ledger.cost["BTC"] / 1_000))
    assert not at_risk(desk.state, left)


def test_what_a_drill_takes_away_is_not_counted(desk: Desk) -> None:
    subject = subject_of(DrillKind.STALE)
    assert desk.ask(Verb.DRILL, subject, "alice").code == ""
    assert desk.state.drill is not None
    desk.pass_time(1_000)
    desk.tick(quoted=False)
    assert protection(desk).longest_ms == 0


def test_a_bot_that_is_gone_leaves_a_position_that_nobody_sells(desk: Desk) -> None:
    desk.pass_time(1_000)
    desk.give(replace(desk.seen(), bots={}))
    assert "no guard sells" in protection(desk).longest_why


def test_a_guard_that_sells_protects_without_the_bot(desk: Desk) -> None:
    assert desk.state.policy is not None
    market = desk.market()
    guards = desk.state.policy.guards
    selling = guards.model_copy(update={"on_breach": guards.on_breach.model_copy(update={"drawdown": "flatten"})})
    policy = desk.state.policy.model_copy(update={"guards": selling})
    assert why_not(desk.state, policy, market, desk.state.ledger(VenueName.TESTNET).equity_eur, desk.seen(), desk.now) == ""
    gone = replace(desk.seen(), bots={})
    assert why_not(desk.state, policy, market, desk.state.ledger(VenueName.TESTNET).equity_eur, gone, desk.now) == ""
