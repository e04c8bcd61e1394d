"""Snapshots while the controller runs: when they are due, what they hold, and what a failed one leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from controller.authority.keys import generate_key
from controller.core import event_codec
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import Record
from controller.journal.merkle import MerkleTree
from controller.journal.sqlite import open_journal
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.loop.writer import CommittedBatch
from controller.runtime.recovery import snapshot_schedule as module
from controller.runtime.recovery.recover import refold
from controller.runtime.recovery.snapshot import FILE_NAME, Snapshot, Snapshots
from controller.runtime.recovery.snapshot_schedule import EVERY_NS, SnapshotSchedule
from policies.stage import Stage
from tests.support.desk import Desk

KEY = generate_key()
AFTER, MIN_ENTRIES = 40, 5


class Running:
    """A controller as its followers see it: one batch after another."""

    def __init__(self, directory: Path, desk: Desk) -> None:
        self._left = list(desk.journal)
        self.journal = open_journal(directory / "journal.db", "desk")
        self.history, self.tree, self.state, self.ns = RecentHistory(), MerkleTree(), State(), 1
        self.snapshots = Snapshots(directory, KEY)
        self.schedule = SnapshotSchedule(self.snapshots, self.history, lambda: self.tree, last_seq=0)

    def write(self, count: int, *, later_ns: int = 1) -> None:
        """One batch of the deployment's real events."""
        taken, self._left = self._left[:count], self._left[count:]
        at = taken[-1][1]
        entries = self.journal.append([Record(event.kind, event_codec.encode(event)) for event, _ in taken], at)
        for entry, (event, _) in zip(entries, taken, strict=True):
            self.state = apply(self.state, event, entry.at)
            self.tree.append(entry.hash)
        self.ns += later_ns
        batch = CommittedBatch(tuple(zip(entries, (event for event, _ in taken), strict=True)), self.state, 0, 0, self.ns)
        self.history.on_batch(batch)
        self.schedule.on_batch(batch)

    def load(self) -> Snapshot | None:
        return self.snapshots.load(self.journal.hash_at)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


@pytest.fixture
def running(tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(module, "SAVE_AFTER", AFTER)
    monkeypatch.setattr(module, "_MIN_ENTRIES", MIN_ENTRIES)
    running = Running(tmp_path, desk)
    yield running
    running.journal.close()


@asynccontextmanager
async def at_work(running: Running) -> AsyncIterator[None]:
    task = asyncio.create_task(running.schedule.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 - a thread does it
            await asyncio.sleep(0.001)


async def snapshot_of(running: Running, after: int = 0) -> Snapshot:
    await until(lambda: (found := running.load()) is not None and found.seq > after)
    found = running.load()
    assert found is not None
    return found


async def test_no_snapshot_is_taken_before_one_is_due(running: Running) -> None:
    async with at_work(running):
        running.write(AFTER - 1)
        await asyncio.sleep(0.02)
    assert running.load() is None


async def test_a_snapshot_is_taken_once_enough_was_written(running: Running) -> None:
    async with at_work(running):
        running.write(AFTER)
        assert (await snapshot_of(running)).state == running.state


async def test_a_snapshot_is_taken_after_15_minutes_when_little_was_written(running: Running) -> None:
    async with at_work(running):
        running.write(MIN_ENTRIES)
        running.write(1, later_ns=EVERY_NS)
        assert (await snapshot_of(running)).seq == MIN_ENTRIES + 1


async def test_entries_written_meanwhile_are_folded_on_top_of_a_snapshot(running: Running) -> None:
    async with at_work(running):
        running.write(AFTER)
        await until(lambda: running.snapshots._saving.locked() or running.load() is not None)
        running.write(3)
        found = await snapshot_of(running)
    assert (found.seq, found.state.seq, found.tree.size) == (AFTER, AFTER, AFTER)
    seqs: list[int] = []
    state, folded = refold(running.journal, RecentHistory(), lambda entry: seqs.append(entry.seq), found)
    assert (state, folded, seqs) == (running.state, 3, [AFTER + 1, AFTER + 2, AFTER + 3])


async def test_the_next_snapshot_waits_in_proportion_to_the_last_duration(running: Running) -> None:
    async with at_work(running):
        running.write(AFTER)
        first = await snapshot_of(running)
        await until(lambda: not running.schedule._due.is_set())
        running.write(AFTER)
        await asyncio.sleep(0.02)
        again = running.load()
        assert again is not None
        assert again.seq == first.seq
        running.write(1, later_ns=EVERY_NS)
        assert (await snapshot_of(running, first.seq)).seq == 2 * AFTER + 1


def test_a_run_that_wrote_much_ends_with_a_snapshot(running: Running) -> None:
    running.write(AFTER)
    running.schedule.finish()
    found = running.load()
    assert found is not None
    assert found.state == running.state


def test_a_run_that_wrote_little_ends_without_a_snapshot(running: Running) -> None:
    running.write(AFTER - 1)
    running.schedule.finish()
    assert running.load() is None


def test_a_snapshot_that_fails_leaves_the_one_before_it(running: Running, tmp_path: Path) -> None:
    running.write(AFTER)
    running.schedule.finish()
    before = (tmp_path / FILE_NAME).read_bytes()
    running.write(AFTER)
    written = 0

    def full_disk() -> None:
        nonlocal written
        written += 1
        if written == 10:
            raise OSError("no space left on device")

    saved = running.snapshots.save(running.state, running.journal.head, running.history.saved(), running.tree, full_disk)
    assert (saved, written) == (False, 10)
    assert (tmp_path / FILE_NAME).read_bytes() == before
    found = running.load()
    assert found is not None
    assert found.seq == AFTER


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_snapshot_is_not_used(running: Running, tmp_path: Path, share: float) -> None:
    running.write(AFTER)
    running.schedule.finish()
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole[: int(len(whole) * share)])
    assert running.load() is None
    assert not (tmp_path / FILE_NAME).exists()
