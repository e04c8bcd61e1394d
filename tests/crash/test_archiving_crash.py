"""kill -9 while the first entries are removed leaves the whole journal or the finished one, never anything between."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.journal.archive_kit import archived, problem_of, reading, recorded, verified, writing
from tests.unit.journal.journal_kit import write_entries

KILLED_AFTER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from controller.journal.base import parse_base, sign_base
from controller.journal.sqlite import open_journal
from controller.authority.keys import generate_key
import json
journal = open_journal(Path({path!r}), "desk-1")
base = parse_base(json.loads(list(journal.read())[-1].body)["base"])
journal._connection.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), {steps})
journal.rebase(sign_base(base, generate_key()))
journal.shrink()
"""
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("steps", [50, 400, 1500, 4000, 9000, 15000, 25000, 40000])
def test_a_kill_in_the_middle_of_the_removal_loses_nothing(tmp_path: Path, steps: int) -> None:
    path = tmp_path / "journal.db"
    write_entries(path, 2000)
    with writing(path) as journal:
        recorded(journal, path, 1500)
        before = list(journal.read())
    script = KILLED_AFTER.format(root=str(ROOT), path=str(path), steps=steps)
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True)
    assert ended.returncode in {0, -signal.SIGKILL}, ended.stderr.decode()
    with reading(path) as reader:
        assert list(reader.read()) == before
        assert reader.integrity() == ()
        finished = reader.signed_base is not None
    if not finished:
        assert problem_of(verified(path)) == ""
        archived(path, 1500)
    write_entries(path, 1)
