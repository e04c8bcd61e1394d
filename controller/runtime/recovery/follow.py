"""Follows a journal that another controller writes, and takes it over when that controller is gone (ADR 19).

``controller.bootstrap.leadership`` runs it on a standby. Every entry is verified and folded as it arrives; no order is placed.
"""

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

CHECK_EVERY_S = 0.25

_log = logging.getLogger(__name__)


class Follower:
    """Folds the entries it is given, in order, into a state and a recent history. An entry that breaks the chain is an error."""

    def __init__(
        self, controller_id: str, history: RecentHistory, on_entry: Callable[[Entry], None], state: State, head: Head | None
    ) -> None:
        self._walk = ChainWalk(controller_id, head)
        self._history = history
        self._on_entry = on_entry
        self._state = state

    @property
    def state(self) -> State:
        """The state after the last entry."""
        return self._state

    @property
    def head(self) -> Head:
        """The last entry."""
        return self._walk.head

    def take(self, rows: Sequence[Row]) -> None:
        """Verify and fold the next entries, as they are stored.

        Raises:
            IntegrityError: they do not continue the chain, or this version cannot read them.
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
            self._history.record(entry, event, self._state)
            self._on_entry(entry)

    def require_last_entry(self, found: str | None) -> None:
        """Raises ``IntegrityError`` when ``found``, the hash that the journal has for our last entry, is not that entry's hash.

        After a failover to a server that never had an entry, an entry that was read before is gone (reliability.md F56).
        """
        if self.head.seq and found != self.head.hash:
            raise IntegrityError(
                f"the journal went back: entry {self.head.seq}, which this standby has read, is "
                + ("gone" if found is None else "another one now"),
                code="journal-went-back",
                remedy="Find the server that still has the entry. The server that was promoted has lost acknowledged entries.",
            )


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a standby is behind. ``quiet_ms``: time since the leader's lease last changed. ``problem``: why it is not known."""

    leader_epoch: int
    entries: int
    quiet_ms: int
    problem: str


class Standby:
    """Follows until the leader's lease is over, or until the deployment must halt; then takes the journal over."""

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
        self._entries_behind = 0
        self._last_check_ns: int | None = None
        self._problem = "the journal has not been read yet"
        self._halt = asyncio.Event()
        self._halt_reason = ""

    @property
    def follower(self) -> Follower:
        """The state and the history it has read so far."""
        return self._follower

    @property
    def last_check_ns(self) -> int | None:
        """When it last began to read the journal, monotonic nanoseconds; ``None`` before the first time."""
        return self._last_check_ns

    @property
    def lag(self) -> Lag:
        """How far it is behind now; for ``gatehouse status``."""
        quiet = self._watch.unchanged_ns(self._clock.monotonic_ns()) // 1_000_000
        return Lag(self._lease.epoch, self._entries_behind, quiet, self._problem)

    @property
    def handed_over(self) -> bool:
        """Whether the last leader gave its lease back, so that nothing was taken from it."""
        return self._lease.free

    @property
    def halt_reason(self) -> str:
        """Why the deployment must halt as soon as this process leads; empty when nothing asked for a halt."""
        return self._halt_reason

    def halt(self, reason: str) -> None:
        """Take the journal over at once, even from a leader that is well, because the deployment must halt.

        The old leader is refused at its next append. Its permits may live on for a moment. This process issues none, because it
        journals the halt first, even when the latch file could not be written.
        """
        self._halt_reason = self._halt_reason or reason or "a halt was asked of the standby"
        self._halt.set()

    async def run(self) -> LeasedJournal:
        """Follow, then take over. The follower has read every entry of the journal that is returned.

        Raises:
            IntegrityError: the journal does not verify, or has lost entries.
        """
        try:
            while True:
                self._last_check_ns = self._clock.monotonic_ns()
                try:
                    await self._read_new_entries()
                    self._problem = ""
                    if (journal := await self._try_to_lead()) is not None:
                        return journal
                except JournalError as error:
                    if error.message != self._problem:
                        _log.warning("the journal cannot be followed", extra={"fields": {"why": error.message}})
                    self._problem = error.message
                await self._pause()
        finally:
            self._close_reader()

    async def _read_new_entries(self) -> None:
        if self._reader is None:
            self._reader = await asyncio.to_thread(self._read)
        reader, seq = self._reader, self._follower.head.seq
        self._lease, kept, head = await asyncio.to_thread(lambda: (reader.lease(), reader.hash_at(seq), reader.head.seq))
        self._watch.saw(self._lease, self._clock.monotonic_ns())
        self._follower.require_last_entry(kept)
        while (rows := await asyncio.to_thread(reader.rows_after, self._follower.head.seq)) and self._follower.head.seq < head:
            self._follower.take(rows)
            self._entries_behind = max(0, head - self._follower.head.seq)
        self._entries_behind = 0

    async def _try_to_lead(self) -> LeasedJournal | None:
        halting = self._halt.is_set()
        over = self._watch.over(self._clock.monotonic_ns())
        if over is None and not halting:
            return None
        try:
            journal = await asyncio.to_thread(self._take_over, None if halting else over)
        except JournalLocked:
            return None
        try:
            await self._read_the_rest(journal)
        except BaseException:
            journal.close()
            raise
        return journal

    async def _read_the_rest(self, journal: LeasedJournal) -> None:
        # Not with the reader: it may still be connected to a server that is no longer the primary.
        seq = self._follower.head.seq
        self._follower.require_last_entry(await asyncio.to_thread(journal.hash_at, seq))
        while rows := await asyncio.to_thread(journal.rows_after, self._follower.head.seq):
            self._follower.take(rows)

    async def _pause(self) -> None:
        if self._halt.is_set():
            await asyncio.sleep(CHECK_EVERY_S)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_EVERY_S):
                await self._halt.wait()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
