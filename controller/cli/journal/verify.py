"""``journal verify``: checks the chain, the epochs, every entry's meaning and every checkpoint. Called by ``journal.verbs``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.audit.operators import Audit, Auditor
from controller.cli.journal.checkpoints import asked, public_key_of
from controller.cli.journal.files import opened, place_in, progressing
from controller.cli.shared.output import micros, outcome, stdout
from controller.journal.base import ArchivedRange
from controller.journal.chain import Entry
from controller.journal.checkpoint import Anchor, parse_checkpoint
from controller.journal.note import NoteKey
from controller.journal.publishing import Reading
from controller.journal.verify import VerifyReport, verify_journal
from controller.settings.deployment import load_settings
from controller.settings.outside import target_name
from exchange.errors import ConfigError, IntegrityError, Refused, UsageError
from policies.stage import Environment

NO_KEY = "not read: this deployment has no checkpoint key yet; give one with --checkpoint-key"


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified journal: ``target_checkpoints`` come from the deployment's targets, ``files`` counts the checkpoint files.

    ``archives`` are the archives that the journal names. With one of them missing, ``audit`` is empty: the meaning of an entry
    depends on the entries before it.
    """

    report: VerifyReport
    audit: Audit
    target_checkpoints: tuple[Reading, ...]
    files: int
    archives: tuple[ArchivedRange, ...] = ()


def verify_deployment(directory: Path, checkpoints: Sequence[Path], key_text: str | None) -> Verified:
    """Verify a deployment's journal with the meaning of every entry, and compare it with every available checkpoint.

    Archives are part of it when all are there. Otherwise it begins at the base, and the meaning of the entries is not judged.

    Raises:
        IntegrityError: ``journal-broken``, naming the first wrong entry and the checkpoint that contradicts it.
    """
    place = place_in(directory)
    files = checkpoints_in(checkpoints, key_text)
    target_checkpoints = _target_checkpoints(directory, key_text)
    held = [Anchor(one.target, one.held) for one in target_checkpoints if one.held is not None]
    controller_id = load_settings(directory).controller_id
    key = NoteKey.parse(key_text) if key_text is not None else public_key_of(directory)
    with opened(directory) as reader, progressing("verifying", reader.head.seq - reader.readable_after) as step:
        signed, whole = reader.signed_base, not reader.missing
        auditor = Auditor(reader.hash_at)

        def inspect(entry: Entry) -> None:
            if whole:
                auditor.inspect(entry)
            step(entry)

        report = verify_journal(
            place, controller_id, monotonic_ns=time.monotonic_ns, checkpoints=(*files, *held), inspect=inspect, key=key
        )
    if report.first_problem is not None:
        problem = report.first_problem
        raise IntegrityError(
            f"{problem.message} ({problem.fault}; {report.entries} entries before it are good)",
            code="journal-broken",
            remedy="Halt, keep a copy of the damaged file, then restore the journal from a verified backup.",
        )
    return Verified(report, auditor.found, target_checkpoints, len(files), signed.base.archives if signed is not None else ())


def checkpoints_in(files: Sequence[Path], key_text: str | None) -> list[Anchor]:
    """The checkpoints in files, checked with the public key in ``key_text``."""
    return [Anchor(f"the checkpoint in {file}", parse_checkpoint(_text(file), _note_key(key_text))) for file in files]


def verified_document(found: Verified) -> dict[str, Any]:
    """The result as JSON values."""
    report = found.report
    return {
        "ok": not report.missing,
        "entries": report.entries,
        "after": report.after,
        "head": report.head.hash,
        "epoch": report.head.epoch,
        "us": report.duration_ns // 1000,
        "commands": asdict(found.audit),
        "archives": [{**asdict(one), "verdict": "missing" if one in report.missing else "verified"} for one in found.archives],
        "checkpoints": [
            {"target": one.target, "verdict": _verdict(one), "size": one.held.size if one.held else 0, "problem": one.problem}
            for one in found.target_checkpoints
        ],
    }


def print_verified(found: Verified) -> None:
    """Print the result for people."""
    console, report = stdout(), found.report
    what = f"{report.entries} entries in {micros(report.duration_ns // 1000)}, epoch {report.head.epoch}"
    console.print(outcome(what, "verified in part", "yellow") if report.missing else outcome(what))
    console.print(f"head {report.head.hash}")
    for archived in found.archives:
        console.print(f"{archived.title} in {archived.file}: {_read(archived, report)}", markup=False)
    if not report.missing:
        _print_audit(found)
    for one in found.target_checkpoints:
        console.print(f"{one.target}: {_said(one, report)}", markup=False)


def _print_audit(found: Verified) -> None:
    console, audit = stdout(), found.audit
    console.print(
        f"commands: {audit.accepted} applied and {audit.waited} that waited, each with valid signatures and quorum; "
        f"{audit.refused} refused for the recorded reason; {audit.unchecked} that the journal alone cannot prove"
    )
    console.print(
        f"evidence: {audit.sealed} bundles with the right digest, {audit.rejudged} verdicts judged again with the same result"
    )


def _read(one: ArchivedRange, report: VerifyReport) -> str:
    if one in report.missing:
        return "not here, not checked"
    return "not checked without the others" if report.missing else "verified"


def _said(one: Reading, report: VerifyReport) -> str:
    size = one.held.size if one.held is not None else 0
    if one.held is not None and size < report.after:
        return f"holds a checkpoint of {size} entries, which only the missing archive can be compared with"
    return {
        "agrees": f"agrees at {size} entries",
        "empty": "holds no readable checkpoint",
        "unreachable": f"unreachable: {one.problem}",
    }[_verdict(one)]


def require_complete(found: Verified) -> None:
    """Refuse to call a journal verified of which an archive was not there. Raises ``Refused`` (``archive-missing``)."""
    if missing := found.report.missing:
        ranges = ", ".join(f"{one.title} ({one.file})" for one in missing)
        raise Refused(
            f"not checked, because the archive is not here: {ranges}. The {found.report.entries} entries after entry "
            f"{found.report.after} are a good chain; what the commands among them were signed for was not judged",
            code="archive-missing",
            remedy="Put the files into the directory `archive` beside journal.db and verify again; "
            "`journal verify --archive FILE` checks one alone.",
        )


def require_allowed(directory: Path, *, allowed: bool) -> None:
    """Check that ``--allow-unwitnessed`` is not given outside a rehearsal. Raises ``UsageError``."""
    if allowed and load_settings(directory).environment is not Environment.REHEARSAL:
        raise UsageError(
            "--allow-unwitnessed is for rehearsals",
            code="usage",
            remedy="Compare with a checkpoint: --checkpoint FILE, or a target that answers.",
        )


def require_witnessed(found: Verified, directory: Path, *, allowed: bool) -> None:
    """Refuse to call a journal verified that was compared with nothing, except in a rehearsal where that was ``allowed``.

    Raises:
        UsageError: allowed outside a rehearsal.
        Refused: no checkpoint was compared.
    """
    require_allowed(directory, allowed=allowed)
    if found.files or allowed or found.report.compared:
        return
    raise Refused(
        "every entry is good, and no checkpoint was compared: entries cut off at the end would not be found",
        code="unwitnessed",
        remedy="Name a checkpoint target in gatehouse.toml (ops/docs/checkpoints.md), or compare with one by --checkpoint FILE. "
        "In a rehearsal, --allow-unwitnessed accepts it.",
    )


def _verdict(one: Reading) -> str:
    if one.problem:
        return "unreachable"
    return "empty" if one.held is None else "agrees"


def _target_checkpoints(directory: Path, key_text: str | None) -> tuple[Reading, ...]:
    settings = load_settings(directory)
    key = NoteKey.parse(key_text) if key_text is not None else public_key_of(directory)
    if key is not None:
        return tuple(asked(directory, key))
    names = [f"directory {directory / path}" for path in settings.witnesses]
    names += [target_name(directory, one) for one in settings.checkpoints]
    return tuple(Reading(name, None, NO_KEY) for name in names)


def _note_key(text: str | None) -> NoteKey:
    if text is None:
        raise UsageError("a checkpoint needs the key it is signed with", code="usage", remedy="Add --checkpoint-key TEXT.")
    return NoteKey.parse(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", code="file-unreadable", remedy="Give a checkpoint file.") from None
