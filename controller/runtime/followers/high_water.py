"""The highest entry of the journal that this host ever wrote, kept outside the journal (ADR 34).

A journal whose end was cut off, or of which an older copy was put back, verifies. So number and hash of the last durable entry are
also in small files of their own: one beside the checkpoint key, and one in the user's state directory, where who can write to the
deployment's folder may not be able to write. ``controller.bootstrap`` compares them with the journal at a start, and the deployment
halts when the journal does not hold the entry. The writer's batches drive the rest.

A mark is written after its entries are durable, in place and without a sync: it never runs ahead of the journal. After a loss of
power it may be older than the journal, which proves less and accuses nobody.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.journal.chain import Head
from controller.journal.files import sync_directory
from controller.runtime.loop.writer import CommittedBatch
from policies.stage import Stage

FILE_NAME = "high-water"
"""Its name beside the checkpoint key."""

SIZE = 256

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """An entry that was durable; 0 before the first one. ``problem`` says why a file that has a content holds no such entry."""

    path: Path
    seq: int = 0
    hash: str = ""
    problem: str = ""


def mark_elsewhere(directory: Path, controller_id: str, genesis: str) -> Path:
    """The file in the user's state directory. ``genesis`` is the hash of the first entry: a new journal has a new file."""
    return directory / "marks" / f"{controller_id}-{genesis.removeprefix('sha256:')[:16]}"


def read_mark(path: Path) -> HighWaterMark | None:
    """The mark in a file; ``None`` when there is none. A file that cannot be read or parsed has a ``problem``."""
    try:
        content = path.read_bytes().rstrip(b"\0")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return HighWaterMark(path, problem=f"it cannot be read: {error.strerror}")
    if not content:
        return None
    try:
        document = json.loads(content)
        return HighWaterMark(path, int(document["seq"]), str(document["hash"]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return HighWaterMark(path, problem="it holds no mark")


def contradiction(marks: Sequence[HighWaterMark], head: Head, hash_at: Callable[[int], str | None]) -> str:
    """Why the journal that ends at ``head`` is not the one that the marks are of; empty when it holds the entry of each."""
    for mark in marks:
        if mark.problem:
            return f"the mark of the highest entry in {mark.path} is not usable: {mark.problem}"
        if mark.seq == 0 or hash_at(mark.seq) == mark.hash:
            continue
        if head.seq < mark.seq:
            found = f"the journal ends at entry {head.seq}, and entry {mark.seq} of it was written"
        else:
            found = f"the journal ends at entry {head.seq}, and its entry {mark.seq} is not the one that was written"
        return (
            f"{found}: its end was cut off, or an older or another copy was put in its place. Put back the journal that has entry "
            f"{mark.seq}, or sign a reset to go on without it ({mark.path})"
        )
    return ""


class HighWater:
    """The files that hold the mark. With ``held`` nothing is written before the journal holds the halt that a mark led to."""

    def __init__(self, paths: Sequence[Path], *, held: bool) -> None:
        self._paths = tuple(paths)
        self._held = held
        self._problems: dict[Path, str] = {}

    def begin(self, head: Head) -> None:
        """Make missing files, durably, with the mark of ``head``."""
        for path in self._paths:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                made = not path.exists()
                if not self._held:
                    _write(path, head.seq, head.hash, sync=made)
                if made:
                    sync_directory(path.parent)
            except OSError as error:
                self._failed(path, error)

    def on_batch(self, batch: CommittedBatch) -> None:
        """Write the mark of the last entry of a durable batch."""
        if self._held and batch.after.position.stage is not Stage.HALTED:
            return
        if not batch.entries:
            return
        self._held = False
        last, _ = batch.entries[-1]
        for path in self._paths:
            try:
                _write(path, last.seq, last.hash)
                self._problems[path] = ""
            except OSError as error:
                self._failed(path, error)

    def _failed(self, path: Path, error: OSError) -> None:
        if not self._problems.get(path):
            _log.error("a mark of the highest entry is not kept", extra={"fields": {"path": str(path), "why": error.strerror}})
        self._problems[path] = error.strerror or type(error).__name__


def _write(path: Path, seq: int, digest: str, *, sync: bool = False) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(handle, json.dumps({"seq": seq, "hash": digest}).encode().ljust(SIZE, b"\0"), 0)
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)
