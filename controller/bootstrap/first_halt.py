"""The halt that a start begins with: the last process left a mark, or the journal is not the one that was written here (ADR 34).

``leadership`` calls it once the journal is taken over, before the start is journalled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from controller.bootstrap.read import Deployment
from controller.core import event_codec
from controller.core.causes import Cause
from controller.core.effects import Alert, AlertKind
from controller.core.events import ControllerStarted
from controller.core.inputs import HaltAsked
from controller.journal.chain import Head
from controller.journal.port import Journal, JournalReader
from controller.journal.sqlite import SqliteJournal
from controller.runtime.followers.high_water import (
    FILE_NAME,
    HighWater,
    MarkOwner,
    contradiction,
    mark_elsewhere,
    marks_of,
    read_mark,
)
from controller.runtime.followers.latchfile import LatchFile, LatchMark
from controller.settings.state_directory import state_directory

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FirstHalt:
    """A halt before anything else, and the alert that belongs to it. ``stays``: the next start finds what it is about again."""

    request: HaltAsked
    alert: Alert | None = None
    stays: bool = False


@dataclass(frozen=True, slots=True)
class MarkPlaces:
    """Where the marks of one deployment are: its data directory, and the user's state directory if this user has one."""

    data: Path
    elsewhere: Path | None
    owner: MarkOwner

    def beside(self) -> Path:
        """The mark beside the checkpoint key."""
        return self.data / FILE_NAME

    def outside(self, journal: JournalReader) -> Path | None:
        """The mark in the user's state directory, once the journal has an entry."""
        genesis = journal.hash_at(1)
        return mark_elsewhere(self.elsewhere, journal.controller_id, genesis) if self.elsewhere is not None and genesis else None

    def of_other_journals(self, journal: JournalReader) -> tuple[Path, ...]:
        """The marks of journals with another first entry that ran as this deployment."""
        found = marks_of(self.elsewhere, self.owner) if self.elsewhere is not None else ()
        return tuple(path for path in found if path != self.outside(journal))


def mark_places(deployment: Deployment) -> MarkPlaces:
    """Where the marks of a deployment are."""
    settings, boot = deployment.settings, deployment.boot
    folder = str(deployment.directory.resolve())
    owner = MarkOwner(settings.controller_id, frozenset({folder}), frozenset(boot.accounts.values()))
    return MarkPlaces(deployment.data, state_directory(), owner)


def find_first_halt(
    places: MarkPlaces, latch: LatchFile, journal: Journal, doubt_of_beginning: Callable[[], str] = str
) -> FirstHalt | None:
    """The halt that the marks on this host demand of ``journal``. It is in the latch file until the journal holds it.

    ``doubt_of_beginning`` says why nothing shows that a journal with archives begins where it says; empty when something does.
    """
    return (
        _halt_of_high_water(places, latch, journal)
        or _halt_of_beginning(doubt_of_beginning(), latch, journal)
        or _halt_of_latch_file(latch, journal)
    )


def marks_contradict(places: MarkPlaces, journal: JournalReader) -> str:
    """Why a journal is not the one that the marks on this host are of; empty when it is. Nothing is written."""
    paths = (places.beside(), places.outside(journal), *places.of_other_journals(journal))
    marks = [mark for path in paths if path is not None and (mark := read_mark(path)) is not None]
    return contradiction(marks, journal.head, journal.hash_at, journal.readable_after)


def _halt_of_beginning(doubt: str, latch: LatchFile, journal: JournalReader) -> FirstHalt | None:
    return _accused(doubt, journal.head, latch) if doubt else None


def halt_of(mark: LatchMark) -> FirstHalt:
    """The halt of a process that could not journal it."""
    reason = f"the last process here halted without a journal: {mark.reason}"
    return FirstHalt(HaltAsked(by="controller", reason=reason, cause=Cause.JOURNAL))


def halt_of_standby(latch: LatchFile, epoch: int, hash_at: Callable[[int], str | None]) -> str:
    """Why a mark in the latch file demands a halt of a journal that ``epoch`` leads; empty when none does."""
    for mark in latch.marks():
        if mark.means_halt(epoch) and not (mark.seq and hash_at(mark.seq) == mark.hash):
            return mark.reason
    return ""


def open_high_water(places: MarkPlaces, journal: Journal, halt: FirstHalt | None) -> HighWater:
    """The files that take the highest entry from now on; with a halt to come, only once the journal holds it.

    Made before the start is journalled too, because that entry says whether they are kept.
    """
    found = HighWater(
        (places.beside(),),
        held=halt is not None,
        outside=places.outside(journal),
        owner=places.owner,
        replaced=places.of_other_journals(journal),
    )
    found.begin(journal.head)
    return found


def _halt_of_high_water(places: MarkPlaces, latch: LatchFile, journal: Journal) -> FirstHalt | None:
    beside, outside, others = places.beside(), places.outside(journal), places.of_other_journals(journal)
    marks = [mark for path in (beside, outside, *others) if path is not None and (mark := read_mark(path)) is not None]
    problem = contradiction(marks, journal.head, journal.hash_at, journal.readable_after)
    if problem and others:
        problem += ". The journal that ran here before began with another entry: if you removed it on purpose, sign the reset"
    whole = isinstance(journal, SqliteJournal) and journal.signed_base is None
    if not problem and not marks and whole and _had_a_mark(journal):
        problem = (
            f"{beside}, which names the highest entry of the journal, is gone; the journal ends at entry {journal.head.seq}. "
            "Find out whether that is the last one that was written. The way out is a signed reset"
        )
    return _accused(problem, journal.head, latch) if problem else None


def _halt_of_latch_file(latch: LatchFile, journal: JournalReader) -> FirstHalt | None:
    """A mark that only says that the journal could not be written is dropped once another controller has written it since."""
    for mark in latch.marks():
        if mark.seq:
            if journal.hash_at(mark.seq) != mark.hash:
                return _lost_halt(mark, journal, latch)
            continue
        last = next(journal.read(after=max(0, journal.head.seq - 1)), None)
        if last is None or mark.means_halt(last.epoch):
            latch.write(replace(mark, halted=True))
            return halt_of(mark)
        _log.warning("the latch file's mark is dropped: another controller has led since", extra={"fields": {"mark": mark.reason}})
        latch.clear()
    return None


def _lost_halt(mark: LatchMark, journal: JournalReader, latch: LatchFile) -> FirstHalt:
    head = journal.head
    if mark.seq <= journal.readable_after and journal.hash_at(mark.seq) is None:
        problem = (
            f"the deployment was HALTED at entry {mark.seq}, which is in an archive that is not here. Stop the controller, put the "
            "archive back, and start again. The way out is a signed reset"
        )
        return _accused(problem, head, latch)
    problem = (
        f"the journal ends at entry {head.seq}, and it does not hold entry {mark.seq}, at which the deployment was HALTED: its end "
        f"was cut off, or another copy was put in its place. Stop the controller, put the journal that has entry {mark.seq} back "
        "if there is one, and start again. The way out is a signed reset, with that journal or without it"
    )
    return _accused(problem, head, latch)


def _accused(problem: str, head: Head, latch: LatchFile) -> FirstHalt:
    latch.write(LatchMark(problem, head.epoch, halted=True))
    alert = Alert(AlertKind.CHECKPOINT, "the journal is not the one that was written here", problem)
    return FirstHalt(HaltAsked(by="controller", reason=problem, cause=Cause.INTEGRITY), alert)


def _had_a_mark(journal: JournalReader) -> bool:
    entries = (entry for entry in journal.read() if entry.kind == ControllerStarted.kind)
    starts = (event_codec.decode(entry.kind, entry.body) for entry in entries)
    return any(isinstance(start, ControllerStarted) and start.high_water and not start.unmarked for start in starts)
