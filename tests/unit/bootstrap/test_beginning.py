"""What shows that an archived journal begins where it says: a checkpoint or a mark outside the folder, or all of its archives."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.bootstrap.beginning import doubt_of_beginning, witnessed_size
from controller.bootstrap.first_halt import MarkPlaces
from controller.journal.sqlite import SqliteJournal
from controller.journal.verify import VerifyReport
from controller.runtime.followers.checkpoints import TargetStatus
from controller.runtime.followers.high_water import MarkOwner
from tests.unit.journal.archive_kit import archive_of, archived, verified, writing
from tests.unit.journal.journal_kit import OWNER, write_entries

NAS = "directory /mnt/nas"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "var" / "journal.db"
    path.parent.mkdir()
    write_entries(path, 20)
    archived(path, 12)
    write_entries(path, 3)
    return path


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    with writing(path) as opened:
        yield opened


@pytest.fixture
def places(path: Path, tmp_path: Path) -> MarkPlaces:
    return MarkPlaces(path.parent, tmp_path / "state", MarkOwner(OWNER, frozenset(), frozenset()))


def marked(places: MarkPlaces, journal: SqliteJournal, seq: int, digest: str = "") -> None:
    """A mark outside the folder."""
    path = places.outside(journal)
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"seq": seq, "hash": digest or journal.hash_at(seq)}))


def doubt(path: Path, journal: SqliteJournal, places: MarkPlaces, witnessed: int = 0) -> str:
    def whole() -> VerifyReport:
        return verified(path)

    return doubt_of_beginning(journal, verified(path, archives=False), witnessed, places, whole)


def without_archive(path: Path) -> None:
    archive_of(path).unlink()


def test_a_checkpoint_of_the_record_outside_shows_it(path: Path, journal: SqliteJournal, places: MarkPlaces) -> None:
    without_archive(path)
    assert doubt(path, journal, places, witnessed=21) == ""


def test_a_checkpoint_from_before_the_record_does_not(path: Path, journal: SqliteJournal, places: MarkPlaces) -> None:
    without_archive(path)
    assert "neither a checkpoint nor a mark" in doubt(path, journal, places, witnessed=20)


def test_a_mark_of_the_record_outside_shows_it(path: Path, journal: SqliteJournal, places: MarkPlaces) -> None:
    without_archive(path)
    marked(places, journal, 21)
    assert doubt(path, journal, places) == ""


@pytest.mark.parametrize(("seq", "digest"), [(20, ""), (12, ""), (22, "sha256:" + "0" * 64), (0, "sha256:0")])
def test_a_mark_of_an_earlier_or_of_another_entry_does_not(
    path: Path, journal: SqliteJournal, places: MarkPlaces, seq: int, digest: str
) -> None:
    without_archive(path)
    marked(places, journal, seq, digest)
    assert "neither a checkpoint nor a mark" in doubt(path, journal, places)


def test_a_mark_in_the_folder_does_not(path: Path, journal: SqliteJournal, places: MarkPlaces) -> None:
    without_archive(path)
    places.beside().write_text(json.dumps({"seq": 21, "hash": journal.hash_at(21)}))
    assert "neither a checkpoint nor a mark" in doubt(path, journal, places)


def test_all_archives_show_it(path: Path, journal: SqliteJournal, places: MarkPlaces) -> None:
    assert doubt(path, journal, places) == ""


def test_a_changed_archive_does_not(path: Path, journal: SqliteJournal, places: MarkPlaces) -> None:
    archive = archive_of(path)
    content = bytearray(archive.read_bytes())
    content[-1] ^= 1
    archive.chmod(0o600)
    archive.write_bytes(content)
    assert "it does not verify" in doubt(path, journal, places)


def test_a_whole_journal_needs_nothing(tmp_path: Path, places: MarkPlaces) -> None:
    path = tmp_path / "whole.db"
    write_entries(path, 5)
    with writing(path) as journal:
        assert doubt(path, journal, places) == ""


def test_only_targets_outside_that_were_read_count() -> None:
    statuses = (
        TargetStatus(NAS, 10),
        TargetStatus("directory var/inside", 30),
        TargetStatus("git backup", 20, problem="it did not answer"),
    )
    assert witnessed_size(statuses, (NAS, "git backup")) == 10
    assert witnessed_size((), (NAS,)) == 0
