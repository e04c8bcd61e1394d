"""What root's verbs write beside a controller that runs as another user is that user's: it has to read it, and to clear it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.bootstrap.bot_secrets import make_bot_key
from controller.journal.files import make_directory, write_atomically
from controller.runtime.followers.latchfile import LatchFile, LatchMark

SERVICE = 65_534
"""A user that is not root."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def of_the_service(folder: Path) -> Path:
    folder.mkdir()
    os.chown(folder, SERVICE, SERVICE)
    return folder


def written_file(folder: Path) -> Path:
    write_atomically(folder / "backup.json", b"{}")
    return folder / "backup.json"


def made_folder(folder: Path) -> Path:
    make_directory(folder / "one" / "two")
    return folder / "one" / "two"


def halted(folder: Path) -> Path:
    LatchFile(folder / "latch").put(LatchMark("an operator stopped it", 0, halted=True))
    return folder / "latch"


@pytest.mark.parametrize("write", [written_file, made_folder, halted])
def test_what_root_writes_is_its_folder_owners(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    made = write(of_the_service(tmp_path / "var")).stat()
    assert (made.st_uid, made.st_gid) == (SERVICE, SERVICE)


def test_what_root_writes_in_a_folder_of_its_own_stays_its_own(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    assert {write(tmp_path / "own").stat().st_uid for write in (written_file, made_folder, halted)} == {0}


def test_a_bot_key_made_by_root_is_the_controllers(tmp_path: Path) -> None:
    of_the_service(tmp_path / "var")
    made = make_bot_key(tmp_path, "maker")
    assert {path.stat().st_uid for path in (made.path, made.document, made.path.parent)} == {SERVICE}
