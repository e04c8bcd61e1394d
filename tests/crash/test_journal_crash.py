"""The journal under kill -9, failing disks and a second writer: every acknowledged entry is there, and the chain verifies."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from controller.journal.chain import Record, verify_chain
from controller.journal.port import JournalError, JournalLocked
from controller.journal.sqlite import open_journal, read_journal
from exchange.model import Millis
from tests.support.counting import Counted

ROOT = Path(__file__).parents[2]
WRITER = [sys.executable, str(Path(__file__).with_name("journal_writer.py"))]
OWNER = "desk-1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def start(*command: str, stdin: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )


def acknowledged(output: str) -> dict[int, str]:
    """Entries by number, from a writer's output; an unfinished line acknowledges nothing."""
    lines = [line.split() for line in output.split("\n")[:-1]]
    return {int(words[0]): words[1] for words in lines if words and words[0].isdigit()}


def require_nothing_lost(path: Path, acked: dict[int, str]) -> int:
    """Open the journal as a restarted controller does. Returns how many entries there are."""
    journal = open_journal(path, OWNER)
    try:
        entries = list(journal.read())
        assert verify_chain(entries, OWNER).problem is None
        assert {entry.seq: entry.hash for entry in entries if entry.seq in acked} == acked
        journal.append([Record("Noted", b"1")], Millis(1))
        return len(entries)
    finally:
        journal.close()


def test_kill_9_loses_no_acknowledged_entry_and_the_journal_continues(path: Path, counted: Counted) -> None:
    chance, acked = random.Random(20261122), dict[int, str]()
    for _ in range(6):
        writer = start(*WRITER, "write", str(path))
        assert writer.stdout is not None
        output = "".join(writer.stdout.readline() for _ in range(chance.randrange(1, 120)))
        writer.kill()
        output += writer.communicate()[0]
        assert writer.returncode == -signal.SIGKILL
        acked |= acknowledged(output)
        assert require_nothing_lost(path, acked) >= len(acked)
        counted("kill points")
    assert len(acked) > 50


@pytest.fixture(scope="session")
def strace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed, so no system call can be made to fail")
    probe = [found, "-qq", "-o", "/dev/null", "-e", "inject=getppid:error=EIO", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let one process trace another")
    return found


def traced(strace: str, inject: str, *command: str) -> tuple[int, str]:
    """Run a writer with one of its system calls replaced. Returns its exit code and its output."""
    rules = ["-e", f"trace={inject.split(':', maxsplit=1)[0]}", "-e", f"inject={inject}"]
    writer = start(strace, "-qq", "-o", "/dev/null", *rules, *WRITER, *command)
    output = writer.communicate()[0]
    return writer.returncode, output


@pytest.mark.parametrize("call", [1, 2, 4, 9, 11, 12, 13, 17, 23, 31])
def test_a_kill_inside_a_write_loses_no_acknowledged_entry(path: Path, strace: str, call: int, counted: Counted) -> None:
    code, output = traced(strace, f"pwrite64:signal=SIGKILL:when={call}", "count", str(path), "12")
    assert code in {-signal.SIGKILL, 128 + signal.SIGKILL}
    require_nothing_lost(path, acknowledged(output))
    counted("kill points")


@pytest.mark.parametrize("call", [4, 5, 8])
def test_a_failed_sync_stops_the_writer_and_loses_no_acknowledged_entry(
    path: Path, strace: str, call: int, counted: Counted
) -> None:
    open_journal(path, OWNER).close()
    _, output = traced(strace, f"fdatasync,fsync:error=EIO:when={call}", "count", str(path), "12")
    assert output.endswith("error journal-write-failed\n")
    require_nothing_lost(path, acknowledged(output))
    counted("failing disks", kind="a system call fails")


def test_after_a_failed_sync_while_opening_the_next_opening_succeeds(path: Path, strace: str) -> None:
    open_journal(path, OWNER).close()
    _, output = traced(strace, "fdatasync,fsync:error=EIO:when=1", "count", str(path), "1")
    assert output == "error journal-unusable\n"
    assert require_nothing_lost(path, {}) == 0


def test_a_full_disk_poisons_the_writer_even_after_space_was_freed(path: Path) -> None:
    writer = start(*WRITER, "full", str(path))
    output = writer.communicate()[0]
    assert output.endswith("error journal-write-failed\nerror journal-poisoned\n")
    acked = acknowledged(output)
    assert acked
    require_nothing_lost(path, acked)


@pytest.fixture
def waiting(path: Path) -> Iterator[subprocess.Popen[str]]:
    writer = start(*WRITER, "wait", str(path), stdin=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    assert writer.stdout.readline().startswith("1 ")
    yield writer
    writer.kill()
    writer.communicate()


def test_a_second_process_is_refused_until_the_first_has_died(path: Path, waiting: subprocess.Popen[str]) -> None:
    with pytest.raises(JournalLocked):
        open_journal(path, OWNER)
    waiting.kill()
    waiting.wait()
    assert require_nothing_lost(path, {}) == 1


def test_a_reader_can_open_the_journal_while_the_writer_has_it(path: Path, waiting: subprocess.Popen[str]) -> None:
    reader = read_journal(path)
    assert verify_chain(reader.read(), OWNER).entries == 1
    reader.close()
    assert waiting.poll() is None


def test_a_writer_keeps_its_journal_when_its_lock_file_is_removed(path: Path, waiting: subprocess.Popen[str]) -> None:
    path.with_name("journal.db.lock").unlink()
    with pytest.raises(JournalLocked):
        open_journal(path, OWNER)
    assert waiting.communicate("go on\n", timeout=20)[0].startswith("2 sha256:")


def test_a_stopped_writer_that_wakes_after_a_take_over_is_fenced(path: Path, waiting: subprocess.Popen[str]) -> None:
    waiting.send_signal(signal.SIGSTOP)
    with patch("fcntl.flock"):  # a file system whose locks keep nobody out
        newer = open_journal(path, OWNER)
    ours = newer.append([Record("Noted", b"1")], Millis(1))
    waiting.send_signal(signal.SIGCONT)
    output = waiting.communicate("go on\n", timeout=20)[0]
    assert output == "error journal-fenced\n"
    assert newer.head.hash == ours[-1].hash == newer.hash_at(2)
    assert newer.hash_at(3) is None
    newer.close()


def test_a_writer_blocked_by_a_foreign_transaction_gives_up_and_stops(path: Path) -> None:
    import apsw

    journal = open_journal(path, OWNER)
    foreign = apsw.Connection(str(path))
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError) as refused:
        journal.append([Record("Noted", b"1")], Millis(1))
    assert refused.value.code == "journal-write-failed"
    foreign.close()
    journal.close()
    assert require_nothing_lost(path, {}) == 0
