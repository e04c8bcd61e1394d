"""Checkpoints on their way out: a chain alone cannot show a cut-off tail, so its head is kept elsewhere too (DESIGN §7)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.effects import Alert, AlertKind
from controller.events import StageChanged
from controller.journal.chain import Entry
from controller.journal.checkpoint import Checkpoint, checkpoint_key, publish, read_witness, sign_checkpoint, take_checkpoint
from controller.journal.merkle import MerkleTree
from controller.runtime.writer import Carried
from exchange.ports import Clock

EVERY_MS = 300_000

_log = logging.getLogger(__name__)


class Witnesses:
    """Publishes a signed checkpoint to every witness directory on each stage change and every five minutes.

    Nothing waits for it. A witness that refuses, because it knows of more or of another history, is an alert.
    """

    def __init__(
        self,
        controller_id: str,
        private_key: Ed25519PrivateKey,
        directories: Sequence[Path],
        clock: Clock,
        told: Callable[[Alert], object],
    ) -> None:
        self._controller_id = controller_id
        self._private_key = private_key
        self._key = checkpoint_key(controller_id, private_key)
        self._directories = tuple(directories)
        self._clock = clock
        self._told = told
        self._tree = MerkleTree()
        self._published_at = 0
        self._due = asyncio.Event()

    def known(self) -> tuple[Checkpoint, ...]:
        """What the witnesses hold now.

        Raises:
            IntegrityError: one of them holds something that is not a checkpoint of this controller's key.
        """
        held = (read_witness(directory, self._controller_id, self._key) for directory in self._directories)
        return tuple(checkpoint for checkpoint in held if checkpoint is not None)

    @property
    def tree(self) -> MerkleTree:
        """The Merkle tree of every entry seen so far."""
        return self._tree

    def resume(self, tree: MerkleTree) -> None:
        """Go on from the tree of the journal's first entries, as a snapshot kept it."""
        self._tree = tree

    def entry(self, entry: Entry) -> None:
        """Take one journal entry into the tree, in order."""
        self._tree.append(entry.hash)

    def carried(self, batch: Carried) -> None:
        """One durable batch."""
        for entry, _ in batch.entries:
            self._tree.append(entry.hash)
        moved = any(isinstance(event, StageChanged) for _, event in batch.entries)
        if moved or self._clock.now() - self._published_at >= EVERY_MS:
            self._due.set()

    async def run(self) -> None:
        """Publish whenever it is due, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            self._published_at = self._clock.now()
            note = sign_checkpoint(take_checkpoint(self._controller_id, self._tree), self._private_key)
            for taken in await asyncio.to_thread(publish, note, self._controller_id, self._key, self._directories):
                if taken.problem:
                    _log.error("a witness did not take the checkpoint", extra={"fields": {"why": taken.problem}})
                    self._told(Alert(AlertKind.RECONCILIATION, f"witness {taken.directory.name}", taken.problem))
