"""How events start, count and end a drill. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from immutables import Map

from controller.core import events as e
from controller.core.lifecycle import Position
from controller.core.state import Drill, DrillRecord, HaltFigures, State
from exchange.model import Millis
from policies.drills import DRILLS, DrillKind
from policies.guards import GuardName
from policies.values import replace

DRILL_RULE = "drill"
"""The rule that denies an order during a drill of a halt."""

PRACTISED_GUARD = {DrillKind.STALE: GuardName.QUOTE_STALE, DrillKind.CLOCK: GuardName.CLOCK_OFFSET}
"""The guard that a drill is to breach."""


def drill_started(state: State, event: e.DrillStarted) -> State:
    """Begin a drill. A drill of a halt disarms the controller until it ends."""
    latched = event.drill is DrillKind.HALT
    drill = Drill(event.command_id, event.venue, event.stage, state.at, Millis(event.deadline), kind=event.drill, latched=latched)
    state = replace(state, drill=drill)
    return _disarmed(state) if latched else state


def drill_latched(state: State, event: e.DrillLatched) -> State:
    """Disarm the controller until the drill ends, as a drill that the writer latched."""
    if state.drill is None:
        return state
    measured = state.drill.measured.set("suspended_us", event.suspended_us)
    return _disarmed(replace(state, drill=replace(state.drill, latched=True, measured=measured)))


def _disarmed(state: State) -> State:
    return replace(state, armed=False, not_armed_because="a halt drill is running")


def drill_finished(state: State, event: e.DrillFinished) -> State:
    """Record the figures of a drill that passed. After a latch the venue must be reconciled before the controller arms."""
    latched = state.drill is None or state.drill.latched
    figures = HaltFigures(
        "drill", event.breach_to_latch_us, event.latch_to_cancelled_us, event.cancelled, verified_empty=event.verified_empty
    )
    state = _ended(state, "", figures if latched else None, Map(event.measured))
    if not latched:
        return state
    ledger = replace(state.ledgers[event.venue], clean=False)
    because = f"the {event.venue} account is not reconciled after a drill"
    return replace(state, ledgers=state.ledgers.set(event.venue, ledger), not_armed_because=because)


def drill_failed(state: State, event: e.DrillFailed) -> State:
    """Record a drill whose fault could not be practised."""
    return _ended(state, event.reason, None, Map(), exercised=False)


def order_denied(state: State, event: e.OrderDenied) -> State:
    """Count an order that was denied during the drill."""
    if state.drill is None or (state.drill.latched and event.rule != DRILL_RULE):
        return state
    return replace(state, drill=replace(state.drill, denied=state.drill.denied + 1))


def guard_level(state: State, event: e.GuardLevelChanged) -> State:
    """Note that the guard which the drill is to breach has been breached."""
    drill = state.drill
    if drill is None or drill.seen_at is not None or event.guard != PRACTISED_GUARD.get(drill.kind):
        return state
    return replace(state, drill=replace(drill, seen_at=state.at))


def order_unknown(state: State, event: e.OrderUnknown) -> State:
    """Note the first order without an outcome in a drill that loses an answer."""
    drill = state.drill
    if drill is None or drill.kind is not DrillKind.AMBIGUOUS or drill.order:
        return state
    return replace(state, drill=replace(drill, seen_at=state.at, order=event.client_id))


def watchdog_fired(state: State, event: e.WatchdogLogAbsorbed) -> State:
    """Note that the watchdog's log says that it fired during the drill that silences the controller."""
    drill = state.drill
    if drill is None or drill.kind is not DrillKind.WATCHDOG or drill.seen_at is not None or not event.fired:
        return state
    return replace(state, drill=replace(drill, seen_at=state.at))


def restarted(state: State) -> State:
    """Begin the second half of a crash drill: from the start after the crash it has its whole time to reconcile."""
    drill = state.drill
    if drill is None or drill.kind is not DrillKind.CRASH:
        return state
    deadline = Millis(state.at + DRILLS[DrillKind.CRASH].within_ms)
    unknown = sum(1 for order in state.open.values() if order.venue is drill.venue)
    measured = Map({"down_ms": state.at - drill.since, "open_orders": unknown})
    return replace(state, drill=replace(drill, seen_at=state.at, deadline=deadline, measured=measured))


def ended_by_move(state: State, event: e.StageChanged) -> State:
    """End the drill, if one is running: every move of the deployment ends it."""
    if state.drill is None:
        return state
    here, before = Position(event.stage, event.step), Position(event.from_stage, event.from_step)
    return _ended(state, f"{before} → {here}: {event.reason}", None, Map())


def void(state: State) -> State:
    """Forget what drills proved: the policy, the release, the account or the version of gatehouse is another one now."""
    return replace(state, drills=Map())


def _ended(state: State, ended_by: str, figures: HaltFigures | None, measured: Map[str, int], *, exercised: bool = True) -> State:
    assert state.drill is not None
    tally = state.tally
    record = DrillRecord(
        state.drill,
        state.at,
        ended_by,
        figures,
        measured,
        exercised,
        source=tally.source if tally is not None else None,
        accelerated=tally.accelerated if tally is not None else False,
    )
    return replace(state, drill=None, last_drill=record, drills=state.drills.set(state.drill.kind, record))
