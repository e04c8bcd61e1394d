"""The journal after a crash at every disk operation: no acknowledged entry is lost, and no other entry appears."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest

from controller.journal.chain import Entry, Record, verify_chain
from controller.journal.port import JournalError
from controller.journal.sqlite import open_journal
from exchange.model import Millis
from policies import canonical
from tests.support.counting import Counted
from tests.support.proofs import proven, sizes
from tests.support.recorded_disk import Crashes, Image, Kind, Operation, RecordedDisk, recording

OWNER = "desk-1"
FILE = "journal.db"


@pytest.fixture
def quick() -> Iterator[Path]:
    """A directory in shared_memory, where a sync is free; only the recorded disk says what is durable."""
    shared_memory = Path("/dev/shm")
    with TemporaryDirectory(dir=shared_memory if os.access(shared_memory, os.W_OK) else None) as directory:
        yield Path(directory)


class Workload:
    """What was appended to a journal, and after how many disk operations each append was acknowledged."""

    def __init__(self, disk: RecordedDisk) -> None:
        self.disk = disk
        self.written: list[str] = []
        self.acknowledged: list[tuple[int, int]] = []
        self.epochs: list[tuple[int, int]] = []

    def run(self, path: Path, openings: int, appends: int) -> None:
        for opening in range(openings):
            journal = open_journal(path, OWNER)
            self.epochs.append((len(self.disk.log), journal.epoch))
            try:
                for number in range(opening * appends + 1, (opening + 1) * appends + 1):
                    records = [body(number, part) for part in range(1 + number % 3)]
                    self.written += [entry.hash for entry in journal.append(records, Millis(number))]
                    self.acknowledged.append((len(self.disk.log), len(self.written)))
            finally:
                journal.close()

    def acknowledged_after(self, operations: int) -> list[str]:
        return self.written[: max((entries for when, entries in self.acknowledged if when <= operations), default=0)]

    def epoch_after(self, operations: int) -> int:
        return max((epoch for when, epoch in self.epochs if when <= operations), default=0)


def body(number: int, part: int) -> Record:
    return Record("Noted", canonical.encode({"number": number, "part": part, "text": "x" * (number * 977 % 6000)}))


def reopened(path: Path) -> tuple[int, list[Entry]]:
    """Open a journal as a restarted controller does and append to it. Returns its epoch and the entries it held."""
    journal = open_journal(path, OWNER)
    try:
        entries = list(journal.read())
        assert verify_chain(entries, OWNER).problem is None
        assert journal.integrity() == ()
        journal.append([Record("Noted", b"1")], Millis(1))
        assert verify_chain(journal.read(), OWNER).entries == len(entries) + 1
        return journal.epoch, entries
    finally:
        journal.close()


def rebuilt(directory: Path, image: Image) -> Path:
    for left in directory.iterdir():
        left.unlink()
    for name, data in image.items():
        (directory / name).write_bytes(data)
    return directory / FILE


@pytest.mark.parametrize("every", sizes(short=20, long=1))
def test_a_crash_at_any_operation_keeps_each_acknowledged_entry_once(quick: Path, every: int, counted: Counted) -> None:
    first, second = quick / "lived", quick / "rebuilt"
    first.mkdir()
    second.mkdir()
    with recording() as disk:
        workload = Workload(disk)
        workload.run(first / FILE, openings=3, appends=10)
    crashes, states = Crashes(random.Random(20261122)), Counter[str]()
    for done, operation in enumerate(disk.log, start=1):
        crashes.step(operation)
        for name, image in () if done % every else crashes.states():
            epoch, entries = reopened(rebuilt(second, image))
            found = [entry.hash for entry in entries]
            assert found[: len(workload.acknowledged_after(done))] == workload.acknowledged_after(done), (done, name)
            assert found == workload.written[: len(found)], (done, name)
            assert epoch > workload.epoch_after(done), (done, name)
            states[name] += 1
    kinds = Counter(operation.kind for operation in disk.log)
    assert min(kinds[kind] for kind in Kind) > 0
    assert any(operation.kind is Kind.SYNC and operation.file == FILE for operation in disk.log)
    assert sum(states.values()) > 900 / every
    counted("crash states", sum(states.values()))


FAULTS = {
    "a sync fails (EIO)": (Kind.SYNC, apsw.SQLITE_IOERR_FSYNC),
    "a write fails (EIO)": (Kind.WRITE, apsw.SQLITE_IOERR_WRITE),
    "the disk is full (ENOSPC)": (Kind.WRITE, apsw.SQLITE_FULL),
    "the disk has become read-only (EROFS)": (Kind.WRITE, apsw.SQLITE_READONLY),
    "a truncation fails (EIO)": (Kind.TRUNCATE, apsw.SQLITE_IOERR_TRUNCATE),
}


class Failing:
    """The operation number ``fails_at`` of a kind fails: once, or that one and all later ones."""

    def __init__(self, kind: Kind, code: int, fails_at: int, *, for_good: bool) -> None:
        self._kind, self._code, self._fails_at, self._for_good = kind, code, fails_at, for_good
        self._operations = 0

    @property
    def fired(self) -> bool:
        return self._operations >= self._fails_at

    def __call__(self, operation: Operation) -> None:
        self._operations += operation.kind is self._kind
        if operation.kind is self._kind and (self._operations == self._fails_at or (self._for_good and self.fired)):
            raise apsw.exception_for(self._code)


# SQLite ignores some errors, such as a failed checkpoint on close; apsw can report these only as unraisable.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("fault", proven({fault: fault for fault in FAULTS}, short=["a sync fails (EIO)"]))
def test_a_disk_that_fails_at_any_operation_loses_no_acknowledged_entry(
    quick: Path, fault: str, for_good: bool, counted: Counted
) -> None:
    kind, code = FAULTS[fault]
    refused = points = 0
    fired = True
    while fired:
        directory = quick / str(points)
        directory.mkdir()
        with recording() as disk:
            disk.fail = failing = Failing(kind, code, points + 1, for_good=for_good)
            workload = Workload(disk)
            try:
                workload.run(directory / FILE, openings=2, appends=5)
            except JournalError:
                refused += 1
        fired = failing.fired
        points += fired
        found = [entry.hash for entry in reopened(directory / FILE)[1]]
        assert found[: len(workload.written)] == workload.written, points
    assert points > 0
    assert 0 < refused <= points
    counted("failing disks", points, kind=f"{fault} {for_good}")


def test_a_file_that_another_program_has_locked_is_refused_and_unharmed(tmp_path: Path) -> None:
    path = tmp_path / FILE
    open_journal(path, OWNER).close()
    foreign = apsw.Connection(str(path))
    foreign.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    foreign.execute("BEGIN EXCLUSIVE; UPDATE controller SET epoch = epoch + 1")
    with pytest.raises(JournalError) as refused:
        open_journal(path, OWNER)
    assert refused.value.code == "journal-unusable"
    foreign.close()
    assert reopened(path)[1] == []
