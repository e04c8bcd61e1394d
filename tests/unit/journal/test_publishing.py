"""Publishing a checkpoint: the target is read first, and a contradicting checkpoint is never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.authority.keys import generate_key
from controller.journal.chain import Entry
from controller.journal.checkpoint import Checkpoint, checkpoint_public_key, sign_checkpoint
from controller.journal.history import History, leaves_of
from controller.journal.location import FileLocation
from controller.journal.merkle import MerkleTree
from controller.journal.publishing import Offer, Outcome, Publication, publish_to, read_from
from controller.journal.targets.directory import DirectoryTarget, file_in
from exchange.errors import IntegrityError
from tests.unit.journal.journal_kit import KEY, NOTE_KEY, OWNER, checkpoint_of, write_entries


@pytest.fixture
def entries(tmp_path: Path) -> tuple[Entry, ...]:
    return write_entries(tmp_path / "journal.db", 6)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


def history(entries: tuple[Entry, ...], path: Path) -> History:
    tree = MerkleTree()
    for entry in entries:
        tree.append(entry.hash)
    return History(tree.size, tree.frontier, leaves_of(FileLocation(path)))


async def published(checkpoint: Checkpoint, directory: Path, now: History) -> Publication:
    async def prove(older: int) -> tuple[bytes, ...]:
        return now.proof(older)

    offer = Offer(sign_checkpoint(checkpoint, KEY), checkpoint, 1_800_000_000, prove)
    return await publish_to(DirectoryTarget(directory, OWNER, NOTE_KEY), offer, lambda: now)


async def held(directory: Path) -> Checkpoint | None:
    return await DirectoryTarget(directory, OWNER, NOTE_KEY).read()


async def test_a_directory_keeps_the_newest_checkpoint(entries: tuple[Entry, ...], place: Path, tmp_path: Path) -> None:
    now = history(entries, tmp_path / "journal.db")
    for size in (2, 6):
        assert (await published(checkpoint_of(entries[:size]), place, now)).outcome is Outcome.TAKEN
        assert await held(place) == checkpoint_of(entries[:size])


def test_a_directory_has_one_file_per_controller(place: Path) -> None:
    assert file_in(place, OWNER).name == "gatehouse-desk-1.checkpoint"


async def test_a_missing_directory_is_unreachable(entries: tuple[Entry, ...], tmp_path: Path) -> None:
    found = await published(checkpoint_of(entries), tmp_path / "gone", history(entries, tmp_path / "journal.db"))
    assert found.outcome is Outcome.UNREACHABLE
    assert "cannot be found" in found.problem


async def test_a_longer_checkpoint_is_kept_as_evidence_of_a_rollback(
    entries: tuple[Entry, ...], place: Path, tmp_path: Path
) -> None:
    await published(checkpoint_of(entries), place, history(entries, tmp_path / "journal.db"))
    found = await published(checkpoint_of(entries[:4]), place, history(entries[:4], tmp_path / "journal.db"))
    assert found.outcome is Outcome.CONTRADICTS
    assert "knows 6 entries and the journal has 4" in found.problem
    assert await held(place) == checkpoint_of(entries)


async def test_a_later_checkpoint_of_the_same_history_is_no_contradiction(
    entries: tuple[Entry, ...], place: Path, tmp_path: Path
) -> None:
    now = history(entries, tmp_path / "journal.db")
    await published(checkpoint_of(entries), place, now)
    found = await published(checkpoint_of(entries[:4]), place, now)
    assert (found.outcome, found.size) == (Outcome.TAKEN, 6)
    assert await held(place) == checkpoint_of(entries)


@pytest.mark.parametrize("size", [3, 6])
async def test_a_checkpoint_of_another_history_is_kept(entries: tuple[Entry, ...], place: Path, tmp_path: Path, size: int) -> None:
    other = Checkpoint("gatehouse/desk-1", size, bytes(32))
    file_in(place, OWNER).write_text(sign_checkpoint(other, KEY))
    found = await published(checkpoint_of(entries), place, history(entries, tmp_path / "journal.db"))
    assert found.outcome is Outcome.CONTRADICTS
    assert f"first {size} entries are not those" in found.problem
    assert await held(place) == other


async def test_a_file_that_is_not_a_checkpoint_is_not_overwritten(entries: tuple[Entry, ...], place: Path, tmp_path: Path) -> None:
    file_in(place, OWNER).write_bytes(b"\xff")
    found = await published(checkpoint_of(entries), place, history(entries, tmp_path / "journal.db"))
    assert found.outcome is Outcome.REFUSED
    assert file_in(place, OWNER).read_bytes() == b"\xff"


async def test_a_checkpoint_of_another_key_is_an_error_with_its_target(entries: tuple[Entry, ...], place: Path) -> None:
    file_in(place, OWNER).write_text(sign_checkpoint(checkpoint_of(entries), KEY))
    stranger = DirectoryTarget(place, OWNER, checkpoint_public_key(OWNER, generate_key()))
    with pytest.raises(IntegrityError) as refused:
        await read_from(stranger)
    assert str(place) in refused.value.message
    assert refused.value.code == "note-not-signed"


async def test_a_new_directory_holds_no_checkpoint(place: Path) -> None:
    assert (await read_from(DirectoryTarget(place, OWNER, NOTE_KEY))).held is None


def test_a_history_proves_every_size_with_any_marks(entries: tuple[Entry, ...], tmp_path: Path) -> None:
    plain = history(entries, tmp_path / "journal.db")
    marked = History(plain.size, plain.frontier, plain.leaves, {size: plain.at(size).frontier for size in (2, 5)})
    assert [marked.proof(size) for size in range(7)] == [plain.proof(size) for size in range(7)]


def test_a_history_refuses_sizes_beyond_its_end(entries: tuple[Entry, ...], tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as refused:
        history(entries, tmp_path / "journal.db").at(7)
    assert refused.value.code == "journal-shorter"
