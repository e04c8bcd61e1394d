"""Proof that the last writer on this host has ended: its lock, its boot and its file are needed, less proves nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from controller.journal import tenure as module
from controller.journal.chain import Head
from controller.journal.lease import Lease
from controller.journal.tenure import FILE_NAME, Tenure

ROOT = Path(__file__).parents[3]
HOLDER = """
import sys, signal
from pathlib import Path
from controller.journal.chain import Head
from controller.journal.tenure import Tenure
held = Tenure(Path(sys.argv[1]))
held.leads(Head(41, "sha256:41", 7))
print("holds", flush=True)
signal.pause()
"""


def held_by_another(data: Path) -> subprocess.Popen[str]:
    """A process that leads under epoch 7."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(data)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holds\n"
    return holder


def ended(data: Path) -> Head | None:
    tenure = Tenure(data)
    try:
        return tenure.ended
    finally:
        tenure.close()


def kill(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert holder.stdout is not None
    holder.stdout.close()


def test_a_killed_writer_is_proven_to_have_ended(tmp_path: Path) -> None:
    kill(held_by_another(tmp_path))
    assert ended(tmp_path) == Head(41, "sha256:41", 7)


@pytest.mark.parametrize(
    ("epoch", "found", "has_ended"), [(7, "sha256:41", True), (8, "sha256:41", False), (7, "sha256:other", False), (7, None, False)]
)
def test_only_the_epoch_of_a_journal_that_still_has_its_entry_is_proven(
    tmp_path: Path, epoch: int, found: str | None, *, has_ended: bool
) -> None:
    kill(held_by_another(tmp_path))
    tenure = Tenure(tmp_path)
    try:
        assert tenure.proves(Lease(epoch, "soon"), {41: found}.get) is has_ended
    finally:
        tenure.close()


@pytest.mark.parametrize("state", [signal.SIGCONT, signal.SIGSTOP])
def test_a_running_or_stopped_writer_is_not_proven_to_have_ended(tmp_path: Path, state: signal.Signals) -> None:
    holder = held_by_another(tmp_path)
    try:
        os.kill(holder.pid, state)
        assert ended(tmp_path) is None
    finally:
        kill(holder)


def test_a_directory_without_a_leader_proves_nothing(tmp_path: Path) -> None:
    assert ended(tmp_path) is None


def test_a_copied_directory_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    holder = held_by_another(tmp_path / "first")
    try:
        shutil.copytree(tmp_path / "first", tmp_path / "second")
        assert ended(tmp_path / "second") is None
    finally:
        kill(holder)


def test_a_record_of_another_boot_proves_nothing(tmp_path: Path) -> None:
    kill(held_by_another(tmp_path))
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another"}))
    assert ended(tmp_path) is None


def test_a_network_file_system_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(held_by_another(tmp_path))
    monkeypatch.setattr(module, "_LOCAL", frozenset[int]())
    assert ended(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"7", b"{", b"[]", b'{"epoch": "x"}', b"\xff\xff"])
def test_an_unreadable_record_proves_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert ended(tmp_path) is None


def test_the_last_recorded_epoch_counts(tmp_path: Path) -> None:
    tenure = Tenure(tmp_path)
    tenure.leads(Head(123456789, "sha256:0", 123456789))
    tenure.leads(Head(42, "sha256:42", 8))
    tenure.close()
    assert ended(tmp_path) == Head(42, "sha256:42", 8)
