"""How events raise, clear, escalate and close alerts. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.alert_catalogue import ALERTS, SEVERITY_ORDER, severity_of
from controller.core.causes import Cause
from controller.core.effects import AlertKind
from controller.core.lifecycle import Position
from controller.core.state import Acknowledged, OpenAlert, State
from policies.stage import Stage
from policies.values import replace

MOST_ALERTS = 64
"""How many open alerts the state keeps. Of more, the oldest of the least severe is dropped and counted: a flood of warnings takes
no critical one away that waits for a person. The journal has them all."""

MOST_ACKNOWLEDGED = 64
"""How many acknowledged alerts the state keeps, the newest ones; and how many of those whose condition goes on."""


def raise_alert(state: State, kind: AlertKind, title: str, detail: str) -> State:
    """Add an alert named after the entry being folded, or count one more occurrence if it is already open."""
    same = next((one for one in state.alerts if (one.kind, one.title) == (kind, title)), None)
    if same is not None:
        again = replace(_anew(same), detail=detail, times=same.times + 1, last_at=state.at, cleared_at=None)
        return replace(state, alerts=tuple(again if one is same else one for one in state.alerts))
    standing = tuple(one for one in state.standing if (one.kind, one.title) != (kind, title))
    alerts = (*state.alerts, OpenAlert(f"A-{state.seq}", kind, title, detail, state.at, 1, state.at))
    lost = max(0, len(alerts) - MOST_ALERTS)
    for _ in range(lost):
        least = min(alerts, key=lambda one: SEVERITY_ORDER.index(severity_of(one.kind)))
        alerts = tuple(one for one in alerts if one is not least)
    return replace(state, alerts=alerts, alerts_lost=state.alerts_lost + lost, standing=standing)


def _anew(alert: OpenAlert) -> OpenAlert:
    """An open alert whose cause returns. Nobody was handed that yet; a condition that was over waits for its deadlines again."""
    if alert.cleared_at is not None:
        return replace(alert, reached=(), escalated=0)
    return alert if ALERTS[alert.kind].ends else replace(alert, reached=())


def alert_raised(state: State, event: e.AlertRaised) -> State:
    """Raise an alert that has an entry of its own."""
    return raise_alert(state, AlertKind(event.alert_kind), event.title, event.detail)


def alert_cleared(state: State, event: e.AlertCleared) -> State:
    """Note that the condition behind an alert is over."""
    return _cleared(state, AlertKind(event.alert_kind), event.title)


def _cleared(state: State, kind: AlertKind, title: str | None = None) -> State:
    """The state in which the conditions of one kind, or the one with a title, are over."""

    def over(one: OpenAlert) -> bool:
        return one.kind is kind and title in {None, one.title} and one.cleared_at is None

    if not any(map(over, (*state.alerts, *state.standing))):
        return state
    alerts = tuple(replace(one, cleared_at=state.at) if over(one) else one for one in state.alerts)
    return replace(state, alerts=alerts, standing=tuple(one for one in state.standing if not over(one)))


def escalated(state: State, event: e.AlertEscalated) -> State:
    """Count a deadline that passed."""
    alerts = tuple(replace(one, escalated=event.step) if one.id == event.alert_id else one for one in state.alerts)
    return replace(state, alerts=alerts)


def handed_over(state: State, event: e.AlertHandedOver) -> State:
    """Note which channel took an alert over."""
    alerts = tuple(replace(one, reached=(*one.reached, event.channel)) if one.id == event.alert_id else one for one in state.alerts)
    return replace(state, alerts=alerts)


def acknowledged(state: State, event: e.AlertAcknowledged) -> State:
    """Close an alert. It may be missing here, if an earlier version of gatehouse raised an alert that this version does not."""
    found = next((one for one in state.alerts if one.id == event.alert_id), None)
    remaining = tuple(one for one in state.alerts if one is not found)
    closed = Acknowledged(event.alert_id, found.title if found is not None else "", event.persons, state.at)
    goes_on = found is not None and found.cleared_at is None and bool(ALERTS[found.kind].ends)
    standing = (*state.standing, found)[-MOST_ACKNOWLEDGED:] if goes_on and found is not None else state.standing
    return replace(
        state,
        alerts=remaining,
        alerts_lost=state.alerts_lost if remaining else 0,
        acknowledged=(*state.acknowledged, closed)[-MOST_ACKNOWLEDGED:],
        standing=standing,
    )


def breached(state: State, event: e.BreachDetected) -> State:
    """Raise an alert for a guard that was breached."""
    return raise_alert(state, AlertKind.BREACH, f"{event.guard} breached", event.message)


def guard_level(state: State, event: e.GuardLevelChanged) -> State:
    """Clear the breaches once the guards find nothing any more."""
    return state if event.level else _cleared(state, AlertKind.BREACH)


def reconciled(state: State, event: e.Reconciled) -> State:
    """Raise an alert when a reconciliation finds a break that the last one did not find, and clear it when it finds none."""
    title = f"{event.venue} does not reconcile"
    if event.clean and not event.breaks:
        return _cleared(state, AlertKind.RECONCILIATION, title)
    if set(event.breaks) <= set(state.ledgers[event.venue].breaks):
        return state
    return raise_alert(state, AlertKind.RECONCILIATION, title, "; ".join(event.breaks)[:500])


def capital_moved(state: State, event: e.CapitalMoved) -> State:
    """Raise an alert for money that came or went: nothing halts, but a person has to know of it."""
    came = "; ".join(f"{one.amount:+f} {one.asset}" for one in event.moves)
    gone = ", ".join(f"{amount:f} {asset}" for asset, amount in event.taken.items())
    taken = f"; gone of what gatehouse bought: {gone}" if gone else ""
    return raise_alert(state, AlertKind.CAPITAL, f"money came to or left {event.venue}", f"{came}{taken}"[:500])


def moved(state: State, event: e.StageChanged) -> State:
    """Raise an alert when the deployment halts or a guard moves it down; clear what a halt raised when it ends."""
    here, before = Position(event.stage, event.step), Position(event.from_stage, event.from_step)
    if before.stage is Stage.HALTED:
        state = _cleared(_cleared(state, AlertKind.HALTED), AlertKind.BREACH)
    if here.stage is Stage.HALTED:
        return raise_alert(state, AlertKind.HALTED, f"{before} → {here}", f"{event.cause}: {event.reason}")
    if event.cause is Cause.SOFT_BREACH:
        return raise_alert(state, AlertKind.STEP_DOWN, f"{before} → {here}", event.reason)
    return state


def drill_failed(state: State, event: e.DrillFailed) -> State:
    """Raise an alert for a drill that could not be run."""
    return raise_alert(state, AlertKind.DRILL_FAILED, _drill_title(event.drill), event.reason)


def drill_finished(state: State, event: e.DrillFinished) -> State:
    """Clear the alert of the drill that now passed."""
    return _cleared(state, AlertKind.DRILL_FAILED, _drill_title(event.drill))


def _drill_title(kind: str) -> str:
    return f"the {kind} drill could not be run"
