"""Following a journal that another controller writes: verified as it grows, folded, remembered. Nothing is placed (ADR 19)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from controller.core import event_codec
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import ChainWalk, Entry, Head, Row, entry_of
from controller.journal.lease import Lease, LeaseWatch
from controller.journal.port import FollowedJournal, JournalError, JournalLocked, LeasedJournal
from controller.runtime.followers.recent import RecentHistory
from exchange.errors import IntegrityError
from exchange.ports import Clock

LOOK_EVERY_S = 0.25

_log = logging.getLogger(__name__)


class Follower:
    """The state after every entry seen so far. What does not follow from the entry before it is refused for good."""

    def __init__(
        self, controller_id: str, memory: RecentHistory, seen: Callable[[Entry], None], state: State, head: Head | None
    ) -> None:
        self._walk = ChainWalk(controller_id, head)
        self._memory = memory
        self._seen = seen
        self._state = state

    @property
    def state(self) -> State:
        """The state after the last entry seen."""
        return self._state

    @property
    def head(self) -> Head:
        """The last entry seen."""
        return self._walk.head

    def take(self, rows: Sequence[Row]) -> None:
        """The next entries, as they are stored.

        Raises:
            IntegrityError: they do not continue the chain, or mean nothing to this version.
        """
        problem = self._walk.take(rows)
        if problem is not None:
            raise IntegrityError(
                f"the journal does not verify: {problem.message}",
                code="journal-broken",
                remedy="Run `gatehouse journal verify`; restore a backup. gatehouse never repairs a journal.",
            )
        self._fold(map(entry_of, rows))

    def _fold(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            event = event_codec.decode(entry.kind, entry.body)
            self._state = apply(self._state, event, entry.at)
            self._memory.remember(entry, event, self._state)
            self._seen(entry)

    def require_kept(self, found: str | None) -> None:
        """Raises ``IntegrityError`` when ``found``, the hash the journal has for our last entry, is not that entry's.

        An entry that was read from a primary is gone after a failover to a server that never had it (reliability.md F56).
        """
        if self.head.seq and found != self.head.hash:
            raise IntegrityError(
                f"the journal went back: entry {self.head.seq}, which this standby has read, is "
                + ("gone" if found is None else "another one now"),
                code="journal-went-back",
                remedy="Find the server that still has it: one without it was promoted. Acknowledged entries are lost here.",
            )


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a standby is behind. ``quiet_ms``: since the leader's lease last changed. ``problem``: why it cannot tell."""

    leader_epoch: int
    entries: int
    quiet_ms: int
    problem: str


class Standby:
    """Follows until the leader's lease is over, or until something has to be halted; then takes the journal over."""

    def __init__(
        self,
        *,
        read: Callable[[], FollowedJournal],
        take_over: Callable[[Lease | None], LeasedJournal],
        follower: Follower,
        clock: Clock,
    ) -> None:
        self._read = read
        self._take_over = take_over
        self._follower = follower
        self._clock = clock
        self._reader: FollowedJournal | None = None
        self._watch = LeaseWatch()
        self._lease = Lease(0, "")
        self._behind = 0
        self._looked_ns: int | None = None
        self._problem = "the journal has not been read yet"
        self._halt = asyncio.Event()
        self._halting = ""

    @property
    def follower(self) -> Follower:
        """What it has read."""
        return self._follower

    @property
    def looked_ns(self) -> int | None:
        """When it last began to look at the journal, monotonic nanoseconds; ``None`` before the first time."""
        return self._looked_ns

    @property
    def lag(self) -> Lag:
        """How far it is behind now."""
        quiet = self._watch.unchanged_ns(self._clock.monotonic_ns()) // 1_000_000
        return Lag(self._lease.epoch, self._behind, quiet, self._problem)

    @property
    def handed_over(self) -> bool:
        """Whether the last leader gave the lease back, and was not taken over from."""
        return self._lease.free

    @property
    def halting(self) -> str:
        """Why whoever leads after this has to halt before anything else; empty when nothing asked for it."""
        return self._halting

    def halt(self, reason: str) -> None:
        """Take the journal over whoever holds it, because this deployment must halt.

        The one it is taken from is refused at its next append. Its permits may live on for a moment; ours do not, for the halt
        comes first, whatever became of the latch file.
        """
        self._halting = self._halting or reason or "it was asked of the standby"
        self._halt.set()

    async def run(self) -> LeasedJournal:
        """Follow, then lead. The journal that comes back holds nothing that the follower has not taken.

        Raises:
            IntegrityError: the journal does not verify, or lost what it had.
        """
        try:
            while True:
                self._looked_ns = self._clock.monotonic_ns()
                try:
                    await self._look()
                    self._problem = ""
                    if (journal := await self._led()) is not None:
                        return journal
                except JournalError as error:
                    if error.message != self._problem:
                        _log.warning("the journal cannot be followed", extra={"fields": {"why": error.message}})
                    self._problem = error.message
                await self._pause()
        finally:
            self._let_go()

    async def _look(self) -> None:
        if self._reader is None:
            self._reader = await asyncio.to_thread(self._read)
        reader, seq = self._reader, self._follower.head.seq
        self._lease, kept, head = await asyncio.to_thread(lambda: (reader.lease(), reader.hash_at(seq), reader.head.seq))
        self._watch.saw(self._lease, self._clock.monotonic_ns())
        self._follower.require_kept(kept)
        while (rows := await asyncio.to_thread(reader.rows_after, self._follower.head.seq)) and self._follower.head.seq < head:
            self._follower.take(rows)
            self._behind = max(0, head - self._follower.head.seq)
        self._behind = 0

    async def _led(self) -> LeasedJournal | None:
        halting = self._halt.is_set()
        over = self._watch.over(self._clock.monotonic_ns())
        if over is None and not halting:
            return None
        try:
            journal = await asyncio.to_thread(self._take_over, None if halting else over)
        except JournalLocked:
            return None
        try:
            await self._finish(journal)
        except BaseException:
            journal.close()
            raise
        return journal

    async def _finish(self, journal: LeasedJournal) -> None:
        # Not through the reader: it may still be connected to a server that has lost its place.
        seq = self._follower.head.seq
        self._follower.require_kept(await asyncio.to_thread(journal.hash_at, seq))
        while rows := await asyncio.to_thread(journal.rows_after, self._follower.head.seq):
            self._follower.take(rows)

    async def _pause(self) -> None:
        if self._halt.is_set():
            await asyncio.sleep(LOOK_EVERY_S)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._halt.wait(), LOOK_EVERY_S)

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
