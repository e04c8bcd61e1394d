"""Writes a file so that a crash leaves either the old or the new content, and belongs to whom its folder belongs to.

Exports, targets and snapshots use it, and every verb that writes into a deployment.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

_SYNC_EVERY = 4 << 20


def write_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` durably. Raises ``OSError``."""
    write_pieces(path, (data,))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace ``path`` durably by the joined pieces. Raises ``OSError``.

    Every 4 MiB are synced separately, so that a sync of the journal never has to wait for a whole large file.
    """
    draft = path.with_name(f".{path.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "wb") as file:
        hand_over(handle, path.parent)
        unsynced = 0
        for piece in pieces:
            unsynced += file.write(piece)
            if unsynced >= _SYNC_EVERY:
                file.flush()
                os.fdatasync(handle)
                unsynced = 0
        file.flush()
        os.fsync(handle)
    draft.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises ``OSError``."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hand_over(made: int | Path, folder: Path) -> None:
    """Give what root has just made to the user and the group of ``folder``; what another user makes is that user's already.

    The verbs run as root beside a controller that runs as a user of its own and has to read what they write. ``made`` is a
    descriptor or a path. Raises ``OSError``.
    """
    if os.geteuid() == 0 and (owner := folder.stat()).st_uid != 0:
        os.chown(made, owner.st_uid, owner.st_gid)


def make_directory(directory: Path) -> None:
    """Make a folder (mode 0700) and those missing above it, for the user of the folder they are made in. Raises ``OSError``."""
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in reversed(missing):
        hand_over(made, made.parent)


def owned_by(path: Path) -> str:
    """Whose the file is, or the nearest directory above it that can be looked at, when it is not of this process's user."""
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        ours = os.geteuid()
        return "" if owner == ours else f"; {place} belongs to {_user(owner)}, and this process runs as {_user(ours)}"
    return ""


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
