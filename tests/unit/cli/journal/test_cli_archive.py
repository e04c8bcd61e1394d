"""``gatehouse journal archive`` and ``journal verify --archive`` at the command line."""

from pathlib import Path

import pytest

from controller.cli.journal.closing import last_to_archive
from controller.core.decisions.archiving import archive_document
from controller.journal.sqlite import read_journal
from exchange.errors import Refused, UsageError
from policies.authority import Verb
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk


def hash_at(directory: Path, seq: int) -> str:
    reader = read_journal(directory / "var" / "journal.db")
    try:
        found = reader.hash_at(seq)
        assert found is not None
        return found
    finally:
        reader.close()


@pytest.fixture(scope="module")
def approved() -> Desk:
    """Somebody let entries be archived: those up to an entry that the file of the journal has with this hash."""
    return Desk().arm()


@pytest.fixture
def written(deployment: Path, approved: Desk, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write_journal(approved, deployment)
    assert run("journal", "key", "-d", deployment).exit_code == 0
    return deployment


def test_nothing_is_archived_without_a_signature(written: Path, run: Run) -> None:
    refused = run("journal", "archive", "-d", written, "--allow-unwitnessed", "-o", "json")
    assert (refused.exit_code, printed(refused, error=True)["error"]["code"]) == (3, "not-approved")


def test_a_signature_for_another_entry_archives_nothing(written: Path, approved: Desk, run: Run) -> None:
    desk = approved.fork()
    assert desk.ask(Verb.ARCHIVE, archive_document(3, "sha256:" + "7" * 64), "alice").code == ""
    (written / "var" / "journal.db").unlink()
    write_journal(desk, written)
    refused = run("journal", "archive", "-d", written, "--allow-unwitnessed", "-o", "json")
    assert (refused.exit_code, printed(refused, error=True)["error"]["code"]) == (1, "base-differs")
    assert not (written / "var" / "archive").exists()


def test_the_last_entry_to_archive_is_named_with_its_hash(written: Path) -> None:
    assert last_to_archive(written, keep_days=0, upto=3) == archive_document(3, hash_at(written, 3))
    with pytest.raises(UsageError):
        last_to_archive(written, keep_days=0, upto=10_000)


def test_entries_that_are_young_stay(written: Path) -> None:
    with pytest.raises(Refused) as found:
        last_to_archive(written, keep_days=30_000, upto=None)
    assert found.value.code == "nothing-closed"


def test_a_journal_in_a_database_is_refused_by_name(written: Path, run: Run) -> None:
    settings = written / "gatehouse.toml"
    text = settings.read_text().replace("[watchdog]\nenabled = true", "[watchdog]\nenabled = false")
    settings.write_text('journal = "postgresql://localhost/gatehouse"\n' + text)
    refused = run("journal", "archive", "-d", written, "-o", "json")
    assert (refused.exit_code, printed(refused, error=True)["error"]["code"]) == (3, "archive-needs-file")


def test_a_file_that_is_no_archive_is_named(written: Path, run: Run) -> None:
    refused = run("journal", "verify", "--archive", written / "gatehouse.toml", "-d", written, "-o", "json")
    assert (refused.exit_code, printed(refused, error=True)["error"]["code"]) == (1, "archive-damaged")
