"""Takes snapshots while the controller runs, so that the start after a crash is fast too. Made by ``controller.bootstrap``."""

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
"""A snapshot is due after ``SAVE_AFTER`` entries, or after this time when there are at least ``_MIN_ENTRIES``."""

_MIN_ENTRIES = 1_000
_PAUSE_FACTOR = 20
"""After a snapshot that took one second the next one waits for twenty, even when many entries are written."""

PAUSE_S = 0.001
"""How long the thread sleeps after each piece, which takes a fraction of a millisecond."""


class SnapshotSchedule:
    """Takes a snapshot whenever one is due, in a thread that pauses after every piece so that it does not delay the writer.

    All that the thread reads is immutable, or was copied on the event loop between two batches. ``tree`` returns the Merkle tree of
    every entry; ``last_seq`` is the entry after which the last snapshot was taken.
    """

    def __init__(self, snapshots: Snapshots, history: RecentHistory, tree: Callable[[], MerkleTree], last_seq: int) -> None:
        self._snapshots = snapshots
        self._history = history
        self._tree = tree
        self._saved_seq, self._saved_ns, self._not_before_ns = last_seq, 0, 0
        self._last_batch: CommittedBatch | None = None
        self._due = asyncio.Event()
        self._finishing = Event()

    def on_batch(self, batch: CommittedBatch) -> None:
        """Note a durable batch, and decide whether a snapshot is due."""
        if not batch.entries:
            return
        self._last_batch = batch
        now, written = batch.durable_ns, batch.after.seq - self._saved_seq
        self._saved_ns = self._saved_ns or now
        overdue = now - self._saved_ns >= EVERY_NS and written >= _MIN_ENTRIES
        if (overdue or written >= SAVE_AFTER) and now >= self._not_before_ns:
            self._due.set()

    async def run(self) -> None:
        """Take snapshots until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._due.wait()
            began = loop.time()
            if (save := self._prepare()) is not None:
                await asyncio.to_thread(save)
            took_ns = int((loop.time() - began) * 1e9)
            self._not_before_ns = self._saved_ns + (_PAUSE_FACTOR + 1) * took_ns
            self._due.clear()

    def finish(self) -> None:
        """Take a last snapshot on shutdown when ``SAVE_AFTER`` entries were written since the last one."""
        self._finishing.set()
        if self._last_batch is not None and self._last_batch.after.seq - self._saved_seq >= SAVE_AFTER:
            save = self._prepare()
            if save is not None:
                save()

    def _prepare(self) -> partial[bool] | None:
        if self._last_batch is None:
            return None
        state, (entry, _) = self._last_batch.after, self._last_batch.entries[-1]
        tree = self._tree()
        self._saved_seq, self._saved_ns = state.seq, self._last_batch.durable_ns
        head = Head(entry.seq, entry.hash, entry.epoch)
        copies = state, head, self._history.saved(), MerkleTree(tree.size, tree.frontier)
        return partial(self._snapshots.save, *copies, partial(self._finishing.wait, PAUSE_S))
