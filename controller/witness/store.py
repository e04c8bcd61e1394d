"""A witness's files: the newest checkpoint of each log, written durably before it is cosigned. ``witness.app`` uses it."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from controller.journal.checkpoint import Checkpoint, head_of
from controller.journal.files import write_atomically
from controller.journal.note import NoteKey, open_note
from exchange.errors import ConfigError, IntegrityError, Refused

LOCK_FILE = "witness.lock"
MOST_EVIDENCE = 1000
"""How many contradicting requests are kept, so that they cannot fill the disk."""


class Store:
    """The files of one witness; one process at a time may open them."""

    def __init__(self, directory: Path, logs: Mapping[str, NoteKey]) -> None:
        """Open the directory, created if it is missing, and read the checkpoints of ``logs``.

        Raises:
            Refused: ``witness-running``.
            IntegrityError: ``witness-memory``: a file cannot be read or is not what was written.
        """
        self._directory = directory
        self._lock = _locked(directory)
        self._newest: dict[str, tuple[str, Checkpoint]] = {}
        for origin, key in logs.items():
            path = self._path(origin)
            if path.exists():
                self._newest[origin] = _read(path, key)

    def newest(self, origin: str) -> Checkpoint | None:
        """The last checkpoint that was accepted; ``None`` when there was none."""
        found = self._newest.get(origin)
        return None if found is None else found[1]

    def note(self, digest: str) -> str | None:
        """The log's own note of its newest checkpoint, by the SHA-256 of the origin in hexadecimal."""
        return next((note for origin, (note, _) in self._newest.items() if digest == digest_of(origin)), None)

    def save(self, note: str, checkpoint: Checkpoint) -> None:
        """Replace the log's newest checkpoint; on disk when this returns. Raises ``OSError``, and then nothing is stored."""
        write_atomically(self._path(checkpoint.origin), note.encode())
        self._newest[checkpoint.origin] = (note, checkpoint)

    def keep_evidence(self, text: str, body: bytes) -> None:
        """Keep a request in which a log seems to contradict itself, once for each signed text. Raises ``OSError``.

        Anyone can send a public checkpoint with many bad proofs; only the log can sign another text.
        """
        kept = self._directory / "evidence"
        kept.mkdir(exist_ok=True)
        path = kept / f"{hashlib.sha256(text.encode()).hexdigest()}.request"
        if not path.exists() and sum(1 for _ in kept.iterdir()) < MOST_EVIDENCE:
            write_atomically(path, body)

    def close(self) -> None:
        """Release the directory for another process."""
        os.close(self._lock)

    def _path(self, origin: str) -> Path:
        return self._directory / f"{digest_of(origin)}.checkpoint"


def digest_of(origin: str) -> str:
    """The name of a log's file and address, because an origin may contain any character."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _read(path: Path, key: NoteKey) -> tuple[str, Checkpoint]:
    try:
        note = path.read_text(encoding="utf-8")
        return note, head_of(open_note(note, key))
    except (OSError, UnicodeDecodeError, IntegrityError) as error:
        raise IntegrityError(
            f"the stored checkpoint of {key.name} in {path} is not valid: {error}",
            code="witness-memory",
            remedy="Restore the file, or start a new witness with a new key: without the file this key must not cosign.",
        ) from error


def _locked(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be used: {error.strerror}",
            code="witness-directory",
            remedy="Pass a directory that only this witness uses.",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Refused(
            f"another witness uses {directory}",
            code="witness-running",
            remedy="Stop the other witness first: two could cosign two histories.",
        ) from error
    return handle
