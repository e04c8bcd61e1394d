"""The ways out of a halt: which exist, what each would refuse now, and since when. Views of the state use it.

A way is asked the same questions as a command: nothing here has rules of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.core.decisions import flatten, rebaseline
from controller.core.decisions.commands import refusal_now
from controller.core.inputs import Tick
from controller.core.lifecycle import Position
from controller.core.state import State, market_of
from exchange.errors import GatehouseError
from exchange.model import Millis
from exchange.ports import VenueName
from gates.registry import gate_for
from policies.authority import Quorum, Verb, quorum
from policies.rules import GateName
from policies.schema import Policy
from policies.stage import LIVE_STAGES, Stage


@dataclass(frozen=True, slots=True)
class WayOut:
    """One way out. ``refused`` is empty when a command would be applied now, ``remedy`` then too.

    ``since``: since when this answer holds, as far as the state knows. ``waits``: what a flatten would wait for now. ``venue``:
    whose account gets a new baseline. That alone does not end the halt, but nothing leads up while the account differs.
    """

    verb: Verb
    target: Position
    needed: Quorum
    gate: GateName | None
    refused: str
    remedy: str
    since: Millis | None
    waits: str = ""
    venue: VenueName | None = None


def ways_out(state: State, seen: Tick, now: Millis) -> tuple[WayOut, ...]:
    """Every way out of the present halt; none while the deployment is not HALTED. ``seen`` is what is measured now."""
    policy = state.policy
    if policy is None or state.position.stage is not Stage.HALTED:
        return ()
    came_from = state.halted_from
    targets = [(Verb.RESUME, Position(Stage.VALIDATED)), (Verb.RESET, Position(Stage.MOCK)), (Verb.FLATTEN, state.position)]
    if came_from is not None and came_from.stage in LIVE_STAGES:
        targets.insert(0, (Verb.RESUME, Position(Stage.LIVE_EUR10)))
    baselines = tuple(_rebaseline(state, policy, venue, seen, now) for venue in rebaseline.differing(state))
    return (*baselines, *(_way(state, policy, verb, target, seen, now) for verb, target in targets))


def _rebaseline(state: State, policy: Policy, venue: VenueName, seen: Tick, now: Millis) -> WayOut:
    needed, refusal = quorum(Verb.REBASELINE, Stage.HALTED, state.mode), None
    try:
        rebaseline.subject_now(state, policy, venue, seen, now)
    except GatehouseError as error:
        refusal = error
    refused, remedy = (refusal.message, refusal.remedy) if refusal is not None else ("", "")
    return WayOut(Verb.REBASELINE, state.position, needed, None, refused, remedy, since=None, venue=venue)


def _way(state: State, policy: Policy, verb: Verb, target: Position, seen: Tick, now: Millis) -> WayOut:
    error = refusal_now(state, policy, verb, target, seen, now)
    market = seen.markets.get(market_of(state.watched)) if state.watched is not None else None
    quotes, rules = (market.quotes, market.rules) if market is not None else ({}, {})
    return WayOut(
        verb,
        target,
        needed=quorum(verb, Stage.HALTED, state.mode),
        gate=gate_for(verb, Stage.HALTED) if verb is Verb.RESUME else None,
        refused=error.message if error is not None else "",
        remedy=error.remedy if error is not None else "",
        since=_since(state, verb, error),
        waits=flatten.obstacle(state, policy, quotes, rules, now) if verb is Verb.FLATTEN and error is None else "",
    )


def _since(state: State, verb: Verb, error: GatehouseError | None) -> Millis | None:
    if error is None:
        # A resume is open since its gate passed, which the state does not keep.
        return state.stage_since if verb is not Verb.RESUME else None
    match error.code:
        case "validation-void":
            return state.validation_void_since
        case "guard-stands":
            return state.guard_since
        case "flatten-running":
            return state.flatten.since if state.flatten is not None else None
        case "edge-guard":
            return state.stage_since
        case _:
            return None
