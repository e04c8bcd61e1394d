"""The journal after a crash at every point of its disk's life: no promised entry is lost, no other is there."""

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
    """A directory where syncing costs nothing: what is durable is what the recorded disk says."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        yield Path(directory)


class Life:
    """What was asked of a journal, and after how many of the disk's operations it was promised."""

    def __init__(self, disk: RecordedDisk) -> None:
        self.disk = disk
        self.written: list[str] = []
        self.promised: list[tuple[int, int]] = []
        self.epochs: list[tuple[int, int]] = []

    def run(self, path: Path, openings: int, appends: int) -> None:
        for opening in range(openings):
            journal = open_journal(path, OWNER)
            self.epochs.append((len(self.disk.log), journal.epoch))
            try:
                for number in range(opening * appends + 1, (opening + 1) * appends + 1):
                    records = [body(number, part) for part in range(1 + number % 3)]
                    self.written += [entry.hash for entry in journal.append(records, Millis(number))]
                    self.promised.append((len(self.disk.log), len(self.written)))
            finally:
                journal.close()

    def promised_after(self, operations: int) -> list[str]:
        return self.written[: max((entries for when, entries in self.promised if when <= operations), default=0)]

    def epoch_after(self, operations: int) -> int:
        return max((epoch for when, epoch in self.epochs if when <= operations), default=0)


def body(number: int, part: int) -> Record:
    return Record("Noted", canonical.encode({"number": number, "part": part, "text": "x" * (number * 977 % 6000)}))


def reopened(path: Path) -> tuple[int, list[Entry]]:
    """Open a journal as a restarted controller does, go on with it, and give back its epoch and what it held."""
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
def test_after_a_crash_at_any_point_all_that_was_promised_is_there_once(quick: Path, every: int, counted: Counted) -> None:
    first, second = quick / "lived", quick / "rebuilt"
    first.mkdir()
    second.mkdir()
    with recording() as disk:
        life = Life(disk)
        life.run(first / FILE, openings=3, appends=10)
    crashes, states = Crashes(random.Random(20261122)), Counter[str]()
    for done, operation in enumerate(disk.log, start=1):
        crashes.step(operation)
        for name, image in () if done % every else crashes.states():
            epoch, entries = reopened(rebuilt(second, image))
            found = [entry.hash for entry in entries]
            assert found[: len(life.promised_after(done))] == life.promised_after(done), (done, name)
            assert found == life.written[: len(found)], (done, name)
            assert epoch > life.epoch_after(done), (done, name)
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
    """The ``nth`` operation of a kind fails, once or from then on."""

    def __init__(self, kind: Kind, code: int, nth: int, *, for_good: bool) -> None:
        self._kind, self._code, self._nth, self._for_good = kind, code, nth, for_good
        self._seen = 0

    @property
    def fired(self) -> bool:
        return self._seen >= self._nth

    def __call__(self, operation: Operation) -> None:
        self._seen += operation.kind is self._kind
        if operation.kind is self._kind and (self._seen == self._nth or (self._for_good and self.fired)):
            raise apsw.exception_for(self._code)


# What SQLite itself ignores, as when the last checkpoint of a closing file fails, apsw can only report as unraisable.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("fault", proven({fault: fault for fault in FAULTS}, short=["a sync fails (EIO)"]))
def test_a_disk_that_fails_at_any_point_stops_the_writer_and_costs_nothing_promised(
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
            life = Life(disk)
            try:
                life.run(directory / FILE, openings=2, appends=5)
            except JournalError:
                refused += 1
        fired = failing.fired
        points += fired
        found = [entry.hash for entry in reopened(directory / FILE)[1]]
        assert found[: len(life.written)] == life.written, points
    assert points > 0
    assert 0 < refused <= points
    counted("failing disks", points, kind=f"{fault} {for_good}")


def test_a_file_that_another_program_has_locked_is_not_opened_and_is_whole_afterwards(tmp_path: Path) -> None:
    path = tmp_path / FILE
    open_journal(path, OWNER).close()
    rival = apsw.Connection(str(path))
    rival.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    rival.execute("BEGIN EXCLUSIVE; UPDATE controller SET epoch = epoch + 1")
    with pytest.raises(JournalError) as refused:
        open_journal(path, OWNER)
    assert refused.value.code == "journal-unusable"
    rival.close()
    assert reopened(path)[1] == []
