"""A disk that records every write, truncation, sync and deletion, and rebuilds what a crash at any of them could leave.

``tests/crash/test_journal_crash_points.py`` uses it. Sectors are 512 bytes and are written whole or not at all. Synced data stays;
of other data a power loss may leave any part. SQLite needs ``locking_mode=EXCLUSIVE`` here, because a VFS of apsw has no shared
memory; what SQLite writes and syncs is the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import count
from pathlib import Path

import apsw

SECTOR = 512
NAME = "recorded"
_EVERY_FEW_PAGES = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA wal_autocheckpoint = 12"


class Kind(Enum):
    """What was asked of the disk."""

    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Operation:
    """``file`` is a name without its directory; ``at`` is an offset, a truncated file's size, or whether a deletion is synced."""

    kind: Kind
    file: str
    at: int = 0
    data: bytes = b""


Image = dict[str, bytes]


class RecordedDisk(apsw.VFS):
    """``fail`` is asked before each operation and may raise in its place."""

    def __init__(self) -> None:
        super().__init__(NAME, "unix")
        self.log: list[Operation] = []
        self.fail: Callable[[Operation], None] = lambda operation: None

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.record(Operation(Kind.DELETE, Path(filename).name, int(syncdir)))
        super().xDelete(filename, syncdir)

    def record(self, operation: Operation) -> None:
        self.fail(operation)
        self.log.append(operation)


class _RecordedFile(apsw.VFSFile):
    def __init__(self, disk: RecordedDisk, name: object, flags: list[int]) -> None:
        super().__init__("unix", name, flags)  # type: ignore[arg-type]
        self._disk = disk
        self._name = Path(name if isinstance(name, str) else name.filename()).name  # type: ignore[attr-defined]

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.record(Operation(Kind.WRITE, self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.record(Operation(Kind.TRUNCATE, self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.record(Operation(Kind.SYNC, self._name))
        super().xSync(flags)


@contextmanager
def recording() -> Iterator[RecordedDisk]:
    """While this runs, every new SQLite connection uses a recorded disk."""
    before, disk = apsw.vfs_names()[0], RecordedDisk()
    apsw.set_default_vfs(NAME)

    def hook(connection: apsw.Connection) -> None:
        connection.execute(_EVERY_FEW_PAGES).fetchall()

    apsw.connection_hooks.append(hook)
    try:
        yield disk
    finally:
        apsw.connection_hooks.remove(hook)
        apsw.set_default_vfs(before)
        disk.unregister()


@dataclass
class Crashes:
    """Replays a log, and gives after each operation the images that a crash could leave."""

    chance: random.Random
    _durable: dict[str, bytearray] = field(default_factory=dict)
    _pending: dict[str, list[Operation]] = field(default_factory=dict)
    _deleted: Image = field(default_factory=dict)

    def step(self, operation: Operation) -> None:
        """Apply one operation to the disk's cache."""
        name = operation.file
        if operation.kind is Kind.SYNC:
            if name not in self._durable:
                self._deleted.clear()  # with a new file SQLite syncs its directory too
            self._durable[name] = self._image(name, lambda _: True)
            self._pending[name] = []
        elif operation.kind is Kind.DELETE:
            gone = bytes(self._durable.pop(name, b""))
            self._pending.pop(name, None)
            if not operation.at:
                self._deleted[name] = gone
        else:
            self._pending.setdefault(name, []).append(operation)

    def states(self) -> Iterator[tuple[str, Image]]:
        """The images that a crash now may leave, each with its name."""
        names = sorted(self._durable.keys() | self._pending.keys())
        yield "kill -9", {name: bytes(self._image(name, lambda _: True)) for name in names}
        if self._deleted:
            yield (
                "power loss, a deletion undone",
                {**self._deleted, **{name: bytes(self._durable.get(name, b"")) for name in names}},
            )
        dirty = [name for name in names if self._pending.get(name)]
        if not dirty:
            return
        yield "power loss, all lost", {name: bytes(self._durable.get(name, b"")) for name in names}
        for kept in dirty if len(dirty) > 1 else ():
            lands = {name: name == kept for name in names}
            yield f"power loss, only {kept} kept", {name: bytes(self._image(name, partial(_all, lands[name]))) for name in names}
        yield "power loss, the last write torn", {name: bytes(self._torn(name)) for name in names}
        for _ in range(2):
            yield (
                "power loss, sectors scattered",
                {name: bytes(self._image(name, lambda _: self.chance.random() < 0.5)) for name in names},
            )

    def _image(self, name: str, lands: Callable[[int], bool]) -> bytearray:
        image, sectors = bytearray(self._durable.get(name, b"")), count()
        for operation in self._pending.get(name, ()):
            if operation.kind is Kind.TRUNCATE:
                if lands(next(sectors)):
                    del image[operation.at :]
                    image.extend(bytes(operation.at - len(image)))
                continue
            for at, part in _sectors(operation):
                if lands(next(sectors)):
                    _put(image, at, part)
        return image

    def _torn(self, name: str) -> bytearray:
        pending = self._pending.get(name, [])
        whole = sum(len(_sectors(one)) if one.kind is Kind.WRITE else 1 for one in pending[:-1])
        last = len(_sectors(pending[-1])) if pending and pending[-1].kind is Kind.WRITE else 1
        until = whole + self.chance.randrange(last)
        return self._image(name, lambda sector: sector < until)


def _all(lands: bool, _: int) -> bool:
    return lands


def _sectors(operation: Operation) -> list[tuple[int, bytes]]:
    """The parts of a write, cut at the disk's sector boundaries."""
    parts, at, data = [], operation.at, operation.data
    while data:
        size = SECTOR - at % SECTOR
        parts.append((at, data[:size]))
        at, data = at + len(data[:size]), data[size:]
    return parts


def _put(image: bytearray, at: int, part: bytes) -> None:
    if len(image) < at:
        image.extend(bytes(at - len(image)))
    image[at : at + len(part)] = part
