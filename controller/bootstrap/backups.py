"""Shows in the status and beside gate ``live-ready`` how old the last copies of the deployment are (ADR 69). ``run`` calls it.

The file that says so is read on a thread: the event loop never waits for a disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from controller.bootstrap.beside import run_beside
from controller.console.backup_view import BackupView
from controller.core.effects import Alert
from controller.journal.last_backup import LastBackup, last_backup
from controller.runtime.assembly import Assembly
from exchange.ports import Clock

READ_EVERY_S = 10.0


class BackupAges:
    """What was last read of the copies."""

    def __init__(self, data: Path, clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self._last: LastBackup | None = None

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
            self._last = await asyncio.to_thread(last_backup, self._data)
            await asyncio.sleep(READ_EVERY_S)


def show_backups(data: Path, assembly: Assembly, clock: Clock, notify: Callable[[Alert], object], stack: AsyncExitStack) -> None:
    """Show the ages until ``stack`` ends."""
    ages = BackupAges(data, clock)
    assembly.operator.backup = ages.view
    run_beside("backup ages", ages.run, notify, stack)
