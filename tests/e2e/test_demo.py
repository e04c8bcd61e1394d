"""`gatehouse demo` as a person runs it: real processes and sockets, every chapter, and no process left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.journal.verify import verify_deployment
from controller.core.event_codec import decode
from controller.core.events import HaltMeasured
from controller.journal.sqlite import read_journal
from tests.support.proofs import long_form

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(660)]

CHAPTERS = (
    "Two venues on a recorded market",
    "The controller",
    "The bot",
    "MOCK → TESTNET_VALIDATING",
    "TESTNET_VALIDATING → VALIDATED",
    "VALIDATED → LIVE_€10",
    "exceed the €10 cap",
    "LIVE_€10 → RAMPING step 1",
    "A breach",
    "Everything is accounted for",
)
PROCESS = re.compile(r"process (\d+)")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
whole_demo = long_form(short="test_a_demo_stopped_after_its_first_move_ends_every_process")


def command(directory: Path) -> list[str]:
    return [sys.executable, "-m", "controller", "demo", "--exit", "--dir", str(directory)]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    directory = tmp_path_factory.mktemp("d") / "x"
    environment = {**ENVIRONMENT, "NO_COLOR": "1", "COLUMNS": "120"}
    return directory, subprocess.run(command(directory), capture_output=True, text=True, timeout=600, check=False, env=environment)


@whole_demo
def test_the_demo_ends_by_itself_with_exit_code_0(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, ended = finished
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr


@whole_demo
def test_every_chapter_is_printed_in_order(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    text = finished[1].stdout
    places = [text.find(title) for title in CHAPTERS]
    assert -1 not in places
    assert places == sorted(places)


@whole_demo
def test_the_gate_refuses_the_early_advance_and_the_quorum_one_signature(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    text = finished[1].stdout
    assert text.index("[gate-not-passed]") < text.index("exit code 3") < text.index("[under-quorum]") < text.index("exit code 4")


@whole_demo
def test_a_denied_order_names_the_cap_and_the_measured_exposure(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    assert re.search(r"│ exposure │ 1\d\.\d+ EUR │ 10 EUR", finished[1].stdout)


@whole_demo
def test_the_halt_is_measured_and_the_venue_shows_no_open_order(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory, ended = finished
    assert re.search(r"asked at the venue itself +│ 0 ", ended.stdout)
    reader = read_journal(directory / "var" / "journal.db")
    halts = [entry for entry in reader.read() if entry.kind == HaltMeasured.kind]
    reader.close()
    measured = decode(halts[-1].kind, halts[-1].body)
    assert isinstance(measured, HaltMeasured)
    assert measured.verified_empty
    assert measured.breach_to_latch_us >= 0
    assert measured.latch_to_cancelled_us >= 0


@whole_demo
def test_the_journal_verifies_and_the_report_is_at_the_printed_path(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory, ended = finished
    assert verify_deployment(directory, [], None).report.ok
    (page,) = re.findall(r"evidence report: +(\S+)", ended.stdout)
    assert Path(page).read_text().startswith("<!doctype html>")


@whole_demo
def test_no_process_is_left_behind(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    assert not [pid for pid in map(int, PROCESS.findall(finished[1].stdout)) if alive(pid)]


@pytest.fixture
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A demo that has started its venues and its bot, with their process ids."""
    process = subprocess.Popen(
        command(tmp_path_factory.mktemp("d") / "x"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stdout is not None
    pids: list[int] = []
    while len(pids) < 3:
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the demo ended early with {process.wait()}:\n{process.communicate()[1]}")
        pids += map(int, PROCESS.findall(line))
    yield process, pids
    process.kill()
    process.communicate()


def test_a_demo_stopped_after_its_first_move_ends_every_process(started: tuple[subprocess.Popen[str], list[int]]) -> None:
    process, pids = started
    assert process.stdout is not None
    text = ""
    while "exit code" not in text:
        line = process.stdout.readline()
        assert line, f"the demo ended early:\n{text[-4000:]}"
        text += line
    places = [text.find(title) for title in CHAPTERS[3:5]]
    assert -1 not in places
    assert places == sorted(places)
    assert text.index("[gate-not-passed]") < text.index("exit code 3")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not [pid for pid in pids if alive(pid)]


def test_a_demo_whose_venue_dies_names_it_and_prints_its_log(started: tuple[subprocess.Popen[str], list[int]]) -> None:
    process, pids = started
    os.kill(pids[0], signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "venue-testnet ended with code -9" in stderr
    assert "playing" in stderr
    deadline = time.monotonic() + 5
    while [pid for pid in pids if alive(pid)] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if alive(pid)]
