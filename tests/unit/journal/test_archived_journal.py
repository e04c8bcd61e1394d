"""A journal whose first entries are in archives is the same journal: entries, chain, proofs, export."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.journal.archive_file import verify_archive
from controller.journal.chain import Record
from controller.journal.consistency import is_consistent
from controller.journal.export import export_journal, verify_export
from controller.journal.history import History, leaves_of
from controller.journal.location import FileLocation
from controller.journal.merkle import MerkleTree
from controller.journal.port import JournalError
from exchange.errors import IntegrityError
from policies import canonical
from tests.unit.journal.archive_kit import archive_of, archived, problem_of, reading, verified, writing
from tests.unit.journal.journal_kit import AT, OWNER, checkpoint_of, copy_journal, write_entries

KINDS = st.sampled_from(["Noted", "order-admitted", "sampled"])
BATCHES = st.lists(st.lists(st.tuples(KINDS, st.integers(0, 9)), min_size=1, max_size=8), min_size=1, max_size=8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    write_entries(path, 20)
    return path


@settings(max_examples=60, deadline=None)
@given(BATCHES, st.data())
def test_any_journal_reads_the_same_after_any_archivings(batches: list[list[tuple[str, int]]], data: st.DataObject) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "journal.db"
        for batch in batches:
            with writing(path) as journal:
                journal.append([Record(kind, canonical.encode({"number": number})) for kind, number in batch], AT)
        for _ in range(data.draw(st.integers(1, 3))):
            with writing(path) as journal:
                after = journal.signed_base.base.seq if journal.signed_base is not None else 0
                upto = data.draw(st.integers(after + 1, journal.head.seq))
            archived(path, upto)
        with reading(path) as reader:
            entries = tuple(reader.read())
            assert [entry.seq for entry in entries] == list(range(1, reader.head.seq + 1))
            assert [reader.hash_at(entry.seq) for entry in entries] == [entry.hash for entry in entries]
            for after in range(0, len(entries), 3):
                assert tuple(reader.read(after, 5)) == entries[after : after + 5]
        report = verified(path, checkpoints=[checkpoint_of(entries[:size]) for size in range(1, len(entries) + 1)])
        assert (problem_of(report), report.entries, report.compared) == ("", len(entries), len(entries))
        assert problem_of(verified(path, archives=False)) == ""


def test_the_removal_keeps_every_entry_that_the_whole_journal_had(path: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole" / "journal.db"
    whole.parent.mkdir()
    copy_journal(path, whole)
    archived(path, 12)
    with reading(path) as reader, reading(whole) as before:
        assert list(reader.read(0, 20)) == list(before.read())


@pytest.mark.parametrize("cut", [1, 7, 8, 16, 19])
def test_proofs_and_roots_are_those_of_the_whole_journal(path: Path, cut: int) -> None:
    base = archived(path, cut)
    with reading(path) as reader:
        entries = tuple(reader.read())
    trees = [MerkleTree()]
    for entry in entries:
        tree = MerkleTree(trees[-1].size, trees[-1].frontier)
        tree.append(entry.hash)
        trees.append(tree)
    now = trees[-1]
    history = History(now.size, now.frontier, leaves_of(FileLocation(path)), {base.seq: base.tree.frontier})
    for older in range(1, now.size):
        proof = history.proof(older)
        assert is_consistent(older, trees[older].root(), now.size, now.root(), proof)
    archive_of(path).unlink()
    for older in range(cut, now.size):
        assert is_consistent(older, trees[older].root(), now.size, now.root(), history.proof(older))
    if cut > 1:
        with pytest.raises(JournalError, match="are in the archive"):
            history.proof(cut - 1)


def test_an_export_of_an_archived_journal_verifies(path: Path, tmp_path: Path) -> None:
    archived(path, 12)
    with reading(path) as reader:
        manifest = export_journal(reader, tmp_path / "export")
    assert (manifest.entries, verify_export(tmp_path / "export").ok) == (21, True)


def test_an_archived_journal_goes_on(path: Path) -> None:
    archived(path, 12)
    entries = write_entries(path, 3)
    archived(path, 22)
    write_entries(path, 2)
    report = verified(path)
    assert (entries[0].seq, report.entries, problem_of(report)) == (22, 27, "")
    with reading(path) as reader:
        assert reader.signed_base is not None
        assert [(one.after, one.last) for one in reader.signed_base.base.archives] == [(0, 12), (12, 22)]


def test_the_file_becomes_smaller(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    write_entries(path, 5_000)
    before = path.stat().st_size
    archived(path, 4_990)
    assert path.stat().st_size * 10 < before


def test_an_archive_verifies_alone_and_against_a_checkpoint(path: Path, tmp_path: Path) -> None:
    with reading(path) as reader:
        entries = tuple(reader.read())
    archived(path, 12)
    moved = Path(shutil.copy(archive_of(path), tmp_path / archive_of(path).name))
    held = [anchored_at(entries, size) for size in (3, 12, 15)]
    report = verify_archive(moved, held=held)
    assert (report.problem, report.compared, report.range.last) == (None, 12, 12)


def anchored_at(entries: tuple[object, ...], size: int) -> object:
    from controller.journal.checkpoint import anchored

    return anchored(checkpoint_of(entries[:size]))  # type: ignore[arg-type]


# What is not there


def test_without_its_archive_a_journal_says_which_entries_are_not_there(path: Path) -> None:
    base = archived(path, 12)
    archive_of(path).unlink()
    with reading(path) as reader:
        assert reader.readable_after == 12
        assert reader.missing == base.archives
        assert [entry.seq for entry in reader.read(12)] == list(range(13, 22))
        assert (reader.hash_at(1), reader.hash_at(5), reader.hash_at(12)) == (base.genesis, None, base.hash)
        with pytest.raises(JournalError, match="entries 1 to 12 are in the archive") as found:
            list(reader.read())
        assert found.value.code == "archive-missing"
    report = verified(path)
    assert (report.entries, report.after, report.missing, problem_of(report)) == (9, 12, base.archives, "")


def test_the_entries_after_a_missing_first_archive_are_still_read(path: Path) -> None:
    archived(path, 5)
    archived(path, 12)
    archive_of(path, 0).unlink()
    with reading(path) as reader:
        assert reader.readable_after == 5
        assert [entry.seq for entry in reader.read(5)][:3] == [6, 7, 8]


def test_a_truncated_archive_is_not_there(path: Path) -> None:
    archived(path, 12)
    archive = archive_of(path)
    archive.chmod(0o600)
    archive.write_bytes(archive.read_bytes()[:-1])
    with reading(path) as reader:
        assert reader.missing


def test_a_reader_that_was_open_during_the_removal_skips_nothing(path: Path) -> None:
    with reading(path) as reader:
        entries = reader.read(0, 5)
        assert next(entries).seq == 1
        later = reader.read()
        archived(path, 12)
        with pytest.raises(JournalError, match="moved into an archive"):
            list(later)


# What may not be removed


def other_entries(path: Path) -> None:
    """The same owner, other entries."""
    for file in path.parent.glob("journal.db*"):
        file.unlink()
    with writing(path) as journal:
        journal.append([Record("Other", b"{}")] * 25, AT)


@pytest.mark.parametrize("change", [other_entries, lambda path: write_entries(path, 1)])
def test_nothing_is_removed_from_a_journal_that_does_not_record_it(path: Path, change: Callable[[Path], object]) -> None:
    from controller.journal.archiving import copy_range
    from controller.journal.base import sign_base
    from tests.unit.journal.archive_kit import STATE
    from tests.unit.journal.journal_kit import KEY

    with writing(path) as journal:
        base = copy_range(journal, path.parent, 12, int, int).base(OWNER, None, STATE)
    change(path)
    with writing(path) as journal:
        before = list(journal.read())
        with pytest.raises(IntegrityError, match="nothing was removed"):
            journal.rebase(sign_base(base, KEY))
        assert list(journal.read()) == before
        journal.append([Record("Noted", b"{}")], AT)
