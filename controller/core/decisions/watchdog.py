"""The decision about the watchdog's log: remember it, and halt when the dead man's switch fired. Called by ``decide`` (ADR 27)."""

from __future__ import annotations

from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import drills, moves
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import WatchdogLogRead


def log_read(draft: Draft, read: WatchdogLogRead) -> None:
    """Absorb new entries. A log that fired halts; a log that is not the one absorbed before halts too, as a contradiction.

    The first time that it fires during a drill of the watchdog is what that drill practises, and halts nothing.
    """
    state = draft.after
    if (read.seq, read.hash) == (state.watchdog_seq, state.watchdog_head):
        return
    draft.emit(
        e.WatchdogLogAbsorbed(
            seq=read.seq, hash=read.hash, entries=read.entries, fired=read.fired, reason=read.reason[:500], broken=read.broken[:500]
        )
    )
    if read.broken:
        moves.integrity(draft, f"the watchdog's log: {read.broken}"[:500])
    elif read.fired and not drills.practises_silence(state):
        reason = f"the dead man's switch fired and cancelled what was open: {read.reason}"[:500]
        draft.do(Alert(AlertKind.WATCHDOG, "the dead man's switch fired", reason))
        moves.halt(draft, cause=Cause.WATCHDOG, reason=reason)
