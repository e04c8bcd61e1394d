"""Puts a copy back into a new folder. ``gatehouse backup restore`` calls it.

The folder gets its name last. By then it holds the mark and the latch that halt its next start, so there is no moment at which a
restored deployment could trade (ADR 69).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.backup.journals import Destination, put_journal, require_destination
from controller.backup.manifest import Manifest
from controller.backup.opened import Verified, opened, verified
from controller.journal.chain import Entry
from controller.journal.files import sync_directory
from controller.journal.location import FILE_NAME as JOURNAL
from controller.journal.note import NoteKey
from controller.runtime.followers.latchfile import LATCH_FILE, LatchFile, LatchMark, latch_elsewhere
from controller.runtime.recovery.old_roster import OldRoster, write_old_roster
from controller.runtime.recovery.restored import RestoredMark, reason_of, write_restored
from controller.settings.deployment import load_settings
from controller.settings.state_directory import state_directory
from exchange.errors import IntegrityError, Refused, UsageError
from exchange.model import Millis

DRAFT = ".restoring"


@dataclass(frozen=True, slots=True)
class Restored:
    """A deployment that was put back. ``directory`` has its name now."""

    directory: Path
    found: Verified


def restore_backup(
    path: Path,
    directory: Path,
    identities: Sequence[str],
    *,
    now: Callable[[], Millis],
    key: NoteKey | None = None,
    to: Destination | None = None,
    watched: Callable[[int], AbstractContextManager[Callable[[Entry], Entry]]],
) -> Restored:
    """Open, verify and replay the copy ``path``, and put it into ``directory``, which is new or empty.

    ``watched`` shows the progress of the replay. ``to`` says where the journal is kept from now on; without it, in the folder.

    Raises:
        UsageError: ``not-empty``, ``no-directory``, ``backup-journal-place``.
        JournalError: the journal cannot be put into the database that ``to`` names.
        Refused: ``controller-running``, ``restore-running``.
        Unauthorised, IntegrityError: as ``opened`` and ``verified``. Nothing is left of the folder then.
    """
    require_free(directory)
    with _drafted(directory) as draft:
        manifest = opened(path, identities, draft, key)
        with watched(manifest.journal.entries) as step:
            found = verified(draft, manifest, step)
        _require_the_same_data(draft, manifest)
        require_destination(load_settings(draft), to)
        put_journal(draft, to, lambda _done, _total: None)
        _halt_the_next_start(draft, directory, path.name, manifest, now())
        _sync_folders(draft)
        draft.rename(directory)
    sync_directory(directory.parent)
    return Restored(directory, found)


@contextmanager
def _drafted(directory: Path) -> Iterator[Path]:
    """A new folder beside ``directory``, for this process alone. What is left of it at the end, or of a killed process, is removed.

    Raises:
        UsageError: ``no-directory``.
        Refused: ``restore-running``.
    """
    draft = directory.with_name(f".{directory.name}{DRAFT}")
    name = draft.with_name(f"{draft.name}.lock")
    with ExitStack() as held:
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            if not held.enter_context(_locked(name)):
                raise Refused(
                    f"another restore into {directory} is under way", code="restore-running", remedy="Wait until it has ended."
                )
            held.callback(name.unlink, missing_ok=True)
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
        except OSError as error:
            raise UsageError(
                f"{directory} cannot be made: {error.strerror}",
                code="no-directory",
                remedy="Name a directory that you can write to.",
            ) from None
        held.callback(shutil.rmtree, draft, ignore_errors=True)
        yield draft


@contextmanager
def _locked(name: Path) -> Iterator[bool]:
    """Whether this process alone holds the file ``name``. One that was removed meanwhile does not count."""
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield name.exists() and os.fstat(handle).st_ino == name.stat().st_ino
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def _require_the_same_data(draft: Path, manifest: Manifest) -> None:
    """The marks of a halt have to be where the settings in the copy let the next start look for them.

    Raises:
        IntegrityError: ``backup-damaged``.
    """
    settings = load_settings(draft)
    data, root = Path(settings.data), draft.resolve()
    if data != Path(manifest.data) or not (draft / data).resolve().is_relative_to(root) or data.is_absolute():
        raise IntegrityError(
            f"the copy says that its data are in {manifest.data}, and its settings say {settings.data}",
            code="backup-damaged",
            remedy="Use another copy, and find out who made this one.",
        )


def require_free(directory: Path) -> None:
    """Refuse a directory that is not empty, and say so when a controller runs in it. See ``restore_backup``."""
    if not directory.exists() and not directory.is_symlink():
        return
    if not directory.is_dir() or directory.is_symlink() or directory.is_mount():
        # The folder takes its name whole, at the end. That is possible where nothing is, or an empty folder.
        what = "a link" if directory.is_symlink() else "a mounted disk itself" if directory.is_mount() else "a file"
        raise UsageError(
            f"{directory} is {what}", code="no-directory", remedy="Name a directory that is new or empty, for example one below it."
        )
    for journal in directory.glob(f"*/{JOURNAL}"):
        if _is_held(journal):
            raise Refused(
                f"a controller runs in {directory} now",
                code="controller-running",
                remedy="Stop it first, and restore into a new directory: nothing is overwritten.",
            )
    if any(directory.iterdir()):
        raise UsageError(
            f"{directory} is not empty",
            code="not-empty",
            remedy="Name a directory that is new or empty: nothing is overwritten. To use the old path, move the old folder away "
            "and keep it.",
        )


def _is_held(journal: Path) -> bool:
    """Whether a process writes this journal. The file beside it is asked: to close the journal itself would end locks of SQLite."""
    try:
        handle = os.open(journal.with_name(journal.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _halt_the_next_start(draft: Path, directory: Path, name: str, manifest: Manifest, at: Millis) -> None:
    """Write two marks, of which each alone halts: what was restored, and the latch of every halt with its second copy."""
    data = draft / manifest.data
    mark = RestoredMark(name, manifest.journal.entries, manifest.journal.head, manifest.until, at, manifest.key)
    write_restored(data, mark)
    write_old_roster(data, OldRoster(confirmed=False))
    elsewhere = state_directory()
    latch = LatchFile(data / LATCH_FILE, latch_elsewhere(elsewhere, directory) if elsewhere is not None else None)
    latch.put(LatchMark(reason_of(mark, None), manifest.journal.epoch, halted=True))


def _sync_folders(draft: Path) -> None:
    for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
        sync_directory(folder)
