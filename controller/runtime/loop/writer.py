"""The single writer: takes inputs, decides, remembers, and only then lets anything happen (architecture.md §1.4, §4).

One batch is one durable transaction. A latch is carried out the moment it is decided, before the journal is written; all else
waits until the events behind it are on disk. A decision that fails is replaced by a halt in the same batch. When the journal cannot
be written the writer latches, tells the shell to cancel what is open, and never acts again in this process.

A journal under a lease is across a network, and a COMMIT there can hang. It is waited for beside the event loop and not for long;
meanwhile whatever stops something is decided on top of what is under way, and latches, at once. A permit rests on the last renewal
of the lease, never longer than ``controller.journal.lease`` allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from controller.core import event_codec
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decide import decide
from controller.core.decisions.draft import Decision
from controller.core.effects import CancelAll, Effect, Latch
from controller.core.inputs import HaltAsked, ProposalAsked
from controller.core.state import State
from controller.journal.chain import Entry, Record
from controller.journal.lease import PERMIT_NS, RENEW_NS, TERM_NS
from controller.journal.port import Journal, JournalTakenOver, JournalWriteFailed, LeasedJournal
from controller.runtime.loop.inbox import Inbox, QueuedInput
from controller.runtime.loop.permit import LIFETIME_NS, PermitOffice
from exchange.errors import GatehouseError, Halted
from exchange.model import Millis
from exchange.ports import Clock
from policies.stage import Stage

BATCH_MOST = 64
ANSWER_WITHIN_S = 4.0
"""How long an append across a network may take before it counts as failed: well before the lease could run out."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """What one batch did, for those who watch: entries with their events, and the state after them.

    ``began_ns``, ``decided_ns`` and ``durable_ns`` are monotonic: when deciding began and ended, and when the journal had it.
    """

    entries: tuple[tuple[Entry, e.Event], ...]
    after: State
    began_ns: int
    decided_ns: int
    durable_ns: int


@dataclass(frozen=True, slots=True)
class HaltClock:
    """When the breach behind a latch became known and when the latch fell, monotonic nanoseconds."""

    known_ns: int
    latched_ns: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why this process will not act again. ``halted``: by a latch the journal does not hold. ``taken_over``: another leads.

    ``alone_until_ns``: until then, monotonic, nobody else can lead a journal under a lease.
    """

    reason: str
    epoch: int
    halted: bool
    taken_over: bool
    alone_until_ns: int


@dataclass(slots=True)
class _Batch:
    at: Millis
    began_ns: int
    after: State
    letters: list[QueuedInput] = field(default_factory=list)
    decided: list[tuple[QueuedInput, Decision]] = field(default_factory=list)
    decided_ns: int = 0

    @property
    def events(self) -> list[e.Event]:
        return [event for _, decision in self.decided for event in decision.events]

    @property
    def halts(self) -> bool:
        """Whether a latch in it means a halt; that of a drill does not."""
        latches = any(isinstance(effect, Latch) for _, decision in self.decided for effect in decision.effects)
        return latches and self.after.position.stage is Stage.HALTED


class Writer:
    """Owns the state. Everybody else reads it, and asks through the inbox."""

    def __init__(
        self,
        *,
        journal: Journal,
        state: State,
        clock: Clock,
        permits: PermitOffice,
        inbox: Inbox,
        perform: Callable[[Effect], None],
        watchers: Sequence[Callable[[CommittedBatch], None]] = (),
        failing: Callable[[Failure], None] | None = None,
        halting: Callable[[str], None] | None = None,
    ) -> None:
        self._journal = journal
        self._known = state
        self._clock = clock
        self._permits = permits
        self._inbox = inbox
        self._perform = perform
        self._watchers = list(watchers)
        self._failing = failing
        self._halting = halting
        self._halt_clock: HaltClock | None = None
        self._failed: str = ""
        self._turned_ns: int | None = None
        self._leased = journal if isinstance(journal, LeasedJournal) else None
        # Making or opening the journal was the first renewal; when it was sent is not known here, so nothing rests on it.
        self._renewed_ns = clock.monotonic_ns() - max(PERMIT_NS, RENEW_NS)
        self._flying: _Batch | None = None
        self._next: _Batch | None = None

    @property
    def known(self) -> State:
        """The state after the last durable entry."""
        return self._known

    @property
    def failed_because(self) -> str:
        """Why this process will not act again; empty while it may."""
        return self._failed

    @property
    def halt_clock(self) -> HaltClock | None:
        """The last latch's instants."""
        return self._halt_clock

    @property
    def turned_ns(self) -> int | None:
        """When the writer last began a batch, monotonic nanoseconds; ``None`` before its first."""
        return self._turned_ns

    def watch(self, watcher: Callable[[CommittedBatch], None]) -> None:
        """Call ``watcher`` after every durable batch."""
        self._watchers.append(watcher)

    async def run(self) -> None:
        """Write until cancelled."""
        if self._leased is None:
            while True:
                self.step(await self._inbox.take(BATCH_MOST))
        # Its threads end by themselves: nothing across the network waits for ever.
        beside = ThreadPoolExecutor(1, "journal")
        self._inbox.on_stop(self._stop)
        try:
            while True:
                await self.step_beside(await self._inbox.take(BATCH_MOST), beside)
        finally:
            beside.shutdown(wait=False, cancel_futures=True)

    def step(self, letters: Sequence[QueuedInput]) -> None:
        """Decide one batch, make it durable, carry it out."""
        self._turned_ns = self._clock.monotonic_ns()
        if self._failed:
            self._turn_away(letters)
            return
        try:
            batch = self._decided(self._known, letters)
            self._carry(batch, self._append(batch), batch.after)
        except Exception as error:
            self._fail(error, letters)

    async def step_beside(self, letters: Sequence[QueuedInput], beside: ThreadPoolExecutor) -> None:
        """As ``step``, with the journal waited for in ``beside``. What stops something meanwhile makes a batch of its own."""
        self._turned_ns = self._clock.monotonic_ns()
        if self._failed:
            self._turn_away(letters)
            return
        batch: _Batch | None = None
        try:
            batch = self._decided(self._known, letters)
            while batch is not None:
                entries = await self._append_beside(batch, beside)
                if self.failed_because:
                    # A stop that came meanwhile could not be decided: what is durable now is read at the next start.
                    self._turn_away(batch.letters)
                    return
                done, batch = batch, self._next
                self._carry(done, entries, batch.after if batch is not None else done.after)
        except Exception as error:
            self._fail(error, batch.letters if batch is not None else letters)

    def _stop(self) -> None:
        """Something that stops arrived. If an append is under way it is decided now, on top of what that append will make known."""
        if self._flying is None or self._failed:
            return
        letters = self._inbox.take_stops()
        try:
            if self._next is None:
                self._next = _Batch(self._flying.at, self._clock.monotonic_ns(), self._flying.after)
            self._extend(self._next, letters)
        except Exception as error:
            self._fail(error, letters)

    def _decided(self, state: State, letters: Sequence[QueuedInput]) -> _Batch:
        batch = _Batch(Millis(max(self._clock.now(), state.at)), self._clock.monotonic_ns(), state)
        self._extend(batch, letters)
        return batch

    def _extend(self, batch: _Batch, letters: Sequence[QueuedInput]) -> None:
        batch.letters.extend(letters)
        for letter in letters:
            found = self._decide(batch.after, letter, batch.at)
            if found is not None:
                batch.decided.append(found)
                batch.after = found[1].after
        batch.decided_ns = self._clock.monotonic_ns()
        if self._leased is not None and self._halting is not None and batch.halts:
            _attempt(self._halting, batch.after.halt_reason)

    def _append(self, batch: _Batch) -> tuple[Entry, ...]:
        events = batch.events
        return self._journal.append([Record(event.kind, event_codec.encode(event)) for event in events], batch.at) if events else ()

    async def _append_beside(self, batch: _Batch, beside: ThreadPoolExecutor) -> tuple[Entry, ...]:
        sent = self._clock.monotonic_ns()
        self._flying, self._next = batch, None
        try:
            if not batch.events and sent - self._renewed_ns < RENEW_NS:
                return ()
            appending = asyncio.get_running_loop().run_in_executor(beside, self._appended_or_renewed, batch)
            await asyncio.wait({appending}, timeout=ANSWER_WITHIN_S)
            if not appending.done():
                appending.add_done_callback(_told_too_late)
                raise JournalWriteFailed(
                    f"the journal gave no answer within {ANSWER_WITHIN_S:g} s",
                    code="journal-write-failed",
                    remedy="Check the database server and its standby; what was under way is read at the next start.",
                )
            entries = appending.result()
            self._renewed_ns = sent
            return entries
        finally:
            self._flying = None

    def _appended_or_renewed(self, batch: _Batch) -> tuple[Entry, ...]:
        assert self._leased is not None
        if batch.events:
            return self._append(batch)
        self._leased.renew()
        return ()

    def _carry(self, batch: _Batch, entries: tuple[Entry, ...], latest: State) -> None:
        self._known = batch.after
        self._permit(latest, batch, proven=bool(entries))
        pairs = tuple(zip(entries, batch.events, strict=True))
        carried = CommittedBatch(pairs, batch.after, batch.began_ns, batch.decided_ns, self._clock.monotonic_ns())
        for watcher in self._watchers:
            _attempt(watcher, carried)
        for letter, decision in batch.decided:
            if letter.answer is not None and not letter.answer.done():
                letter.answer.set_result(decision)
            for effect in decision.effects:
                if not isinstance(effect, Latch):
                    _attempt(self._perform, effect)

    def _decide(self, state: State, letter: QueuedInput, now: Millis) -> tuple[QueuedInput, Decision] | None:
        try:
            decision = decide(state, letter.input, now)
        except Exception as error:
            if isinstance(error, GatehouseError) and isinstance(letter.input, ProposalAsked):
                _answer(letter, error)
                return None
            if isinstance(letter.input, HaltAsked):
                raise
            # A rule that cannot be evaluated is a rule that was broken (architecture.md §1.2): stop at once, and say where.
            _log.exception("a decision failed")
            reason = f"{type(error).__name__} while deciding {type(letter.input).__name__}"
            _answer(letter, Halted(reason, code="decision-failed", remedy="Read the log; the deployment halts itself."))
            halt = HaltAsked(by="controller", reason=reason, cause=Cause.CONTROLLER)
            return self._decide(state, QueuedInput(halt, letter.known_ns, None), now)
        for effect in decision.effects:
            if isinstance(effect, Latch):
                self._halt_clock = HaltClock(letter.known_ns, self._permits.latch(effect.reason))
        return letter, decision

    def _permit(self, state: State, batch: _Batch, *, proven: bool) -> None:
        if state.position.stage is Stage.HALTED or state.drill is not None:
            if not self._permits.latched_because:
                self._permits.latch(state.halt_reason or state.not_armed_because)
            return
        if self._permits.latched_because:
            self._permits.unlatch()
        if not state.armed:
            self._permits.lapse()
        elif self._leased is not None:
            self._permits.renew(self._renewed_ns + PERMIT_NS)
        elif proven:
            # Only an entry shows that this process still leads, and it showed so when its batch began (ADR 16).
            self._permits.renew(batch.began_ns + LIFETIME_NS)

    def _fail(self, error: Exception, letters: Sequence[QueuedInput]) -> None:
        if self._failed:
            self._turn_away(letters)
            return
        self._failed = error.message if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
        was_latched = bool(self._permits.latched_because) and self._known.position.stage is not Stage.HALTED
        self._permits.latch(self._failed)
        taken_over = isinstance(error, JournalTakenOver)
        failure = Failure(self._failed, self._known.epoch, was_latched, taken_over, self._renewed_ns + TERM_NS)
        if self._failing is not None:
            _attempt(self._failing, failure)
        _log.critical("nothing can be remembered any more, so nothing will be placed again", exc_info=error)
        following, self._next = self._next, None
        letters = [*letters, *(following.letters if following is not None else ())]
        if not failure.taken_over:
            self._cancel_everything()
        self._turn_away(letters)

    def _cancel_everything(self) -> None:
        known = self._known
        open_orders = known.open.values()
        venues = {order.venue for order in open_orders} | ({known.venue} if known.venue is not None else set())
        symbols = {order.symbol for order in open_orders} | set(known.policy.symbols if known.policy else ())
        for venue in sorted(venues):
            _attempt(self._perform, CancelAll(venue, tuple(sorted(symbols)), because=self._failed))

    def _turn_away(self, letters: Sequence[QueuedInput]) -> None:
        for letter in letters:
            error = Halted(
                f"the journal cannot be written: {self._failed}",
                code="journal-failed",
                remedy="Mend the disk, run `gatehouse journal verify`, then restart the controller.",
            )
            _answer(letter, error)


def _told_too_late(appending: asyncio.Future[tuple[Entry, ...]]) -> None:
    # Nobody waits for it any more; the next start reads what became of it.
    if not appending.cancelled() and (error := appending.exception()) is not None:
        _log.warning("an append that was given up has failed", extra={"fields": {"why": str(error)}})


def _attempt(act: Callable[[T], None], given: T) -> None:
    # What one of them gets wrong must not keep a cancel from the next.
    try:
        act(given)
    except Exception:
        _log.exception("a watcher or an effect failed")


def _answer(letter: QueuedInput, error: GatehouseError) -> None:
    if letter.answer is not None and not letter.answer.done():
        letter.answer.set_exception(error)
