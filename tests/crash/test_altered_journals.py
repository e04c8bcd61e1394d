"""A journal that was altered: the start names what it found, ends with an error, and reaches no venue."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest

from controller.journal.chain import Record
from controller.journal.sqlite import open_journal
from exchange.model import Millis
from tests.support.counting import Counted
from tests.support.proofs import proven
from tests.support.rig import ROOT, Rig, rig

STAGE = "TESTNET_VALIDATING"
REPLACED = "CAST(replace(CAST(body AS TEXT), '{}', '{}') AS BLOB)"
TRIGGERS = ("entry_stays", "entry_remains", "entry_follows")


@pytest.fixture(scope="module")
def killed() -> Iterator[Path]:
    """A deployment with a witness that was killed after one climb, with much of its journal still in the write-ahead log."""
    with TemporaryDirectory(prefix="gatehouse-altered-") as directory:
        asyncio.run(_run_and_kill(Path(directory)))
        yield Path(directory)


async def _run_and_kill(directory: Path) -> None:
    witness = directory / "witness"
    witness.mkdir()
    async with rig(directory / "deployment", witnesses=(witness,)) as built:
        await built.start()
        await built.armed()
        shutil.copytree(built.directory / "var", directory / "older", ignore=shutil.ignore_patterns("*.sock", "reserve"))
        await built.climb(STAGE)
        await _witnessed(built, witness)
        await built.kill()
        (built.directory / "var" / "reserve").unlink(missing_ok=True)
        (built.directory / "var" / "gatehouse.sock").unlink(missing_ok=True)


async def _witnessed(built: Rig, witness: Path) -> None:
    moved = (await built.entries("stage-changed"))[-1]["seq"]
    note = witness / "gatehouse-rig.checkpoint"
    for _ in range(300):
        if note.exists() and int(note.read_text().split("\n")[1]) >= moved:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("no checkpoint of the move was published")


@pytest.fixture
def deployment(killed: Path, tmp_path: Path) -> Path:
    """A copy of the killed deployment, with its witness."""
    shutil.copytree(killed, tmp_path / "copy")
    settings = tmp_path / "copy" / "deployment" / "gatehouse.toml"
    settings.write_text(settings.read_text().replace(str(killed), str(tmp_path / "copy")))
    return tmp_path / "copy" / "deployment"


def edited(journal: Path, statement: str) -> None:
    """Change the file as a person with a database tool could, and leave its schema as it was."""
    connection = apsw.Connection(str(journal))
    schema = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"))
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    for name in TRIGGERS:
        connection.execute(schema[name])
    connection.close()


def _edit_a_row(journal: Path, _: Path) -> None:
    edited(journal, f"UPDATE entry SET body = {REPLACED.format('rehearsal', 'Rehearsal')} WHERE seq = 1")


def _hide_a_move(journal: Path, _: Path) -> None:
    edited(journal, f"UPDATE entry SET body = {REPLACED.format('TESTNET_VALIDATING', 'VALIDATED')} WHERE kind = 'stage-changed'")


def _cut_the_tail(journal: Path, _: Path) -> None:
    edited(journal, "DELETE FROM entry WHERE seq > 8")


def _drop_a_trigger(journal: Path, _: Path) -> None:
    apsw.Connection(str(journal)).execute("DROP TRIGGER entry_stays")


def _restore_an_older_copy(journal: Path, older: Path) -> None:
    for path in journal.parent.glob("journal.db*"):
        path.unlink()
    for path in older.glob("journal.db*"):
        shutil.copy(path, journal.parent)


def _swap_in_another_deployments_journal(journal: Path, _: Path) -> None:
    for path in journal.parent.glob("journal.db*"):
        path.unlink()
    other = open_journal(journal, "another")
    other.append([Record("Noted", b"1")], Millis(1))
    other.close()


def _lose_the_write_ahead_log(journal: Path, _: Path) -> None:
    assert journal.with_name("journal.db-wal").stat().st_size > 0
    journal.with_name("journal.db-wal").unlink()


def _bring_an_older_write_ahead_log(journal: Path, older: Path) -> None:
    shutil.copy(older / "journal.db-wal", journal.parent)


def _flip_a_bit(journal: Path, _: Path) -> None:
    connection = apsw.Connection(str(journal))
    ((body,),) = connection.execute("SELECT body FROM entry WHERE seq = 1")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    data = bytearray(journal.read_bytes())
    assert data.count(body) >= 1
    at = -1
    while (at := data.find(body, at + 1)) >= 0:
        data[at + len(body) // 2] ^= 1
    journal.write_bytes(data)


def _replace_the_file_by_text(journal: Path, _: Path) -> None:
    for path in journal.parent.glob("journal.db-*"):
        path.unlink()
    journal.write_text("not a database" * 1000)


ALTERATIONS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "an edited row": (_edit_a_row, "entry 1 "),
    "a move made to look like another": (_hide_a_move, "its content does not match its hash"),
    "a deleted tail": (_cut_the_tail, "knows"),
    "a trigger that is gone": (_drop_a_trigger, "are not those that gatehouse created"),
    "an older copy": (_restore_an_older_copy, "knows"),
    "another deployment's journal": (_swap_in_another_deployments_journal, "the journal of another"),
    "a write-ahead log that is gone": (_lose_the_write_ahead_log, "journal"),
    "a write-ahead log of another time": (_bring_an_older_write_ahead_log, "knows"),
    "a flipped bit": (_flip_a_bit, "entry 1 "),
    "a file that is no database": (_replace_the_file_by_text, "journal"),
}


@pytest.mark.parametrize("alteration", proven(ALTERATIONS, short=["an edited row", "a deleted tail"]))
def test_an_altered_journal_does_not_start(
    deployment: Path, alteration: tuple[Callable[[Path, Path], None], str], counted: Counted
) -> None:
    alter, says = alteration
    journal = deployment / "var" / "journal.db"
    alter(journal, deployment.parent / "older")
    after = {path.name: path.read_bytes() for path in journal.parent.glob("journal.db") if path.is_file()}
    started = subprocess.run(
        [sys.executable, "-m", "controller", "run", "--dir", str(deployment)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        check=False,
    )
    output = " ".join((started.stdout + started.stderr).split())
    assert started.returncode == 1, output
    assert says in output
    assert {path.name: path.read_bytes() for path in journal.parent.glob("journal.db") if path.is_file()} == after
    counted("faults", kind=alter.__name__)


def test_the_journal_before_the_alterations_verifies(deployment: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "controller", "journal", "verify", "--dir", str(deployment)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
