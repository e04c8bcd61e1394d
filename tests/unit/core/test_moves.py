"""What a move and a halt emit, cancel and say, read off the draft in which they were made."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from immutables import Map

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause
from controller.core.decisions.draft import Decision, Draft
from controller.core.decisions.moves import breach, cancel, go, halt, integrity
from controller.core.effects import Alert, AlertKind, Cancel, CancelAll, Latch
from controller.core.lifecycle import Position
from controller.core.order_state import OrderState
from controller.core.state import Flatten, Ledger, Pending, State
from exchange.errors import Refused
from exchange.model import OrderStatus, OrderType, Side
from exchange.ports import VenueName
from policies.authority import Verb
from policies.guards import Breach, GuardName, Level
from policies.stage import Stage
from tests.support.desk import START, SYMBOL, D, Desk, demo_policy


@cache
def walked() -> Desk:
    return Desk().walk_to(Stage.LIVE_EUR10)


def live() -> Desk:
    """A desk at LIVE_€10."""
    return walked().fork()


def test_a_halt_latches_before_it_cancels_and_tells() -> None:
    desk = live()
    effects = desk.give(i.HaltAsked("alice", "enough")).effects
    assert [type(effect) for effect in effects] == [Latch, CancelAll, Alert]


def test_a_halt_cancels_every_symbol_at_the_venue_of_the_stage() -> None:
    desk = live()
    effects = desk.give(i.HaltAsked("alice", "enough")).effects
    (cancels,) = [effect for effect in effects if isinstance(effect, CancelAll)]
    assert (cancels.venue, cancels.symbols) == (VenueName.LIVE, (SYMBOL,))


def test_a_halt_says_why_in_the_alert() -> None:
    desk = live()
    draft = Draft(desk.state, desk.now)
    halt(draft, cause=Cause.BREACH, reason="it is broken")
    (alert,) = [effect for effect in draft.done().effects if isinstance(effect, Alert)]
    assert (alert.kind, alert.detail) == (AlertKind.HALTED, "breach: it is broken")


def test_a_halt_of_a_halted_deployment_changes_nothing() -> None:
    desk = live()
    desk.give(i.HaltAsked("alice", "enough"))
    draft = Draft(desk.state, desk.now)
    halt(draft, cause=Cause.HALT, reason="again")
    decision = draft.done()
    assert (decision.events, decision.effects) == ((), ())


def test_a_contradiction_alerts_and_halts_as_integrity() -> None:
    desk = live()
    draft = Draft(desk.state, desk.now)
    integrity(draft, "the venue has other trades")
    decision = draft.done()
    assert decision.after.halt_cause == "integrity"
    alert = next(effect for effect in decision.effects if isinstance(effect, Alert))
    assert (alert.kind, alert.title, alert.detail) == (AlertKind.RECONCILIATION, "integrity", "the venue has other trades")


def test_a_halt_records_where_the_deployment_was_and_who_asked() -> None:
    desk = live()
    draft = Draft(desk.state, desk.now)
    halt(draft, cause=Cause.HALT, reason="enough", command_id="c1")
    moved = next(event for event in draft.done().events if isinstance(event, e.StageChanged))
    assert (moved.from_stage, moved.stage, moved.reason, moved.command_id) == (Stage.LIVE_EUR10, Stage.HALTED, "enough", "c1")


QUOTE_STALE = Breach(GuardName.QUOTE_STALE, Level.HALT, "16000 ms", "15000 ms", "the newest quote is 16000 ms old")


def broken(found: Breach) -> Decision:
    desk = live()
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
    desk = live()
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
    draft, order = working(live())
    cancel(draft, order, by="alice")
    decision = draft.done()
    assert decision.events == (e.CancelRequested(client_id=order.client_id, requested_by="alice"),)
    assert decision.effects == (Cancel(VenueName.LIVE, SYMBOL, order.client_id),)


def test_an_order_whose_cancel_was_asked_for_is_only_sent_again() -> None:
    draft, order = working(live(), cancel_requested=True)
    cancel(draft, order, by="alice")
    decision = draft.done()
    assert (decision.events, len(decision.effects)) == ((), 1)


def test_an_order_without_an_outcome_is_cancelled_later() -> None:
    draft, order = working(live(), status=OrderStatus.UNKNOWN)
    cancel(draft, order, by="alice")
    decision = draft.done()
    assert (len(decision.events), decision.effects) == (1, ())


def test_an_ended_order_is_not_cancelled() -> None:
    draft, order = working(live(), status=OrderStatus.FILLED)
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


WAITS = Pending("c9", Verb.RAMP, Position(Stage.RAMPING, 1), "sha256:0", ("alice",), "{}", "it earns", START, START)
SELLS = Flatten("c8", SYMBOL, "", VenueName.LIVE, (SYMBOL,), "enough", START)


def order_at(stage: Stage, venue: VenueName) -> OrderState:
    return OrderState(
        number=1,
        client_id="gh-1",
        bot="demo-bot",
        bot_client_id="",
        venue=venue,
        stage=stage,
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=D("0.00003"),
        quote_quantity=None,
        price=D("60000"),
        admitted_at=START,
        updated_at=START,
        epoch=1,
        status=OrderStatus.NEW,
    )


def at(stage: Stage, step: int = 0, **changes: object) -> State:
    """A deployment there, all of whose accounts are reconciled."""
    clean = Map({name: Ledger(clean=True) for name in VenueName})
    state = State(policy=demo_policy(), position=Position(stage, step), armed=True, ledgers=clean)
    return replace(state, **changes)  # type: ignore[arg-type]


def moved(state: State, verb: Verb, stage: Stage, step: int = 0, **words: str) -> Decision:
    draft = Draft(state, START)
    go(draft, verb, Position(stage, step), cause=Cause.DEMOTE, reason="as signed", **words)
    return draft.done()


def test_a_move_names_no_command_unless_one_was_signed() -> None:
    (event,) = moved(at(Stage.RAMPING, 2), Verb.DEMOTE, Stage.LIVE_EUR10).events
    assert isinstance(event, e.StageChanged)
    assert (event.from_stage, event.from_step, event.stage, event.step) == (Stage.RAMPING, 2, Stage.LIVE_EUR10, 0)
    assert (event.cause, event.reason, event.command_id) == (Cause.DEMOTE, "as signed", "")


def test_a_halt_names_no_command_unless_one_was_signed() -> None:
    draft = Draft(at(Stage.LIVE_EUR10), START)
    halt(draft, cause=Cause.BREACH, reason="it is broken")
    (event,) = draft.done().events
    assert isinstance(event, e.StageChanged)
    assert event.command_id == ""


def test_a_deployment_without_a_policy_can_be_halted() -> None:
    decision = moved(at(Stage.LIVE_EUR10, policy=None), Verb.HALT, Stage.HALTED)
    assert decision.after.position == Position(Stage.HALTED)


def test_a_deployment_without_a_policy_has_no_ramp() -> None:
    with pytest.raises(Refused):
        moved(at(Stage.LIVE_EUR10, policy=None), Verb.RAMP, Stage.RAMPING, 1)


def test_a_move_at_the_same_venue_leaves_a_flatten_running() -> None:
    assert moved(at(Stage.RAMPING, 1, flatten=SELLS), Verb.DEMOTE, Stage.LIVE_EUR10).after.flatten == SELLS


def test_a_move_to_another_venue_ends_a_flatten_and_says_why() -> None:
    decision = moved(at(Stage.RAMPING, 1, flatten=SELLS), Verb.DEMOTE, Stage.VALIDATED)
    (ended,) = [event for event in decision.events if isinstance(event, e.FlattenEnded)]
    assert decision.after.flatten is None
    assert ended.why.endswith(f"{Position(Stage.RAMPING, 1)} → {Stage.VALIDATED}: as signed")


def test_a_move_withdraws_the_command_that_waits() -> None:
    decision = moved(at(Stage.LIVE_EUR10, pending=WAITS), Verb.DEMOTE, Stage.VALIDATED)
    why = "the deployment moved to VALIDATED: as signed"
    assert decision.events[0] == e.CommandVoided(command_id="c9", cause=Cause.DEMOTE, reason=why)
    title = f"ramp to {Position(Stage.RAMPING, 1)} was withdrawn"
    assert decision.effects[0] == Alert(AlertKind.STAGE, title, f"demote: {why}")
    assert decision.after.pending is None


def test_the_reason_of_a_withdrawn_command_is_cut() -> None:
    draft = Draft(at(Stage.HALTED, pending=WAITS), START)
    halt(draft, cause=Cause.HALT, reason="x" * 501)
    assert draft.done().events == (e.CommandVoided(command_id="c9", cause=Cause.HALT, reason="x" * 500),)


def test_a_move_to_an_account_that_is_not_reconciled_disarms() -> None:
    unknown = {"ledgers": State().ledgers}
    decision = moved(at(Stage.LIVE_EUR10, **unknown), Verb.DEMOTE, Stage.VALIDATED)
    assert decision.events[1:] == (e.Disarmed(reason=f"the {VenueName.TESTNET} account is not reconciled"),)
    assert moved(at(Stage.LIVE_EUR10, armed=False, **unknown), Verb.DEMOTE, Stage.VALIDATED).events[1:] == ()
    assert moved(at(Stage.LIVE_EUR10), Verb.DEMOTE, Stage.VALIDATED).events[1:] == ()


def with_order(stage: Stage, step: int, venue: VenueName) -> State:
    order = order_at(stage, venue)
    state = at(stage, step)
    return replace(state, open=state.open.set(order.client_id, order))


def test_a_lower_cap_cancels_every_order_at_the_venue() -> None:
    decision = moved(with_order(Stage.RAMPING, 2, VenueName.LIVE), Verb.DEMOTE, Stage.RAMPING, 1)
    assert decision.events[1:] == (e.CancelRequested(client_id="gh-1", requested_by="gatehouse"),)
    assert Cancel(VenueName.LIVE, SYMBOL, "gh-1") in decision.effects


@pytest.mark.parametrize(
    ("state", "verb", "stage", "step"),
    [
        (with_order(Stage.RAMPING, 1, VenueName.LIVE), Verb.RAMP, Stage.RAMPING, 2),
        (with_order(Stage.VALIDATED, 0, VenueName.TESTNET), Verb.DEMOTE, Stage.TESTNET_VALIDATING, 0),
    ],
    ids=["higher", "the same"],
)
def test_a_cap_that_is_not_lower_cancels_nothing(state: State, verb: Verb, stage: Stage, step: int) -> None:
    decision = moved(state, verb, stage, step)
    assert [type(event) for event in decision.events] == [e.StageChanged]
    assert [type(effect) for effect in decision.effects] == [Alert]


def test_a_move_cancels_everything_at_the_venue_that_is_left() -> None:
    decision = moved(with_order(Stage.LIVE_EUR10, 0, VenueName.LIVE), Verb.DEMOTE, Stage.VALIDATED)
    because = f"{Stage.LIVE_EUR10} → VALIDATED: as signed"
    assert decision.effects[0] == CancelAll(VenueName.LIVE, (SYMBOL,), because=because)


def test_a_move_says_from_where_to_where_and_why() -> None:
    decision = moved(at(Stage.RAMPING, 2), Verb.DEMOTE, Stage.RAMPING, 1)
    words = f"{Position(Stage.RAMPING, 2)} → {Position(Stage.RAMPING, 1)}"
    assert decision.effects == (Alert(AlertKind.STAGE, words, "demote: as signed"),)


def test_a_halt_of_a_halted_deployment_ends_its_flatten_and_latches() -> None:
    draft = Draft(at(Stage.HALTED, flatten=SELLS), START)
    halt(draft, cause=Cause.HALT, reason="stop selling")
    decision = draft.done()
    (ended,) = decision.events
    assert isinstance(ended, e.FlattenEnded)
    assert ended.why.endswith("halt: stop selling")
    assert decision.effects[0] == Latch("stop selling")


def test_a_latch_says_why_it_fell() -> None:
    draft = Draft(at(Stage.LIVE_EUR10), START)
    halt(draft, cause=Cause.HALT, reason="enough")
    assert draft.done().effects[0] == Latch("enough")


def test_a_halt_without_a_policy_cancels_where_orders_are() -> None:
    state = replace(with_order(Stage.LIVE_EUR10, 0, VenueName.LIVE), policy=None)
    decision = moved(state, Verb.HALT, Stage.HALTED)
    because = f"{Stage.LIVE_EUR10} → HALTED: as signed"
    assert decision.effects[0] == CancelAll(VenueName.LIVE, (SYMBOL,), because=because)
