"""A directory as a checkpoint target: a mounted disk of another machine, a memory card, a synchronised folder.

``bootstrap`` creates it. There is one file per controller.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from controller.journal.checkpoint import Checkpoint, decode_checkpoint
from controller.journal.files import write_atomically
from controller.journal.note import MAX_NOTE_BYTES, NoteKey
from controller.journal.publishing import Offer
from exchange.errors import IntegrityError, Unreachable


def file_in(directory: Path, controller_id: str) -> Path:
    """The file of a controller's newest checkpoint in a directory."""
    return directory / f"gatehouse-{controller_id}.checkpoint"


class DirectoryTarget:
    """Implements ``CheckpointTarget``. Its proof is weak: a process that can write there can restore an older checkpoint."""

    def __init__(self, directory: Path, controller_id: str, key: NoteKey) -> None:
        self._directory = directory
        self._file = file_in(directory, controller_id)
        self._key = key

    @property
    def name(self) -> str:
        """The directory's path."""
        return f"directory {self._directory}"

    async def read(self) -> Checkpoint | None:
        """See ``CheckpointTarget.read``. A missing directory counts as not mounted."""
        data = await asyncio.to_thread(self._read)
        return None if data is None else decode_checkpoint(data, self._key)

    async def publish(self, offer: Offer) -> None:
        """See ``CheckpointTarget.publish``."""
        try:
            await asyncio.to_thread(write_atomically, self._file, offer.note.encode())
        except OSError as error:
            raise _unreachable(self._directory, "written", error) from error

    def _read(self) -> bytes | None:
        try:
            with self._file.open("rb") as file:
                return file.read(MAX_NOTE_BYTES + 1)
        except FileNotFoundError as error:
            if not self._directory.is_dir():
                raise _unreachable(self._directory, "found", error) from None
            return None
        except OSError as error:
            raise IntegrityError(
                f"{self._file} cannot be read: {error.strerror}",
                code="checkpoint-malformed",
                remedy="Find out what replaced the checkpoint file.",
            ) from error


def _unreachable(directory: Path, done: str, error: OSError) -> Unreachable:
    return Unreachable(
        f"{directory} cannot be {done}: {error.strerror}",
        code="target-unreachable",
        remedy="Create or mount the directory, and make it writable for the controller's user.",
    )
