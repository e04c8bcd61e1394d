"""Decisions about alerts: raise, end, escalate, record a delivery, acknowledge. ``decide``, ``ticks`` and others call it.

An alert is raised when a condition begins and cleared when something proves that it is over. It stays until a person acknowledges
it with a signed command. The acknowledgement changes nothing else, and ends no halt. A critical alert that nobody acknowledged in
time goes to the next channel and refuses every move to real money (ADR 68).
"""

from __future__ import annotations

from controller.authority.command import Command
from controller.core import events as e
from controller.core.alert_catalogue import ACKNOWLEDGE_WITHIN_MS, ESCALATE_AFTER_MS, Severity, severity_of
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import AlertDelivered, AlertEnded, AlertNoticed
from controller.core.lifecycle import Position
from controller.core.state import OpenAlert, State
from exchange.errors import Refused
from exchange.model import Millis
from policies.authority import Verb
from policies.stage import LIVE_STAGES

LONGEST_TITLE = 200


def alert_noticed(draft: Draft, alert: AlertNoticed) -> None:
    """Journal an alert from the shell, unless the same alert is already open."""
    if raise_once(draft, alert.kind, alert.title, alert.detail) and alert.announce:
        draft.do(Alert(alert.kind, alert.title[:LONGEST_TITLE], alert.detail))


def alert_ended(draft: Draft, ended: AlertEnded) -> None:
    """Journal that a condition is over, if its alert was raised."""
    end(draft, ended.kind, ended.title, ended.proof)


def raise_once(draft: Draft, kind: AlertKind, title: str, detail: str) -> bool:
    """Journal an alert that has no other entry, unless it is known to go on. Returns whether it is journalled."""
    title = title[:LONGEST_TITLE]
    if is_standing(draft.after, kind, title):
        return False
    draft.emit(e.AlertRaised(alert_kind=kind.value, title=title, detail=detail[:500]))
    return True


def end(draft: Draft, kind: AlertKind, title: str, proof: str) -> bool:
    """Journal that the condition behind an alert is over. Returns whether it was known to go on."""
    title = title[:LONGEST_TITLE]
    if not is_standing(draft.after, kind, title):
        return False
    draft.emit(e.AlertCleared(alert_kind=kind.value, title=title, proof=proof[:500]))
    return True


def is_standing(state: State, kind: AlertKind, title: str) -> bool:
    """Whether this alert was raised and not cleared, acknowledged or not."""
    known = (*state.alerts, *state.standing)
    return any((one.kind, one.title) == (kind, title) and one.cleared_at is None for one in known)


def alert_delivered(draft: Draft, delivered: AlertDelivered) -> None:
    """Journal that a channel took an open alert over, once for each channel."""
    title = delivered.title[:LONGEST_TITLE]
    for one in draft.after.alerts:
        if (one.kind, one.title) == (delivered.kind, title) and delivered.channel not in one.reached:
            draft.emit(e.AlertHandedOver(alert_id=one.id, channel=delivered.channel))


def escalate(draft: Draft) -> None:
    """Escalate every critical alert whose next deadline has passed."""
    for one in draft.after.alerts:
        if one.escalated < len(ESCALATE_AFTER_MS) and _is_late(one, draft.now, ESCALATE_AFTER_MS[one.escalated]):
            step = one.escalated + 1
            draft.emit(e.AlertEscalated(alert_id=one.id, step=step))
            minutes = (draft.now - one.at) // 60_000
            draft.do(Alert(one.kind, one.title, f"nobody acknowledged it for {minutes} minutes: {one.detail}", step))


def check_acknowledged(state: State, verb: Verb, target: Position, now: Millis) -> None:
    """Refuse a step up to real money while a critical alert is past its deadline without an acknowledgement.

    Raises:
        Refused: ``alert-unacknowledged``.
    """
    if verb not in {Verb.ADVANCE, Verb.RAMP} or target.stage not in LIVE_STAGES:
        return
    late = next((one for one in state.alerts if _is_late(one, now, ACKNOWLEDGE_WITHIN_MS)), None)
    if late is not None:
        raise Refused(
            f"nobody acknowledged the critical alert {late.id} within {ACKNOWLEDGE_WITHIN_MS // 60_000} minutes: {late.title}",
            code="alert-unacknowledged",
            remedy=f"Handle it, then run `gatehouse ack-alert {late.id} --key KEY --reason WHY`.",
        )


def _is_late(alert: OpenAlert, now: Millis, within_ms: int) -> bool:
    return severity_of(alert.kind) is Severity.CRITICAL and now - alert.at >= within_ms


def check_acknowledge(state: State, subject: str) -> None:
    """Check that the alert is open. Raises ``Refused`` when it is not."""
    if any(one.id == subject for one in state.alerts):
        return
    earlier = next((one for one in reversed(state.acknowledged) if one.id == subject), None)
    if earlier is not None:
        raise Refused(
            f"{', '.join(earlier.persons)} already acknowledged {earlier.id}",
            code="already-acknowledged",
            remedy="Nothing is left to do.",
        )
    raise Refused(
        f"no alert {subject[:40]!r} is open",
        code="no-such-alert",
        remedy="Use an id from the list of `gatehouse status`.",
    )


def acknowledge(draft: Draft, command: Command, persons: tuple[str, ...]) -> None:
    """Record who acknowledged the alert."""
    draft.emit(e.AlertAcknowledged(alert_id=command.subject, persons=persons, command_id=command.command_id))
