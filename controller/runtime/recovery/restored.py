"""The mark of a deployment that was put back from a copy (ADR 69). Its next start halts before any order may pass.

``gatehouse backup restore`` writes it before the folder has its name, and ``controller.bootstrap`` reads it at every start. It goes
once the journal holds the halt and no checkpoint target knows entries that the copy does not have.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.core.causes import Cause
from controller.journal.checkpoint import Anchor
from controller.journal.files import sync_directory, write_atomically
from controller.runtime.loop.writer import CommittedBatch
from exchange.model import Millis
from policies.stage import Stage

FILE_NAME = "restored"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RestoredMark:
    """From which copy, and what it holds: ``entries`` with the last ``head``, written at ``until``.

    ``problem`` says why a mark that is there cannot be read; it halts all the same.
    """

    copy: str
    entries: int
    head: str
    until: Millis
    restored_at: Millis
    key: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Entries that were written and are not in the copy: at least ``count``, known to ``holder``."""

    count: int
    holder: str


def write_restored(data: Path, mark: RestoredMark) -> None:
    """Write the mark durably. Raises ``OSError``."""
    document = asdict(mark)
    del document["problem"]
    write_atomically(data / FILE_NAME, json.dumps(document).encode())
    (data / FILE_NAME).chmod(0o600)


def read_restored(data: Path) -> RestoredMark | None:
    """The mark; ``None`` when there is none."""
    path = data / FILE_NAME
    try:
        document = json.loads(path.read_bytes())
        return RestoredMark(
            str(document["copy"]),
            int(document["entries"]),
            str(document["head"]),
            Millis(document["until"]),
            Millis(document["restored_at"]),
            str(document["key"]),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return RestoredMark("a copy", 0, "", Millis(0), Millis(0), problem=f"{path} cannot be read: {type(error).__name__}")


def most_lost(entries: int, known: tuple[Anchor, ...], marks: tuple[tuple[int, str], ...] = ()) -> Lost | None:
    """What was written after ``entries``, by the one that knows most.

    ``known`` are checkpoints of targets, ``marks`` the (entry, holder) of marks on this host.
    """
    found = [(anchor.checkpoint.size, anchor.holder) for anchor in known] + list(marks)
    size, holder = max(found, default=(0, ""))
    return Lost(size - entries, holder) if size > entries else None


def reason_of(mark: RestoredMark, lost: Lost | None) -> str:
    """Why a start halts, in words."""
    if mark.problem:
        return f"restored: the deployment was put back from a copy, and {mark.problem}"
    begin = (
        f"restored: the journal was put back from {mark.copy}, which ends at entry {mark.entries}, written at {_utc(mark.until)}"
    )
    if lost is None:
        return f"{begin}; nothing that can be reached knows a later entry"
    return f"{begin}; {lost.holder} knows {lost.count} later entries, so what happened since then is not in this journal"


def cause_of(lost: Lost | None) -> Cause:
    """The cause of the halt: entries that are known to be lost put the holdings and the validation in doubt."""
    return Cause.RESTORED if lost is None else Cause.RESTORED_OLDER


class RestoredFollower:
    """Removes the mark once the halt is durable. With ``keep`` it stays: a target contradicts, so the next start halts too."""

    def __init__(self, data: Path, *, keep: bool) -> None:
        self._path = data / FILE_NAME
        self._done = keep

    def on_batch(self, batch: CommittedBatch) -> None:
        """Called with every durable batch."""
        if self._done or not batch.entries or batch.after.position.stage is not Stage.HALTED:
            return
        self._done = True
        try:
            self._path.unlink(missing_ok=True)
            sync_directory(self._path.parent)
        except OSError:
            _log.exception("the mark %s could not be removed; the next start halts again", self._path)


def _utc(at: Millis) -> str:
    return f"{datetime.fromtimestamp(at / 1000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
