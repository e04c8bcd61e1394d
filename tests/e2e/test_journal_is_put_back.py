"""Somebody with write access to the folder and no key cuts the journal, or puts an older copy back: that never undoes a halt."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from controller.journal.chain import Record
from controller.journal.sqlite import open_journal, read_journal
from exchange.model import Millis
from tests.support.rig import ROOT, Rig, rig


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb("VALIDATED")
        await built.stop()
        yield built


def journal_of(deployment: Rig) -> Path:
    return deployment.directory / "var" / "journal.db"


def put_back(older: Path, path: Path) -> None:
    """Put an older copy of the file back."""
    path.unlink()
    shutil.copy(older, path)


def cut_tail(older: Path, path: Path) -> None:
    """Delete the entries that the older copy does not have, and leave everything else as it is."""
    ours, theirs = apsw.Connection(str(path)), apsw.Connection(str(older))
    ((last,),) = theirs.execute("SELECT max(seq) FROM entry").fetchall()
    ((trigger,),) = ours.execute("SELECT sql FROM sqlite_schema WHERE name = 'entry_remains'").fetchall()
    ours.execute("DROP TRIGGER entry_remains")
    ours.execute("DELETE FROM entry WHERE seq > ?", (last,))
    ours.execute(trigger)
    for connection in (ours, theirs):
        connection.close()


async def halted_at(deployment: Rig) -> int:
    """Halt the deployment, stop its controller, and return its journal's last entry."""
    await deployment.start()
    await deployment.armed()
    await deployment.ask("POST", "/v1/halt", json={"reason": "enough"})
    await deployment.until(lambda status: status["stage"] == "HALTED")
    await deployment.stop()
    return last_entry(journal_of(deployment))


def last_entry(path: Path) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    ((last,),) = connection.execute("SELECT max(seq) FROM entry").fetchall()
    connection.close()
    return int(last)


@pytest.mark.parametrize("attack", [put_back, cut_tail])
async def test_an_older_journal_does_not_undo_a_halt(deployment: Rig, tmp_path: Path, attack: Callable[[Path, Path], None]) -> None:
    older = Path(shutil.copy(journal_of(deployment), tmp_path / "older.db"))
    written, left = await halted_at(deployment), last_entry(older)
    attack(older, journal_of(deployment))
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED" or status["armed"])
    assert halted["stage"] == "HALTED"
    assert halted["halt_class"] == "integrity"
    assert f"ends at entry {left}" in halted["halt_reason"]
    assert f"entry {written}" in halted["halt_reason"]


def written_anew(older: Path, path: Path) -> None:
    """Cut the journal, change when its first entry was written, and compute the chain, which needs no key."""
    reader = read_journal(older)
    entries, name = list(reader.read()), reader.controller_id
    reader.close()
    for file in path.parent.glob("journal.db*"):
        file.unlink()
    journal = open_journal(path, name)
    for entry in entries:
        journal.append([Record(entry.kind, entry.body)], Millis(entry.at + (entry.seq == 1)))
    (path.parent / "high-water").write_text(json.dumps({"seq": journal.head.seq, "hash": journal.head.hash}))
    (path.parent / "latch").write_bytes(bytes(512))
    journal.close()


async def test_a_journal_with_another_first_entry_does_not_undo_a_halt(deployment: Rig, tmp_path: Path) -> None:
    older = Path(shutil.copy(journal_of(deployment), tmp_path / "older.db"))
    written = await halted_at(deployment)
    written_anew(older, journal_of(deployment))
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED" or status["armed"])
    assert (halted["stage"], halted["halt_class"]) == ("HALTED", "integrity")
    assert f"entry {written} of it was written" in halted["halt_reason"]
    await deployment.armed()
    assert (await deployment.command("reset", "alice")).status_code == 200
    await deployment.stop()
    await deployment.start()
    assert (await deployment.armed())["stage"] == "MOCK"


def marks(deployment: Rig) -> list[Path]:
    """The files that name the highest entry, outside the deployment's folder."""
    directory = Path(deployment.environment["XDG_STATE_HOME"]) / "gatehouse" / "marks"
    return [path for path in directory.iterdir() if path.suffix != ".owner"]


async def test_an_older_data_directory_does_not_undo_a_halt(deployment: Rig, tmp_path: Path) -> None:
    var = deployment.directory / "var"
    shutil.copytree(var, tmp_path / "older")
    written = await halted_at(deployment)
    shutil.rmtree(var)
    shutil.copytree(tmp_path / "older", var)
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED" or status["armed"])
    assert (halted["stage"], halted["halt_class"]) == ("HALTED", "integrity")
    assert f"entry {written} of it was written" in halted["halt_reason"]


async def test_the_latch_file_alone_keeps_a_halt(deployment: Rig, tmp_path: Path) -> None:
    var = deployment.directory / "var"
    older, high_water = (Path(shutil.copy(var / name, tmp_path / name)) for name in ("journal.db", "high-water"))
    await halted_at(deployment)
    put_back(older, var / "journal.db")
    shutil.copy(high_water, var / "high-water")
    for mark in marks(deployment):
        mark.unlink()
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED" or status["armed"])
    assert (halted["stage"], halted["halt_class"]) == ("HALTED", "integrity")
    assert "at which the deployment was HALTED" in halted["halt_reason"]
    assert any("does not hold entry" in alert["detail"] for alert in halted["oversight"]["alerts"])


async def test_a_halt_that_was_left_by_a_signature_stays_left(deployment: Rig) -> None:
    await halted_at(deployment)
    await deployment.start()
    halted = await deployment.armed()
    assert (halted["stage"], "enough" in halted["halt_reason"]) == ("HALTED", True)
    assert (await deployment.command("reset", "alice")).status_code == 200
    await deployment.stop()
    await deployment.start()
    assert (await deployment.armed())["stage"] == "MOCK"


async def test_a_journal_that_is_replaced_under_a_controller_halts(deployment: Rig, tmp_path: Path) -> None:
    older = Path(shutil.copy(journal_of(deployment), tmp_path / "older.db"))
    await deployment.start()
    await deployment.armed()
    put_back(older, journal_of(deployment))
    assert await deployment.exit_code() == 1
    assert "was removed or replaced while it was open" in " ".join(deployment.tail().split())
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED" or status["armed"])
    # The log that SQLite left beside the other file may hold what that file lacks: then no entry is missing.
    assert (halted["stage"], halted["halt_class"] in {"journal", "integrity"}) == ("HALTED", True)


async def high_water_row(deployment: Rig) -> dict[str, str]:
    command = [sys.executable, "-m", "controller", "doctor", "--dir", str(deployment.directory), "-o", "json"]
    printed = await asyncio.to_thread(
        subprocess.run, command, env=deployment.environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return dict(next(one for one in json.loads(printed.stdout) if one["check"] == "high water"))


async def test_doctor_says_where_the_highest_entry_is_kept(deployment: Rig) -> None:
    row = await high_water_row(deployment)
    places = (deployment.directory / "var" / "high-water", *marks(deployment))
    assert row["found"] == ", ".join(f"{path} names entry {last_entry(journal_of(deployment))}" for path in places)
    for mark in marks(deployment):
        mark.unlink()
    row = await high_water_row(deployment)
    assert (row["verdict"], "XDG_STATE_HOME" in row["fix"]) == ("WARN", True)
