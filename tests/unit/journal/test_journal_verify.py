"""Verifying a journal file and its export: each way of tampering is detected and named."""

from __future__ import annotations

import json
import time
from pathlib import Path

import apsw
import pytest

from controller.journal.chain import Entry, Fault, Record
from controller.journal.export import LINES, MANIFEST, export_journal, read_export, verify_export
from controller.journal.port import JournalError, JournalFenced
from controller.journal.sqlite import open_journal, read_journal
from controller.journal.verify import VerifyReport, verify_journal
from exchange.errors import IntegrityError, UsageError
from policies import canonical
from tests.unit.journal.journal_kit import AT, OWNER, checkpoint_of, copy_journal, tamper, write_entries

COUNT = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def entries(path: Path) -> tuple[Entry, ...]:
    return write_entries(path, COUNT)


def verified(path: Path, *checkpoints: object, owner: str = OWNER) -> VerifyReport:
    return verify_journal(path, owner, monotonic_ns=time.monotonic_ns, checkpoints=checkpoints)  # type: ignore[arg-type]


def fault(report: VerifyReport) -> Fault | None:
    return report.first_problem.fault if report.first_problem else None


def test_an_untouched_journal_verifies_to_its_head(path: Path, entries: tuple[Entry, ...]) -> None:
    report = verified(path, checkpoint_of(entries), checkpoint_of(entries[:3]))
    assert report.ok
    assert (report.entries, report.head.hash) == (COUNT, entries[-1].hash)
    assert report.duration_ns > 0


def test_an_empty_journal_verifies(path: Path) -> None:
    open_journal(path, OWNER).close()
    assert verified(path).ok


def test_a_journal_verifies_while_its_controller_writes(path: Path, entries: tuple[Entry, ...]) -> None:
    writer = open_journal(path, OWNER)
    writer.append([Record("Noted", b"1")], AT)
    assert verified(path, checkpoint_of(entries)).entries == COUNT + 1
    assert writer.append([Record("Noted", b"2")], AT)[0].seq == COUNT + 2
    writer.close()


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param("UPDATE entry SET body = CAST('{\"number\":33}' AS BLOB) WHERE seq = 3", Fault.EDITED, id="an edited body"),
        pytest.param("UPDATE entry SET at = at + 1 WHERE seq = 3", Fault.EDITED, id="an edited time"),
        pytest.param("UPDATE entry SET hash = randomblob(32) WHERE seq = 3", Fault.EDITED, id="an edited hash"),
        pytest.param("DELETE FROM entry WHERE seq = 3", Fault.GAP, id="a deleted row"),
        pytest.param("DELETE FROM entry WHERE seq < 3", Fault.GAP, id="a deleted beginning"),
        pytest.param("UPDATE entry SET seq = 99 WHERE seq = 8", Fault.GAP, id="a moved row"),
        pytest.param("UPDATE entry SET seq = 3 - seq WHERE seq = 3; UPDATE entry SET seq = seq - 1 WHERE seq > 3; "
                     "UPDATE entry SET seq = 8 WHERE seq = 0", Fault.REORDERED, id="rows in each other's place"),
        pytest.param("UPDATE controller SET epoch = 0", Fault.EPOCH_WENT_DOWN, id="an epoch put back"),
        pytest.param("UPDATE controller SET controller_id = 'desk-2'", Fault.OTHER_CONTROLLER, id="another owner's name"),
    ],
)  # fmt: skip
def test_a_change_made_outside_the_controller_is_named(path: Path, statement: str, expected: Fault) -> None:
    tamper(path, statement)
    assert fault(verified(path)) is expected


@pytest.mark.usefixtures("entries")
def test_a_journal_without_its_triggers_is_refused(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("DROP TRIGGER entry_stays")
    connection.close()
    assert fault(verified(path)) is Fault.STORAGE
    with pytest.raises(JournalError) as refused:
        open_journal(path, OWNER)
    assert refused.value.code == "journal-schema"


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize("statement", ["UPDATE entry SET at = 0", "DELETE FROM entry", "DELETE FROM controller", "UPDATE controller SET epoch = 0", "INSERT INTO entry SELECT seq + 9, epoch, at, kind, body, prev, randomblob(32) FROM entry"])  # fmt: skip  # noqa: E501
def test_the_files_triggers_refuse_changes(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    with pytest.raises(apsw.ConstraintError):
        connection.execute(statement)
    connection.close()


def test_a_cut_off_tail_is_named_only_with_a_checkpoint(path: Path, entries: tuple[Entry, ...]) -> None:
    tamper(path, "DELETE FROM entry WHERE seq > 5")
    assert verified(path).ok
    assert fault(verified(path, checkpoint_of(entries))) is Fault.TAIL_MISSING


def test_an_older_copy_is_named_only_with_a_checkpoint(path: Path, tmp_path: Path) -> None:
    first = write_entries(path, 3)
    copy_journal(path, tmp_path / "backup.db")
    newest = checkpoint_of(first + write_entries(path, 4))
    copy_journal(tmp_path / "backup.db", path)
    assert verified(path).ok
    assert fault(verified(path, newest)) is Fault.TAIL_MISSING


def test_an_older_copy_with_new_entries_is_named_with_a_checkpoint(path: Path, tmp_path: Path) -> None:
    first = write_entries(path, 3)
    copy_journal(path, tmp_path / "backup.db")
    newest = checkpoint_of(first + write_entries(path, 4))
    copy_journal(tmp_path / "backup.db", path)
    write_entries(path, 2)
    write_entries(path, 5)
    assert verified(path).ok
    assert fault(verified(path, newest)) is Fault.HISTORY_REWRITTEN


def test_a_file_of_another_controller_is_named(path: Path) -> None:
    write_entries(path, 3, "desk-2")
    assert fault(verified(path)) is Fault.OTHER_CONTROLLER


def test_entries_of_another_controller_are_named(path: Path) -> None:
    write_entries(path, 3, "desk-2")
    tamper(path, "UPDATE controller SET controller_id = 'desk-1'")
    assert fault(verified(path)) is Fault.WRONG_GENESIS


@pytest.mark.usefixtures("entries")
def test_overwritten_bytes_are_found(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-600:-200] = bytes(400)
    path.write_bytes(data)
    assert not verified(path).ok


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0 but not really", bytes(4096)], ids=["empty", "torn", "zeros"])
def test_a_file_that_is_not_a_journal_is_named(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert fault(verified(path)) is Fault.STORAGE


def test_a_missing_journal_is_an_error_and_is_not_created(path: Path) -> None:
    with pytest.raises(JournalError) as refused:
        verified(path)
    assert refused.value.code == "journal-missing"
    assert not path.exists()


@pytest.mark.usefixtures("entries")
def test_an_entry_that_the_inspection_refuses_is_named(path: Path) -> None:
    def inspect(entry: Entry) -> None:
        if canonical.decode(entry.body)["number"] == 4:
            raise IntegrityError("four is not a number here", code="four", remedy="Choose another.")

    report = verify_journal(path, OWNER, monotonic_ns=time.monotonic_ns, inspect=inspect)
    assert fault(report) is Fault.WRONG_CONTENT
    assert report.first_problem is not None
    assert (report.first_problem.seq, report.entries, report.head.seq) == (4, 3, 3)


@pytest.mark.usefixtures("entries")
def test_a_writer_stops_when_another_process_wrote_to_its_journal(path: Path) -> None:
    journal = open_journal(path, OWNER)
    stranger = apsw.Connection(str(path))
    stranger.execute("INSERT INTO entry SELECT seq + 1, epoch, at, kind, body, hash, randomblob(32) FROM entry WHERE seq = 8")
    stranger.close()
    with pytest.raises(JournalFenced) as refused:
        journal.append([Record("Noted", b"1")], AT)
    assert refused.value.code == "journal-head-moved"
    journal.close()


@pytest.mark.usefixtures("entries")
def test_a_reader_cannot_change_the_journal(path: Path) -> None:
    reader = read_journal(path)
    with pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("UPDATE controller SET epoch = 9")
    assert reader.head.epoch == 1
    reader.close()


def exported(path: Path, tmp_path: Path) -> Path:
    reader = read_journal(path)
    export_journal(reader, tmp_path / "export")
    reader.close()
    return tmp_path / "export"


def test_an_export_contains_every_entry_and_verifies_by_itself(path: Path, entries: tuple[Entry, ...], tmp_path: Path) -> None:
    export = exported(path, tmp_path)
    assert tuple(read_export(export)) == entries
    assert verify_export(export).head.hash == entries[-1].hash
    assert json.loads((export / MANIFEST).read_text())["merkle_root"] == checkpoint_of(entries).root.hex()


@pytest.mark.usefixtures("entries")
def test_an_export_is_never_overwritten(path: Path, tmp_path: Path) -> None:
    exported(path, tmp_path)
    with pytest.raises(UsageError):
        exported(path, tmp_path)


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize("keep", [0, 3, COUNT - 1])
def test_an_export_without_its_last_lines_is_refused(path: Path, tmp_path: Path, keep: int) -> None:
    export = exported(path, tmp_path)
    lines = (export / LINES).read_bytes().splitlines(keepends=True)
    (export / LINES).write_bytes(b"".join(lines[:keep]))
    with pytest.raises(IntegrityError) as refused:
        verify_export(export)
    assert refused.value.code == "export-damaged"


@pytest.mark.usefixtures("entries")
def test_an_edited_line_breaks_the_chain_of_an_export(path: Path, tmp_path: Path) -> None:
    export = exported(path, tmp_path)
    text = (export / LINES).read_text()
    (export / LINES).write_text(text.replace('{"number":4}', '{"number":5}'))
    report = verify_export(export)
    assert report.problem is not None
    assert report.problem.seq == 4


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"seq":4', '"seq": 4'),
        ('"seq":4', '"extra":1,"seq":4'),
        (',"seq":4', ""),
        ('"seq":4', '"seq":"4"'),
        ('"hash":"sha256:', '"hash":"md5:'),
        ("{", "["),
    ],
)
def test_a_malformed_line_of_an_export_is_refused(path: Path, tmp_path: Path, old: str, new: str) -> None:
    export = exported(path, tmp_path)
    text = (export / LINES).read_text()
    (export / LINES).write_text(text.replace(old, new))
    with pytest.raises(IntegrityError):
        verify_export(export)
