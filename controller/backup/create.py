"""Makes a copy of a deployment, while its controller runs or not. ``gatehouse backup create`` calls it.

The journal is copied first, verified, and only then sealed with the other files. A copy has its name only once it is whole and
synced: what was interrupted has another name and is removed by the next run.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import load_key
from controller.backup.contents import APPENDED, CHECKPOINT_KEY, Contents, contents_of
from controller.backup.files import PARTIAL, Owner, copies_in, copy_name, key_digits, partials_in
from controller.backup.journals import copied_to, size_of
from controller.backup.manifest import FORMAT, MANIFEST, NOTE, CopiedFile, CopiedJournal, Manifest, signed, written
from controller.backup.sealed import seal
from controller.backup.stream import Member, packed, require_names
from controller.journal.checkpoint import checkpoint_public_key
from controller.journal.files import hand_over, sync_directory
from controller.journal.last_backup import CopyMade, last_backup, record_created
from controller.journal.location import FILE_NAME as JOURNAL
from controller.journal.location import FileLocation
from controller.journal.verify import verify_journal
from controller.runtime.followers.disk_space import RESERVE_BYTES
from controller.settings.deployment import Settings, journal_location, load_settings
from controller.version import VERSION
from exchange.errors import ConfigError, GatehouseError, IntegrityError, Refused, UsageError
from exchange.model import Millis

LOCK = "backup.lock"
STAGING = "backup-staging"
_PIECE = 1 << 20
_SYNC_EVERY = 4 << 20

OnStep = Callable[[str, int, int], object]
"""Hears what is done now, how much of it is done, and how much there is."""


def nothing_to_say(_what: str, _done: int, _total: int) -> None:
    """Nobody watches the progress."""


@dataclass(frozen=True, slots=True)
class Created:
    """A copy that was made. ``removed`` are older copies that were removed."""

    path: Path
    size: int
    manifest: Manifest
    seconds: float
    removed: tuple[Path, ...] = ()


def create_backup(
    directory: Path,
    to: Path,
    *,
    now: Callable[[], Millis],
    with_secrets: bool = False,
    keep: int = 0,
    on_step: OnStep = nothing_to_say,
) -> Created:
    """Make a copy in the folder ``to``. With ``keep``, only the newest ``keep`` copies of this controller stay there.

    Raises:
        Refused: ``backup-running``.
        JournalError: the database of the journal cannot be read.
        ConfigError: ``backup-no-recipient``, ``backup-recipient``, ``backup-outside``, ``backup-no-journal``.
        IntegrityError: ``journal-broken``; a journal that does not verify is not copied.
        GatehouseError: ``disk-full``, ``backup-not-written``, ``backup-changed``.
    """
    began = time.monotonic()
    settings = load_settings(directory)
    data = directory / settings.data
    key = _prepared(directory, settings, to)
    with _alone(data), _staging(data) as staging, _said_when_full(data, to):
        place = journal_location(directory, settings)
        _require_room(data, to, size_of(place, data))
        copied = staging / JOURNAL
        copied_to(place, data, copied, partial(on_step, "copying the journal"))
        journal = _verified(copied, data, settings, key)
        what = contents_of(directory, settings, with_secrets=with_secrets)
        sources = {f"{Path(settings.data)}/{JOURNAL}": copied} | {name: _source(directory / name, staging) for name in what.files}
        manifest = _manifest(settings, key, journal, sources, what, now(), with_secrets=with_secrets)
        owner = Owner(settings.controller_id, key_digits(manifest.key))
        name = copy_name(owner, datetime.fromtimestamp(manifest.created_ms / 1000, tz=UTC), journal.entries, to)
        path = to / name
        members = _members(manifest, sources, key, on_step)
        size = _sealed(path, packed(members), owner, settings.backup.recipients, data)
        record_created(data, CopyMade(name, Millis(manifest.created_ms), journal.entries, manifest.until))
        removed = _retained(to, owner, keep, data) if keep else ()
    return Created(path, size, manifest, time.monotonic() - began, removed)


def _prepared(directory: Path, settings: Settings, to: Path) -> Ed25519PrivateKey:
    """The checkpoint key, once everything is there that a copy needs."""
    if not settings.backup.recipients:
        raise ConfigError(
            "gatehouse.toml names nobody who can open a copy",
            code="backup-no-recipient",
            remedy='Run `gatehouse backup key FILE` on the machine that keeps the copies, and write recipients = ["age1..."] with '
            "the line that it prints below [backup] in gatehouse.toml.",
        )
    data = directory / settings.data
    if not (data / CHECKPOINT_KEY).is_file() or not journal_location(directory, settings).exists():
        raise ConfigError(
            f"there is no journal in {data} yet", code="backup-no-journal", remedy="Start the controller once: `gatehouse run`."
        )
    try:
        if not to.is_dir():
            to.mkdir(mode=0o700, parents=True, exist_ok=True)
            hand_over(to, data)
    except OSError as error:
        raise UsageError(
            f"{to} cannot be made: {error.strerror}", code="no-directory", remedy="Name a folder that you can write to."
        ) from None
    return load_key(data / CHECKPOINT_KEY)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    handle = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        hand_over(handle, data)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused(
            "another copy of this deployment is being made", code="backup-running", remedy="Wait until it has ended."
        ) from None
    finally:
        os.close(handle)


@contextmanager
def _staging(data: Path) -> Iterator[Path]:
    """A folder for the copied journal beside the journal itself: what is not encrypted never leaves the deployment's folder."""
    folder = data / STAGING
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _said_when_full(data: Path, to: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _full(f"the disk of {to} or of {data} is full") from error
        raise GatehouseError(
            f"the copy could not be made: {error}",
            code="backup-not-written",
            remedy=f"Make {to} writable and every file of the deployment readable for this user. Nothing half-made is left.",
        ) from error


def _full(what: str) -> GatehouseError:
    return GatehouseError(
        f"{what}; no copy was made and nothing half-made is left",
        code="disk-full",
        remedy="Free space, keep fewer copies with --keep, or name a folder on another disk; then run the command again.",
    )


def _require_room(data: Path, to: Path, needed: int) -> None:
    """The copied journal must not take the room that the controller's own journal needs."""
    for folder, least in ((data, needed + 2 * RESERVE_BYTES), (to, needed // 4)):
        if (free := shutil.disk_usage(folder).free) < least:
            raise _full(f"the disk of {folder} has {free >> 20} MiB free, and {least >> 20} MiB are needed")


def _verified(copied: Path, data: Path, settings: Settings, key: Ed25519PrivateKey) -> CopiedJournal:
    public = checkpoint_public_key(settings.controller_id, key)
    # The archives are verified when the copy is: they are files that do not change.
    report = verify_journal(
        FileLocation(copied), settings.controller_id, monotonic_ns=time.monotonic_ns, key=public, archives=False
    )
    if report.first_problem is not None:
        raise IntegrityError(
            f"the journal does not verify, so no copy was made: {report.first_problem.message}",
            code="journal-broken",
            remedy="Run `gatehouse journal verify`; restore an earlier copy. gatehouse never repairs a journal.",
        )
    reader = FileLocation(copied).read()
    try:
        last = next(reader.read(after=reader.head.seq - 1), None)
    finally:
        reader.close()
    if last is None:
        raise ConfigError(f"the journal in {data} has no entry yet", code="backup-no-journal", remedy="Start the controller once.")
    return CopiedJournal(
        name=f"{Path(settings.data)}/{JOURNAL}",
        entries=last.seq,
        head=last.hash,
        epoch=last.epoch,
        until_ms=last.at,
        after=report.after,
    )


def _manifest(
    settings: Settings,
    key: Ed25519PrivateKey,
    journal: CopiedJournal,
    sources: dict[str, Path],
    what: Contents,
    at: Millis,
    *,
    with_secrets: bool,
) -> Manifest:
    require_names(sources)
    files = (CopiedFile(name=name, size=path.stat().st_size, digest=_digest(path)) for name, path in sorted(sources.items()))
    return Manifest(
        format=FORMAT,
        gatehouse=VERSION,
        controller_id=settings.controller_id,
        environment=settings.environment.value,
        created_ms=at,
        key=checkpoint_public_key(settings.controller_id, key).text,
        data=str(Path(settings.data)),
        journal=journal,
        with_secrets=with_secrets,
        files=tuple(files),
        left_out=what.left_out,
    )


def _source(path: Path, staging: Path) -> Path:
    """Where the content of a file is read from: a copy of it, if it is written at any time."""
    return Path(shutil.copy(path, staging / path.name)) if path.name in APPENDED and path.parent == staging.parent else path


def _members(manifest: Manifest, sources: dict[str, Path], key: Ed25519PrivateKey, on_step: OnStep) -> Iterator[Member]:
    at, content = manifest.created_ms // 1000, written(manifest)
    for name, made in ((MANIFEST, content), (NOTE, signed(content, manifest.controller_id, key))):
        yield Member(name, len(made), at, lambda made=made: iter((made,)))  # type: ignore[misc]
    done = 0
    for one in manifest.files:
        yield Member(one.name, one.size, at, partial(_unchanged, sources[one.name], one))
        done += one.size
        on_step("sealing", done, manifest.bytes)


def _unchanged(path: Path, one: CopiedFile) -> Iterator[bytes]:
    """The content of a file, which must still be the one of the manifest."""
    digest, left = hashlib.sha256(), one.size
    with path.open("rb") as file:
        while left and (piece := file.read(min(_PIECE, left))):
            digest.update(piece)
            left -= len(piece)
            yield piece
        changed = left or file.read(1)
    if changed or f"sha256:{digest.hexdigest()}" != one.digest:
        raise GatehouseError(
            f"{path} changed while it was copied; no copy was made", code="backup-changed", remedy="Run the command again."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _sealed(path: Path, pieces: Iterator[bytes], owner: Owner, recipients: tuple[str, ...], data: Path) -> int:
    """Write the copy under another name, sync it, and only then give it its name. Returns its size.

    A copy that root makes is the deployment's user's, whose restore drill reads it.
    """
    for old in partials_in(path.parent, owner):
        old.unlink()
    draft = path.with_name(f".{path.name}{PARTIAL}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            hand_over(handle, data)
            seal(_synced(pieces, handle), file, recipients)
            os.fsync(handle)
            size = file.tell()
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    return size


def _synced(pieces: Iterator[bytes], handle: int) -> Iterator[bytes]:
    """Sync what is written every few megabytes, so that a sync of the journal never waits for a whole large file."""
    passed = 0
    for piece in pieces:
        yield piece
        passed += len(piece)
        if passed >= _SYNC_EVERY:
            os.fdatasync(handle)
            passed = 0


def _retained(to: Path, owner: Owner, keep: int, data: Path) -> tuple[Path, ...]:
    """Remove older copies. The one that was verified last stays, however old: none of the newer ones was seen to open."""
    verified = last_backup(data).verified
    kept = verified.file if verified is not None else ""
    old = tuple(path for path in copies_in(to, owner, surely=True)[:-keep] if path.name != kept)
    for path in old:
        path.unlink(missing_ok=True)
    return old
