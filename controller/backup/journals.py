"""Copies the journal of a deployment into a file, wherever it is kept, and puts it back to where it belongs (ADR 76)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.journal.files import write_atomically
from controller.journal.location import FILE_NAME as JOURNAL
from controller.journal.location import DatabaseLocation, JournalLocation, without_driver
from controller.journal.sqlite_copy import copy_journal
from controller.settings.deployment import FILE_NAME, Settings, load_settings
from exchange.errors import ConfigError, UsageError

IN_A_FILE = "file"
"""What ``--journal`` says for a journal in the deployment's folder; anything else is the URL of a database."""

_SETTING = re.compile(r"^journal(_secret_file|_synchronous)?\s*=")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a restored journal is put: the database at ``url``, or the folder if it is empty. ``password`` may be absent."""

    url: str = ""
    password: str | None = None


def copied_to(place: JournalLocation, data: Path, to: Path, on_entries: Callable[[int, int], object]) -> None:
    """Write a consistent copy of the journal into the new file ``to``. Raises as ``copy_journal`` and ``copy_database``."""
    if not isinstance(place, DatabaseLocation):
        copy_journal(data / JOURNAL, to, on_entries)
        return
    try:
        from controller.journal.postgres_copy import copy_database
    except ImportError as error:
        raise without_driver() from error
    copy_database(place.url, place.password, to, on_entries)


def size_of(place: JournalLocation, data: Path) -> int:
    """Bytes that the journal takes now. Raises ``JournalError``."""
    if not isinstance(place, DatabaseLocation):
        return sum(path.stat().st_size for path in (data / JOURNAL, data / f"{JOURNAL}-wal") if path.exists())
    try:
        from controller.journal.postgres_copy import size_of_database
    except ImportError as error:
        raise without_driver() from error
    return size_of_database(place.url, place.password)


def require_destination(settings: Settings, to: Destination | None) -> None:
    """A journal that was in a database goes nowhere by itself: that database may be in use.

    Raises:
        UsageError: ``backup-journal-place``.
    """
    if settings.journal and to is None:
        raise UsageError(
            "this is the copy of a journal in PostgreSQL, and nothing says where the journal is to be kept now",
            code="backup-journal-place",
            remedy="Add --journal file, or --journal URL with a new, empty database; a password comes from --journal-secret.",
        )


def put_journal(directory: Path, to: Destination | None, on_entries: Callable[[int, int], object]) -> None:
    """Put the journal of an opened copy where ``to`` says, and write that into its ``gatehouse.toml``.

    Raises:
        JournalError: as ``load_database``.
        ConfigError: the settings are not valid with it.
    """
    if to is None:
        return
    settings = load_settings(directory)
    _write_settings(directory / FILE_NAME, to, settings)
    changed = load_settings(directory)
    if not to.url:
        return
    try:
        from controller.journal.postgres_copy import load_database
    except ImportError as error:
        raise without_driver() from error
    path = directory / settings.data / JOURNAL
    load_database(path, to.url, to.password, synchronous=changed.journal_synchronous, on_entries=on_entries)
    path.unlink()


def _write_settings(path: Path, to: Destination, settings: Settings) -> None:
    """Change the lines about the journal above the first table. What else is there stays as it is."""
    lines = path.read_text(encoding="utf-8").splitlines()
    tables = next((number for number, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    kept = [line for line in lines[:tables] if not _SETTING.match(line)]
    new = []
    if to.url:
        if any(sign in to.url for sign in '"\\\n'):
            raise ConfigError(
                "the URL of the database has a sign that settings cannot hold", code="bad-journal-url", remedy="Correct it."
            )
        new.append(f'journal = "{to.url}"')
        if settings.journal_synchronous:
            new.append("journal_synchronous = true")
        if settings.journal_secret_file:
            new.append(f'journal_secret_file = "{settings.journal_secret_file}"')
    write_atomically(path, ("\n".join([*new, *kept, *lines[tables:]]) + "\n").encode())
    path.chmod(0o600)
