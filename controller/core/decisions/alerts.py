"""Decisions about alerts: raise one, acknowledge one. Called by ``decide``, ``governance`` and ``bot_keys``.

An alert stays open until a person acknowledges it with a signed command. The acknowledgement changes nothing else, and ends no
halt.
"""

from __future__ import annotations

from controller.authority.command import Command
from controller.core import events as e
from controller.core.decisions.draft import Draft
from controller.core.effects import AlertKind
from controller.core.inputs import AlertNoticed
from controller.core.state import State
from exchange.errors import Refused


def alert_noticed(draft: Draft, alert: AlertNoticed) -> None:
    """Journal an alert from the shell, unless the same alert is already open."""
    raise_once(draft, alert.kind, alert.title, alert.detail)


def raise_once(draft: Draft, kind: AlertKind, title: str, detail: str) -> None:
    """Journal an alert that has no other journal entry. An alert that is already open is not journalled again."""
    title = title[:200]
    if all((one.kind, one.title) != (kind, title) for one in draft.after.alerts):
        draft.emit(e.AlertRaised(alert_kind=kind.value, title=title, detail=detail[:500]))


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
