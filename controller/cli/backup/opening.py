"""Opens copies for the verbs ``verify`` and ``restore``: identities, progress, and what checkpoint targets know besides."""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from controller.backup.files import ANY, Owner, copies_in, key_digits, newest, owner_of
from controller.backup.journals import IN_A_FILE, Destination
from controller.backup.opened import Verified, opened, verified
from controller.backup.restore import Restored, require_free, restore_backup
from controller.backup.sealed import identities_in
from controller.cli.backup.making import folder_of, now
from controller.cli.journal.checkpoints import asked, public_key_of
from controller.cli.journal.files import progressing
from controller.cli.setup.units import hand_to_units
from controller.cli.shared.instance import instance
from controller.journal.checkpoint import Anchor
from controller.journal.last_backup import CopyMade, record_verified
from controller.journal.note import NoteKey
from controller.journal.publishing import Reading
from controller.runtime.recovery.restored import Lost, most_lost
from controller.settings.deployment import FILE_NAME, load_settings, read_secret
from exchange.errors import ConfigError, GatehouseError, UsageError


@dataclass(frozen=True, slots=True)
class VerifiedCopy:
    """A copy that was opened and verified. ``kept``: the deployment here keeps the time. ``age_ms`` is that of its last entry."""

    path: Path
    size: int
    found: Verified
    seconds: float
    age_ms: int
    kept: bool


@dataclass(frozen=True, slots=True)
class RestoredCopy:
    """A deployment that was put back. ``targets`` is what its checkpoint targets answered; ``lost`` is what they know besides."""

    path: Path
    restored: Restored
    seconds: float
    age_ms: int
    targets: tuple[Reading, ...]
    problem: str
    lost: Lost | None


def verify_backup(
    directory: Path, named: Path | None, identity: Sequence[Path], key: str | None, scratch: Path | None
) -> VerifiedCopy:
    """Open a copy into a scratch folder, which is removed, and verify it. Raises as ``opened`` and ``verified``."""
    began, here = time.monotonic(), (directory / FILE_NAME).is_file()
    path = newest(folder_of(directory, named), _owner(directory) if here else ANY)
    identities = _identities(directory, identity)
    with _scratch(scratch) as folder:
        manifest = opened(path, identities, folder, _key(key))
        with progressing("replaying", manifest.journal.entries) as step:
            found = verified(folder, manifest, step)
    at = now()
    kept = here and _is_of(directory, found)
    if kept:
        made = CopyMade(path.name, at, found.manifest.journal.entries, found.manifest.until)
        record_verified(directory / load_settings(directory).data, made)
    return VerifiedCopy(path, path.stat().st_size, found, time.monotonic() - began, max(0, at - found.manifest.until), kept)


def restore_into(named: Path, new: Path, identity: Sequence[Path], key: str | None, to: Destination | None = None) -> RestoredCopy:
    """Put a copy back, then ask its checkpoint targets what they know. Raises as ``restore_backup``."""
    began = time.monotonic()
    require_free(new)
    path = _the_copy(named, key)
    identities = _identities(new, identity)
    with _said_when_full(new):
        watched = partial(progressing, "replaying")
        restored = restore_backup(path, new, identities, now=now, key=_key(key), to=to, watched=watched)
    if instance(new, load_settings(new)) is not None:
        hand_to_units(new)
    manifest = restored.found.manifest
    targets, problem = _asked(new, NoteKey.parse(manifest.key))
    known = tuple(Anchor(one.target, one.held) for one in targets if one.held is not None)
    lost = most_lost(manifest.journal.entries, known)
    return RestoredCopy(path, restored, time.monotonic() - began, max(0, now() - manifest.until), targets, problem, lost)


def _asked(directory: Path, key: NoteKey) -> tuple[tuple[Reading, ...], str]:
    """What the targets know. The deployment is in place by now, so what goes wrong here is said and ends nothing."""
    try:
        return tuple(asked(directory, key)), ""
    except (GatehouseError, OSError) as error:
        return (), str(error)


def _identities(directory: Path, files: Sequence[Path]) -> tuple[str, ...]:
    if files:
        return tuple(one for file in files for one in identities_in(_text(file)))
    settings = load_settings(directory) if (directory / FILE_NAME).is_file() else None
    if settings is None or not settings.backup.identity_file:
        raise UsageError(
            "nothing says which identity opens the copy",
            code="backup-no-identity",
            remedy="Name its file by --identity FILE; `gatehouse backup key FILE` made it.",
        )
    return identities_in(read_secret(directory, settings.backup.identity_file))


def destination(journal: str | None, secret: Path | None) -> Destination | None:
    """What ``--journal`` and ``--journal-secret`` say. Raises ``UsageError`` (``usage``)."""
    if journal is None or journal == IN_A_FILE:
        if secret is not None:
            raise UsageError("--journal-secret needs --journal URL", code="usage", remedy="Name the database by --journal.")
        return None if journal is None else Destination()
    return Destination(journal, _text(secret).strip() if secret is not None else None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the identity file {file} cannot be read: {error}", code="file-unreadable", remedy="Name a file with an age identity."
        ) from None


def _key(text: str | None) -> NoteKey | None:
    return NoteKey.parse(text) if text is not None else None


def _is_of(directory: Path, found: Verified) -> bool:
    """Whether the copy is of the deployment here: the same controller with the same checkpoint key."""
    public = public_key_of(directory)
    return public is not None and found.manifest.key == public.text


def _the_copy(named: Path, key: str | None) -> Path:
    """The newest copy in a folder, of the deployment with this checkpoint key. Without it the folder has those of one alone."""
    if key is not None:
        return newest(named, Owner(key=key_digits(key)))
    path = newest(named)
    if named.is_dir() and (others := [one for one in copies_in(named) if owner_of(one) != owner_of(path)]):
        raise UsageError(
            f"{named} has copies of several deployments: {path.name} and {others[-1].name}",
            code="several-deployments",
            remedy="Name the file, or the deployment by --checkpoint-key.",
        )
    return path


def _owner(directory: Path) -> Owner:
    public = public_key_of(directory)
    return Owner(load_settings(directory).controller_id, key_digits(public.text) if public is not None else "")


@contextmanager
def _scratch(named: Path | None) -> Iterator[Path]:
    """A folder that only this user can enter, and that is removed. A copy that is opened in it takes several times its own size."""
    try:
        with tempfile.TemporaryDirectory(prefix="gatehouse-backup-", dir=named) as folder, _said_when_full(Path(folder)):
            yield Path(folder)
    except FileNotFoundError:
        raise UsageError(f"{named} does not exist", code="no-directory", remedy="Name an existing folder by --scratch.") from None


@contextmanager
def _said_when_full(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise GatehouseError(
                f"the disk of {folder} is full; nothing is left there",
                code="disk-full",
                remedy="Free space, or open the copy on another disk: `verify --scratch DIR`, or another NEWDIR.",
            ) from error
        raise
