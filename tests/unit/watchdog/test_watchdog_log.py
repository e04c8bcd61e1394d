"""The watchdog's own log: what is altered is found, what is half written is dropped, and a broken disk keeps nobody waiting."""

import asyncio
import os
from pathlib import Path

import pytest

from controller.watchdog.lease import Kind, Note, Targets
from controller.watchdog.log import LOG_FILE, WatchdogLog, first_head, is_locked, settled, verify_lines
from exchange.errors import IntegrityError, Refused
from exchange.model import Millis
from exchange.ports import VenueName

NAME, NOW = "desk", Millis(9_000)
PLACES: Targets = ((VenueName.TESTNET, ("BTCUSDT", "ETHUSDT")),)
NOTES = (Note(Kind.WATCHING, "one", PLACES, 4), Note(Kind.FIRED, "silent", PLACES, 4), Note(Kind.EMPTY, "nothing left", PLACES, 4))


def write(folder: Path, *notes: Note) -> list[str]:
    """A log with these entries, as lines."""
    log = WatchdogLog(folder, NAME, NOW)
    for number, note in enumerate(notes):
        log.append(note, Millis(1_000 + number)).result(5)
    log.close()
    return (folder / LOG_FILE).read_text().splitlines()


def test_a_log_that_nobody_touched_verifies_and_tells_that_it_fired(tmp_path: Path) -> None:
    report = verify_lines(write(tmp_path, *NOTES), NAME, first_head(NAME))
    assert (report.entries, report.fired_seq, report.reason, report.broken) == (3, 2, "silent", "")


def test_the_log_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    write(tmp_path, *NOTES)
    assert (tmp_path / LOG_FILE).stat().st_mode & 0o777 == 0o600


def test_a_new_process_goes_on_from_the_last_entry(tmp_path: Path) -> None:
    write(tmp_path, *NOTES[:2])
    log = WatchdogLog(tmp_path, NAME, NOW)
    assert log.last_move() == (Kind.FIRED, PLACES, 4)
    assert log.fired_seq == 2
    log.append(NOTES[2], Millis(2_000)).result(5)
    log.close()
    assert verify_lines((tmp_path / LOG_FILE).read_text().splitlines(), NAME, first_head(NAME)).entries == 3


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda lines: [lines[0], lines[1].replace("silent", "fine__"), lines[2]], id="edited"),
        pytest.param(lambda lines: [lines[0], lines[2]], id="one left out"),
        pytest.param(lambda lines: lines[1:], id="the first left out"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1]], id="reordered"),
        pytest.param(lambda lines: [*lines, "{}"], id="no entry"),
        pytest.param(lambda lines: [*lines, lines[-1]], id="repeated"),
    ],
)
def test_an_altered_log_does_not_verify(tmp_path: Path, alter: object) -> None:
    lines = write(tmp_path, *NOTES)
    with pytest.raises(IntegrityError):
        verify_lines(alter(lines), NAME, first_head(NAME))  # type: ignore[operator]


def test_a_log_of_another_deployment_does_not_verify(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        verify_lines(write(tmp_path, *NOTES), "other", first_head("other"))


def test_a_process_on_an_altered_log_keeps_it_and_begins_one_that_says_so(tmp_path: Path) -> None:
    lines = write(tmp_path, *NOTES)
    (tmp_path / LOG_FILE).write_text("\n".join([lines[0], lines[2]]) + "\n")
    log = WatchdogLog(tmp_path, NAME, NOW)
    report = verify_lines(log.lines_after(0, 10), NAME, first_head(NAME))
    log.close()
    assert "entry 2 is missing" in report.broken
    assert (tmp_path / f"{LOG_FILE}.broken-9000").read_text().splitlines() == [lines[0], lines[2]]


def test_a_process_on_an_altered_log_goes_on_with_what_can_be_read(tmp_path: Path) -> None:
    lines = write(tmp_path, *NOTES[:2])
    (tmp_path / LOG_FILE).write_text("\n".join([lines[1], "rubbish"]) + "\n")
    log = WatchdogLog(tmp_path, NAME, NOW)
    assert log.last_move() == (Kind.FIRED, PLACES, 4)
    log.close()


def test_a_half_written_last_line_is_dropped(tmp_path: Path) -> None:
    lines = write(tmp_path, *NOTES)
    (tmp_path / LOG_FILE).write_text("\n".join(lines) + "\n" + lines[0] * 20)
    log = WatchdogLog(tmp_path, NAME, NOW)
    log.append(Note(Kind.RELEASED, "again", PLACES, 4), Millis(5_000)).result(5)
    log.close()
    assert verify_lines((tmp_path / LOG_FILE).read_text().splitlines(), NAME, first_head(NAME)).entries == 4


def test_only_one_watchdog_writes_the_log(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    log = WatchdogLog(tmp_path, NAME, NOW)
    assert is_locked(tmp_path)
    with pytest.raises(Refused):
        WatchdogLog(tmp_path, NAME, NOW)
    log.close()
    assert not is_locked(tmp_path)


async def test_a_full_disk_delays_nothing_and_what_it_refused_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = WatchdogLog(tmp_path, NAME, NOW)
    real = os.pwrite

    def half(handle: int, data: bytes, at: int) -> int:
        real(handle, data[: len(data) // 2], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    assert not await settled(log.append(NOTES[0], Millis(1)), 5)
    monkeypatch.setattr(os, "pwrite", real)
    assert await settled(log.append(NOTES[1], Millis(2)), 5)
    log.close()
    assert verify_lines((tmp_path / LOG_FILE).read_text().splitlines(), NAME, first_head(NAME)).entries == 2


async def test_a_hung_disk_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, released = WatchdogLog(tmp_path, NAME, NOW), asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(os, "fsync", lambda _: asyncio.run_coroutine_threadsafe(released.wait(), loop).result())
    assert not await settled(log.append(NOTES[0], Millis(1)), 0.01)
    released.set()
    log.close()
