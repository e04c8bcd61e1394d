"""How guard events change the state: the level in force, the breach window, the validation.

``controller.core.fold.apply`` calls it.
"""

from __future__ import annotations

from controller.core import events as e
from controller.core.causes import RULES, Cause, HaltClass
from controller.core.lifecycle import Position
from controller.core.state import BreachWindow, State
from policies.guards import GuardName, Level
from policies.response import DEMOTION_MEMORY_MS
from policies.stage import Stage
from policies.values import replace


def breached(state: State, event: e.BreachDetected) -> State:
    """Open a breach window for a soft breach; its demotion is pending until the deployment moves."""
    if event.level != Level.CANCEL_ALL.name:
        return state
    return replace(state, breach_window=BreachWindow(state.at, event.message, demotion_pending=True))


def level(state: State, event: e.GuardLevelChanged) -> State:
    """Record the most severe guard. Below CANCEL_ALL the calm period of the breach window starts or goes on."""
    window = state.breach_window
    if window is not None:
        soft = bool(event.level) and Level[event.level] >= Level.CANCEL_ALL
        calm_since = state.at if window.calm_since is None else window.calm_since
        window = replace(window, calm_since=None if soft else calm_since)
    guard = GuardName(event.guard) if event.guard else None
    same = (guard, event.level) == (state.guard, state.guard_level)
    return replace(
        _counted(state, event),
        guard_level=event.level,
        guard_reason=event.reason,
        guard=guard,
        guard_since=(state.guard_since if same else state.at) if event.level else None,
        reducing=tuple(GuardName(name) for name in event.reducing),
        unseen=tuple(GuardName(name) for name in event.unseen),
        breach_window=window,
    )


def _counted(state: State, event: e.GuardLevelChanged) -> State:
    """Count a guard that reaches CANCEL_ALL for something that it measured. A drill breaches guards on purpose."""
    reached = event.level == Level.CANCEL_ALL.name and state.guard_level != event.level
    if not reached or event.guard in event.unseen or state.tally is None or state.drill is not None:
        return state
    return replace(state, tally=state.tally.with_soft_breach())


def restarted(state: State) -> State:
    """Clear the guard level: no guard has been judged since the start. Downtime does not count towards the calm period."""
    window = replace(state.breach_window, calm_since=None) if state.breach_window is not None else None
    return replace(state, breach_window=window, guard_level="", guard_reason="", guard=None, guard_since=None, unseen=())


def moved(state: State, event: e.StageChanged) -> State:
    """Update the breach window and, at a halt, the validation after a move.

    A move up closes the breach window: a person signed for it. A move down keeps the window open and completes its demotion.
    """
    here, before = Position(event.stage, event.step), Position(event.from_stage, event.from_step)
    window = state.breach_window if here.risk < before.risk else None
    if window is not None:
        window = replace(window, demotion_pending=False)
    recent = tuple(at for at in state.demoted_at if state.at - at < DEMOTION_MEMORY_MS)
    voided = _voided(before, event) if here.stage is Stage.HALTED else ""
    return replace(
        state,
        breach_window=window,
        demoted_at=(*recent, state.at) if event.cause is Cause.SOFT_BREACH else recent,
        validation_void=voided,
        validation_void_since=state.at if voided else None,
        guard_level="",
        guard_reason="",
        guard=None,
        guard_since=None,
        reducing=(),
        unseen=(),
    )


def void(state: State, changed: str) -> State:
    """Void the validation of a halted deployment: what changed was not what was validated. Only a reset leads out then."""
    if state.position.stage is not Stage.HALTED:
        return state
    if state.validation_void:
        return state
    return replace(state, validation_void=f"the {changed} changed while HALTED", validation_void_since=state.at)


def _voided(before: Position, event: e.StageChanged) -> str:
    voids = before.stage is Stage.VALIDATED and RULES[HaltClass.of(event.cause)].voids
    return f"a breach at VALIDATED revoked it: {event.reason}" if voids else ""
