"""The part of the fold that is about guards and what they cost: levels, soft breaches, what a halt leaves of the validation."""

from __future__ import annotations

from controller.core import events as e
from controller.core.causes import RULES, Cause, HaltClass
from controller.core.lifecycle import Position
from controller.core.state import Episode, State
from policies.guards import GuardName, Level
from policies.response import SOFT_MEMORY_MS
from policies.stage import Stage
from policies.values import replace


def breached(state: State, event: e.BreachDetected) -> State:
    """A soft breach begins an episode, and a rung is owed until the deployment moves."""
    if event.level != Level.CANCEL_ALL.name:
        return state
    return replace(state, episode=Episode(state.at, event.message, owed=True))


def level(state: State, event: e.GuardLevelChanged) -> State:
    """The severest guard now; below CANCEL_ALL an episode is calm."""
    episode = state.episode
    if episode is not None:
        soft = bool(event.level) and Level[event.level] >= Level.CANCEL_ALL
        calm_since = state.at if episode.calm_since is None else episode.calm_since
        episode = replace(episode, calm_since=None if soft else calm_since)
    guard = GuardName(event.guard) if event.guard else None
    return replace(state, guard_level=event.level, guard_reason=event.reason, guard=guard, episode=episode)


def restarted(state: State) -> State:
    """Nothing has been judged yet, and time nobody watched is not calm."""
    episode = replace(state.episode, calm_since=None) if state.episode is not None else None
    return replace(state, episode=episode, guard_level="", guard_reason="", guard=None)


def moved(state: State, event: e.StageChanged) -> State:
    """What a move leaves of a soft breach and, at a halt, of the validation.

    A person who lets the deployment rise has answered for the breach; on the way down it is still the same one.
    """
    here, before = Position(event.stage, event.step), Position(event.from_stage, event.from_step)
    episode = state.episode if here.risk < before.risk else None
    if episode is not None:
        episode = replace(episode, owed=False)
    recent = tuple(at for at in state.softened if state.at - at < SOFT_MEMORY_MS)
    return replace(
        state,
        episode=episode,
        softened=(*recent, state.at) if event.cause is Cause.SOFT_BREACH else recent,
        validation_void=_voided(before, event) if here.stage is Stage.HALTED else "",
        guard_level="",
        guard_reason="",
        guard=None,
    )


def void(state: State, changed: str) -> State:
    """What was proven was proven of something else: a halted deployment can then only be reset."""
    if state.position.stage is not Stage.HALTED:
        return state
    return replace(state, validation_void=state.validation_void or f"the {changed} changed while HALTED")


def _voided(before: Position, event: e.StageChanged) -> str:
    voids = before.stage is Stage.VALIDATED and RULES[HaltClass.of(event.cause)].voids
    return f"a breach at VALIDATED revoked it: {event.reason}" if voids else ""
