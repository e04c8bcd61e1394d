"""Notices at a start that the process before did not end by itself: its mark is still there. ``bootstrap`` calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from controller.core.effects import Alert, AlertKind
from controller.core.state import State

MARK_FILE = "running"


def note_crash(data: Path, state: State, notify: Callable[[Alert], object], stack: AsyncExitStack) -> None:
    """Leave a mark in the data directory until ``stack`` ends, and alert when one was left. A drill of a crash leaves one too."""
    mark = data / MARK_FILE
    if mark.exists() and state.drill is None:
        notify(Alert(AlertKind.CRASH, "the last process did not end by itself", "it was killed, it crashed, or the host stopped"))
    # A disk that is full must not keep a controller from starting.
    with suppress(OSError):
        mark.touch(mode=0o600)
    stack.callback(_remove, mark)


def _remove(mark: Path) -> None:
    with suppress(OSError):
        mark.unlink(missing_ok=True)
