"""Room on the journal's disk: a reserve, given back when it is full, so that the halt can still be written (reliability.md F43).

While the reserve lies there, a full disk is not yet full for the journal. The append that meets it gives the reserve back and is
tried once more; the deployment then latches at once and halts, long before the reserve is used up too.
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
"""A disk is low below both: a fifth of a large disk is no reason to wake anybody."""

LOOK_EVERY_S = 10.0

_log = logging.getLogger(__name__)


class ReserveFile:
    """A file that only keeps its blocks from everybody else."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size
        self.released = ""

    def make(self) -> str:
        """Lay it down, unless it lies there already. Why there is none, or nothing."""
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
        """Give it back because the disk is full. Whether there was one."""
        if self.released:
            return False
        try:
            self._path.unlink()
        except OSError:
            return False
        self.released = "the journal's disk is full; its reserve was given back to write this down"
        return True

    def restore(self) -> bool:
        """Lay it down again after it was given back. Whether there was room for it."""
        if self.make():
            return False
        self.released = ""
        return True

    def remove(self) -> None:
        """A controller that does not run needs none."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("the reserve could not be removed", extra={"fields": {"why": error.strerror}})


class DiskReserve:
    """Watches the disk for one controller: tells when it gets low, and halts once the reserve had to be used."""

    def __init__(
        self,
        reserve: ReserveFile,
        directory: Path,
        permits: PermitOffice,
        inbox: Inbox,
        clock: Clock,
        told: Callable[[Alert], object],
    ) -> None:
        self._reserve = reserve
        self._directory = directory
        self._permits = permits
        self._inbox = inbox
        self._clock = clock
        self._told = told
        self._asked = self._halted = False
        self._low = False

    def carried(self, batch: CommittedBatch) -> None:
        """One durable batch. What it would have placed is not placed: the latch falls before its effects.

        Whoever lets the deployment leave the halt says that there is room again: then the reserve fits, or it halts again.
        """
        if not self._reserve.released:
            return
        if batch.after.position.stage is Stage.HALTED:
            self._halted = True
            return
        if self._halted:
            self._asked = self._halted = False
            if self._reserve.restore():
                return
        self._permits.latch(self._reserve.released)
        if not self._asked:
            self._asked = True
            asked = HaltAsked(by="controller", reason=self._reserve.released, cause=Cause.JOURNAL)
            self._inbox.fact(asked, self._clock.monotonic_ns())

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        if problem := await asyncio.to_thread(self._reserve.make):
            self._told(Alert(AlertKind.DISK, "there is no reserve for the journal", problem))
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Tell once that the disk gets low, and again after it had recovered."""
        usage = shutil.disk_usage(self._directory)
        low = usage.free * 100 < usage.total * LOW_PERCENT and usage.free < LOW_BYTES
        if low and not self._low:
            percent = usage.free * 100 // usage.total
            detail = f"{usage.free // 1024**2} MiB, {percent} % of it, are free; make room before the journal has none and halts"
            self._told(Alert(AlertKind.DISK, "the journal's disk gets low", detail))
        self._low = low
