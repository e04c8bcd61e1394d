"""The watchdog's own log: one hash-chained JSON line for each thing it did, written before it does it (ADR 27).

The chain is the journal's (``controller.journal.chain``) under a name of its own. The process appends. The controller fetches what
it has not absorbed yet and verifies it with ``verify_lines``. The disk may be the very thing that stopped the controller, so an
entry is sealed in memory first and written by a worker thread: no cancel waits for it longer than the process says.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.journal.chain import Entry, Head, Record, genesis_hash, seal, verify_chain
from controller.watchdog.lease import FIRES, MOVES, Kind, Note, Targets
from exchange.errors import IntegrityError, Refused
from exchange.model import Millis
from exchange.ports import VenueName
from policies import canonical

LOG_FILE, LOCK_FILE = "watchdog.log", "watchdog.lock"

_log = logging.getLogger(__name__)


def chain_name(controller_id: str) -> str:
    """The name that the log's first hash is made from. No journal has it, so no journal's entry fits into the log."""
    return f"{controller_id} watchdog"


def first_head(controller_id: str) -> Head:
    """The head of a log without entries."""
    return Head(0, genesis_hash(chain_name(controller_id)), 0)


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a run of verified entries says: the last entry, and the last entry that fired; ``fired_seq`` 0 when none did.

    ``broken``: the watchdog itself found its log altered at a start, and began this one.
    """

    head: Head
    entries: int
    fired_seq: int
    reason: str
    broken: str


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    detail: str
    targets: list[tuple[VenueName, list[str]]] = Field(strict=False)


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seq: int
    epoch: int
    at: int
    kind: str
    body: _Body
    prev: str
    hash: str


def line_of(entry: Entry) -> str:
    """An entry as one line of the log."""
    return canonical.encode(entry._asdict() | {"body": json.loads(entry.body)}).decode()


def entry_of(line: str) -> Entry:
    """The entry in a line. Raises ``IntegrityError`` when it is none."""
    try:
        one = _Line.model_validate_json(line)
    except ValidationError:
        raise _broken("a line of the watchdog's log is no entry") from None
    return Entry(one.seq, one.epoch, Millis(one.at), one.kind, _encoded(one.body.detail, one.body.targets), one.prev, one.hash)


def _encoded(detail: str, targets: Iterable[tuple[VenueName, Sequence[str]]]) -> bytes:
    return canonical.encode({"detail": detail, "targets": [[venue.value, list(symbols)] for venue, symbols in targets]})


def verify_lines(lines: Iterable[str], controller_id: str, after: Head) -> LogReport:
    """Verify the lines that follow ``after``, and say what they tell. The controller calls it before it absorbs them.

    Raises:
        IntegrityError: a line is no entry, or the entries do not follow ``after`` without a break.
    """
    entries, head = _verified(lines, controller_id, after)
    fired = _last(entries, FIRES)
    broken = _last(entries, frozenset({Kind.BROKEN}))
    return LogReport(head, len(entries), fired.seq if fired else 0, _detail(fired), _detail(broken))


def verified_entries(lines: Iterable[str], controller_id: str, after: Head) -> list[Entry]:
    """The entries that follow ``after``. The controller calls it in a drill. Raises ``IntegrityError`` as ``verify_lines``."""
    return _verified(lines, controller_id, after)[0]


def _verified(lines: Iterable[str], controller_id: str, after: Head) -> tuple[list[Entry], Head]:
    entries = [entry_of(line) for line in lines]
    report = verify_chain(entries, chain_name(controller_id), after)
    if report.problem is not None:
        raise _broken(f"the watchdog's log is broken: {report.problem.message}")
    return entries, report.head


def _last(entries: Sequence[Entry], kinds: frozenset[Kind]) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.kind in kinds), None)


def _detail(entry: Entry | None) -> str:
    return str(json.loads(entry.body)["detail"]) if entry is not None else ""


class WatchdogLog:
    """The file of one watchdog. Only one process has it open.

    Opening it verifies every entry. An altered log must not leave a deployment without a watchdog: it is moved aside, and the new
    one begins with an entry that says so and halts the controller.
    """

    def __init__(self, folder: Path, controller_id: str, at: Millis, worker: Executor | None = None) -> None:
        """``at`` is the time now. ``worker`` writes the file; without one it is a thread of this log.

        Raises ``Refused`` when another watchdog runs here, and ``OSError``.
        """
        self._path = folder / LOG_FILE
        self._lock = _locked(folder)
        self._entries: list[Entry] = []
        self._head, self._fired_seq = first_head(controller_id), 0
        self._unwritten = b""
        self._worker = ThreadPoolExecutor(1, "watchdog-log") if worker is None else worker
        try:
            lines = _read_lines(self._path)
            problem = ""
            try:
                report = verify_lines(lines, controller_id, self._head)
            except IntegrityError as error:
                problem = error.message
                aside = self._path.with_name(f"{LOG_FILE}.broken-{at}")
                self._path.rename(aside)
            else:
                self._entries = [entry_of(line) for line in lines]
                self._head, self._fired_seq = report.head, report.fired_seq
            # A half-written last line belongs to something that was never begun.
            self._size = sum(len(line.encode()) + 1 for line in lines) if not problem else 0
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.ftruncate(self._handle, self._size)
        except BaseException:
            os.close(self._lock)
            raise
        if problem:
            self._begin_again(lines, f"{problem}; it is kept as {aside.name}", at)

    def _begin_again(self, lines: Sequence[str], why: str, at: Millis) -> None:
        entries = []
        for line in lines:
            with suppress(IntegrityError):
                entries.append(entry_of(line))
        kind, targets, epoch = _last_move(entries)
        self.append(Note(Kind.BROKEN, why), at)
        if kind is not None:
            self.append(Note(kind, "as the log before this one says", targets, epoch), at)

    @property
    def head(self) -> Head:
        """The last entry."""
        return self._head

    @property
    def fired_seq(self) -> int:
        """The number of the last entry that fired; 0 when none did."""
        return self._fired_seq

    def last_move(self) -> tuple[Kind | None, Targets, int]:
        """Where the process that wrote the log stopped: the kind of the last entry that moved it, its targets and epoch."""
        return _last_move(self._entries)

    def lines_after(self, seq: int, limit: int) -> Sequence[str]:
        """Up to ``limit`` entries after a number, as lines."""
        return [line_of(entry) for entry in self._entries[max(0, seq) : max(0, seq) + limit]]

    def append(self, note: Note, at: Millis) -> Future[None]:
        """Seal an entry and write it in a worker thread; the future ends when it is durable, or with what kept it from that."""
        record = Record(note.kind.value, _encoded(note.detail[:2000], note.targets))
        entry = seal(record, self._head, epoch=max(self._head.epoch, note.epoch), at=at)
        self._entries.append(entry)
        self._head = Head(entry.seq, entry.hash, entry.epoch)
        if note.kind in FIRES:
            self._fired_seq = entry.seq
        return self._worker.submit(self._write, line_of(entry) + "\n")

    def close(self) -> None:
        """Release the file. An entry that a hung disk holds back is not waited for."""
        self._worker.submit(os.close, self._handle)
        self._worker.shutdown(wait=False)
        os.close(self._lock)

    def _write(self, text: str) -> None:
        # What a full disk refused is written again with the next entry, from where the last whole entry ended.
        self._unwritten += text.encode()
        at, rest = self._size, self._unwritten
        while rest:
            written = os.pwrite(self._handle, rest, at)
            at, rest = at + written, rest[written:]
        os.fsync(self._handle)
        self._size, self._unwritten = at, b""


def _last_move(entries: Sequence[Entry]) -> tuple[Kind | None, Targets, int]:
    entry = _last(entries, MOVES)
    if entry is None:
        return None, (), 0
    targets = json.loads(entry.body)["targets"]
    return Kind(entry.kind), tuple((VenueName(venue), tuple(symbols)) for venue, symbols in targets), entry.epoch


async def settled(write: Future[None], within_s: float) -> bool:
    """Wait for an append, a limited time; whether it is durable by then. A disk that fails must not keep an order open."""
    try:
        async with asyncio.timeout(within_s):
            await asyncio.shield(asyncio.wrap_future(write))
    except (TimeoutError, OSError):
        _log.error("the watchdog's log could not be written in time; what it does goes on")
        return False
    return True


def is_locked(folder: Path) -> bool:
    """Whether a watchdog runs on this folder now. The supervisor asks before it starts one."""
    try:
        handle = _locked(folder)
    except Refused:
        return True
    os.close(handle)
    return False


def _locked(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise Refused(
            f"another watchdog runs on {folder}",
            code="watchdog-runs",
            remedy="Leave it running; `gatehouse status` shows whether the controller hears it.",
        ) from None
    return handle


def _read_lines(path: Path) -> list[str]:
    with suppress(FileNotFoundError):
        text = path.read_text(encoding="utf-8", errors="replace")
        return text.split("\n")[:-1]
    return []


def _broken(message: str) -> IntegrityError:
    return IntegrityError(
        message,
        code="watchdog-log-broken",
        remedy="Find out who changed watchdog.log. Move it away, keep it, and start again; the controller stays HALTED.",
    )
