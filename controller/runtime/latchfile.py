"""Remembers a halt that the journal could not: when its disk is full or broken, and the process then ends (DESIGN §11.8).

The file exists, full size, before it is needed, so that marking it allocates nothing. It is read at the next start: a mark, or a
file that cannot be read, halts the deployment, and is cleared once the halt is in the journal.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

SIZE = 512

_log = logging.getLogger(__name__)


class LatchFile:
    """One file of ``SIZE`` bytes: zeros, or the reason of a halt."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Why the last process latched without being able to journal it; empty when it did not. Prepares the file if it is new."""
        try:
            if not self._path.exists():
                self._write(b"")
                return ""
            return self._path.read_bytes().rstrip(b"\0").decode("utf-8", "replace")
        except OSError as error:
            return f"the latch file cannot be read: {error.strerror}"

    def mark(self, reason: str) -> None:
        """Leave the mark, if anything can still be written. Never raises: halting waits for nothing."""
        try:
            self._write(reason.encode()[:SIZE] or b"halted")
        except OSError:
            _log.exception("the latch could not be marked; keep this deployment stopped until its disk is mended")

    def clear(self) -> None:
        """Take the mark away: the journal holds the halt now."""
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
