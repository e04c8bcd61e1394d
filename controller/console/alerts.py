"""Outstanding and acknowledged alerts as the operator API answers them. Part of ``controller.console.schema``."""

from __future__ import annotations

from controller.console.view import View


class AlertView(View):
    """An alert that no one has acknowledged yet; it was raised ``times`` times.

    ``cleared_at_ms``: when its condition was proven to be over. ``escalated`` counts the deadlines that passed without an
    acknowledgement, ``reached`` names the channels that took it over.
    """

    id: str
    kind: str
    title: str
    detail: str
    at_ms: int
    times: int
    last_at_ms: int
    severity: str = ""
    cleared_at_ms: int | None = None
    escalated: int = 0
    reached: tuple[str, ...] = ()


class AcknowledgedView(View):
    """The alert that was acknowledged last, by whom and when."""

    id: str
    title: str
    persons: tuple[str, ...]
    at_ms: int
