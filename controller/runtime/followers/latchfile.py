"""A file that records a halt which the journal could not: its disk is full or broken and the process ends (architecture.md §11.8).

The file exists in full size before it is needed, so that writing a mark allocates no disk space. ``controller.bootstrap`` reads it
at a start: a mark, or a file that cannot be read, halts the deployment. Once the halt is in the journal, the mark names an entry
of the journal that shows it, for as long as the deployment is HALTED: a journal without that entry was cut or replaced (ADR 34).

An operator's `gatehouse halt` writes a mark too when the controller does not answer. ``LatchFileWatch`` sees it within
``POLL_S``, whatever the event loop does.

A second copy is in the user's state directory, named after the folder: who can write to the folder can remove the file there, and a
halt that is only in that file would be gone. Both are written and cleared together, and each of the two demands what it says.

The file belongs to one host. Where two hosts share a journal, a mark that only says that the journal could not be written counts no
longer once another controller has led since. A mark of a halt always counts, no matter which host has led (ADR 19).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from controller.journal.files import hand_over, owned_by
from policies.stage import Stage

if TYPE_CHECKING:
    from controller.runtime.loop.writer import CommittedBatch

LATCH_FILE = "latch"
"""Its name in the data directory of a deployment."""

SIZE = 512
WRITE_WITHIN_S = 2.0
"""How long a failing process waits for its mark to be written: cancels must not wait for a disk that hangs."""

POLL_S = 0.2
"""How often a running controller looks for a mark that an operator wrote."""

KEPT = "the deployment is HALTED"
"""The reason in a mark whose halt is in the journal."""

_LONGEST = 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LatchMark:
    """What a process recorded: the reason, the epoch it led in, and whether it halted or only could not write the journal.

    ``seq`` and ``hash`` name an entry after which the journal shows the halt; 0 and empty while it shows none.
    """

    reason: str
    epoch: int
    halted: bool
    seq: int = 0
    hash: str = ""

    def means_halt(self, epoch: int) -> bool:
        """Whether it still demands a halt in a journal whose last entry is of ``epoch``."""
        return self.halted or self.epoch >= epoch


def latch_elsewhere(directory: Path, folder: Path) -> Path:
    """The copy of the latch file of the deployment in ``folder``, in the user's state directory."""
    real = folder.resolve()
    return directory / "latches" / f"{real.name}-{hashlib.sha256(bytes(real)).hexdigest()[:16]}"


class LatchFile:
    """One file of ``SIZE`` bytes: zeros, or a mark. ``copy`` is a second one with the same content, outside the folder."""

    def __init__(self, path: Path, copy: Path | None = None) -> None:
        self._path = path
        self._copy = copy

    def read(self) -> LatchMark | None:
        """The mark that demands most, of those that ``marks`` reads."""
        return next(iter(self.marks()), None)

    def marks(self) -> tuple[LatchMark, ...]:
        """The marks of the last process on this host, first the one that demands most.

        A halt comes before a failure of the journal, and one that no entry shows before one that names an entry. Creates missing
        files. A mark that cannot be read or parsed means a halt.
        """
        found = dict.fromkeys(mark for mark in (self._read(), self._read_copy()) if mark is not None)
        return tuple(sorted(found, key=lambda mark: (not mark.halted, mark.seq > 0)))

    @property
    def names_entry(self) -> bool:
        """Whether a mark names an entry of the journal that shows its halt."""
        return any(mark.seq for mark in self.marks())

    def write(self, mark: LatchMark) -> None:
        """Write the mark if the disk still allows it. Never raises: halting waits for nothing."""
        try:
            self.put(mark)
        except OSError:
            _log.exception("the latch file could not be written; keep this deployment stopped until its disk is fixed")

    def put(self, mark: LatchMark) -> None:
        """Write the mark, the copy last. Raises ``OSError`` when the file in the folder cannot be written."""
        document = {"epoch": mark.epoch, "halted": mark.halted, "reason": mark.reason.encode()[:_LONGEST].decode("utf-8", "ignore")}
        if mark.seq:
            document |= {"seq": mark.seq, "hash": mark.hash}
        self._write_bytes(json.dumps(document, ensure_ascii=False).encode()[:SIZE])

    def clear(self) -> None:
        """Remove the mark: the journal holds the halt now, or another controller has led since."""
        try:
            self._write_bytes(b"")
        except OSError:
            _log.exception("the latch file could not be cleared; the next start halts again")

    def open(self) -> int:
        """A descriptor of the file for ``pread``. Raises ``OSError``."""
        return os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)

    def _read(self) -> LatchMark | None:
        try:
            if not self._path.exists():
                _write(self._path, b"")
                return None
            return _parsed(self._path.read_bytes().rstrip(b"\0"))
        except OSError as error:
            return LatchMark(f"the latch file cannot be read: {error.strerror}", 0, halted=True)

    def _read_copy(self) -> LatchMark | None:
        if self._copy is None:
            return None
        try:
            return _parsed(self._copy.read_bytes().rstrip(b"\0"))
        except (FileNotFoundError, NotADirectoryError):
            self._write_copy(b"")
            return None
        except OSError as error:
            return LatchMark(f"{self._copy} cannot be read: {error.strerror}{owned_by(self._copy)}", 0, halted=True)

    def _write_bytes(self, content: bytes) -> None:
        try:
            _write(self._path, content)
        finally:
            self._write_copy(content)

    def _write_copy(self, content: bytes) -> None:
        """A home that cannot be written to must not keep a halt from the file in the folder."""
        if self._copy is None:
            return
        try:
            self._copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._copy, content)
        except OSError:
            _log.exception("the copy of the latch file in %s is not kept", self._copy)


class LatchMarkWriter:
    """Writes the latch file when a halt is not in the journal yet, and keeps a mark in it for as long as HALTED lasts.

    The assembly calls it.

    A worker thread waits for the disk and keeps the order of the writes. Only a failing process waits for that thread, and at most
    ``WRITE_WITHIN_S``. No method raises: what comes after it may be a cancel, or the end of the process.
    """

    def __init__(self, latch: LatchFile, *, marked: bool, kept: bool = False) -> None:
        self._latch = latch
        self._marked = marked
        self._kept = kept
        self._entry = (0, "")
        self._clearing = 0
        self._changes = 0
        self._counting = Lock()
        self._executor = ThreadPoolExecutor(1, "latch")
        # Its thread begins now, because a halt may come when no thread can be started.
        self._submit(_do_nothing)

    @property
    def marked(self) -> bool:
        """Whether the file holds, or may still hold, a mark that this process knows of."""
        return self._marked or self._clearing > 0

    @property
    def changes(self) -> int:
        """How often this process began or ended to change the file. A mark that was read meanwhile may be its own."""
        return self._changes

    def found(self) -> None:
        """The file holds a mark that another process wrote. It is cleared once the halt is durable."""
        self._marked = True

    def halted(self, mark: LatchMark) -> None:
        """A halt was asked for or decided, and the journal that must take it may not answer. Any thread may call it."""
        marked, self._marked = self._marked, True
        if not marked:
            self._submit(self._latch.write, mark)

    def failed(self, mark: LatchMark) -> None:
        """The journal could not be written and this process is about to end. A mark of a halt keeps its reason."""
        marked, self._marked = self._marked, True
        if not (marked and mark.halted):
            self._submit(self._latch.write, mark)
        self.wait()

    def wait(self) -> None:
        """Wait until all that was asked for is on the disk, for at most ``WRITE_WITHIN_S``."""
        if (last := self._submit(_do_nothing)) is not None:
            wait((last,), timeout=WRITE_WITHIN_S)

    def on_batch(self, batch: CommittedBatch) -> None:
        """Let the mark name an entry of the journal once the halt is durable, and clear it when HALTED is left."""
        if batch.entries:
            last, _ = batch.entries[-1]
            self._entry = (last.seq, last.hash)
        if batch.after.position.stage is not Stage.HALTED:
            if self._kept:
                self._kept = False
                self._submit(self._release)
            return
        seq, digest = self._entry
        if self._marked or (seq and not self._kept):
            # In this order, so that the watching thread never takes what is about to be cleared for a mark of somebody else.
            self._count(clearing=1)
            self._marked = False
            self._kept = bool(seq)
            if self._submit(self._keep, LatchMark(KEPT, batch.after.epoch, halted=True, seq=seq, hash=digest)) is None:
                self._count(clearing=-1)

    def _keep(self, mark: LatchMark) -> None:
        if mark.seq:
            self._latch.write(mark)
        else:
            self._latch.clear()
        self._count(clearing=-1)

    def _release(self) -> None:
        if self._latch.names_entry:
            self._latch.clear()

    def _count(self, *, clearing: int = 0) -> None:
        with self._counting:
            self._changes += 1
            self._clearing += clearing

    def _submit(self, work: Callable[..., None], *arguments: LatchMark) -> Future[None] | None:
        self._count()
        try:
            return self._executor.submit(work, *arguments)
        except RuntimeError:
            _log.exception("the latch file cannot be written any more in this process")
            return None


class LatchFileWatch:
    """A thread that reports a mark which another process wrote. The assembly starts it.

    It reads through a descriptor that it keeps, so it needs no free one. A read that fails halts nothing: only a mark does.
    """

    def __init__(self, latch: LatchFile, writer: LatchMarkWriter, on_mark: Callable[[str], None]) -> None:
        """``on_mark`` is called on the watching thread, with the reason in the mark."""
        self._latch = latch
        self._writer = writer
        self._on_mark = on_mark
        self._handle: int | None = None
        self._ending = Event()
        self._thread = Thread(target=self._run, name="latch file", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more. A disk that hangs is not waited for."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(WRITE_WITHIN_S)

    def poll(self) -> None:
        """Look once."""
        if self._handle is not None and os.fstat(self._handle).st_nlink == 0:
            self._close()
        if self._handle is None:
            self._handle = self._latch.open()
        changes = self._writer.changes
        mark = _parsed(os.pread(self._handle, SIZE, 0).rstrip(b"\0"))
        asks = mark is not None and mark.halted and not mark.seq
        if mark is not None and asks and not self._writer.marked and changes == self._writer.changes:
            self._writer.found()
            self._on_mark(mark.reason)

    def _run(self) -> None:
        failing = False
        while not self._ending.wait(POLL_S):
            try:
                self.poll()
                failing = False
            except Exception:
                if not failing:
                    _log.exception("the latch file cannot be read now; `gatehouse halt` works through the socket only")
                failing = True
        self._close()

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                os.close(handle)


def _do_nothing() -> None:
    """Submitted last: the single worker has then written every earlier mark."""


def _write(path: Path, content: bytes) -> None:
    made = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if made:
            # Without it the mark is there and demands a halt, but only root can clear it. So a failure keeps no halt from the file.
            with suppress(OSError):
                hand_over(handle, path.parent)
        os.pwrite(handle, content.ljust(SIZE, b"\0"), 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def _parsed(content: bytes) -> LatchMark | None:
    if not content:
        return None
    try:
        document = json.loads(content)
        entry = (int(document.get("seq", 0)), str(document.get("hash", "")))
        return LatchMark(str(document["reason"]), int(document["epoch"]), bool(document["halted"]), *entry)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return LatchMark(content.decode("utf-8", "replace"), 0, halted=True)
