"""Makes identities, copies and schedules for the verbs of ``gatehouse backup``."""

from __future__ import annotations

import pwd
import shutil
import sys
import time
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn

from controller.backup.create import Created, create_backup
from controller.backup.schedule import Schedule, schedule_of, write_units
from controller.backup.sealed import new_identity
from controller.cli.setup.deployment import private_file
from controller.cli.shared.output import stderr
from controller.journal.files import hand_over
from controller.settings.deployment import FILE_NAME, load_settings
from exchange.errors import ConfigError, UsageError
from exchange.model import Millis


def now() -> Millis:
    """The time of this machine."""
    return Millis(time.time_ns() // 1_000_000)


def make_identity(file: Path) -> str:
    """Write a new identity into ``file``, mode 0600, and return its public key. Raises ``UsageError`` (``key-not-written``)."""
    secret, public = new_identity()
    try:
        private_file(file, f"# public key: {public}\n{secret}\n")
        hand_over(file, file.parent)
    except OSError as error:
        raise UsageError(
            f"the identity cannot be written to {file}: {error.strerror}",
            code="key-not-written",
            remedy="Name a new file in a directory that you can write to.",
        ) from None
    return public


def folder_of(directory: Path, named: Path | None) -> Path:
    """Where copies are: what the command names, else what the settings say. Raises ``ConfigError`` (``backup-no-folder``)."""
    if named is not None:
        return named
    settings = load_settings(directory)
    if not settings.backup.directory:
        raise ConfigError(
            "nothing says where the copies are",
            code="backup-no-folder",
            remedy="Name the folder in the command, or write directory below [backup] in gatehouse.toml.",
        )
    return directory / settings.backup.directory


def make_backup(directory: Path, to: Path | None, *, with_secrets: bool, keep: int) -> Created:
    """Make a copy, with a progress bar on a terminal. Raises as ``create_backup``."""
    console = stderr()
    columns = (TextColumn("[dim]{task.description}"), BarColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading the settings", total=None)

        def step(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        target = folder_of(directory, to)
        return create_backup(directory, target, now=now, with_secrets=with_secrets, keep=keep, on_step=step)


def planned(directory: Path, to: Path | None, *, every: str, keep: int, write: Path | None) -> Schedule:
    """The units that make copies of the deployment; written if ``write`` names a folder."""
    settings = load_settings(directory)
    found = schedule_of(
        _program(),
        directory.resolve(),
        folder_of(directory, to).resolve(),
        controller_id=settings.controller_id,
        user=_owner(directory),
        every=every,
        keep=keep,
        verify=bool(settings.backup.identity_file),
    )
    return write_units(found, write) if write is not None else found


def _owner(directory: Path) -> str:
    """The user whose deployment it is: the units may be written as root."""
    owner = (directory / FILE_NAME).stat().st_uid
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)


def _program() -> Path:
    """The ``gatehouse`` command of this installation."""
    beside = Path(sys.executable).with_name("gatehouse")
    found = shutil.which("gatehouse")
    return beside if beside.exists() or found is None else Path(found)
