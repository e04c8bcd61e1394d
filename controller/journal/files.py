"""Writes a file so that a crash leaves either the old or the new content. Exports, targets and snapshots use it."""

from __future__ import annotations

import os
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
