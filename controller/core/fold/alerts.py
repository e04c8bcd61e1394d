"""How events raise alerts and close them. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.effects import AlertKind
from controller.core.lifecycle import Position
from controller.core.state import Acknowledged, OpenAlert, State
from policies.stage import Stage
from policies.values import replace

MOST_ALERTS = 64
"""How many open alerts the state keeps; when there are more, the oldest is dropped and counted. The journal has them all."""

MOST_ACKNOWLEDGED = 64
"""How many acknowledged alerts the state keeps, the newest ones."""


def raise_alert(state: State, kind: AlertKind, title: str, detail: str) -> State:
    """Add an alert named after the entry being folded, or count one more occurrence if it is already open."""
    same = next((one for one in state.alerts if (one.kind, one.title) == (kind, title)), None)
    if same is not None:
        again = replace(same, detail=detail, times=same.times + 1, last_at=state.at)
        return replace(state, alerts=tuple(again if one is same else one for one in state.alerts))
    alerts = (*state.alerts, OpenAlert(f"A-{state.seq}", kind, title, detail, state.at, 1, state.at))
    lost = max(0, len(alerts) - MOST_ALERTS)
    return replace(state, alerts=alerts[lost:], alerts_lost=state.alerts_lost + lost)


def alert_raised(state: State, event: e.AlertRaised) -> State:
    """Raise an alert that has an entry of its own."""
    return raise_alert(state, AlertKind(event.alert_kind), event.title, event.detail)


def acknowledged(state: State, event: e.AlertAcknowledged) -> State:
    """Close an alert. It may be missing here, if an earlier version of gatehouse raised an alert that this version does not."""
    title = next((one.title for one in state.alerts if one.id == event.alert_id), "")
    remaining = tuple(one for one in state.alerts if one.id != event.alert_id)
    closed = Acknowledged(event.alert_id, title, event.persons, state.at)
    return replace(
        state,
        alerts=remaining,
        alerts_lost=state.alerts_lost if remaining else 0,
        acknowledged=(*state.acknowledged, closed)[-MOST_ACKNOWLEDGED:],
    )


def breached(state: State, event: e.BreachDetected) -> State:
    """Raise an alert for a guard that was breached."""
    return raise_alert(state, AlertKind.BREACH, f"{event.guard} breached", event.message)


def reconciled(state: State, event: e.Reconciled) -> State:
    """Raise an alert when a reconciliation finds a break that the last one did not find."""
    if set(event.breaks) <= set(state.ledgers[event.venue].breaks):
        return state
    return raise_alert(state, AlertKind.RECONCILIATION, f"{event.venue} does not reconcile", "; ".join(event.breaks)[:500])


def capital_moved(state: State, event: e.CapitalMoved) -> State:
    """Raise an alert for money that came or went: nothing halts, but a person has to know of it."""
    came = "; ".join(f"{one.amount:+f} {one.asset}" for one in event.moves)
    gone = ", ".join(f"{amount:f} {asset}" for asset, amount in event.taken.items())
    taken = f"; gone of what gatehouse bought: {gone}" if gone else ""
    return raise_alert(state, AlertKind.RECONCILIATION, f"money came to or left {event.venue}", f"{came}{taken}"[:500])


def halted(state: State, event: e.StageChanged) -> State:
    """Raise an alert when the deployment halts."""
    here, before = Position(event.stage, event.step), Position(event.from_stage, event.from_step)
    if here.stage is not Stage.HALTED:
        return state
    return raise_alert(state, AlertKind.HALTED, f"{before} → {here}", f"{event.cause}: {event.reason}")
