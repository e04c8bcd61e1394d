"""The disk reserve: when it alerts, when it latches, and that the reserve file is freed once."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from controller.core.causes import Cause
from controller.core.effects import Alert, AlertKind
from controller.core.lifecycle import Position
from controller.journal.chain import Record
from controller.journal.port import JournalWriteFailed
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.runtime.followers import disk_space as module
from controller.runtime.followers.disk_space import LOW_BYTES, DiskReserve, ReserveFile
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import CommittedBatch
from exchange.model import Millis
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import Desk
from tests.support.shell import SetClock, Shell, tick

MIB = 1 << 20
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def reserve(tmp_path: Path) -> ReserveFile:
    made = ReserveFile(tmp_path / "reserve", 2 * MIB)
    assert made.make() == ""
    return made


def full(times: int) -> Callable[..., None]:
    """A transaction that finds the disk full the first ``times`` times."""
    left = [times]
    transact = SqliteJournal._transact

    def refuse(self: SqliteJournal, entries: list[object]) -> None:
        if left[0]:
            left[0] -= 1
            raise apsw.FullError("database or disk is full")
        transact(self, entries)  # type: ignore[arg-type]

    return refuse


def test_the_reserve_file_occupies_its_blocks_and_is_freed_once(tmp_path: Path, reserve: ReserveFile) -> None:
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 2 * MIB
    assert reserve.make() == ""
    assert (reserve.release(), reserve.release()) == (True, False)
    assert not (tmp_path / "reserve").exists()


def test_a_reserve_that_cannot_be_created_returns_why_and_leaves_no_file(tmp_path: Path) -> None:
    huge = ReserveFile(tmp_path / "reserve", 1 << 62)
    assert "could not be set aside" in huge.make()
    assert not (tmp_path / "reserve").exists()
    assert not huge.release()


def test_an_append_on_a_full_disk_frees_the_reserve_and_tries_once_more(
    tmp_path: Path, reserve: ReserveFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal(tmp_path / "journal.db", "desk")
    journal.release_reserve = reserve.release
    monkeypatch.setattr(SqliteJournal, "_transact", full(1))
    assert journal.append([Record("Noted", b"1")], Millis(1))[0].seq == 1
    monkeypatch.setattr(SqliteJournal, "_transact", full(1))
    with pytest.raises(JournalWriteFailed):
        journal.append([Record("Noted", b"1")], Millis(2))
    journal.close()


async def test_the_batch_that_freed_the_reserve_places_nothing_and_halts(
    tmp_path: Path, reserve: ReserveFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(Desk().walk_to(Stage.TESTNET_VALIDATING), tmp_path / "journal.db")
    shell.journal.release_reserve = reserve.release
    disk_reserve = DiskReserve(reserve, tmp_path, shell.permits, shell.inbox, shell.clock, lambda alert: None)
    shell.writer.add_follower(disk_reserve.on_batch)
    live_when_performed: list[bool] = []
    shell.on_perform = lambda effect: live_when_performed.append(shell.permits.current().is_live())
    monkeypatch.setattr(SqliteJournal, "_transact", full(1))
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert live_when_performed == [False]
    await shell.step()
    state = shell.writer.state
    assert (state.position.stage, state.halt_cause, reserve.released in state.halt_reason) == (Stage.HALTED, Cause.JOURNAL, True)
    shell.inbox.fact(tick(shell), 0)
    await shell.step()
    assert shell.writer.failed_because == ""


@pytest.mark.parametrize("size", [2 * MIB, 1 << 62])
async def test_a_resume_creates_the_reserve_again_or_halts_again(tmp_path: Path, size: int) -> None:
    reserve, desk = ReserveFile(tmp_path / "reserve", size), Desk().walk_to(Stage.TESTNET_VALIDATING)
    (tmp_path / "reserve").touch()
    assert reserve.release()
    clock, inbox = SetClock(Millis(1)), Inbox()
    permits = PermitOffice(clock, 1)
    disk_reserve = DiskReserve(reserve, tmp_path, permits, inbox, clock, lambda alert: None)
    halted = replace(desk.state, position=Position(Stage.HALTED))
    disk_reserve.on_batch(CommittedBatch((), desk.state, 0, 0, 0))
    assert len(await inbox.take(8)) == 1
    disk_reserve.on_batch(CommittedBatch((), halted, 0, 0, 0))
    permits.unlatch()
    disk_reserve.on_batch(CommittedBatch((), desk.state, 0, 0, 0))
    fits = size < 1 << 62
    assert (tmp_path / "reserve").exists() is fits
    assert (permits.latched_because == "", len(inbox.take_stops())) == (fits, 0 if fits else 1)
    assert reserve.release() is fits


def test_a_low_disk_alerts_once_and_again_after_it_recovered(
    tmp_path: Path, reserve: ReserveFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts: list[Alert] = []
    clock = SetClock(Millis(1))
    disk_reserve = DiskReserve(reserve, tmp_path, PermitOffice(clock, 1), None, clock, alerts.append)  # type: ignore[arg-type]
    total = 20 * LOW_BYTES
    for free, expected in ((total, 0), (LOW_BYTES, 0), (LOW_BYTES - 1, 1), (5 * MIB, 1), (total, 1), (MIB, 2)):
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _, free=free: Usage(total, total - free, free))
        disk_reserve.check()
        assert len(alerts) == expected, free
    assert {alert.kind for alert in alerts} == {AlertKind.DISK}
    assert "1 MiB, 0 %" in alerts[-1].detail


def test_a_disk_with_room_again_clears_the_alert_once(
    tmp_path: Path, reserve: ReserveFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    clock, total = SetClock(Millis(1)), 20 * LOW_BYTES
    office = PermitOffice(clock, 1)
    disk_reserve = DiskReserve(
        reserve,
        tmp_path,
        office,
        None,
        clock,
        lambda _: None,
        lambda _, title, __: ended.append(title),  # type: ignore[arg-type]
    )
    for free, expected in ((MIB, 0), (total, 1), (total, 1), (MIB, 1), (total, 2)):
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _, free=free: Usage(total, total - free, free))
        disk_reserve.check()
        assert len(ended) == expected, free


def test_a_small_disk_with_a_large_free_share_is_not_low(
    tmp_path: Path, reserve: ReserveFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts: list[Alert] = []
    clock = SetClock(Millis(1))
    disk_reserve = DiskReserve(reserve, tmp_path, PermitOffice(clock, 1), None, clock, alerts.append)  # type: ignore[arg-type]
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage(100 * MIB, 80 * MIB, 20 * MIB))
    disk_reserve.check()
    assert alerts == []
