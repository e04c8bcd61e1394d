"""Alerts: what waits for an acknowledgement, what it means, what to do, and the exact command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from controller.console.alerts import AlertView
from controller.console.inspection import Topic
from controller.console.pages.frame import Rows, rows_of, show
from controller.console.port import OperatorPort
from controller.console.schema import EntryView
from controller.core.alert_catalogue import ALERTS, AlertSpec
from controller.core.effects import AlertKind

_SPECS: Mapping[str, AlertSpec] = {kind.value: spec for kind, spec in ALERTS.items()}


@dataclass(frozen=True, slots=True)
class Shown:
    """An outstanding alert with what the catalogue says of its kind. A kind of a newer controller has no ``spec``."""

    alert: AlertView
    spec: AlertSpec | None

    @property
    def command(self) -> str:
        """What acknowledges it."""
        return f"gatehouse ack-alert {self.alert.id} --key KEY --reason WHY"


class AlertPage:
    """Renders the page."""

    def __init__(self, port: OperatorPort) -> None:
        self._port = port

    async def show(self, _request: Request) -> Response:
        """What waits, what was acknowledged last, and the newest entries about alerts."""
        status = await self._port.status()
        waiting = [Shown(alert, _SPECS.get(alert.kind)) for alert in status.oversight.alerts]
        entries: Rows[EntryView] = await rows_of(self._entries())
        return await show(
            self._port,
            "alerts_page.html",
            "/alerts",
            s=status,
            waiting=sorted(waiting, key=lambda one: (one.alert.severity != "critical", -one.alert.last_at_ms)),
            entries=entries,
            channels=await rows_of(self._port.inspector.channels()),
            kinds=[(kind, ALERTS[kind]) for kind in AlertKind if kind in ALERTS],
        )

    async def _entries(self) -> Sequence[EntryView]:
        return (await self._port.inspector.newest(Topic.ALERTS)).entries
