"""kill -9 while a copy is made leaves no half copy, and the next run leaves nothing of the first."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from controller.backup import create
from controller.backup.files import copies_in
from controller.backup.sealed import new_identity
from controller.cli.setup.deployment import Ports, write_deployment
from policies.stage import Stage
from tests.support.cli_kit import write_journal
from tests.support.desk import Desk
from tests.support.proofs import proven

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from controller.backup import create
def now():
    return 1_700_000_000_000 + {minute} * 60_000
def on_step(what, done, total):
    if what == {what!r} and done >= {part} * total:
        os.kill(os.getpid(), signal.SIGKILL)
create.create_backup(Path({directory!r}), Path({to!r}), now=now, on_step=on_step)
"""
MOMENTS = {
    "the journal is copied": ("copying the journal", 0.0),
    "the copy of the journal is whole": ("copying the journal", 1.0),
    "the first file is sealed": ("sealing", 0.0),
    "the middle is sealed": ("sealing", 0.5),
    "everything is sealed": ("sealing", 1.0),
}


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    directory = tmp_path / "deployment"
    write_deployment(directory, Ports())
    (directory / "var").mkdir()
    write_journal(Desk().walk_to(Stage.TESTNET_VALIDATING), directory)
    (directory / "keys" / "alice.key").rename(directory / "var" / "checkpoint.key")
    with (directory / "gatehouse.toml").open("a") as file:
        file.write(f'[backup]\nrecipients = ["{new_identity()[1]}"]\n')
    (directory / "reports").mkdir()
    (directory / "reports" / "large").write_bytes(bytes(3 << 20))
    return directory


@pytest.mark.parametrize("moment", proven(MOMENTS, short=["the copy of the journal is whole", "the middle is sealed"]))
def test_a_kill_leaves_no_half_copy(deployment: Path, tmp_path: Path, moment: tuple[str, float]) -> None:
    what, part = moment
    for minute, killing in enumerate((what, "")):
        script = KILLED.format(what=killing, part=part, minute=minute, directory=str(deployment), to=str(tmp_path / "copies"))
        ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True)
        assert ended.returncode == (-signal.SIGKILL if killing else 0), ended.stderr
        assert len(copies_in(tmp_path / "copies")) == (0 if killing else 1)
    names = [path.name for path in (tmp_path / "copies").iterdir()]
    assert all(re.fullmatch(r"gatehouse-.*\.tar\.gz\.age", name) for name in names), names
    assert not (deployment / "var" / create.STAGING).exists()
