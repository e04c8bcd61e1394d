"""The hash chain of the journal, with no I/O (architecture.md §7, gates-authority-journal.md §3.3).

    hash = SHA-256( tag ‖ prev ‖ seq u64 ‖ epoch u64 ‖ at u64 ‖ SHA-256(kind) ‖ SHA-256(body) )      big-endian

Every field has a fixed width, so two different entries never give the same bytes to the hash. The first entry's ``prev`` is made
from the controller's id, so the journals of two controllers share no hash, even when their entries are the same. A chain alone
cannot show that its tail was cut off; ``controller.journal.checkpoint`` can. Every journal, its verification and its export use it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from exchange.errors import UsageError
from exchange.model import Millis

_ENTRY_TAG = b"gatehouse-journal-entry-v1\0"
_GENESIS_TAG = b"gatehouse-journal-genesis-v1\0"
_FIELDS = struct.Struct(">QQQ")
_HASHED = struct.Struct(f">{len(_ENTRY_TAG)}s32sQQQ32s32s")
_PREFIX = "sha256:"
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_MAX_U63 = 2**63 - 1
_LOOK_AHEAD = 1000

MAX_BODY_BYTES = 1 << 20
"""The longest body of one record; larger evidence is stored elsewhere and named by its digest."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record to append. ``body`` is canonical JSON (``policies.canonical.encode``). Raises ``UsageError`` out of bounds."""

    kind: str
    body: bytes

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise _bad_record(f"{self.kind[:80]!r} is not a kind of record")
        if not 0 < len(self.body) <= MAX_BODY_BYTES:
            raise _bad_record(f"a body of {len(self.body)} bytes is outside 1..{MAX_BODY_BYTES}")


class Entry(NamedTuple):
    """One appended record. A tuple and not a dataclass, because a start reads a million of them.

    ``prev`` and ``hash`` are ``sha256:<hex>``; ``at`` is when the writer appended it.
    """

    seq: int
    epoch: int
    at: Millis
    kind: str
    body: bytes
    prev: str
    hash: str


Row = tuple[int, int, int, str, bytes, bytes, bytes]
"""An entry as it is stored: ``seq, epoch, at, kind, body, prev, hash``, hashes as 32 bytes."""


def row_of(entry: Entry) -> tuple[int, int, int, str, bytes, bytes, bytes]:
    """An entry as it is stored."""
    seq, epoch, at, kind, body, prev, digest = entry
    return seq, epoch, at, kind, body, bytes.fromhex(prev[7:]), bytes.fromhex(digest[7:])


def entry_of(row: Row) -> Entry:
    """The entry in a row."""
    seq, epoch, at, kind, body, prev, digest = row
    return Entry(seq, epoch, Millis(at), kind, body, _PREFIX + prev.hex(), _PREFIX + digest.hex())


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a journal; ``seq`` 0 and the genesis hash when there is none."""

    seq: int
    hash: str
    epoch: int


def genesis_hash(controller_id: str) -> str:
    """The ``prev`` of the first entry of this controller's journal."""
    return _PREFIX + hashlib.sha256(_GENESIS_TAG + bytes(32) + controller_id.encode()).hexdigest()


def entry_hash(*, seq: int, epoch: int, at: int, kind: str, body: bytes, prev: str) -> str:
    """The hash of one entry, ``sha256:<hex>``."""
    fields = _FIELDS.pack(seq, epoch, at)
    content = _kind_digest(kind) + hashlib.sha256(body).digest()
    return _PREFIX + hashlib.sha256(_ENTRY_TAG + bytes.fromhex(prev[7:]) + fields + content).hexdigest()


def entry_hasher(*, seq: int, epoch: int, at: int, kind: str, prev: str) -> hashlib._Hash:
    """A hash of everything but the body of an entry; with the SHA-256 of the body added to it, it is the entry's hash."""
    return hashlib.sha256(_ENTRY_TAG + bytes.fromhex(prev[7:]) + _FIELDS.pack(seq, epoch, at) + _kind_digest(kind))


def seal(record: Record, after: Head, *, epoch: int, at: Millis) -> Entry:
    """The entry that follows ``after``."""
    if not 0 <= at <= _MAX_U63 or not 0 <= epoch <= _MAX_U63:
        raise _bad_record(f"time {at} or epoch {epoch} does not fit the journal")
    seq = after.seq + 1
    digest = entry_hash(seq=seq, epoch=epoch, at=at, kind=record.kind, body=record.body, prev=after.hash)
    return Entry(seq, epoch, at, record.kind, record.body, after.hash, digest)


def seal_all(records: Sequence[Record], after: Head, *, at: Millis) -> tuple[tuple[Entry, ...], Head]:
    """The entries that follow ``after`` under its epoch, and the new head. Every journal's ``append`` calls it."""
    entries, head = [], after
    for record in records:
        entry = seal(record, head, epoch=after.epoch, at=at)
        head = Head(entry.seq, entry.hash, after.epoch)
        entries.append(entry)
    return tuple(entries), head


class Fault(StrEnum):
    """A kind of fault of a journal: in its chain, its content, its storage, or its agreement with checkpoints."""

    GAP = "gap"
    REORDERED = "reordered"
    EDITED = "edited"
    WRONG_PREV = "wrong-prev"
    WRONG_GENESIS = "wrong-genesis"
    EPOCH_WENT_DOWN = "epoch-went-down"
    MALFORMED = "malformed"
    WRONG_CONTENT = "wrong-content"
    OTHER_CONTROLLER = "other-controller"
    TAIL_MISSING = "tail-missing"
    HISTORY_REWRITTEN = "history-rewritten"
    WRONG_BASE = "wrong-base"
    WRONG_ARCHIVE = "wrong-archive"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True)
class Problem:
    """The first fault of a chain: its kind, its entry, and a message."""

    fault: Fault
    seq: int
    message: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """``entries`` verified before the end or the first problem; ``head`` is the last one of them."""

    entries: int
    head: Head
    problem: Problem | None

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return self.problem is None


def verify_chain(entries: Iterable[Entry], controller_id: str, start: Head | None = None) -> ChainReport:
    """Check entries in the order given, from the genesis or from an already verified ``start``, up to the first problem."""
    walk = ChainWalk(controller_id, start)
    rest = iter(entries)
    for entry in rest:
        problem = walk.step(entry, rest)
        if problem:
            return ChainReport(walk.count, walk.head, problem)
    return ChainReport(walk.count, walk.head, None)


class ChainWalk:
    """Verifies a chain entry by entry, for readers that also process the entries."""

    def __init__(self, controller_id: str, start: Head | None = None) -> None:
        self.count = 0
        begin = start or Head(0, genesis_hash(controller_id), 0)
        self._seq, self._hash, self._epoch = begin.seq, begin.hash, begin.epoch

    @property
    def head(self) -> Head:
        """The last valid entry."""
        return Head(self._seq, self._hash, self._epoch)

    def rewind(self, count: int, head: Head) -> None:
        """Go back to the position after the first ``count`` entries, the last of which is ``head``."""
        self.count = count
        self._seq, self._hash, self._epoch = head.seq, head.hash, head.epoch

    def step(self, entry: Entry, following: Iterable[Entry] = ()) -> Problem | None:
        """Verify the next entry. ``following`` shows whether a missing entry comes later; it may be consumed."""
        seq, epoch, at, kind, body, prev, digest = entry
        expected = self._seq + 1
        if seq != expected:
            return _misplaced(entry, expected, following)
        try:
            true_hash = entry_hash(seq=seq, epoch=epoch, at=at, kind=kind, body=body, prev=prev)
        except (ValueError, struct.error):
            return Problem(Fault.MALFORMED, seq, f"entry {seq} has a field that no entry can have")
        if true_hash != digest:
            return _edited(entry)
        if prev != self._hash:
            return self._unlinked(seq)
        if epoch < self._epoch:
            return Problem(Fault.EPOCH_WENT_DOWN, seq, f"entry {seq} was written under epoch {epoch}, after epoch {self._epoch}")
        self._seq, self._hash, self._epoch = seq, digest, epoch
        self.count += 1
        return None

    def take(self, rows: Sequence[Row]) -> Problem | None:
        """Verify the next rows at once. Each is checked as by ``step``, which names the problem of the first invalid one."""
        good = self._good(rows)
        if good:
            seq, epoch, *_, digest = rows[good - 1]
            self._seq, self._hash, self._epoch = seq, _PREFIX + digest.hex(), epoch
            self.count += good
        rest = map(entry_of, rows[good:])
        return next((problem for entry in rest if (problem := self.step(entry, rest))), None)

    def skip(self, last: Head) -> None:
        """Continue after ``last``: the entries up to it were verified elsewhere, by ``controller.journal.verify_chain``."""
        self.rewind(self.count + last.seq - self._seq, last)

    def _good(self, rows: Sequence[Row]) -> int:
        # A start runs this a million times: names are local, hashes stay bytes, and one call packs all hashed fields.
        # The call would pad a short prev, but prev must equal the hash before it, which is never short.
        sha256, pack, kinds, tag = hashlib.sha256, _HASHED.pack, _kind_digest, _ENTRY_TAG
        expected, last, least = self._seq + 1, bytes.fromhex(self._hash[7:]), self._epoch
        for number, (seq, epoch, at, kind, body, prev, digest) in enumerate(rows):
            if seq != expected or prev != last or epoch < least or at < 0:
                return number
            if sha256(pack(tag, prev, seq, epoch, at, kinds(kind), sha256(body).digest())).digest() != digest:
                return number
            expected, last, least = seq + 1, digest, epoch
        return len(rows)

    def _unlinked(self, seq: int) -> Problem:
        if seq == 1:
            return Problem(Fault.WRONG_GENESIS, 1, "entry 1 does not begin this controller's journal: it belongs to another one")
        return Problem(
            Fault.WRONG_PREV, seq, f"entry {seq} does not follow this entry {seq - 1}: one of them was replaced, with its hash"
        )


def _misplaced(entry: Entry, expected: int, following: Iterable[Entry]) -> Problem:
    if entry.seq < expected:
        return Problem(Fault.REORDERED, entry.seq, f"entry {entry.seq} is at the position of entry {expected}")
    if any(later.seq == expected for later in itertools.islice(following, _LOOK_AHEAD)):
        return Problem(Fault.REORDERED, expected, f"entry {expected} comes after entry {entry.seq}")
    last = entry.seq - 1
    missing = f"entry {expected} is" if last == expected else f"entries {expected} to {last} are"
    return Problem(Fault.GAP, expected, f"{missing} missing")


def _edited(entry: Entry) -> Problem:
    seq = entry.seq
    low, high = max(1, seq - _LOOK_AHEAD), min(_MAX_U63, seq + _LOOK_AHEAD)
    for candidate in range(low, high):
        moved = entry_hash(seq=candidate, epoch=entry.epoch, at=entry.at, kind=entry.kind, body=entry.body, prev=entry.prev)
        if moved == entry.hash:
            return Problem(Fault.REORDERED, seq, f"entry {seq} was written as entry {candidate}")
    return Problem(Fault.EDITED, seq, f"entry {seq} is not what was written: its content does not match its hash")


@lru_cache(maxsize=1024)
def _kind_digest(kind: str) -> bytes:
    return hashlib.sha256(kind.encode()).digest()


def _bad_record(why: str) -> UsageError:
    return UsageError(why, code="bad-record", remedy="Append canonical JSON under a short ASCII kind.")
