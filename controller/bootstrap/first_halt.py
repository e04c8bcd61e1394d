"""The halt that a start begins with: the last process left a mark, or the journal is not the one that was written here (ADR 34).

``leadership`` calls it once the journal is taken over, before the start is journalled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from controller.core import event_codec
from controller.core.causes import Cause
from controller.core.effects import Alert, AlertKind
from controller.core.events import ControllerStarted
from controller.core.inputs import HaltAsked
from controller.journal.chain import Head
from controller.journal.port import Journal, JournalReader
from controller.journal.sqlite import SqliteJournal
from controller.runtime.followers.high_water import FILE_NAME, HighWater, contradiction, mark_elsewhere, read_mark
from controller.runtime.followers.latchfile import LatchFile, LatchMark
from controller.settings.state_directory import state_directory

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FirstHalt:
    """A halt before anything else, and the alert that belongs to it."""

    request: HaltAsked
    alert: Alert | None = None


def find_first_halt(data: Path, latch: LatchFile, journal: Journal) -> FirstHalt | None:
    """The halt that the marks on this host demand of ``journal``. It is in the latch file until the journal holds it.

    Without one the marks are made here: the start that is journalled next says that they are kept.
    """
    found = _halt_of_high_water(data, latch, journal) or _halt_of_latch_file(latch, journal)
    if found is None:
        open_high_water(data, journal, None)
    return found


def halt_of(mark: LatchMark) -> FirstHalt:
    """The halt of a process that could not journal it."""
    reason = f"the last process here halted without a journal: {mark.reason}"
    return FirstHalt(HaltAsked(by="controller", reason=reason, cause=Cause.JOURNAL))


def halt_of_standby(latch: LatchFile, epoch: int, hash_at: Callable[[int], str | None]) -> str:
    """Why the mark in the latch file demands a halt of a journal that ``epoch`` leads; empty when it does not."""
    mark = latch.read()
    if mark is None or not mark.means_halt(epoch):
        return ""
    return "" if mark.seq and hash_at(mark.seq) == mark.hash else mark.reason


def open_high_water(data: Path, journal: Journal, halt: FirstHalt | None) -> HighWater:
    """The files that take the highest entry from now on; with a halt to come, only once the journal holds it."""
    found = HighWater(_places(data, journal), held=halt is not None)
    found.begin(journal.head)
    return found


def _places(data: Path, journal: JournalReader) -> tuple[Path, ...]:
    """Beside the checkpoint key, and in the user's state directory once the journal has an entry."""
    elsewhere, genesis = state_directory(), journal.hash_at(1)
    outside = (mark_elsewhere(elsewhere, journal.controller_id, genesis),) if elsewhere is not None and genesis is not None else ()
    return (data / FILE_NAME, *outside)


def _halt_of_high_water(data: Path, latch: LatchFile, journal: Journal) -> FirstHalt | None:
    beside, *outside = _places(data, journal)
    marks = [mark for mark in map(read_mark, (beside, *outside)) if mark is not None]
    problem = contradiction(marks, journal.head, journal.hash_at)
    if not problem and not marks and isinstance(journal, SqliteJournal) and _had_a_mark(journal):
        problem = (
            f"{beside}, which names the highest entry of the journal, is gone; the journal ends at entry {journal.head.seq}. "
            "Put the file back, or sign a reset if the journal is the right one"
        )
    return _accused(problem, journal.head, latch) if problem else None


def _halt_of_latch_file(latch: LatchFile, journal: JournalReader) -> FirstHalt | None:
    """A mark that only says that the journal could not be written is dropped once another controller has written it since."""
    mark = latch.read()
    if mark is None:
        return None
    if mark.seq:
        return None if journal.hash_at(mark.seq) == mark.hash else _lost_halt(mark, journal.head, latch)
    last = next(journal.read(after=max(0, journal.head.seq - 1)), None)
    if last is not None and not mark.means_halt(last.epoch):
        _log.warning("the latch file's mark is dropped: another controller has led since", extra={"fields": {"mark": mark.reason}})
        latch.clear()
        return None
    latch.write(replace(mark, halted=True))
    return halt_of(mark)


def _lost_halt(mark: LatchMark, head: Head, latch: LatchFile) -> FirstHalt:
    problem = (
        f"the journal ends at entry {head.seq}, and it does not hold entry {mark.seq}, at which the deployment was HALTED: its end "
        f"was cut off, or another copy was put in its place. Put back the journal that has entry {mark.seq}, or sign a reset to go "
        "on without it"
    )
    return _accused(problem, head, latch)


def _accused(problem: str, head: Head, latch: LatchFile) -> FirstHalt:
    latch.write(LatchMark(problem, head.epoch, halted=True))
    alert = Alert(AlertKind.CHECKPOINT, "the journal is not the one that was written here", problem)
    return FirstHalt(HaltAsked(by="controller", reason=problem, cause=Cause.INTEGRITY), alert)


def _had_a_mark(journal: JournalReader) -> bool:
    started = (event_codec.decode(entry.kind, entry.body) for entry in journal.read() if entry.kind == ControllerStarted.kind)
    return any(isinstance(event, ControllerStarted) and event.high_water for event in started)
