"""Archives of journals whose entries are notes, for the tests of archives. No state is folded, so a base names an invented one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.journal.archives import DIRECTORY
from controller.journal.archiving import copy_range
from controller.journal.base import RECORD, Base, FoldedState, SignedBase, sign_base
from controller.journal.chain import Record
from controller.journal.sqlite import SqliteJournal, SqliteReader, open_journal, read_journal
from controller.journal.verify import VerifyReport, verify_journal
from policies import canonical
from tests.unit.journal.journal_kit import AT, KEY, NOTE_KEY, OWNER

STATE = FoldedState(10**6, "sha256:" + "a" * 64, "sha256:" + "b" * 64)


def archived(path: Path, upto: int, owner: str = OWNER) -> Base:
    """Archive the entries of the journal at ``path`` up to ``upto``, with all steps that concern the journal."""
    with writing(path, owner) as journal:
        base = recorded(journal, path, upto)
        journal.rebase(sign_base(base, KEY))
        journal.shrink()
    return base


def recorded(journal: SqliteJournal, path: Path, upto: int) -> Base:
    """Copy the entries up to ``upto`` and record the base; nothing is removed."""
    before = journal.signed_base.base if journal.signed_base is not None else None
    copied = copy_range(journal, path.parent, upto, int, int)
    base = copied.base(journal.controller_id, before, STATE)
    journal.append([Record(RECORD, canonical.encode({"base": base.document}))], AT)
    return base


@contextmanager
def writing(path: Path, owner: str = OWNER) -> Iterator[SqliteJournal]:
    journal = open_journal(path, owner)
    try:
        yield journal
    finally:
        journal.close()


@contextmanager
def reading(path: Path) -> Iterator[SqliteReader]:
    reader = read_journal(path)
    try:
        yield reader
    finally:
        reader.close()


def verified(path: Path, *, archives: bool = True, owner: str = OWNER, **options: object) -> VerifyReport:
    """Verify a journal with the checkpoint key that signs the bases here."""
    chosen = {"key": NOTE_KEY, **options}
    return verify_journal(path, owner, monotonic_ns=lambda: 0, archives=archives, **chosen)  # type: ignore[arg-type]


def problem_of(report: VerifyReport) -> str:
    return report.first_problem.message if report.first_problem is not None else ""


def archive_of(path: Path, number: int = -1) -> Path:
    """The file of an archive beside the journal at ``path``."""
    return sorted((path.parent / DIRECTORY).iterdir(), key=lambda one: int(one.name.split("-")[1]))[number]


def resigned(path: Path, base: Base) -> None:
    """Write another base into a journal, as somebody can who has its key."""
    replaced(path, sign_base(base, KEY))


def replaced(path: Path, signed: SignedBase) -> None:
    """Write another base into a journal, signed by any key."""
    import apsw

    connection = apsw.Connection(str(path))
    triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE base SET document = ?, signature = ?", (signed.document, signed.signature))
    for _, sql in triggers:
        connection.execute(str(sql))
    connection.close()
