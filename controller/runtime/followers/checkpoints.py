"""Publishes the journal's signed checkpoints to every target of the settings while the controller runs (architecture.md §7).

A hash chain alone cannot show that its end was cut off, so its head is also kept outside this host. ``controller.bootstrap`` makes
the publisher and reads the targets at the start; the writer's batches drive it. Each target has a task of its own, so a target that
does not answer delays nothing; it is retried after longer and longer pauses. Only a target that holds another history halts the
deployment, because one of the two histories must be false.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.core.effects import Alert, AlertKind
from controller.core.events import RosterAdopted, StageChanged
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
KEPT_FRONTIERS = 64
"""For how many published sizes the tree's frontier is kept, so that a proof need not read the journal from its beginning."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """What one target holds: ``size`` entries, ``at`` when it last agreed. ``problem`` is empty while it agrees."""

    target: str
    size: int = 0
    at: Millis | None = None
    problem: str = ""


class CheckpointPublisher:
    """Publishes a signed checkpoint to every target on each change of stage or roster, and every five minutes.

    ``notify`` gets its alerts, ``ended`` what is over.
    """

    def __init__(
        self,
        controller_id: str,
        private_key: Ed25519PrivateKey,
        targets: Sequence[CheckpointTarget],
        leaves: Leaves,
        clock: Clock,
        notify: Callable[[Alert], object],
        ended: Callable[[AlertKind, str, str], object] = lambda *_: None,
    ) -> None:
        self._ended = ended
        self._agreed: set[str] = set()
        self._controller_id = controller_id
        self._private_key = private_key
        self._targets = tuple(targets)
        self._leaves = leaves
        self._clock = clock
        self._notify = notify
        self._tree = MerkleTree()
        self._frontiers: dict[int, tuple[bytes, ...]] = {}
        self._base = MerkleTree()
        self._published_at = 0
        self._due = {target.name: asyncio.Event() for target in targets}
        self._statuses = {target.name: TargetStatus(target.name) for target in targets}

    async def read_targets(self) -> tuple[Anchor, ...]:
        """Read what the targets hold now, at a start. A target that cannot be reached shows in ``target_statuses`` and as an alert.

        Raises:
            IntegrityError: a target holds something that this controller's key did not sign, or that was rewritten.
        """
        results = await asyncio.gather(*map(read_from, self._targets))
        for result in results:
            size = result.held.size if result.held is not None else 0
            self._statuses[result.target] = TargetStatus(result.target, size, self._clock.now(), result.problem)
            if result.problem:
                self._alert(result.target, f"it was not read at the start: {result.problem}")
        return tuple(Anchor(result.target, result.held) for result in results if result.held is not None)

    @property
    def target_statuses(self) -> tuple[TargetStatus, ...]:
        """The status of every target, in the order of the settings."""
        return tuple(self._statuses.values())

    @property
    def tree(self) -> MerkleTree:
        """The Merkle tree of every entry so far."""
        return self._tree

    def begin_at(self, base: MerkleTree) -> None:
        """Prove from the base of a journal with archives on, so that no proof from there on needs an archived entry."""
        self._base = base

    def resume(self, tree: MerkleTree) -> None:
        """Continue from the tree that a snapshot holds."""
        self._tree = tree
        self._keep_frontier(tree.size, tree.frontier)

    def add_entry(self, entry: Entry) -> None:
        """Add one journal entry to the tree, in order; for the entries that a start folds."""
        self._tree.append(entry.hash)

    def on_batch(self, batch: CommittedBatch) -> None:
        """Add a durable batch to the tree, and publish when that is due."""
        for entry, _ in batch.entries:
            self._tree.append(entry.hash)
        decided = any(isinstance(event, StageChanged | RosterAdopted) for _, event in batch.entries)
        if decided or self._clock.now() - self._published_at >= EVERY_MS:
            self._published_at = self._clock.now()
            for due in self._due.values():
                due.set()

    async def run(self, on_contradiction: Callable[[str], None]) -> None:
        """Publish whenever it is due, until cancelled. ``on_contradiction`` gets the reason when a target holds another history."""
        async with asyncio.TaskGroup() as group:
            for target in self._targets:
                group.create_task(self._serve_target(target, on_contradiction), name=target.name)
            group.create_task(asyncio.Event().wait())

    async def finish(self) -> None:
        """Publish a last checkpoint on shutdown, to the targets that answer within ``FINISH_S``.

        Without it the entries since the last checkpoint could be cut off the file unnoticed.
        """
        outdated = [target for target in self._targets if self._statuses[target.name].size < self._tree.size]
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                for found in await asyncio.gather(*map(self._publish, outdated)):
                    self._record_outcome(found)

    async def _serve_target(self, target: CheckpointTarget, on_contradiction: Callable[[str], None]) -> None:
        due, retry_s = self._due[target.name], 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_s or None):
                    await due.wait()
            due.clear()
            publication = await self._publish(target)
            retry_s = min(max(FIRST_RETRY_S, retry_s * 2), LAST_RETRY_S) if publication.problem else 0
            self._record_outcome(publication)
            if publication.outcome is Outcome.CONTRADICTS:
                on_contradiction(f"{target.name} contradicts the journal: {publication.problem}")

    async def _publish(self, target: CheckpointTarget) -> Publication:
        checkpoint = take_checkpoint(self._controller_id, self._tree)
        history = self._history()
        self._keep_frontier(history.size, history.frontier)

        async def prove(older: int) -> tuple[bytes, ...]:
            return await asyncio.to_thread(history.proof, older)

        note = sign_checkpoint(checkpoint, self._private_key)
        try:
            return await publish_to(target, Offer(note, checkpoint, self._clock.now() // 1000, prove), self._history)
        except Exception as error:
            # A checkpoint that cannot be published is an alert and is retried, whatever the reason; it never stops the deployment.
            _log.exception("publishing a checkpoint failed")
            return Publication(target.name, Outcome.UNREACHABLE, 0, f"{type(error).__name__} while publishing")

    def _keep_frontier(self, size: int, frontier: tuple[bytes, ...]) -> None:
        self._frontiers[size] = frontier
        for old in sorted(self._frontiers)[:-KEPT_FRONTIERS]:
            del self._frontiers[old]

    def _history(self) -> History:
        marks = {**self._frontiers, self._base.size: self._base.frontier}
        return History(self._tree.size, self._tree.frontier, self._leaves, marks)

    def _record_outcome(self, found: Publication) -> None:
        before = self._statuses[found.target]
        size = max(before.size, found.size)
        if found.outcome is Outcome.TAKEN:
            status = TargetStatus(found.target, size, self._clock.now())
            if before.problem or found.target not in self._agreed:
                self._agreed.add(found.target)
                self._ended(AlertKind.CHECKPOINT, found.target, "it took a checkpoint")
        else:
            status = replace(before, size=size, problem=found.problem)
            if not before.problem or found.outcome is Outcome.CONTRADICTS:
                self._alert(found.target, found.problem)
            else:
                _log.warning("a checkpoint target still does not agree", extra={"fields": {"why": found.problem}})
        self._statuses[found.target] = status

    def _alert(self, target: str, why: str) -> None:
        _log.error("a checkpoint target does not agree", extra={"fields": {"target": target, "why": why}})
        self._notify(Alert(AlertKind.CHECKPOINT, target, why))
