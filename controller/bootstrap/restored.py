"""What a start does with a deployment that was put back from a copy: it halts, and says what the copy lacks (ADR 69).

``journal`` and ``leadership`` call it. A checkpoint of entries that the journal does not have ends any other start. Here it is what
the halt is about, so that status, alerts and the signed way out work.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from controller.bootstrap.first_halt import FirstHalt, MarkPlaces
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import HaltAsked
from controller.journal.chain import Fault
from controller.journal.checkpoint import Anchor
from controller.journal.port import Journal
from controller.journal.verify import VerifyReport
from controller.runtime.followers.high_water import read_mark
from controller.runtime.followers.latchfile import LatchFile, LatchMark
from controller.runtime.loop.writer import CommittedBatch
from controller.runtime.recovery.old_roster import read_old_roster, roster_is_proven
from controller.runtime.recovery.restored import (
    RestoredFollower,
    RestoredMark,
    cause_of,
    most_lost,
    read_restored,
    reason_of,
)
from exchange.errors import ConfigError

_OF_A_LONGER_JOURNAL = frozenset({Fault.TAIL_MISSING, Fault.HISTORY_REWRITTEN})


class Verify(Protocol):
    """Verifies the journal against checkpoints."""

    def __call__(self, *, checkpoints: tuple[Anchor, ...]) -> VerifyReport:
        """See ``verify_journal``."""
        ...


def verified_as_restored(
    verify: Verify, checkpoints: tuple[Anchor, ...], mark: RestoredMark | None
) -> tuple[VerifyReport, tuple[Anchor, ...]]:
    """Verify a journal, and say which checkpoints know entries that were lost by putting a copy back.

    Without a mark every checkpoint has to agree. With one, those of entries after the copy's last may contradict; every other one,
    and every entry, must be good all the same.
    """
    report = verify(checkpoints=checkpoints)
    problem = report.first_problem
    if mark is None or problem is None or problem.fault not in _OF_A_LONGER_JOURNAL:
        return report, ()
    later = tuple(one for one in checkpoints if one.checkpoint.size > mark.entries)
    lost = tuple(one for one in later if verify(checkpoints=(one,)).first_problem is not None)
    return verify(checkpoints=tuple(one for one in checkpoints if one not in lost)), lost


def halt_of_restored(
    places: MarkPlaces, latch: LatchFile, journal: Journal, known: tuple[Anchor, ...], witnessed: int = 0
) -> FirstHalt | None:
    """The halt of a start after a restore; ``None`` without a mark. It is in the latch file until the journal holds it.

    ``witnessed`` is the size of the largest checkpoint outside the folder that was compared; 0 means that none was.
    """
    mark = read_restored(places.data)
    if mark is None:
        return None
    lost = most_lost(mark.entries, known, _marks_of_this_host(places, journal))
    if lost is None and witnessed and not mark.problem:
        roster_is_proven(places.data)
    reason = reason_of(mark, lost)
    if (roster := read_old_roster(places.data)) is not None and not roster.confirmed:
        reason = f"{reason}; no signed command counts before `gatehouse backup confirm`"
    latch.write(LatchMark(reason, journal.head.epoch, halted=True))
    alert = Alert(AlertKind.CHECKPOINT, "the deployment was put back from a copy", reason)
    return FirstHalt(HaltAsked(by="controller", reason=reason, cause=cause_of(lost)), alert, stays=bool(known))


def follow_restored(
    data: Path, first_halt: FirstHalt | None, add_follower: Callable[[Callable[[CommittedBatch], None]], object]
) -> None:
    """Remove the mark once the halt is durable, unless a target contradicts: then it does at every start."""
    if read_restored(data) is not None and first_halt is not None:
        add_follower(RestoredFollower(data, keep=first_halt.stays).on_batch)


def require_checkpoint_key(data: Path) -> None:
    """Refuse to make a new checkpoint key for a restored deployment: with it no target could show that entries are lost.

    Raises:
        ConfigError: ``no-checkpoint-key``.
    """
    path = data / "checkpoint.key"
    if read_restored(data) is not None and not path.exists():
        raise ConfigError(
            f"{path} is missing: a copy without secrets does not hold it, and no checkpoint can be compared without it",
            code="no-checkpoint-key",
            remedy="Put it back from where the secrets are kept (mode 0600). If it is lost, name new checkpoint targets in "
            "gatehouse.toml and run `gatehouse journal key`, which makes a new one.",
        )


def _marks_of_this_host(places: MarkPlaces, journal: Journal) -> tuple[tuple[int, str], ...]:
    """Marks of the highest entry on this host that the journal does not hold."""
    paths = (places.beside(), places.outside(journal), *places.of_other_journals(journal))
    marks = [mark for path in paths if path is not None and (mark := read_mark(path)) is not None]
    return tuple((one.seq, f"the mark {one.path}") for one in marks if one.seq and journal.hash_at(one.seq) != one.hash)
