"""The part of the fold that is about bot keys, alerts and drills. ``controller.core.fold.apply`` puts it together with the rest."""

from __future__ import annotations

from controller.core import events as e
from controller.core.effects import AlertKind
from controller.core.lifecycle import Position
from controller.core.state import Acknowledged, BotKeyState, Drill, DrillRecord, HaltFigures, OpenAlert, State
from exchange.model import Millis
from policies.stage import Stage
from policies.values import replace

MOST_ALERTS = 64
"""How many outstanding alerts are kept; beyond, the oldest is only counted. The journal has them all."""

REMEMBERED = 64
"""How many acknowledged alerts are known by name."""

DRILLED_RULE = "drill"
"""The rule that denies an order while a halt is practised."""


# Bot keys


def keys_adopted(state: State, event: e.BotKeysAdopted) -> State:
    """The keys that were in use before keys were journalled."""
    found = {one.key: BotKeyState(one.bot, one.key, one.secret_digest, state.at) for one in event.keys}
    return replace(state, bot_keys=state.bot_keys.update(found), bot_keys_since=state.at)


def key_issued(state: State, event: e.BotKeyIssued) -> State:
    """A key from here on, or a new secret for it."""
    known = BotKeyState(event.bot, event.key, event.secret_digest, state.at)
    return replace(state, bot_keys=state.bot_keys.set(event.key, known))


def key_revoked(state: State, event: e.BotKeyRevoked) -> State:
    """Dead, and remembered as such."""
    known = replace(state.bot_keys[event.key], revoked=True, since=state.at)
    return replace(state, bot_keys=state.bot_keys.set(event.key, known))


# Alerts


def raised(state: State, kind: AlertKind, title: str, detail: str) -> State:
    """One more alert, named after the entry being folded; what is outstanding already is only counted again."""
    known = next((one for one in state.alerts if (one.kind, one.title) == (kind, title)), None)
    if known is not None:
        again = replace(known, detail=detail, times=known.times + 1, last_at=state.at)
        return replace(state, alerts=tuple(again if one is known else one for one in state.alerts))
    alerts = (*state.alerts, OpenAlert(f"A-{state.seq}", kind, title, detail, state.at, 1, state.at))
    lost = max(0, len(alerts) - MOST_ALERTS)
    return replace(state, alerts=alerts[lost:], alerts_lost=state.alerts_lost + lost)


def alert_raised(state: State, event: e.AlertRaised) -> State:
    """What no other entry says."""
    return raised(state, AlertKind(event.about), event.title, event.detail)


def acknowledged(state: State, event: e.AlertAcknowledged) -> State:
    """Somebody answers for it. An earlier version may have raised what this one does not."""
    title = next((one.title for one in state.alerts if one.id == event.alert), "")
    left = tuple(one for one in state.alerts if one.id != event.alert)
    seen = Acknowledged(event.alert, title, event.persons, state.at)
    return replace(
        state,
        alerts=left,
        alerts_lost=state.alerts_lost if left else 0,
        acknowledged=(*state.acknowledged, seen)[-REMEMBERED:],
    )


def breached(state: State, event: e.BreachDetected) -> State:
    """A guard was broken."""
    return raised(state, AlertKind.BREACH, f"{event.guard} breached", event.message)


def reconciled(state: State, event: e.Reconciled) -> State:
    """A venue's account broke with ours, in a way it had not before."""
    if set(event.breaks) <= set(state.ledgers[event.venue].breaks):
        return state
    return raised(state, AlertKind.RECONCILIATION, f"{event.venue} does not reconcile", "; ".join(event.breaks)[:500])


# Drills


def drill_started(state: State, event: e.DrillStarted) -> State:
    """No permit from here on."""
    drill = Drill(event.command_id, event.venue, event.stage, state.at, Millis(event.deadline))
    return replace(state, drill=drill, armed=False, not_armed_because="a halt is being practised")


def drill_finished(state: State, event: e.DrillFinished) -> State:
    """It ran its course. The venue has to agree with us once more before the controller arms."""
    figures = HaltFigures(
        "drill", event.breach_to_latch_us, event.latch_to_cancelled_us, event.cancelled, verified_empty=event.verified_empty
    )
    state = _ended(state, "", figures)
    ledger = replace(state.ledgers[event.venue], clean=False)
    because = f"the {event.venue} account is not reconciled after a drill"
    return replace(state, ledgers=state.ledgers.set(event.venue, ledger), not_armed_because=because)


def order_denied(state: State, event: e.OrderDenied) -> State:
    """Counted by the drill that denied it."""
    if state.drill is None or event.rule != DRILLED_RULE:
        return state
    return replace(state, drill=replace(state.drill, denied=state.drill.denied + 1))


def moved(state: State, event: e.StageChanged) -> State:
    """Whatever moves the deployment ends a drill, and a halt waits for a human."""
    here, before = Position(event.stage, event.step), Position(event.from_stage, event.from_step)
    if state.drill is not None:
        state = _ended(state, f"{before} → {here}: {event.reason}", None)
    if here.stage is not Stage.HALTED:
        return state
    return raised(state, AlertKind.HALTED, f"{before} → {here}", f"{event.cause}: {event.reason}")


def _ended(state: State, ended_by: str, figures: HaltFigures | None) -> State:
    assert state.drill is not None
    return replace(state, drill=None, last_drill=DrillRecord(state.drill, state.at, ended_by, figures))
