"""What shows that a journal whose first entries are archived begins where it says (ADR 46). ``leadership`` asks it at a start.

Who can write to the deployment's folder can write a base, and archives too. So something outside the folder has to name an entry
that follows from the base: a checkpoint of a target, or the mark in the user's state directory. Without either, archives that are
all there and verify from the first entry show as much as a journal that was never archived.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

from controller.bootstrap.first_halt import MarkPlaces
from controller.journal.location import JournalLocation
from controller.journal.note import NoteKey
from controller.journal.port import Journal
from controller.journal.verify import VerifyReport, verify_journal
from controller.runtime.followers.checkpoints import TargetStatus
from controller.runtime.followers.high_water import read_mark


def witnessed_size(statuses: Sequence[TargetStatus], outside: Collection[str]) -> int:
    """The largest checkpoint that a target outside the folder was read to hold, all of which agreed with the journal."""
    return max((one.size for one in statuses if one.target in outside and not one.problem), default=0)


def doubt_of_beginning(
    journal: Journal, report: VerifyReport, witnessed: int, places: MarkPlaces, verify_whole: Callable[[], VerifyReport]
) -> str:
    """Why nothing shows that the journal begins where it says; empty when something does, or when it holds every entry.

    ``report`` is that of the verification from the base on, and ``witnessed`` the size of a checkpoint outside the folder that it
    was compared with. Only what names the entry with the base, or a later one, shows all of the base.
    """
    signed = journal.signed_base
    if signed is None or witnessed >= report.record:
        return ""
    path = places.outside(journal)
    mark = read_mark(path) if path is not None else None
    if mark is not None and not mark.problem and mark.seq >= report.record and journal.hash_at(mark.seq) == mark.hash:
        return ""
    beginning = (
        f"the journal begins after entry {signed.base.seq}, and neither a checkpoint nor a mark outside this folder shows that"
    )
    if report.missing:
        files = ", ".join(one.file for one in report.missing)
        return (
            f"{beginning}; the archives {files} are not here either. Stop the controller, put them back or let a checkpoint target "
            "answer, and start again. The way out is a signed reset"
        )
    whole = verify_whole()
    if whole.first_problem is None:
        return ""
    return f"{beginning}; with its archives it does not verify: {whole.first_problem.message}. The way out is a signed reset"


def whole_verification(
    place: JournalLocation, controller_id: str, key: NoteKey, monotonic_ns: Callable[[], int]
) -> Callable[[], VerifyReport]:
    """What verifies a journal from its first entry, through its archives."""
    return partial(verify_journal, place, controller_id, monotonic_ns=monotonic_ns, storage=False, key=key)
