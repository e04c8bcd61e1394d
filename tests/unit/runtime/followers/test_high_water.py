"""The mark of the highest entry: what it says of a journal, and what becomes of it when it cannot be read or written."""

from pathlib import Path

import pytest

from controller.core.events import Armed
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.journal.chain import Entry, Head
from controller.runtime.followers.high_water import HighWater, HighWaterMark, contradiction, mark_elsewhere, read_mark
from controller.runtime.loop.writer import CommittedBatch
from exchange.model import Millis
from policies.stage import Stage
from policies.values import replace

HASHES = {number: f"sha256:{number:064x}" for number in range(1, 6)}
HEAD = Head(5, HASHES[5], 1)


def batch(*numbers: int, stage: Stage = Stage.MOCK) -> CommittedBatch:
    entries = tuple((Entry(seq, 1, Millis(0), "armed", b"{}", "", HASHES[seq]), Armed()) for seq in numbers)
    return CommittedBatch(entries, replace(State(), position=Position(stage)), 0, 0, 0)


def judged(*marks: HighWaterMark) -> str:
    return contradiction(marks, HEAD, HASHES.get)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "high-water"


def test_a_mark_is_that_of_the_last_entry_of_the_last_batch(path: Path) -> None:
    water = HighWater((path,), held=False)
    water.begin(Head(1, HASHES[1], 1))
    assert read_mark(path) == HighWaterMark(path, 1, HASHES[1])
    water.on_batch(batch(2, 3))
    water.on_batch(batch())
    assert read_mark(path) == HighWaterMark(path, 3, HASHES[3])


def test_a_shorter_mark_replaces_a_longer_one_whole(path: Path) -> None:
    water = HighWater((path,), held=False)
    water.begin(Head(10**12, HASHES[1], 1))
    water.on_batch(batch(2))
    assert read_mark(path) == HighWaterMark(path, 2, HASHES[2])


@pytest.mark.parametrize("content", [None, b"", bytes(256)])
def test_a_file_that_was_never_written_is_no_mark(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    assert read_mark(path) is None


@pytest.mark.parametrize(
    "content", [b"{", b'{"seq": 1}', b'{"seq": "x", "hash": "y"}', b"[]", b"\xff", b'{"seq": 1e999, "hash": "y"}']
)
def test_a_content_that_is_no_mark_contradicts(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found = read_mark(path)
    assert found == HighWaterMark(path, problem="it holds no mark")
    assert judged(found) == f"the mark of the highest entry in {path} is not usable: it holds no mark"


def test_a_place_that_cannot_hold_a_file_holds_no_mark(path: Path) -> None:
    path.write_bytes(b"")
    assert read_mark(path / "marks" / "desk") is None


def test_a_mark_from_before_the_first_entry_agrees(path: Path) -> None:
    assert judged(HighWaterMark(path, 0, HASHES[1])) == ""


def test_a_mark_that_cannot_be_read_contradicts(path: Path) -> None:
    path.mkdir()
    found = read_mark(path)
    assert found is not None
    assert "it cannot be read: Is a directory" in judged(found)


def test_a_journal_that_holds_the_marked_entry_agrees(path: Path) -> None:
    assert judged() == ""
    assert judged(HighWaterMark(path, 5, HASHES[5]), HighWaterMark(path, 2, HASHES[2])) == ""


def test_a_journal_that_ends_before_the_marked_entry_was_cut(path: Path) -> None:
    said = judged(HighWaterMark(path, 5, HASHES[5]), HighWaterMark(path, 7, "sha256:" + "7" * 64))
    assert said == (
        "the journal ends at entry 5, and entry 7 of it was written: its end was cut off, or an older or another copy was put in "
        f"its place ({path}). Stop the controller, put the journal that has entry 7 back if there is one, and start again. The way "
        "out is a signed reset, with that journal or without it"
    )


@pytest.mark.parametrize("seq", [3, 5])
def test_a_journal_with_another_entry_at_the_marked_place_is_another(path: Path, seq: int) -> None:
    said = judged(HighWaterMark(path, seq, HASHES[1]))
    assert said.startswith(f"the journal ends at entry 5, and its entry {seq} is not the one that was written: ")


def test_a_held_mark_is_not_touched_before_the_halt_is_durable(path: Path) -> None:
    HighWater((path,), held=False).begin(Head(5, HASHES[5], 1))
    water = HighWater((path,), held=True)
    water.begin(Head(1, HASHES[1], 1))
    water.on_batch(batch(2))
    assert read_mark(path) == HighWaterMark(path, 5, HASHES[5])
    water.on_batch(batch(stage=Stage.HALTED))
    assert read_mark(path) == HighWaterMark(path, 5, HASHES[5])
    water.on_batch(batch(3, stage=Stage.HALTED))
    assert read_mark(path) == HighWaterMark(path, 3, HASHES[3])
    water.on_batch(batch(4))
    assert read_mark(path) == HighWaterMark(path, 4, HASHES[4])


def test_a_place_that_cannot_be_written_takes_nothing_from_the_other(tmp_path: Path, path: Path) -> None:
    (tmp_path / "file").touch()
    water = HighWater((tmp_path / "file" / "mark", path), held=False)
    water.begin(Head(1, HASHES[1], 1))
    water.on_batch(batch(2))
    assert read_mark(path) == HighWaterMark(path, 2, HASHES[2])


def test_a_link_in_the_place_of_a_mark_is_not_followed(tmp_path: Path, path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"mine")
    path.symlink_to(tmp_path / "elsewhere")
    water = HighWater((path,), held=False)
    water.begin(Head(1, HASHES[1], 1))
    water.on_batch(batch(2))
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


def test_a_file_is_private(path: Path) -> None:
    HighWater((path,), held=False).begin(HEAD)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_journal_that_was_begun_again_has_another_file(tmp_path: Path) -> None:
    first, again = (mark_elsewhere(tmp_path, "desk", "sha256:" + digit * 64) for digit in "ab")
    assert (first, again) == (tmp_path / "marks" / ("desk-" + "a" * 16), tmp_path / "marks" / ("desk-" + "b" * 16))
