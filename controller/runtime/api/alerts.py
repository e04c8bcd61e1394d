"""Alerts as the console shows them. ``controller.runtime.api.views`` calls it for the status."""

from __future__ import annotations

from controller.console.alerts import AcknowledgedView, AlertView
from controller.core.alert_catalogue import severity_of
from controller.core.state import State


def alert_views(state: State) -> tuple[AlertView, ...]:
    """The alerts that no one has acknowledged yet."""
    return tuple(
        AlertView(
            id=alert.id,
            kind=alert.kind.value,
            title=alert.title,
            detail=alert.detail,
            at_ms=alert.at,
            times=alert.times,
            last_at_ms=alert.last_at,
            severity=severity_of(alert.kind).value,
            cleared_at_ms=alert.cleared_at,
            escalated=alert.escalated,
            reached=alert.reached,
        )
        for alert in state.alerts
    )


def acknowledged_view(state: State) -> AcknowledgedView | None:
    """The alert that was acknowledged last, if there is one."""
    if not state.acknowledged:
        return None
    last = state.acknowledged[-1]
    return AcknowledgedView(id=last.id, title=last.title, persons=last.persons, at_ms=last.at)
