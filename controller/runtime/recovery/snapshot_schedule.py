"""Snapshots while the controller works, so that a crash costs the next start little more than a clean end would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from threading import Event

from controller.journal.chain import Head
from controller.journal.merkle import MerkleTree
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.loop.writer import CommittedBatch
from controller.runtime.recovery.snapshot import SAVE_AFTER, Snapshots

EVERY_NS = 900 * 10**9
"""A snapshot is due after ``SAVE_AFTER`` entries, and after this long when there were fewer."""

_AT_LEAST = 1_000
_REST = 20
"""After one that took a second the next is not begun for twenty, however much is written."""

PAUSE_S = 0.001
"""How long the thread stands back after a fraction of a millisecond of work."""


class SnapshotSchedule:
    """Takes a snapshot whenever one is due, in a thread that gives way to the writer after every little of work.

    All it reads is immutable or copied on the loop, between two batches. ``tree`` is that of every entry, ``since`` the entry after
    which the last snapshot was taken.
    """

    def __init__(self, snapshots: Snapshots, memory: RecentHistory, tree: Callable[[], MerkleTree], since: int) -> None:
        self._snapshots = snapshots
        self._memory = memory
        self._tree = tree
        self._saved_seq, self._saved_ns, self._rest_until_ns = since, 0, 0
        self._last: CommittedBatch | None = None
        self._due = asyncio.Event()
        self._hurry = Event()

    def carried(self, batch: CommittedBatch) -> None:
        """One durable batch."""
        if not batch.entries:
            return
        self._last = batch
        now, written = batch.durable_ns, batch.after.seq - self._saved_seq
        self._saved_ns = self._saved_ns or now
        late = now - self._saved_ns >= EVERY_NS and written >= _AT_LEAST
        if (late or written >= SAVE_AFTER) and now >= self._rest_until_ns:
            self._due.set()

    async def run(self) -> None:
        """Take snapshots until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._due.wait()
            began = loop.time()
            if (save := self._prepared()) is not None:
                await asyncio.to_thread(save)
            took_ns = int((loop.time() - began) * 1e9)
            self._rest_until_ns = self._saved_ns + (_REST + 1) * took_ns
            self._due.clear()

    def finish(self) -> None:
        """At the end of a run: one more, when much was written since the last."""
        self._hurry.set()
        if self._last is not None and self._last.after.seq - self._saved_seq >= SAVE_AFTER:
            save = self._prepared()
            if save is not None:
                save()

    def _prepared(self) -> partial[bool] | None:
        if self._last is None:
            return None
        state, (entry, _) = self._last.after, self._last.entries[-1]
        tree = self._tree()
        self._saved_seq, self._saved_ns = state.seq, self._last.durable_ns
        head = Head(entry.seq, entry.hash, entry.epoch)
        taken = state, head, self._memory.kept(), MerkleTree(tree.size, tree.frontier)
        return partial(self._snapshots.save, *taken, partial(self._hurry.wait, PAUSE_S))
