"""A reserve file on the journal's disk, freed when the disk is full so that the halt can still be journalled (reliability.md F43).

While the reserve file exists, a full disk still has ``RESERVE_BYTES`` for the journal. The append that finds the disk full frees
the reserve and is tried once more; the deployment latches at once and halts, long before the reserve is used up.
``controller.bootstrap`` makes the reserve for a journal in a file; the assembly runs ``DiskReserve``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from controller.core.causes import Cause
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import HaltAsked
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import CommittedBatch
from exchange.ports import Clock
from policies.stage import Stage

RESERVE_BYTES = 64 * 1024 * 1024
LOW_PERCENT = 20
LOW_BYTES = 5 * 1024**3
"""A disk is low when both are undercut: a fifth of a large disk is still plenty."""

CHECK_EVERY_S = 10.0

LOW_TITLE = "the journal's disk gets low"

_log = logging.getLogger(__name__)


class ReserveFile:
    """A file that only occupies disk blocks, so that they can be freed for the journal."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size
        self.released = ""

    def make(self) -> str:
        """Create the reserve file if it is missing. Returns why it could not be created, or an empty text."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._size)
            finally:
                os.close(handle)
        except OSError as error:
            self.remove()
            return f"{self._size // 1024**2} MiB could not be set aside: {error.strerror}"
        return ""

    def release(self) -> bool:
        """Delete the file because the disk is full. Returns whether there was one."""
        if self.released:
            return False
        try:
            self._path.unlink()
        except OSError:
            return False
        self.released = "the journal's disk is full; its reserve was freed to journal this halt"
        return True

    def restore(self) -> bool:
        """Create the file again after it was freed. Returns whether the disk had space for it."""
        if self.make():
            return False
        self.released = ""
        return True

    def remove(self) -> None:
        """Delete the file when the controller stops: it then needs none."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("the reserve file could not be removed", extra={"fields": {"why": error.strerror}})


class DiskReserve:
    """Checks the journal's disk: an alert when it gets low, a halt when the reserve had to be freed.

    ``notify`` gets the alerts, ``ended`` what is over: an alert of a process before this one ends too, once the disk has room.
    """

    def __init__(
        self,
        reserve: ReserveFile,
        directory: Path,
        permits: PermitOffice,
        inbox: Inbox,
        clock: Clock,
        notify: Callable[[Alert], object],
        ended: Callable[[AlertKind, str, str], object] = lambda *_: None,
    ) -> None:
        self._reserve = reserve
        self._ended = ended
        self._directory = directory
        self._permits = permits
        self._inbox = inbox
        self._clock = clock
        self._notify = notify
        self._halt_requested = self._halted = False
        self._low: bool | None = None
        self._practising = False

    @property
    def reserve_used(self) -> str:
        """Why the reserve was freed; empty while it is there."""
        return self._reserve.released

    def begin_practice(self) -> None:
        """A drill makes the disk full: latch as always when the reserve is freed, and do not ask for the halt."""
        self._practising = True

    def end_practice(self) -> None:
        """The drill is over. A reserve that is still freed halts from now on."""
        self._practising = False

    def restore(self) -> bool:
        """Set the reserve aside again. Returns whether the disk had space for it. Any thread may call it."""
        return self._reserve.restore()

    def on_batch(self, batch: CommittedBatch) -> None:
        """Halt after the batch that freed the reserve. The latch comes before the batch's effects, so its orders are not placed.

        A resume or a reset implies that the disk has space again: the reserve is created again, or the deployment halts again.
        """
        if not self._reserve.released:
            return
        if batch.after.position.stage is Stage.HALTED:
            self._halted = True
            return
        if self._halted:
            self._halt_requested = self._halted = False
            if self._reserve.restore():
                return
        self._permits.latch(self._reserve.released)
        if not self._halt_requested and not self._practising:
            self._halt_requested = True
            request = HaltAsked(by="controller", reason=self._reserve.released, cause=Cause.JOURNAL)
            self._inbox.fact(request, self._clock.monotonic_ns())

    async def run(self) -> None:
        """Create the reserve, then check the disk every ``CHECK_EVERY_S`` seconds, until cancelled."""
        if problem := await asyncio.to_thread(self._reserve.make):
            self._notify(Alert(AlertKind.DISK, "the journal has no disk reserve", problem))
        while True:
            self.check()
            await asyncio.sleep(CHECK_EVERY_S)

    def check(self) -> None:
        """Alert once when the disk gets low, and again only after it has recovered."""
        usage = shutil.disk_usage(self._directory)
        low = usage.free * 100 < usage.total * LOW_PERCENT and usage.free < LOW_BYTES
        if low and not self._low:
            percent = usage.free * 100 // usage.total
            detail = f"{usage.free // 1024**2} MiB, {percent} %, are free. Free disk space: a full disk halts the deployment."
            self._notify(Alert(AlertKind.DISK, LOW_TITLE, detail))
        elif not low and self._low is not False:
            self._ended(AlertKind.DISK, LOW_TITLE, f"{usage.free // 1024**2} MiB are free")
        self._low = low
