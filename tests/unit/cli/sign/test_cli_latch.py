"""`gatehouse halt` when nothing answers at the socket."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from controller.cli.sign import latch as module
from controller.cli.sign import moves
from controller.runtime.followers.latchfile import LATCH_FILE, LatchFile, LatchMark, latch_elsewhere

Run = Any


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKEN_WITHIN_S", 0.05)


def halted(run: Run, deployment: Path) -> Any:
    return run("halt", "--reason", "enough", "-d", deployment)


def test_the_halt_is_in_the_latch_file_for_the_next_start(run: Run, deployment: Path) -> None:
    result = halted(run, deployment)
    mark = LatchFile(deployment / "var" / LATCH_FILE).read()
    assert mark is not None
    assert (result.exit_code, mark.reason, mark.halted) == (6, "enough", True)
    assert "halt-not-recorded" in result.stderr
    said = " ".join(result.stderr.split())
    assert "NOT HALTED: the controller is not running" in said
    assert "the next start, which is HALTED" in said


def test_a_silent_controller_is_not_called_absent(run: Run, deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and never answers, as one that hangs does."""
    monkeypatch.setattr(moves, "HALT_ANSWER_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(deployment / "var" / "gatehouse.sock"))
        listening.listen()
        said = " ".join(halted(run, deployment).stderr.split())
        assert "NOT HALTED: the controller is up but does not answer" in said
        assert "`kill -KILL " in said
        assert "gatehouse run" not in said


def test_the_halt_is_outside_the_folder_too(run: Run, deployment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    halted(run, deployment)
    copy = LatchFile(latch_elsewhere(tmp_path / "state" / "gatehouse", deployment))
    (deployment / "var" / LATCH_FILE).unlink()
    assert copy.read() == LatchMark("enough", 0, halted=True)


def test_a_controller_that_records_it_is_reported(run: Run, deployment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKEN_WITHIN_S", 30)
    file = LatchFile(deployment / "var" / LATCH_FILE)

    def record() -> None:
        while not (deployment / "var" / LATCH_FILE).exists() or file.read() is None:
            pass
        file.clear()

    recording = Thread(target=record)
    recording.start()
    result = halted(run, deployment)
    recording.join()
    assert (result.exit_code, "halted through the latch file" in result.stdout) == (0, True)


def test_a_latch_file_that_cannot_be_written_is_said(run: Run, deployment: Path) -> None:
    (deployment / "var" / LATCH_FILE).mkdir()
    result = halted(run, deployment)
    assert (result.exit_code, "halt-not-written" in result.stderr) == (6, True)


def test_a_deployment_that_never_ran_has_nothing_to_halt(run: Run, deployment: Path) -> None:
    (deployment / "var").rename(deployment / "gone")
    result = halted(run, deployment)
    assert (result.exit_code, "not-running" in result.stderr) == (6, True)
