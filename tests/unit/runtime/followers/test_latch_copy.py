"""The copy of the latch file outside the deployment's folder: who takes the folder's file away does not take the halt away."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from controller.runtime.followers.latchfile import SIZE, LatchFile, LatchMark, latch_elsewhere

HALTED, FAILED = LatchMark("enough", 3, halted=True), LatchMark("the disk is full", 3, halted=False)
SHOWN = replace(HALTED, seq=1, hash="a")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The file and its copy, whose folders above do not exist yet."""
    return tmp_path / "latch", tmp_path / "state" / "latches" / "copy"


def test_a_copy_is_named_after_the_real_folder_and_its_path(tmp_path: Path) -> None:
    (tmp_path / "deployment").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deployment")
    real = (tmp_path / "deployment").resolve()
    name = f"deployment-{hashlib.sha256(str(real).encode()).hexdigest()[:16]}"
    assert latch_elsewhere(tmp_path / "state", tmp_path / "link") == tmp_path / "state" / "latches" / name
    assert latch_elsewhere(tmp_path / "state", tmp_path / "deployment") == tmp_path / "state" / "latches" / name


def test_a_first_reading_makes_a_copy_that_only_its_owner_may_enter(files: tuple[Path, Path]) -> None:
    path, copy = files
    assert LatchFile(path, copy).read() is None
    assert copy.read_bytes() == path.read_bytes() == b"\0" * SIZE
    assert copy.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mark", [HALTED, FAILED, SHOWN])
def test_a_mark_is_found_by_its_copy_alone(files: tuple[Path, Path], mark: LatchMark) -> None:
    path, copy = files
    LatchFile(path, copy).write(mark)
    assert copy.read_bytes() == path.read_bytes()
    path.unlink()
    assert LatchFile(path, copy).marks() == (mark,)


def test_a_cleared_mark_is_cleared_in_both(files: tuple[Path, Path]) -> None:
    path, copy = files
    LatchFile(path, copy).write(HALTED)
    LatchFile(path, copy).clear()
    assert copy.read_bytes() == path.read_bytes() == b"\0" * SIZE


@pytest.mark.parametrize(
    ("here", "elsewhere"),
    [(FAILED, HALTED), (SHOWN, HALTED), (replace(FAILED, seq=1, hash="a"), FAILED), (FAILED, SHOWN)],
)
def test_the_mark_that_demands_more_comes_first(files: tuple[Path, Path], here: LatchMark, elsewhere: LatchMark) -> None:
    path, copy = files
    copy.parent.mkdir(parents=True)
    LatchFile(copy).write(elsewhere)
    LatchFile(path).write(here)
    assert LatchFile(path, copy).marks() == (elsewhere, here)
    LatchFile(path).write(elsewhere)
    LatchFile(copy).write(here)
    assert LatchFile(path, copy).marks() == (elsewhere, here)


def test_the_same_mark_in_both_counts_once(files: tuple[Path, Path]) -> None:
    path, copy = files
    LatchFile(path, copy).write(HALTED)
    assert LatchFile(path, copy).marks() == (HALTED,)


def test_a_copy_that_cannot_be_read_means_a_halt(files: tuple[Path, Path]) -> None:
    path, copy = files
    copy.mkdir(parents=True)
    (mark,) = LatchFile(path, copy).marks()
    assert (mark.halted, mark.epoch) == (True, 0)
    assert mark.reason.startswith(f"{copy} cannot be read: ")


def test_a_copy_that_cannot_be_parsed_means_a_halt_and_shows_its_text(files: tuple[Path, Path]) -> None:
    path, copy = files
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"X".ljust(SIZE, b"\0"))
    assert LatchFile(path, copy).marks() == (LatchMark("X", 0, halted=True),)


def test_a_home_that_is_no_folder_does_not_keep_a_halt_from_the_file(files: tuple[Path, Path]) -> None:
    path, copy = files
    copy.parent.parent.write_text("a file")
    latch = LatchFile(path, copy)
    latch.write(HALTED)
    assert LatchFile(path).read() == latch.read() == HALTED
