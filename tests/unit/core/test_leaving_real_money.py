"""At LIVE_€10 a soft breach ends the trading of real money, but never leaves what is held there without anybody watching it."""

from __future__ import annotations

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause
from controller.core.decisions.draft import Admitted
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.model import OrderStatus, Side
from exchange.ports import Unknown, VenueName
from policies.authority import Verb
from policies.limit_types import Deny
from policies.response import BREACH_WINDOW_MAX_MS
from policies.stage import Mode, Stage
from tests.support.desk import D, Desk, with_policy
from tests.support.folding import fold

LIVE, VALIDATED, HALTED = Position(Stage.LIVE_EUR10), Position(Stage.VALIDATED), Position(Stage.HALTED)
STALE_MS = 5_001


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    return desk


@pytest.fixture
def holding(live: Desk) -> Desk:
    """Five euros of BTC, and a soft breach that has come and gone."""
    desk = live.fork()
    buy(desk, "0.00009")
    desk.tick(age_ms=STALE_MS)
    desk.pass_time(1_000)
    desk.sweep_all()
    desk.tick()
    return desk


def buy(desk: Desk, quantity: str) -> None:
    trade(desk, quantity, Side.BUY)


def trade(desk: Desk, quantity: str, side: Side) -> None:
    client_id = desk.placed(desk.order(quantity, side=side))
    desk.fill(client_id, quantity)
    desk.give(i.VenueReported(VenueName.LIVE, desk.report(client_id, OrderStatus.FILLED, quantity)))


def left(desk: Desk) -> e.StageChanged:
    event = desk.events(e.StageChanged)[-1]
    assert isinstance(event, e.StageChanged)
    return event


def test_an_empty_account_is_left_at_once(live: Desk) -> None:
    desk = live.fork()
    desk.tick(age_ms=STALE_MS)
    assert desk.state.position == VALIDATED
    assert (left(desk).cause, left(desk).from_stage) == (Cause.SOFT_BREACH, Stage.LIVE_EUR10)


def test_holdings_keep_the_deployment_at_its_guarded_stage(holding: Desk) -> None:
    assert holding.state.position == LIVE
    assert holding.state.guard_level == ""
    assert holding.state.watched is VenueName.LIVE


def test_only_sells_are_admitted_until_the_account_is_empty(holding: Desk) -> None:
    bought = holding.order("0.00003").reply
    assert isinstance(bought, Deny)
    assert bought.rule == "guard"
    assert isinstance(holding.order("0.00003", side=Side.SELL).reply, Admitted)


def test_the_live_stage_is_left_once_the_bot_has_sold(holding: Desk) -> None:
    trade(holding, "0.00009", Side.SELL)
    holding.tick()
    assert holding.state.position == VALIDATED
    assert left(holding).cause is Cause.SOFT_BREACH


def test_a_partial_sale_does_not_leave_the_live_stage(holding: Desk) -> None:
    trade(holding, "0.00006", Side.SELL)
    holding.run(3_000)
    assert holding.state.position == LIVE


def test_a_holding_too_small_to_sell_counts_as_empty(holding: Desk) -> None:
    trade(holding, "0.000089", Side.SELL)
    holding.tick()
    assert holding.state.position == VALIDATED


def test_a_holding_without_a_price_counts_as_large(live: Desk) -> None:
    desk = live.fork()
    buy(desk, "0.00009")
    desk.tick(age_ms=STALE_MS)
    desk.tick()
    client_id = desk.placed(desk.order("0.00009", side=Side.SELL))
    desk.fill(client_id, "0.000089")
    desk.give(i.VenueReported(VenueName.LIVE, desk.report(client_id, OrderStatus.PARTIALLY_CANCELED, "0.000089")))
    desk.tick(quoted=False)
    assert desk.state.position == LIVE
    desk.tick()
    assert desk.state.position == VALIDATED


def test_an_unknown_order_counts_as_a_holding(live: Desk) -> None:
    desk = live.fork()
    desk.placed(desk.order("0.00003"), Unknown("time-out"))
    desk.tick(age_ms=STALE_MS)
    desk.run(3_000)
    assert desk.state.position == LIVE
    assert desk.state.pending_demotion is not None


def test_a_pending_demotion_survives_a_restart(holding: Desk) -> None:
    holding.boot()
    holding.sweep_all()
    holding.tick()
    assert holding.state.position == LIVE
    assert isinstance(holding.order("0.00003").reply, Deny)
    trade(holding, "0.00009", Side.SELL)
    holding.tick()
    assert holding.state.position == VALIDATED
    assert fold(State(), holding.journal).fingerprint() == holding.state.fingerprint()


def test_no_buy_is_admitted_before_the_first_tick_after_arming(holding: Desk) -> None:
    holding.boot()
    holding.sweep_all()
    assert holding.state.armed
    assert isinstance(holding.order("0.00003").reply, Deny)


def test_a_growing_loss_halts_during_a_pending_demotion(holding: Desk) -> None:
    holding.price = holding.price * D("0.9")
    holding.tick()
    assert holding.state.position == HALTED
    assert holding.state.halted_from == LIVE


def test_an_operator_may_demote_earlier(holding: Desk) -> None:
    assert holding.move(Verb.DEMOTE, Stage.VALIDATED, signers=("alice",)).code == ""
    assert holding.state.pending_demotion is None


def test_a_signed_resume_closes_the_breach_window(holding: Desk) -> None:
    holding.give(i.HaltAsked("test", "stop"))
    holding.run(10_000)
    assert holding.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""
    holding.run(2_000)
    assert isinstance(holding.order("0.00003").reply, Admitted)
    assert holding.state.position == LIVE


def test_a_pending_demotion_is_not_followed_by_a_second(holding: Desk) -> None:
    before = len(holding.events(e.BreachDetected))
    for _ in range(3):
        holding.pass_time(BREACH_WINDOW_MAX_MS)
        holding.sweep_all()
        holding.tick(age_ms=STALE_MS)
    assert len(holding.events(e.BreachDetected)) == before


def ready_to_ramp(mode: Mode) -> Desk:
    """At LIVE_€10 with a good record and five euros of BTC."""
    desk = Desk(with_policy(mode=mode)).walk_to(Stage.LIVE_EUR10)
    desk.trade(6)
    desk.run(40_000)
    buy(desk, "0.00009")
    return desk


def softly_breached(desk: Desk) -> None:
    desk.tick(age_ms=STALE_MS)
    desk.pass_time(1_000)
    desk.sweep_all()
    desk.tick()
    assert desk.state.pending_demotion is not None


def test_a_ramp_step_signed_before_the_breach_is_refused() -> None:
    desk = ready_to_ramp(Mode.TEAM)
    signed = desk.command(Verb.RAMP, Position(Stage.RAMPING, 1))
    assert desk.fork().submit(signed, "alice", "bob").code == ""
    softly_breached(desk)
    assert desk.submit(signed, "alice", "bob").code == "demotion-pending"
    assert desk.state.position == LIVE


def test_a_ramp_step_signed_after_the_breach_is_applied() -> None:
    desk = ready_to_ramp(Mode.TEAM)
    softly_breached(desk)
    assert desk.move(Verb.RAMP, Stage.RAMPING, 1).code == ""
    assert desk.state.breach_window is None


def test_a_ramp_step_waiting_during_the_breach_is_withdrawn() -> None:
    desk = ready_to_ramp(Mode.SOLO)
    assert desk.move(Verb.RAMP, Stage.RAMPING, 1, signers=("alice",)).applies_at is not None
    softly_breached(desk)
    desk.run(desk.policy.authority.cooling_off_ms + 2_000)
    assert desk.state.position == LIVE
    assert desk.state.pending is None
