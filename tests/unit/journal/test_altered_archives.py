"""Every changed byte of a base or an archive is found, and so is a base or an archive of something else."""

import shutil
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from controller.authority.keys import generate_key
from controller.journal.archive_file import verify_archive
from controller.journal.base import Base, SignedBase, parse_base, sign_base
from controller.journal.port import JournalError
from exchange.errors import IntegrityError
from tests.unit.journal.archive_kit import (
    archive_of,
    archived,
    problem_of,
    reading,
    recorded,
    replaced,
    resigned,
    verified,
    writing,
)
from tests.unit.journal.journal_kit import KEY, tamper, write_entries


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    write_entries(path, 20)
    archived(path, 12)
    return path


def base_of(path: Path) -> SignedBase:
    with reading(path) as reader:
        assert reader.signed_base is not None
        return reader.signed_base


def test_every_changed_byte_of_an_archive_is_found(path: Path) -> None:
    archive = archive_of(path)
    content = archive.read_bytes()
    archive.chmod(0o600)
    unnoticed = []
    for place in range(0, len(content), 61):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        archive.write_bytes(changed)
        try:
            alone = verify_archive(archive).problem is None
        except JournalError:
            alone = False
        if alone or verified(path).ok:
            unnoticed.append(place)
    assert not unnoticed


@pytest.mark.parametrize("part", ["document", "signature"])
def test_every_changed_byte_of_a_base_is_found(path: Path, part: str) -> None:
    signed = base_of(path)
    content = signed.document.encode() if part == "document" else signed.signature
    unnoticed = []
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 1
        other = (
            SignedBase(changed.decode(errors="replace"), signed.signature)
            if part == "document"
            else SignedBase(signed.document, bytes(changed))
        )
        replaced(path, other)
        if verified(path, archives=False).ok:
            unnoticed.append(place)
    assert not unnoticed


FORGERIES = {
    "frontier": lambda base: replace(base, frontier=("0" * 64, *base.frontier[1:])),
    "genesis": lambda base: replace(base, genesis="sha256:" + "0" * 64),
    "state": lambda base: replace(base, state=replace(base.state, fingerprint="sha256:" + "0" * 64)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_base_that_the_chain_does_not_repeat_is_found_even_if_signed(path: Path, name: str) -> None:
    resigned(path, FORGERIES[name](base_of(path).base))
    assert "no entry of it says so" in problem_of(verified(path, archives=False))


def test_a_base_that_another_key_signed_is_found(path: Path) -> None:
    replaced(path, sign_base(base_of(path).base, generate_key()))
    assert "did not sign that" in problem_of(verified(path, archives=False))


def test_a_base_without_a_key_to_check_it_is_not_believed(path: Path) -> None:
    assert "no checkpoint key to check that with" in problem_of(verified(path, archives=False, key=None))


def test_a_journal_without_its_base_is_refused(path: Path) -> None:
    tamper(path, "DELETE FROM base")
    assert "does not say which entry it goes on from" in problem_of(verified(path))
    connection = apsw.Connection(str(path))
    connection.execute("DROP TABLE base; PRAGMA user_version = 1")
    connection.close()
    assert "entries 1 to 12 are missing" in problem_of(verified(path))


def test_a_base_that_begins_in_the_middle_of_other_entries_is_found(path: Path, tmp_path: Path) -> None:
    """Somebody with the key of the folder removes more entries than the chain says."""
    other = tmp_path / "other" / "journal.db"
    other.parent.mkdir()
    write_entries(other, 20)
    with writing(other) as journal:
        base = recorded(journal, other, 15)
    resigned(path, base)
    report = verified(path, archives=False)
    assert not report.ok


def test_the_archive_of_another_deployment_does_not_count(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "journal.db"
    other.parent.mkdir()
    write_entries(other, 20, "desk-2")
    archived(other, 12, "desk-2")
    archive = archive_of(path)
    archive.unlink()
    shutil.copy(archive_of(other), archive)
    with reading(path) as reader, pytest.raises(JournalError):
        list(reader.read())
    assert not verified(path).ok or verified(path).missing
    assert verify_archive(archive).problem is not None


def test_a_renamed_archive_is_found(path: Path, tmp_path: Path) -> None:
    renamed = Path(shutil.copy(archive_of(path), tmp_path / archive_of(path).name.replace("journal-1-", "journal-2-")))
    report = verify_archive(renamed)
    assert report.problem is not None
    assert "its name is not that of its content" in report.problem.message


def test_a_base_cannot_be_changed_by_a_statement(path: Path) -> None:
    connection = apsw.Connection(str(path))
    for statement in ("UPDATE base SET document = ''", "DELETE FROM base"):
        with pytest.raises(apsw.ConstraintError):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 11},
        {"frontier": ()},
        {"archives": ()},
        {"hash": "sha256:0"},
        {"epoch": -1},
    ],
)
def test_a_base_that_contradicts_itself_cannot_be_read(path: Path, change: dict[str, object]) -> None:
    base: Base = replace(base_of(path).base, **change)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError) as found:
        parse_base(base.document)
    assert found.value.code == "base-malformed"


def test_a_base_reads_back_as_it_was_written(path: Path) -> None:
    base = base_of(path).base
    assert parse_base(base.document) == base
    assert sign_base(base, KEY).base == base
