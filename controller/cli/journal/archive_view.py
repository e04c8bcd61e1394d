"""Verifies one archive, and shows what an archiving did. ``journal.verbs`` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.cli.journal.archive import Archived
from controller.cli.journal.files import counting, opened
from controller.cli.journal.verify import checkpoints_in
from controller.cli.shared.output import outcome, stdout
from controller.journal.archive_file import ArchiveFile, ArchiveReport, verify_archive
from controller.settings.deployment import FILE_NAME
from exchange.errors import GatehouseError, IntegrityError


@dataclass(frozen=True, slots=True)
class VerifiedArchive:
    """An archive that verifies. ``named``: whether the journal of the deployment names it; ``None`` without a journal of it."""

    report: ArchiveReport
    named: bool | None


def verified_archive(path: Path, checkpoints: Sequence[Path], key_text: str | None, directory: Path) -> VerifiedArchive:
    """Verify an archive by itself, with the checkpoints in files, and with the journal of ``directory`` if there is one.

    Raises:
        JournalError: ``archive-damaged``.
        IntegrityError: ``archive-broken``; it names the first wrong entry.
    """
    held = checkpoints_in(checkpoints, key_text)
    archive = ArchiveFile(path)
    header = archive.header
    archive.close()
    with counting("verifying", header.last.seq - header.before.seq) as step:
        report = verify_archive(path, step, held)
    named = _named(report, directory)
    problem = (
        report.problem.message if report.problem is not None else "the journal here names another one" if named is False else ""
    )
    if problem:
        raise IntegrityError(
            f"{path}: {problem}", code="archive-broken", remedy="Keep the file as it is, and look for another copy of the archive."
        )
    return VerifiedArchive(report, named)


def archive_document(found: VerifiedArchive) -> dict[str, Any]:
    """The result as JSON values."""
    report = found.report
    return {
        "ok": True,
        **asdict(report.range),
        "controller_id": report.header.controller_id,
        "root": report.header.root,
        "compared": report.compared,
        "named_by_journal": found.named,
    }


def print_archive(found: VerifiedArchive, path: Path) -> None:
    """Print the result for people."""
    console, report = stdout(), found.report
    console.print(outcome(f"{report.range.title} of {report.header.controller_id} in {path}"))
    console.print(f"file   {report.digest}, {megabytes(report.bytes)}")
    console.print(f"last   {report.header.last.hash}")
    console.print(f"root   {report.header.root} of the first {report.header.last.seq} entries")
    if report.header.before.seq:
        console.print(
            f"begins after entry {report.header.before.seq}, {report.header.before.hash}: the archive before it shows that"
        )
    if report.compared:
        console.print(f"agrees with a checkpoint of {report.compared} entries")
    said = {True: "the journal here names this archive", None: "compared with no journal"}
    console.print(said.get(found.named, ""))


def archived_document(found: Archived) -> dict[str, Any]:
    """What an archiving did, as JSON values."""
    return {
        **asdict(found.range),
        "path": str(found.path),
        "root": found.root,
        "record": found.record,
        "journal_bytes_before": found.bytes_before,
        "journal_bytes_after": found.bytes_after,
        "resumed": found.resumed,
        "kept_for": [asdict(one) for one in found.kept_for],
        "published": [{"target": one.target, "outcome": one.outcome, "problem": one.problem} for one in found.published],
    }


def print_archived(found: Archived) -> None:
    """Print what an archiving did, for people."""
    console, one = stdout(), found.range
    console.print(outcome(f"{one.title}{', finishing an earlier run' if found.resumed else ''}", "archived"))
    console.print(
        f"journal {megabytes(found.bytes_before)} before, {megabytes(found.bytes_after)} now; entry {found.record} records it"
    )
    console.print(f"archive {found.path}", markup=False, soft_wrap=True)
    console.print(f"        {one.digest}, {megabytes(one.bytes)}")
    for matter in found.kept_for[:1]:
        console.print(f"later entries stay in the journal: {matter.what}, since entry {matter.seq}", markup=False)
    for target in found.published:
        console.print(f"{target.target}: {target.problem or f'holds a checkpoint of {target.size} entries'}", markup=False)
    console.print(
        "Keep it: copy it to a second place and run `gatehouse journal verify --archive FILE` there. While it lies here, every "
        "reader goes through it; a new version of gatehouse needs it once, to fold the journal from the first entry."
    )


def megabytes(number: int) -> str:
    """A number of bytes as people read it."""
    return f"{number / 1e6:.1f} MB"


def _named(report: ArchiveReport, directory: Path) -> bool | None:
    if not (directory / FILE_NAME).exists():
        return None
    try:
        with opened(directory) as reader:
            signed, owner = reader.signed_base, reader.controller_id
    except GatehouseError:
        return None
    if signed is None or owner != report.header.controller_id:
        return None
    ranges = {(one.after, one.last): one.digest for one in signed.base.archives}
    span = (report.range.after, report.range.last)
    return ranges[span] == report.digest if span in ranges else None
