"""How events start, count and end a halt drill. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.lifecycle import Position
from controller.core.state import Drill, DrillRecord, HaltFigures, State
from exchange.model import Millis
from policies.values import replace

DRILL_RULE = "drill"
"""The rule that denies an order during a halt drill."""


def drill_started(state: State, event: e.DrillStarted) -> State:
    """Disarm the controller until the drill ends."""
    drill = Drill(event.command_id, event.venue, event.stage, state.at, Millis(event.deadline))
    return replace(state, drill=drill, armed=False, not_armed_because="a halt drill is running")


def drill_finished(state: State, event: e.DrillFinished) -> State:
    """Record the figures of a completed drill. The venue must be reconciled once more before the controller arms."""
    figures = HaltFigures(
        "drill", event.breach_to_latch_us, event.latch_to_cancelled_us, event.cancelled, verified_empty=event.verified_empty
    )
    state = _ended(state, "", figures)
    ledger = replace(state.ledgers[event.venue], clean=False)
    because = f"the {event.venue} account is not reconciled after a drill"
    return replace(state, ledgers=state.ledgers.set(event.venue, ledger), not_armed_because=because)


def order_denied(state: State, event: e.OrderDenied) -> State:
    """Count an order that the drill denied."""
    if state.drill is None or event.rule != DRILL_RULE:
        return state
    return replace(state, drill=replace(state.drill, denied=state.drill.denied + 1))


def ended_by_move(state: State, event: e.StageChanged) -> State:
    """End the drill, if one is running: every move of the deployment ends it."""
    if state.drill is None:
        return state
    here, before = Position(event.stage, event.step), Position(event.from_stage, event.from_step)
    return _ended(state, f"{before} → {here}: {event.reason}", None)


def _ended(state: State, ended_by: str, figures: HaltFigures | None) -> State:
    assert state.drill is not None
    return replace(state, drill=None, last_drill=DrillRecord(state.drill, state.at, ended_by, figures))
