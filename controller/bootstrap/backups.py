"""Shows how old the last copies of the deployment are, and alerts when they are too old (ADR 69). ``run`` calls it.

The file that says so is read on a thread: the event loop never waits for a disk.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from controller.bootstrap.beside import run_beside
from controller.bootstrap.read import Deployment
from controller.console.backup_view import BackupView
from controller.core.effects import Alert, AlertKind
from controller.journal.last_backup import LastBackup, last_backup
from controller.runtime.assembly import Assembly
from controller.telemetry.alerts import Alerts
from exchange.ports import Clock

READ_EVERY_S = 10.0
TITLE = "the last verified backup is too old"

_HOUR_MS = 3_600_000


class BackupAges:
    """What was last read of the copies in ``data``. Without ``limit_ms`` nothing alerts."""

    def __init__(self, data: Path, clock: Clock, alerts: Alerts, limit_ms: int | None) -> None:
        self._data = data
        self._clock = clock
        self._alerts = alerts
        self._limit_ms = limit_ms
        self._last: LastBackup | None = None
        self._alerted: bool | None = None

    def view(self) -> BackupView | None:
        """The ages now; ``None`` before the file was looked at."""
        if self._last is None:
            return None
        now, made, verified = self._clock.now(), self._last.created, self._last.verified
        return BackupView(
            age_ms=None if verified is None else max(0, now - verified.until),
            made_age_ms=None if made is None else max(0, now - made.at),
        )

    async def run(self) -> None:
        """Read the file again and again."""
        while True:
            await self.look()
            await asyncio.sleep(READ_EVERY_S)

    async def look(self) -> None:
        """Read the file, and alert when the newest verified copy has become too old, or is not any more."""
        self._last = await asyncio.to_thread(last_backup, self._data)
        view = self.view()
        if self._limit_ms is None or view is None:
            return
        old = view.age_ms is None or view.age_ms > self._limit_ms
        if old and not self._alerted:
            hours = self._limit_ms // _HOUR_MS
            self._alerts.notify(Alert(AlertKind.BACKUP, TITLE, f"{view.line}; one that ends at most {hours} h ago is wanted"))
        elif not old and self._alerted is not False:
            self._alerts.ended(AlertKind.BACKUP, TITLE, "a newer backup is verified")
        self._alerted = old


def show_backups(deployment: Deployment, assembly: Assembly, clock: Clock, alerts: Alerts, stack: AsyncExitStack) -> None:
    """Show the ages until ``stack`` ends, and alert if the settings say who can open copies."""
    wanted = deployment.settings.backup
    limit_ms = wanted.alert_after_hours * _HOUR_MS if wanted.recipients else None
    ages = BackupAges(deployment.data, clock, alerts, limit_ms)
    assembly.operator.backup = ages.view
    run_beside("backup ages", ages.run, alerts.notify, stack)
