"""Snapshots taken while the controller works: when they are due, what they hold, and what a broken one leaves."""

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
from controller.runtime.recovery import snapshot_schedule as keeping
from controller.runtime.recovery.recover import refold
from controller.runtime.recovery.snapshot import FILE_NAME, Snapshot, Snapshots
from controller.runtime.recovery.snapshot_schedule import EVERY_NS, SnapshotSchedule
from policies.stage import Stage
from tests.support.desk import Desk

KEY = generate_key()
AFTER, LEAST = 40, 5


class Running:
    """A controller as its watchers see it: batches, one after another."""

    def __init__(self, directory: Path, desk: Desk) -> None:
        self._left = list(desk.journal)
        self.journal = open_journal(directory / "journal.db", "desk")
        self.memory, self.tree, self.state, self.ns = RecentHistory(), MerkleTree(), State(), 1
        self.snapshots = Snapshots(directory, KEY)
        self.keeper = SnapshotSchedule(self.snapshots, self.memory, lambda: self.tree, since=0)

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
        self.memory.carried(batch)
        self.keeper.carried(batch)

    def kept(self) -> Snapshot | None:
        return self.snapshots.load(self.journal.hash_at)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


@pytest.fixture
def running(tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(keeping, "SAVE_AFTER", AFTER)
    monkeypatch.setattr(keeping, "_AT_LEAST", LEAST)
    running = Running(tmp_path, desk)
    yield running
    running.journal.close()


@asynccontextmanager
async def at_work(running: Running) -> AsyncIterator[None]:
    task = asyncio.create_task(running.keeper.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0.001)


async def snapshot_of(running: Running, after: int = 0) -> Snapshot:
    await until(lambda: (found := running.kept()) is not None and found.seq > after)
    found = running.kept()
    assert found is not None
    return found


async def test_no_snapshot_is_taken_before_one_is_due(running: Running) -> None:
    async with at_work(running):
        running.write(AFTER - 1)
        await asyncio.sleep(0.02)
    assert running.kept() is None


async def test_one_is_taken_once_enough_was_written(running: Running) -> None:
    async with at_work(running):
        running.write(AFTER)
        assert (await snapshot_of(running)).state == running.state


async def test_one_is_taken_in_time_when_little_was_written(running: Running) -> None:
    async with at_work(running):
        running.write(LEAST)
        running.write(1, later_ns=EVERY_NS)
        assert (await snapshot_of(running)).seq == LEAST + 1


async def test_what_is_written_meanwhile_is_folded_on_top_of_it(running: Running) -> None:
    async with at_work(running):
        running.write(AFTER)
        await until(lambda: running.snapshots._saving.locked() or running.kept() is not None)
        running.write(3)
        found = await snapshot_of(running)
    assert (found.seq, found.state.seq, found.tree.size) == (AFTER, AFTER, AFTER)
    seen: list[int] = []
    state, folded = refold(running.journal, RecentHistory(), lambda entry: seen.append(entry.seq), found)
    assert (state, folded, seen) == (running.state, 3, [AFTER + 1, AFTER + 2, AFTER + 3])


async def test_the_next_one_waits_in_proportion_to_what_the_last_one_took(running: Running) -> None:
    async with at_work(running):
        running.write(AFTER)
        first = await snapshot_of(running)
        await until(lambda: not running.keeper._due.is_set())
        running.write(AFTER)
        await asyncio.sleep(0.02)
        again = running.kept()
        assert again is not None
        assert again.seq == first.seq
        running.write(1, later_ns=EVERY_NS)
        assert (await snapshot_of(running, first.seq)).seq == 2 * AFTER + 1


def test_a_run_that_wrote_much_ends_with_one(running: Running) -> None:
    running.write(AFTER)
    running.keeper.finish()
    found = running.kept()
    assert found is not None
    assert found.state == running.state


def test_a_run_that_wrote_little_ends_without(running: Running) -> None:
    running.write(AFTER - 1)
    running.keeper.finish()
    assert running.kept() is None


def test_one_that_breaks_off_leaves_the_one_before(running: Running, tmp_path: Path) -> None:
    running.write(AFTER)
    running.keeper.finish()
    before = (tmp_path / FILE_NAME).read_bytes()
    running.write(AFTER)
    written = 0

    def full_disk() -> None:
        nonlocal written
        written += 1
        if written == 10:
            raise OSError("no space left on device")

    saved = running.snapshots.save(running.state, running.journal.head, running.memory.kept(), running.tree, full_disk)
    assert (saved, written) == (False, 10)
    assert (tmp_path / FILE_NAME).read_bytes() == before
    found = running.kept()
    assert found is not None
    assert found.seq == AFTER


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.9, 0.999])
def test_one_of_which_only_the_beginning_reached_the_disk_is_not_used(running: Running, tmp_path: Path, share: float) -> None:
    running.write(AFTER)
    running.keeper.finish()
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole[: int(len(whole) * share)])
    assert running.kept() is None
    assert not (tmp_path / FILE_NAME).exists()
