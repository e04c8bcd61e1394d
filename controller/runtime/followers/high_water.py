"""The highest entry of the journal that this host ever wrote, kept outside the journal (ADR 34).

A journal whose end was cut off, or of which an older copy was put back, verifies. So number and hash of the last durable entry are
also in small files of their own: one beside the checkpoint key, and one in the user's state directory, where who can write to the
deployment's folder may not be able to write. ``controller.bootstrap`` compares them with the journal at a start, and the deployment
halts when the journal does not hold the entry. The writer's batches drive the rest.

The file outside is named after the journal's first entry, and who can write to the folder can write that entry anew. So a second
file beside it says whose the mark is (``MarkOwner``), and a start reads every mark of its deployment, of all its journals.

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

import orjson

from controller.journal.chain import Head
from controller.journal.files import owned_by, sync_directory, write_atomically
from controller.runtime.loop.writer import CommittedBatch
from policies.stage import Stage

FILE_NAME = "high-water"
"""Its name beside the checkpoint key."""

SIZE = 256

_OPENED = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

_OWNER = ".owner"
"""What the name of the file ends with that says whose the mark is."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """An entry that was durable; 0 before the first one. ``problem`` says why a file that has a content holds no such entry."""

    path: Path
    seq: int = 0
    hash: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class MarkOwner:
    """The deployment that a mark outside belongs to: its folders, and fingerprints of its accounts."""

    controller_id: str
    folders: frozenset[str]
    accounts: frozenset[str]

    def is_like(self, other: MarkOwner) -> bool:
        """Whether both are one deployment: the same folder, or the same controller with one of the same accounts."""
        same_account = self.controller_id == other.controller_id and not self.accounts.isdisjoint(other.accounts)
        return same_account or not self.folders.isdisjoint(other.folders)


def mark_elsewhere(directory: Path, controller_id: str, genesis: str) -> Path:
    """The file in the user's state directory. ``genesis`` is the hash of the first entry: a new journal has a new file."""
    return directory / "marks" / f"{controller_id}-{genesis.removeprefix('sha256:')[:16]}"


def marks_of(directory: Path, owner: MarkOwner) -> tuple[Path, ...]:
    """The marks in the user's state directory that belong to ``owner``, of every journal that ever ran there."""
    found = ((path, _read_owner(path)) for path in sorted((directory / "marks").glob(f"*{_OWNER}")))
    return tuple(path.with_suffix("") for path, of in found if of is not None and of.is_like(owner))


def forget_folder(directory: Path, folder: str) -> None:
    """Remove what the user's state directory keeps of a folder in which a new deployment begins. Raises ``OSError``."""
    for mark in marks_of(directory, MarkOwner("", frozenset({folder}), frozenset())):
        _remove(mark)


def read_mark(path: Path) -> HighWaterMark | None:
    """The mark in a file; ``None`` when there is none. A file that cannot be read or parsed has a ``problem``."""
    try:
        content = path.read_bytes().rstrip(b"\0")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return HighWaterMark(path, problem=f"it cannot be read: {error.strerror}{owned_by(path)}")
    if not content:
        return None
    try:
        document = json.loads(content)
        return HighWaterMark(path, int(document["seq"]), str(document["hash"]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return HighWaterMark(path, problem="it holds no mark")


def contradiction(marks: Sequence[HighWaterMark], head: Head, hash_at: Callable[[int], str | None], readable_after: int = 0) -> str:
    """Why the journal that ends at ``head`` is not the one that the marks are of; empty when it holds the entry of each.

    A mark of an entry in an archive that is not there, up to ``readable_after``, proves nothing. What shows the beginning of such
    a journal then, ``controller.bootstrap.beginning`` says.
    """
    for mark in marks:
        if mark.problem:
            return f"the mark of the highest entry in {mark.path} is not usable: {mark.problem}"
        found_hash = hash_at(mark.seq) if mark.seq else ""
        if mark.seq == 0 or found_hash == mark.hash or (found_hash is None and mark.seq <= readable_after):
            continue
        if head.seq < mark.seq:
            found = f"the journal ends at entry {head.seq}, and entry {mark.seq} of it was written"
        else:
            found = f"the journal ends at entry {head.seq}, and its entry {mark.seq} is not the one that was written"
        return (
            f"{found}: its end was cut off, or an older or another copy was put in its place ({mark.path}). Stop the controller, "
            f"put the journal that has entry {mark.seq} back if there is one, and start again. The way out is a signed reset, with "
            "that journal or without it"
        )
    return ""


class HighWater:
    """The files that hold the mark. With ``held`` nothing is written before the journal holds the halt that a mark led to.

    ``owner`` is whose the mark in ``outside`` is. ``replaced`` are marks of journals that this one replaces: they are removed once
    it holds the halt that they led to.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        held: bool,
        outside: Path | None = None,
        owner: MarkOwner | None = None,
        replaced: Sequence[Path] = (),
    ) -> None:
        self._paths = (*paths, *((outside,) if outside is not None else ()))
        self._outside = outside
        self._owner = owner
        self._replaced = tuple(replaced)
        self._held = held
        self._problems: dict[Path, str] = {}

    @property
    def kept(self) -> bool:
        """Whether at least one file holds a mark, or will when the halt that is to come is durable."""
        return self._held or any(not self._problems.get(path) for path in self._paths)

    def begin(self, head: Head) -> None:
        """Make missing files, durably, with the mark of ``head``."""
        for path in self._paths:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                made = not path.exists()
                if path == self._outside and self._owner is not None:
                    _write_owner(path, self._owner)
                if not self._held:
                    _write(path, _mark_of(head.seq, head.hash), sync=made)
                if made:
                    sync_directory(path.parent)
            except OSError as error:
                self._failed(path, error)

    def settle(self, head: Head) -> None:
        """Write and sync the mark of ``head``, before the journal's first entries are removed. Raises ``OSError``."""
        mark = _mark_of(head.seq, head.hash)
        for path in self._paths:
            _write(path, mark, sync=True)

    def on_batch(self, batch: CommittedBatch) -> None:
        """Write the mark of the last entry of a durable batch."""
        if self._held and batch.after.position.stage is not Stage.HALTED:
            return
        if not batch.entries:
            return
        first, self._held = self._held, False
        last, _ = batch.entries[-1]
        mark = _mark_of(last.seq, last.hash)
        for path in self._paths:
            try:
                _write(path, mark, sync=first)
                self._problems[path] = ""
            except OSError as error:
                self._failed(path, error)
        if first and not any(map(self._problems.get, self._paths)):
            self._forget_replaced()

    def _forget_replaced(self) -> None:
        for path in self._replaced:
            try:
                _remove(path)
            except OSError as error:
                self._failed(path, error)

    def _failed(self, path: Path, error: OSError) -> None:
        if not self._problems.get(path):
            _log.error("a mark of the highest entry is not kept", extra={"fields": {"path": str(path), "why": error.strerror}})
        self._problems[path] = error.strerror or type(error).__name__


def _mark_of(seq: int, digest: str) -> bytes:
    return orjson.dumps({"seq": seq, "hash": digest}).ljust(SIZE, b"\0")


def _write(path: Path, mark: bytes, *, sync: bool = False) -> None:
    handle = os.open(path, _OPENED, 0o600)
    try:
        os.pwrite(handle, mark, 0)
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + _OWNER).unlink(missing_ok=True)
    sync_directory(path.parent)


def _write_owner(path: Path, owner: MarkOwner) -> None:
    """Say whose a mark is. Two hosts' folders may share a mark, so folders are added and never taken away."""
    place = path.with_name(path.name + _OWNER)
    before = _read_owner(place)
    folders = owner.folders | (before.folders if before is not None else frozenset())
    if before != (now := MarkOwner(owner.controller_id, folders, owner.accounts)):
        document = {"controller_id": now.controller_id, "folders": sorted(now.folders), "accounts": sorted(now.accounts)}
        write_atomically(place, json.dumps(document).encode())


def _read_owner(path: Path) -> MarkOwner | None:
    try:
        document = json.loads(path.read_bytes())
        return MarkOwner(str(document["controller_id"]), frozenset(document["folders"]), frozenset(document["accounts"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
