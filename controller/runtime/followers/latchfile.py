"""Remembers a halt that the journal could not: when its disk is full or broken, and the process then ends (architecture.md §11.8).

The file exists, full size, before it is needed, so that marking it allocates nothing. It is read at the next start: a mark, or a
file that cannot be read, halts the deployment, and is cleared once the halt is in the journal.

It belongs to one host. Where two share a journal, a mark that only says that the journal could not be written is spent once another
controller has led since; a mark that says that something halted is not, whoever led (ADR 19).
"""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from controller.runtime.loop.writer import CommittedBatch
from policies.stage import Stage

SIZE = 512
MARK_WITHIN_S = 2.0
"""How long a failing process waits for its mark: cancels must not wait for a disk that hangs."""

_LONGEST = 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a process left behind: why, under which epoch it led, and whether it had halted (and not merely failed to write)."""

    reason: str
    epoch: int
    halted: bool

    def stands(self, epoch: int) -> bool:
        """Whether it still means a halt in a journal whose last entry is of ``epoch``."""
        return self.halted or self.epoch >= epoch


class LatchFile:
    """One file of ``SIZE`` bytes: zeros, or a mark."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mark | None:
        """What the last process left. Prepares the file if it is new. What cannot be read or parsed is a halt."""
        try:
            if not self._path.exists():
                self._write(b"")
                return None
            return _parsed(self._path.read_bytes().rstrip(b"\0"))
        except OSError as error:
            return Mark(f"the latch file cannot be read: {error.strerror}", 0, halted=True)

    def mark(self, mark: Mark) -> None:
        """Leave the mark, if anything can still be written. Never raises: halting waits for nothing."""
        told = {"epoch": mark.epoch, "halted": mark.halted, "reason": mark.reason.encode()[:_LONGEST].decode("utf-8", "ignore")}
        try:
            self._write(json.dumps(told, ensure_ascii=False).encode()[:SIZE])
        except OSError:
            _log.exception("the latch could not be marked; keep this deployment stopped until its disk is mended")

    def clear(self) -> None:
        """Take the mark away: the journal holds the halt now, or another controller has led since."""
        try:
            self._write(b"")
        except OSError:
            _log.exception("the latch could not be cleared; the next start halts again")

    def _write(self, content: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.pwrite(handle, content.ljust(SIZE, b"\0"), 0)
            os.fsync(handle)
        finally:
            os.close(handle)


class Marking:
    """Marks the latch file when a latch falls that the journal does not hold yet, and clears it once it does.

    The disk is waited for beside the event loop, in order: by then nothing is placed any more. Only a failing process waits, and
    not for long.
    """

    def __init__(self, latch: LatchFile, *, marked: bool) -> None:
        self._latch = latch
        self._marked = marked
        self._beside = ThreadPoolExecutor(1, "latch")

    def halted(self, mark: Mark) -> None:
        """A latch fell, and its halt is on its way to a journal that may not answer."""
        if not self._marked:
            self._beside.submit(self._latch.mark, mark)
        self._marked = True

    def failed(self, mark: Mark) -> None:
        """The journal could not be written and this process may end at any moment. A halt that is marked keeps its reason."""
        if not (self._marked and mark.halted):
            self._beside.submit(self._latch.mark, mark)
        self._marked = True
        wait((self._beside.submit(_all_done),), timeout=MARK_WITHIN_S)
        self._beside.shutdown(wait=False)

    def carried(self, batch: CommittedBatch) -> None:
        """One durable batch."""
        if self._marked and batch.after.position.stage is Stage.HALTED:
            self._marked = False
            self._beside.submit(self._latch.clear)


def _all_done() -> None:
    """What a single worker does last."""


def _parsed(content: bytes) -> Mark | None:
    if not content:
        return None
    try:
        told = json.loads(content)
        return Mark(str(told["reason"]), int(told["epoch"]), bool(told["halted"]))
    except (ValueError, KeyError, TypeError):
        return Mark(content.decode("utf-8", "replace"), 0, halted=True)
