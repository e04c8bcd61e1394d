"""A deployment whose old entries were archived: interrupted, started again, attacked by who can write to its folder."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from controller.authority.keys import generate_key, load_key
from controller.core.decisions.archiving import archive_document
from controller.journal.base import sign_base
from controller.journal.sqlite import read_journal
from controller.runtime.followers.latchfile import LatchFile, LatchMark
from tests.support.rig import ROOT, Rig, rig
from tests.unit.journal.archive_kit import replaced

STEPS = (("copied", "snapshot"), ("record",), ("marks", "published"), ("removed",), ("shrunk",))
KILLED = """
import os, signal, sys
from pathlib import Path
from controller.cli.journal.archive import archive_journal
def on_step(step):
    if step == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)
archive_journal(Path({directory!r}), allow_unwitnessed=False, on_step=on_step)
"""


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    """A stopped deployment with a checkpoint target outside its folder, whose operator let the older entries be archived."""
    (tmp_path / "nas").mkdir()
    async with rig(tmp_path / "deployment", witnesses=[tmp_path / "nas"]) as built:
        await built.start()
        await built.climb("TESTNET_VALIDATING")
        for alert in (await built.status())["oversight"]["alerts"]:
            await built.command("ack-alert", "alice", subject=alert["id"])
        entries = await built.entries()
        upto = entries[len(entries) * 2 // 3]
        answer = await built.command("archive", "alice", subject=archive_document(upto["seq"], upto["hash"]))
        assert answer.status_code == 200, answer.text
        await built.stop()
        yield built


class Saved:
    """A copy of a stopped deployment, of what this host keeps of it, and of its checkpoint target."""

    def __init__(self, deployment: Rig) -> None:
        folder = deployment.directory
        self._places = [folder, Path(deployment.environment["XDG_STATE_HOME"]), folder.with_name("nas")]
        self._copies = [place.with_name(f"{place.name}-saved") for place in self._places]
        for place, copy in zip(self._places, self._copies, strict=True):
            shutil.copytree(place, copy)

    def restore(self) -> None:
        """Put everything back as it was."""
        for place, copy in zip(self._places, self._copies, strict=True):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(copy, place)


def journal_of(deployment: Rig) -> Path:
    return deployment.directory / "var" / "journal.db"


def run(deployment: Rig, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=deployment.environment, capture_output=True, text=True, check=False)


def gatehouse(deployment: Rig, *words: str) -> subprocess.CompletedProcess[str]:
    return run(deployment, "-m", "controller", *words, "--dir", str(deployment.directory))


def archive(deployment: Rig) -> Path:
    """Archive, and return the archive's file."""
    ended = gatehouse(deployment, "journal", "archive", "-o", "json")
    assert ended.returncode == 0, ended.stderr
    return Path(json.loads(ended.stdout)["path"])


def everything(deployment: Rig) -> list[tuple[int, str]]:
    reader = read_journal(journal_of(deployment))
    try:
        return [(entry.seq, entry.hash) for entry in reader.read()]
    finally:
        reader.close()


async def goes_on(deployment: Rig) -> None:
    """It starts where it was, arms, and its journal verifies from the first entry."""
    await deployment.start()
    assert (await deployment.armed())["stage"] == "TESTNET_VALIDATING"
    await deployment.stop()
    ended = gatehouse(deployment, "journal", "verify", "-o", "json")
    assert ended.returncode == 0, ended.stderr
    assert {one["verdict"] for one in json.loads(ended.stdout)["archives"]} == {"verified"}


@pytest.mark.parametrize("steps", STEPS)
async def test_a_kill_after_any_step_is_finished_by_the_next_run(deployment: Rig, steps: tuple[str, ...]) -> None:
    before, saved = everything(deployment), Saved(deployment)
    for step in steps:
        saved.restore()
        script = KILLED.format(directory=str(deployment.directory), step=step)
        killed = run(deployment, "-c", script)
        assert killed.returncode == -signal.SIGKILL, (step, killed.stderr)
        assert everything(deployment)[: len(before)] == before, step
        if step in {"record", "removed"}:
            await deployment.start()
            await deployment.armed()
            await deployment.stop()
        finished = gatehouse(deployment, "journal", "archive")
        # After the removal only the size of the file is left, and of a small file there is nothing to give back.
        codes = {"removed": {0, 3}, "shrunk": {3}}.get(step, {0})
        assert finished.returncode in codes, (step, finished.stderr)
        assert everything(deployment)[: len(before)] == before, step
    await goes_on(deployment)


async def test_an_archived_deployment_reports_replays_and_goes_on(deployment: Rig) -> None:
    before = everything(deployment)
    replayed = json.loads(gatehouse(deployment, "journal", "replay", "--upto", str(len(before)), "-o", "json").stdout)
    file = archive(deployment)
    again = json.loads(gatehouse(deployment, "journal", "replay", "--upto", str(len(before)), "-o", "json").stdout)
    assert again["fingerprint"] == replayed["fingerprint"]
    await goes_on(deployment)
    for words in (("report",), ("explain", "2"), ("journal", "export", str(file.parent.parent / "export"))):
        ended = gatehouse(deployment, *words)
        assert ended.returncode == 0, (words, ended.stderr)
    alone = gatehouse(deployment, "journal", "verify", "--archive", str(file))
    assert "the journal here names this archive" in alone.stdout
    assert gatehouse(deployment, "journal", "archive").returncode == 3


async def test_a_deployment_starts_without_its_archive_and_says_so(deployment: Rig, tmp_path: Path) -> None:
    file = archive(deployment)
    moved = shutil.move(file, tmp_path / file.name)
    (deployment.directory / "var" / "snapshot").unlink(missing_ok=True)
    await deployment.start()
    assert (await deployment.armed())["stage"] == "TESTNET_VALIDATING"
    assert file.name in deployment.tail()
    await deployment.stop()
    verified = gatehouse(deployment, "journal", "verify")
    assert verified.returncode == 3
    assert "not checked, because the archive is not here: entries 1 to" in verified.stderr
    for words in (("journal", "replay"), ("report",), ("explain", "2")):
        ended = gatehouse(deployment, *words)
        assert (ended.returncode, file.name in ended.stderr) == (1, True), (words, ended.stderr)
    assert gatehouse(deployment, "journal", "tail").returncode == 0
    assert gatehouse(deployment, "journal", "checkpoint").returncode == 0
    shutil.move(moved, file)
    await goes_on(deployment)


async def test_nothing_is_removed_while_it_runs_or_without_a_target(deployment: Rig, tmp_path: Path) -> None:
    await deployment.start()
    await deployment.armed()
    ended = await asyncio.to_thread(gatehouse, deployment, "journal", "archive")
    assert (ended.returncode, "journal-locked" in ended.stderr) == (1, True)
    await deployment.stop()
    latch = LatchFile(deployment.directory / "var" / "latch")
    latch.put(LatchMark("the journal could not be written", 1, halted=False))
    ended = gatehouse(deployment, "journal", "archive")
    assert (ended.returncode, "a halt is not in the journal yet" in ended.stderr) == (3, True)
    latch.clear()
    settings = deployment.directory / "gatehouse.toml"
    (deployment.directory / "var" / "inside").mkdir()
    settings.write_text(settings.read_text().replace(str(tmp_path / "nas"), str(deployment.directory / "var" / "inside")))
    before = everything(deployment)
    ended = gatehouse(deployment, "journal", "archive")
    assert (ended.returncode, "unwitnessed" in ended.stderr) == (3, True)
    assert everything(deployment)[: len(before)] == before
    assert gatehouse(deployment, "journal", "archive", "--allow-unwitnessed").returncode == 0


# Somebody who can write to the folder


async def halts(deployment: Rig) -> str:
    """It starts and halts for its journal; the reason."""
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED" or status["armed"])
    assert (halted["stage"], halted["halt_class"]) == ("HALTED", "integrity")
    return str(halted["halt_reason"])


def forget_outside(deployment: Rig) -> None:
    """Take away what shows the beginning outside the folder: the target, and the user's state."""
    settings = deployment.directory / "gatehouse.toml"
    settings.write_text("\n".join(line for line in settings.read_text().splitlines() if not line.startswith("witnesses")))
    shutil.rmtree(deployment.environment["XDG_STATE_HOME"])
    Path(deployment.environment["XDG_STATE_HOME"]).mkdir()


async def test_a_beginning_counts_if_something_else_shows_it(deployment: Rig) -> None:
    file = archive(deployment)
    forget_outside(deployment)
    saved = Saved(deployment)
    await deployment.start()
    assert (await deployment.armed())["stage"] == "TESTNET_VALIDATING"
    await deployment.stop()
    saved.restore()
    file.unlink()
    reason = await halts(deployment)
    assert "neither a checkpoint nor a mark outside this folder shows that" in reason
    assert "put them back" in reason


async def test_another_beginning_does_not_start(deployment: Rig) -> None:
    """Whether he signs it with a key of his own, or has the controller's checkpoint key too and changes what the chain repeats."""
    archive(deployment)
    reader = read_journal(journal_of(deployment))
    assert reader.signed_base is not None
    base = reader.signed_base.base
    reader.close()
    stolen = load_key(deployment.directory / "var" / "checkpoint.key")
    other = replace(base, genesis="sha256:" + "0" * 64)
    for signed, said in (
        (sign_base(base, generate_key()), "did not sign that"),
        (sign_base(other, stolen), "no entry of it says so"),
    ):
        replaced(journal_of(deployment), signed)
        await deployment.start()
        assert await deployment.exit_code() == 1
        assert said in deployment.tail()


async def test_an_older_copy_of_an_archived_journal_halts(deployment: Rig, tmp_path: Path) -> None:
    archive(deployment)
    older = Path(shutil.copy(journal_of(deployment), tmp_path / "older.db"))
    settings = deployment.directory / "gatehouse.toml"
    settings.write_text("\n".join(line for line in settings.read_text().splitlines() if not line.startswith("witnesses")))
    await deployment.start()
    await deployment.armed()
    await deployment.stop()
    for file in journal_of(deployment).parent.glob("journal.db*"):
        file.unlink()
    shutil.copy(older, journal_of(deployment))
    assert "its end was cut off, or an older or another copy was put in its place" in await halts(deployment)


async def test_a_changed_archive_does_not_pass_for_the_true_one(deployment: Rig) -> None:
    file = archive(deployment)
    file.chmod(0o600)
    connection = apsw.Connection(str(file))
    connection.execute("UPDATE entry SET at = at + 1 WHERE seq = 2")
    connection.close()
    verified = gatehouse(deployment, "journal", "verify", "-o", "json")
    assert (verified.returncode, "is not the one that was written" in verified.stderr) == (1, True)
    forget_outside(deployment)
    assert "with its archives it does not verify" in await halts(deployment)
