"""A journal file that is not the one that was opened: the writer finds out before its next batch, even one without entries."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.journal.chain import Record
from controller.journal.port import JournalPoisoned, JournalReplaced
from controller.journal.sqlite import SqliteJournal, open_journal, read_journal
from exchange.model import Millis

ENTRY = Record("noted", b"{}")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    with closing(open_journal(tmp_path / "journal.db", "desk")) as opened:
        opened.append([ENTRY], Millis(1))
        yield opened


def put_back(path: Path) -> None:
    """A copy of the file with the same bytes is another file."""
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
@pytest.mark.parametrize("attack", [Path.unlink, put_back, link])
@pytest.mark.parametrize("records", [[ENTRY], []])
def test_a_file_that_was_replaced_ends_the_writer(
    journal: SqliteJournal, tmp_path: Path, name: str, attack: Callable[[Path], None], records: list[Record]
) -> None:
    attack(tmp_path / name)
    with pytest.raises(JournalReplaced) as replaced:
        journal.append(records, Millis(2))
    assert replaced.value.code == "journal-replaced"
    assert str(tmp_path / name) in replaced.value.message
    with pytest.raises(JournalPoisoned):
        journal.append([ENTRY], Millis(3))


def test_a_journal_behind_a_link_is_followed_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    open_journal(tmp_path / "elsewhere" / "journal.db", "desk").close()
    (tmp_path / "journal.db").symlink_to(tmp_path / "elsewhere" / "journal.db")
    with closing(open_journal(tmp_path / "journal.db", "desk")) as journal:
        journal.append([ENTRY], Millis(1))
        put_back(tmp_path / "elsewhere" / "journal.db")
        with pytest.raises(JournalReplaced):
            journal.append([ENTRY], Millis(2))


def test_readers_that_come_and_go_replace_nothing(journal: SqliteJournal, tmp_path: Path) -> None:
    for at in range(2, 5):
        with closing(read_journal(tmp_path / "journal.db")) as reader:
            assert [entry.at for entry in reader.read()] == list(range(1, at))
        journal.append([ENTRY], Millis(at))
    assert journal.head.seq == 4
