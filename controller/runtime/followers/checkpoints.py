"""Checkpoints on their way out: a chain alone cannot show a cut-off tail, so its head is kept elsewhere too (architecture.md §7).

Nothing waits for it: every target has a task of its own, and one that does not answer is asked again later and later. Only a target
that knows of another history stops the deployment, because then two histories exist and one of them is not the truth.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.core.effects import Alert, AlertKind
from controller.core.events import StageChanged
from controller.journal.chain import Entry
from controller.journal.checkpoint import Anchor, sign_checkpoint, take_checkpoint
from controller.journal.history import History, Leaves
from controller.journal.merkle import MerkleTree
from controller.journal.publishing import CheckpointTarget, Offer, Outcome, Publication, publish_to, read_from
from controller.runtime.loop.writer import CommittedBatch
from exchange.model import Millis
from exchange.ports import Clock

EVERY_MS = 300_000
FIRST_RETRY_S = 5
LAST_RETRY_S = 300
FINISH_S = 5
MARKS = 64
"""How many of the sizes that were published can be proven from without reading the journal from its beginning."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How things are with one target. ``at`` is when it last agreed; ``problem`` is empty while it does."""

    target: str
    size: int = 0
    at: Millis | None = None
    problem: str = ""


class CheckpointPublisher:
    """Publishes a signed checkpoint to every target on each stage change and every five minutes."""

    def __init__(
        self,
        controller_id: str,
        private_key: Ed25519PrivateKey,
        targets: Sequence[CheckpointTarget],
        leaves: Leaves,
        clock: Clock,
        told: Callable[[Alert], object],
    ) -> None:
        self._controller_id = controller_id
        self._private_key = private_key
        self._targets = tuple(targets)
        self._leaves = leaves
        self._clock = clock
        self._told = told
        self._tree = MerkleTree()
        self._marks: dict[int, tuple[bytes, ...]] = {}
        self._published_at = 0
        self._due = {target.name: asyncio.Event() for target in targets}
        self._standings = {target.name: Standing(target.name) for target in targets}

    async def look(self) -> tuple[Anchor, ...]:
        """What the targets hold now. One that cannot be reached is in ``standings`` and an alert.

        Raises:
            IntegrityError: one of them holds something that is not a checkpoint of this controller's key, or was rewritten.
        """
        readings = await asyncio.gather(*map(read_from, self._targets))
        for reading in readings:
            size = reading.held.size if reading.held is not None else 0
            self._standings[reading.target] = Standing(reading.target, size, self._clock.now(), reading.problem)
            if reading.problem:
                self._tell(reading.target, f"it was not read at the start: {reading.problem}")
        return tuple(Anchor(reading.target, reading.held) for reading in readings if reading.held is not None)

    @property
    def standings(self) -> tuple[Standing, ...]:
        """Every target, in the order of the settings."""
        return tuple(self._standings.values())

    @property
    def tree(self) -> MerkleTree:
        """The Merkle tree of every entry seen so far."""
        return self._tree

    def resume(self, tree: MerkleTree) -> None:
        """Go on from the tree of the journal's first entries, as a snapshot kept it."""
        self._tree = tree
        self._mark(tree.size, tree.frontier)

    def entry(self, entry: Entry) -> None:
        """Take one journal entry into the tree, in order."""
        self._tree.append(entry.hash)

    def carried(self, batch: CommittedBatch) -> None:
        """One durable batch."""
        for entry, _ in batch.entries:
            self._tree.append(entry.hash)
        moved = any(isinstance(event, StageChanged) for _, event in batch.entries)
        if moved or self._clock.now() - self._published_at >= EVERY_MS:
            self._published_at = self._clock.now()
            for due in self._due.values():
                due.set()

    async def run(self, contradicted: Callable[[str], None]) -> None:
        """Publish whenever it is due, until cancelled. ``contradicted`` is told why when a target knows another history."""
        async with asyncio.TaskGroup() as group:
            for target in self._targets:
                group.create_task(self._serve(target, contradicted), name=target.name)
            group.create_task(asyncio.Event().wait())

    async def finish(self) -> None:
        """Publish once more at the end of a run, to whoever answers soon: what lies on a disk is what somebody could cut."""
        behind = [target for target in self._targets if self._standings[target.name].size < self._tree.size]
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                for found in await asyncio.gather(*map(self._publish, behind)):
                    self._note(found)

    async def _serve(self, target: CheckpointTarget, contradicted: Callable[[str], None]) -> None:
        due, retry_s = self._due[target.name], 0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(due.wait(), retry_s or None)
            due.clear()
            publication = await self._publish(target)
            retry_s = min(max(FIRST_RETRY_S, retry_s * 2), LAST_RETRY_S) if publication.problem else 0
            self._note(publication)
            if publication.outcome is Outcome.CONTRADICTS:
                contradicted(f"{target.name} contradicts the journal: {publication.problem}")

    async def _publish(self, target: CheckpointTarget) -> Publication:
        checkpoint = take_checkpoint(self._controller_id, self._tree)
        history = self._history()
        self._mark(history.size, history.frontier)

        async def prove(older: int) -> tuple[bytes, ...]:
            return await asyncio.to_thread(history.proof, older)

        note = sign_checkpoint(checkpoint, self._private_key)
        try:
            return await publish_to(target, Offer(note, checkpoint, self._clock.now() // 1000, prove), self._history)
        except Exception as error:
            # A checkpoint that does not get out is told and tried again, whatever the reason: it never stops the deployment.
            _log.exception("publishing a checkpoint failed")
            return Publication(target.name, Outcome.UNREACHABLE, 0, f"{type(error).__name__} while publishing")

    def _mark(self, size: int, frontier: tuple[bytes, ...]) -> None:
        self._marks[size] = frontier
        for old in sorted(self._marks)[:-MARKS]:
            del self._marks[old]

    def _history(self) -> History:
        return History(self._tree.size, self._tree.frontier, self._leaves, dict(self._marks))

    def _note(self, found: Publication) -> None:
        before = self._standings[found.target]
        size = max(before.size, found.size)
        if found.outcome is Outcome.TAKEN:
            standing = Standing(found.target, size, self._clock.now())
        else:
            standing = replace(before, size=size, problem=found.problem)
            if not before.problem or found.outcome is Outcome.CONTRADICTS:
                self._tell(found.target, found.problem)
            else:
                _log.warning("a checkpoint target still does not agree", extra={"fields": {"why": found.problem}})
        self._standings[found.target] = standing

    def _tell(self, target: str, why: str) -> None:
        _log.error("a checkpoint target does not agree", extra={"fields": {"target": target, "why": why}})
        self._told(Alert(AlertKind.CHECKPOINT, target, why))
