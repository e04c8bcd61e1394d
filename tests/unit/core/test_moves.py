"""What a move and a halt emit, cancel and say, read off the draft in which they were made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause
from controller.core.decisions.draft import Decision, Draft
from controller.core.decisions.moves import breach, cancel, halt, integrity
from controller.core.effects import Alert, AlertKind, Cancel, CancelAll, Latch
from controller.core.order_state import OrderState
from exchange.model import OrderStatus
from exchange.ports import VenueName
from policies.guards import Breach, GuardName, Level
from policies.stage import Stage
from tests.support.desk import SYMBOL, Desk


def test_a_halt_latches_before_it_cancels_and_tells() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    effects = desk.give(i.HaltAsked("alice", "enough")).effects
    assert [type(effect) for effect in effects] == [Latch, CancelAll, Alert]


def test_a_halt_cancels_every_symbol_at_the_venue_of_the_stage() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    effects = desk.give(i.HaltAsked("alice", "enough")).effects
    (cancels,) = [effect for effect in effects if isinstance(effect, CancelAll)]
    assert (cancels.venue, cancels.symbols) == (VenueName.LIVE, (SYMBOL,))


def test_a_halt_says_why_in_the_alert() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    draft = Draft(desk.state, desk.now)
    halt(draft, cause=Cause.BREACH, reason="it is broken")
    (alert,) = [effect for effect in draft.done().effects if isinstance(effect, Alert)]
    assert (alert.kind, alert.detail) == (AlertKind.HALTED, "breach: it is broken")


def test_a_halt_of_a_halted_deployment_changes_nothing() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.give(i.HaltAsked("alice", "enough"))
    draft = Draft(desk.state, desk.now)
    halt(draft, cause=Cause.HALT, reason="again")
    decision = draft.done()
    assert (decision.events, decision.effects) == ((), ())


def test_a_contradiction_alerts_and_halts_as_integrity() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    draft = Draft(desk.state, desk.now)
    integrity(draft, "the venue has other trades")
    decision = draft.done()
    assert decision.after.halt_cause == "integrity"
    alert = next(effect for effect in decision.effects if isinstance(effect, Alert))
    assert (alert.kind, alert.detail) == (AlertKind.RECONCILIATION, "the venue has other trades")


def test_a_halt_records_where_the_deployment_was_and_who_asked() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    draft = Draft(desk.state, desk.now)
    halt(draft, cause=Cause.HALT, reason="enough", command_id="c1")
    moved = next(event for event in draft.done().events if isinstance(event, e.StageChanged))
    assert (moved.from_stage, moved.stage, moved.reason, moved.command_id) == (Stage.LIVE_EUR10, Stage.HALTED, "enough", "c1")


QUOTE_STALE = Breach(GuardName.QUOTE_STALE, Level.HALT, "16000 ms", "15000 ms", "the newest quote is 16000 ms old")


def broken(found: Breach) -> Decision:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    draft = Draft(desk.state, desk.now)
    breach(draft, VenueName.LIVE, found)
    return draft.done()


def test_a_breach_is_recorded_as_it_was_measured() -> None:
    event = broken(QUOTE_STALE).events[0]
    assert isinstance(event, e.BreachDetected)
    assert (event.guard, event.level, event.measured, event.threshold, event.message, event.venue) == (
        "quote-stale",
        "HALT",
        "16000 ms",
        "15000 ms",
        "the newest quote is 16000 ms old",
        VenueName.LIVE,
    )


def test_a_breach_latches_first_and_alerts() -> None:
    effects = broken(QUOTE_STALE).effects
    alerts = [effect for effect in effects if isinstance(effect, Alert)]
    assert isinstance(effects[0], Latch)
    assert (alerts[0].kind, alerts[0].title, alerts[0].detail) == (
        AlertKind.BREACH,
        "quote-stale breached",
        "the newest quote is 16000 ms old",
    )


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (QUOTE_STALE, Cause.BREACH),
        (replace(QUOTE_STALE, guard=GuardName.CLOCK_OFFSET), Cause.CLOCK),
        (replace(QUOTE_STALE, contradicted=True), Cause.INTEGRITY),
    ],
)
def test_a_breach_halts_with_its_cause(found: Breach, cause: Cause) -> None:
    assert broken(found).after.halt_cause == cause.value


def test_a_halt_cancels_where_orders_are_left_besides_the_stage() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    client_id = desk.placed(desk.order("0.00003"))
    elsewhere = replace(desk.state.orders[client_id], venue=VenueName.TESTNET, symbol="ETHUSDT")
    draft = Draft(replace(desk.state, open=desk.state.open.set(client_id, elsewhere)), desk.now)
    halt(draft, cause=Cause.HALT, reason="enough")
    cancels = [(effect.venue, effect.symbols) for effect in draft.done().effects if isinstance(effect, CancelAll)]
    assert cancels == [(VenueName.LIVE, (SYMBOL, "ETHUSDT")), (VenueName.TESTNET, (SYMBOL, "ETHUSDT"))]


def working(desk: Desk, **changes: object) -> tuple[Draft, OrderState]:
    client_id = desk.placed(desk.order("0.00003"))
    order = replace(desk.state.orders[client_id], **changes)  # type: ignore[arg-type]
    return Draft(desk.state, desk.now), order


def test_a_working_order_is_cancelled_once_by_who_asks() -> None:
    draft, order = working(Desk().walk_to(Stage.LIVE_EUR10))
    cancel(draft, order, by="alice")
    decision = draft.done()
    assert decision.events == (e.CancelRequested(client_id=order.client_id, requested_by="alice"),)
    assert decision.effects == (Cancel(VenueName.LIVE, SYMBOL, order.client_id),)


def test_an_order_whose_cancel_was_asked_for_is_only_sent_again() -> None:
    draft, order = working(Desk().walk_to(Stage.LIVE_EUR10), cancel_requested=True)
    cancel(draft, order, by="alice")
    decision = draft.done()
    assert (decision.events, len(decision.effects)) == ((), 1)


def test_an_order_without_an_outcome_is_cancelled_later() -> None:
    draft, order = working(Desk().walk_to(Stage.LIVE_EUR10), status=OrderStatus.UNKNOWN)
    cancel(draft, order, by="alice")
    decision = draft.done()
    assert (len(decision.events), decision.effects) == (1, ())


def test_an_ended_order_is_not_cancelled() -> None:
    draft, order = working(Desk().walk_to(Stage.LIVE_EUR10), status=OrderStatus.FILLED)
    cancel(draft, order, by="alice")
    decision = draft.done()
    assert (decision.events, decision.effects) == ((), ())


def test_a_latch_goes_before_effects_that_were_there_before() -> None:
    desk = Desk()
    draft = Draft(desk.state, desk.now)
    first, latch = Alert(AlertKind.STAGE, "one", "two"), Latch("enough")
    draft.do(first)
    draft.do(latch)
    draft.do(first)
    assert draft.done().effects == (latch, first, first)
