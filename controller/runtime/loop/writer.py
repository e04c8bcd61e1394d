"""The single writer: it takes inputs, decides, journals the decision, and only then acts on it (architecture.md §1.4, §4).

It is the only code that changes the deployment's state. ``controller.runtime.assembly`` makes one writer for each process and runs
``run()`` as one task of the event loop. Everything else reads ``state`` and asks through the inbox: the gateway for bots, the
console for operators, the venues, the market feeds and the clock.

The inbox has three lanes
    Stops:     a halt, a veto, a revocation, a drill. A stop overtakes every other input, so it never waits for a queue of orders.
    Facts:     what a venue reported, what became of an order, a tick of the clock. A fact is never dropped: a lost fact would be
               a wrong position. Facts go before requests, so that an order is judged on the newest market and the newest fills.
    Requests:  what a bot or an operator asks. Orders are bounded (``Inbox``, 1024 requests): a bot that floods the inbox crowds
               out other orders and nothing else.
    ``Inbox.take`` empties the lanes in this order.

A batch
    A batch is up to ``BATCH_MOST`` inputs that are decided together, in the order in which they were taken, at one instant. Each
    input is decided on the state that the input before it left. The instant is never earlier than the last journal entry, so time
    in the journal does not go back, even when the wall clock does.
    All events of a batch are appended in one transaction with one sync of the disk. This is the group commit: the longer a sync
    takes, the more inputs wait for the next batch, and the fewer syncs there are for each input.

The order of the steps
    1. Decide.   ``decide(state, input, now)`` is pure. It returns events, effects, the next state and a reply.
    2. Latch.    If a decision holds a ``Latch``, every permit to place an order is revoked at once, in ``_decide_input``.
    3. Prepare.  The signature of an order is asked for, so that the signer works while the disk does (ADR 48). Nothing leaves for
                 a venue, and what was prepared is used only in step 6.
    4. Append.   The events go to the journal. The batch is durable or it does not count.
    5. Publish.  ``state`` becomes the state after the batch and the permit is renewed, or revoked. Then every follower gets the
                 ``CommittedBatch``: recent history, traces, checkpoints, snapshots, the latch file, the disk reserve.
    6. Act.      Each caller gets its reply, and each effect is started: orders, cancels, look-ups, alerts.
    An order is therefore in the journal before a byte of it leaves this process. After a crash the next start finds it there and
    asks the venue what became of it.

The latch
    The latch revokes permits; it needs no disk, no network and no journal. It comes before the append because an append can be
    slow or can fail, and a halt must wait for neither. An order that was admitted earlier in the same batch is still journalled,
    but it is not sent: the venue client finds no live permit. A halt alone does not open the latch again: only a durable command
    that leaves HALTED does, or the end of a drill (``_update_permit``).

A decision that fails
    A rule that cannot be evaluated counts as broken. The input is replaced by a halt in the same batch, and its caller gets
    ``decision-failed``. Two cases differ: a proposal that is refused is only answered, and a halt that cannot be decided fails
    the writer.

The permit
    A permit is short, and it rests on a proof that this process still leads. With a journal in a file the proof is an appended
    entry or, when there was none for ``RENEW_NS``, a synced write that adds nothing: the permit lives for ``LIFETIME_NS`` from the
    start of that batch (ADR 16). With a leased journal the proof is a renewal of the lease: the permit lives for ``PERMIT_NS`` from
    before the renewal was sent (``controller.journal.lease``).

    A sale of ``gatehouse flatten`` has a permit of its own (``controller.runtime.loop.permit``), because it must be possible while
    the deployment is HALTED. The writer grants it for one order, once that order is in the journal, and the next latch revokes it.

What is held back
    A decision that brings only measurements in which nothing changed gives them back instead of events (``held``). The writer
    passes them to the next decision, and journals them with its events, or after a while. ``seen`` is the state with them.

A leased journal
    A journal in a database is across a network, and a COMMIT there can hang. So ``step_leased`` appends in a worker thread and
    the event loop goes on. Every append renews the lease; a batch without events renews it when the last renewal is ``RENEW_NS``
    old. While an append is under way the inbox calls ``_decide_stops`` as soon as a stop arrives. The stop is decided on the state
    that the append will make durable, its latch takes effect at once, and the latch file records the halt. The stop's events are
    the next batch and are appended right after the one under way; the permit already follows the state after the stop, so the
    success of the first append does not open the latch again. An append without an answer after ``ANSWER_WITHIN_S`` has failed.

An append that fails
    Whether the batch is durable is then unknown, so no effect of it is started. The writer latches, calls ``on_failure`` (the
    assembly then writes the latch file and lets the process end), and starts a cancel-all on every venue that may hold an order.
    It does not cancel when another controller leads now, because the open orders are that controller's. Every caller that waits,
    and every later one, gets ``journal-failed``. This process never acts again. The next start reads the journal, which shows
    what became durable, and halts if the latch file says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from controller.core import event_codec
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decide import decide
from controller.core.decisions.draft import Decision
from controller.core.decisions.held import NOTHING, Held
from controller.core.effects import CancelAll, Effect, Latch, PlaceExit
from controller.core.inputs import DeniedEarly, HaltAsked, ProposalAsked, Stopping, Tick
from controller.core.state import State
from controller.journal.chain import Entry, Record
from controller.journal.lease import PERMIT_NS, RENEW_NS, TERM_NS
from controller.journal.port import Journal, JournalReplaced, JournalTakenOver, JournalWriteFailed, LeasedJournal
from controller.runtime.loop.inbox import Inbox, QueuedInput
from controller.runtime.loop.permit import LIFETIME_NS, PermitOffice
from exchange.errors import GatehouseError, Halted
from exchange.model import Millis
from exchange.ports import Clock
from policies.stage import Stage
from policies.values import replace

BATCH_MOST = 64
"""How many inputs one batch holds at most."""

ANSWER_WITHIN_S = 4.0
"""How long an append to a leased journal may take before it counts as failed: well before the lease can run out."""

T = TypeVar("T")


class Early(Protocol):
    """Orders that were denied before the writer saw them (``controller.runtime.api.early_denials``)."""

    @property
    def pending(self) -> int:
        """How many are counted and not queued."""

    def take(self) -> tuple[DeniedEarly, ...]:
        """Everything that was counted and not queued."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """A batch that is durable, as followers get it: its entries with their events, and the state after them.

    ``began_ns``, ``decided_ns`` and ``durable_ns`` are monotonic: when deciding began and ended, and when the append returned.
    ``measured`` are the measurements of the batch that are held back and not journalled yet.
    """

    entries: tuple[tuple[Entry, e.Event], ...]
    after: State
    began_ns: int
    decided_ns: int
    durable_ns: int
    measured: tuple[e.Event, ...] = ()


@dataclass(frozen=True, slots=True)
class HaltClock:
    """When the cause of a latch became known, and when the latch took effect; monotonic nanoseconds."""

    known_ns: int
    latched_ns: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why this process does not act again. ``on_failure`` gets it.

    ``halted``: a latch took effect whose halt is not in the journal, or another file is in the journal's place. ``taken_over``:
    another controller leads now. ``exclusive_until_ns``: until then, monotonic, no other controller can lead a leased journal.
    """

    reason: str
    epoch: int
    halted: bool
    taken_over: bool
    exclusive_until_ns: int


@dataclass(slots=True)
class _Batch:
    at: Millis
    began_ns: int
    after: State
    held: Held
    inputs: list[QueuedInput] = field(default_factory=list)
    decided: list[tuple[QueuedInput, Decision]] = field(default_factory=list)
    decided_ns: int = 0

    @property
    def events(self) -> list[e.Event]:
        return [event for _, decision in self.decided for event in decision.events]

    @property
    def measured(self) -> tuple[e.Event, ...]:
        """The measurements that it holds back."""
        return tuple(event for _, decision in self.decided for event in decision.measured)

    @property
    def halts(self) -> bool:
        """Whether it latches for a halt; a drill latches too, and is no halt."""
        latches = any(isinstance(effect, Latch) for _, decision in self.decided for effect in decision.effects)
        return latches and self.after.position.stage is Stage.HALTED


class Writer:
    """Owns the state. All other code reads ``state`` and asks through the inbox. Made by ``controller.runtime.assembly``."""

    def __init__(
        self,
        *,
        journal: Journal,
        state: State,
        clock: Clock,
        permits: PermitOffice,
        inbox: Inbox,
        perform: Callable[[Effect], None],
        prepare: Callable[[Effect], None] | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        on_halt: Callable[[str], None] | None = None,
    ) -> None:
        self._journal = journal
        self._state = state
        self._held = NOTHING
        self._clock = clock
        self._permits = permits
        self._inbox = inbox
        self._perform = perform
        self._prepare = prepare
        self._followers: list[Callable[[CommittedBatch], None]] = []
        self._on_failure = on_failure
        self._on_halt = on_halt
        self._halt_clock: HaltClock | None = None
        self._failed: str = ""
        self._last_tick_ns: int | None = None
        self._leased = journal if isinstance(journal, LeasedJournal) else None
        # Opening the journal was the first proof that this process leads. When that was is not known here: no permit rests on it.
        self._permit_ns = PERMIT_NS if self._leased is not None else LIFETIME_NS
        self._renewed_ns = clock.monotonic_ns() - max(self._permit_ns, RENEW_NS)
        self._early: Early | None = None
        self._appending: _Batch | None = None
        self._stops: _Batch | None = None

    @property
    def state(self) -> State:
        """The state after the last durable entry."""
        return self._state

    @property
    def seen(self) -> State:
        """The state with what is held back, for views: what a decision would see now. Its entries are those that are durable."""
        if not self._held:
            return self._state
        return replace(self._held.over(self._state, self._held.newest), seq=self._state.seq)

    @property
    def refusals_held(self) -> int:
        """How many refused orders are counted and not journalled yet (ADR 56)."""
        return self._held.refusals.pending + (self._early.pending if self._early is not None else 0)

    @property
    def failed_because(self) -> str:
        """Why this process does not act again; empty while it may act."""
        return self._failed

    @property
    def halt_clock(self) -> HaltClock | None:
        """The instants of the last latch; ``None`` before the first."""
        return self._halt_clock

    @property
    def last_tick_ns(self) -> int | None:
        """When a decided tick last became durable, monotonic nanoseconds; ``None`` before the first. Any thread may read it."""
        return self._last_tick_ns

    def count_early(self, early: Early) -> None:
        """Count also orders that are denied before this writer sees them, and journal them before this process ends."""
        self._early = early

    def add_follower(self, follower: Callable[[CommittedBatch], None]) -> None:
        """Call ``follower`` with every durable batch from now on."""
        self._followers.append(follower)

    async def run(self) -> None:
        """Decide and journal batches until cancelled."""
        if self._leased is None:
            while True:
                self.step(await self._inbox.take(BATCH_MOST))
        # The pool is not waited for: each call of it has a time limit of its own.
        executor = ThreadPoolExecutor(1, "journal")
        self._inbox.on_stop(self._decide_stops)
        try:
            while True:
                await self.step_leased(await self._inbox.take(BATCH_MOST), executor)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def step(self, inputs: Sequence[QueuedInput]) -> None:
        """Decide one batch, make it durable, act on it."""
        if self._failed:
            self._reject(inputs)
            return
        try:
            batch = self._decide_batch(inputs)
            self._prepare_effects(batch)
            entries = self._append(batch)
            if entries:
                self._renewed_ns = batch.began_ns
            elif batch.began_ns - self._renewed_ns >= RENEW_NS:
                self._journal.renew()
                self._renewed_ns = batch.began_ns
            self._commit(batch, entries, batch.after)
        except Exception as error:
            self._fail(error, inputs)

    async def step_leased(self, inputs: Sequence[QueuedInput], executor: ThreadPoolExecutor) -> None:
        """As ``step``, but append in ``executor``. Stops that arrive during the append are the next batch."""
        if self._failed:
            self._reject(inputs)
            return
        batch: _Batch | None = None
        try:
            batch = self._decide_batch(inputs)
            self._prepare_effects(batch)
            while batch is not None:
                entries = await self._append_leased(batch, executor)
                if self.failed_because:
                    # A stop that arrived during the append could not be decided. The next start reads what became durable.
                    self._reject(batch.inputs)
                    return
                durable, batch = batch, self._stops
                self._commit(durable, entries, batch.after if batch is not None else durable.after)
        except Exception as error:
            self._fail(error, batch.inputs if batch is not None else inputs)

    def write_held(self) -> None:
        """Journal what is held back, before this process ends; call it on the loop. During an append it does nothing."""
        if self._appending is not None:
            return
        last = [*(self._early.take() if self._early is not None else ()), *((Stopping(),) if self._held else ())]
        if last:
            self.step([QueuedInput(one, self._clock.monotonic_ns(), None) for one in last])

    def _decide_stops(self) -> None:
        """The inbox calls this when a stop arrives. During an append, decide it on the state which that append makes durable."""
        if self._appending is None or self._failed:
            return
        inputs = self._inbox.take_stops()
        try:
            if self._stops is None:
                appending = self._appending
                self._stops = _Batch(appending.at, self._clock.monotonic_ns(), appending.after, appending.held)
            self._extend(self._stops, inputs)
        except Exception as error:
            self._fail(error, inputs)

    def _decide_batch(self, inputs: Sequence[QueuedInput]) -> _Batch:
        state, held = self._state, self._held
        batch = _Batch(Millis(max(self._clock.now(), state.at, held.newest)), self._clock.monotonic_ns(), state, held)
        self._extend(batch, inputs)
        return batch

    def _extend(self, batch: _Batch, inputs: Sequence[QueuedInput]) -> None:
        batch.inputs.extend(inputs)
        for queued in inputs:
            decided = self._decide_input(batch, queued)
            if decided is not None:
                batch.decided.append(decided)
                batch.after, batch.held = decided[1].after, decided[1].held
        batch.decided_ns = self._clock.monotonic_ns()
        if self._leased is not None and self._on_halt is not None and batch.halts:
            _attempt(self._on_halt, batch.after.halt_reason)

    def _prepare_effects(self, batch: _Batch) -> None:
        if self._prepare is not None:
            for _, decision in batch.decided:
                for effect in decision.effects:
                    _attempt(self._prepare, effect)

    def _append(self, batch: _Batch) -> tuple[Entry, ...]:
        return self._journal.append([Record(event.kind, event_codec.encode(event)) for event in batch.events], batch.at)

    async def _append_leased(self, batch: _Batch, executor: ThreadPoolExecutor) -> tuple[Entry, ...]:
        sent_ns = self._clock.monotonic_ns()
        self._appending, self._stops = batch, None
        try:
            if not batch.events and sent_ns - self._renewed_ns < RENEW_NS:
                return ()
            append = asyncio.get_running_loop().run_in_executor(executor, self._append_or_renew, batch)
            await asyncio.wait({append}, timeout=ANSWER_WITHIN_S)
            if not append.done():
                append.add_done_callback(_log_late_failure)
                raise JournalWriteFailed(
                    f"the journal gave no answer within {ANSWER_WITHIN_S:g} s",
                    code="journal-write-failed",
                    remedy="Check the database server and its standby. The next start reads what became durable.",
                )
            entries = append.result()
            self._renewed_ns = sent_ns
            return entries
        finally:
            self._appending = None

    def _append_or_renew(self, batch: _Batch) -> tuple[Entry, ...]:
        assert self._leased is not None
        if batch.events:
            return self._append(batch)
        self._leased.renew()
        return ()

    def _commit(self, batch: _Batch, entries: tuple[Entry, ...], latest: State) -> None:
        """Publish a durable batch and act on it. ``latest`` is the state after the stops that were decided during its append."""
        self._state, self._held = batch.after, batch.held
        self._update_permit(latest)
        self._grant_exit(latest, batch)
        pairs = tuple(zip(entries, batch.events, strict=True))
        committed = CommittedBatch(pairs, batch.after, batch.began_ns, batch.decided_ns, self._clock.monotonic_ns(), batch.measured)
        for follower in self._followers:
            _attempt(follower, committed)
        if any(isinstance(queued.input, Tick) for queued in batch.inputs):
            self._last_tick_ns = committed.durable_ns
        for queued, decision in batch.decided:
            if queued.answer is not None and not queued.answer.done():
                queued.answer.set_result(decision)
            for effect in decision.effects:
                if not isinstance(effect, Latch):
                    _attempt(self._perform, effect)

    def _decide_input(self, batch: _Batch, queued: QueuedInput) -> tuple[QueuedInput, Decision] | None:
        try:
            decision = decide(batch.after, queued.input, batch.at, batch.held)
        except Exception as error:
            if isinstance(error, GatehouseError) and isinstance(queued.input, ProposalAsked):
                _answer(queued, error)
                return None
            if isinstance(queued.input, HaltAsked):
                raise
            # A rule that cannot be evaluated counts as broken (architecture.md §1.2): halt, and say where.
            _log.exception("a decision failed")
            reason = f"{type(error).__name__} while deciding {type(queued.input).__name__}"
            remedy = "Read the controller's log. The deployment halts itself."
            _answer(queued, Halted(reason, code="decision-failed", remedy=remedy))
            halt = HaltAsked(by="controller", reason=reason, cause=Cause.CONTROLLER)
            return self._decide_input(batch, QueuedInput(halt, queued.known_ns, None))
        for effect in decision.effects:
            if isinstance(effect, Latch):
                self._halt_clock = HaltClock(queued.known_ns, self._permits.latch(effect.reason))
        return queued, decision

    def _update_permit(self, state: State) -> None:
        if state.position.stage is Stage.HALTED or (state.drill is not None and state.drill.latched):
            if not self._permits.latched_because:
                self._permits.latch(state.halt_reason or state.not_armed_because)
            return
        if self._permits.latched_because:
            self._permits.unlatch()
        if not state.armed:
            self._permits.lapse()
        else:
            # Only what became durable proves that this process still leads, and it proves it for when it was begun (ADR 16).
            self._permits.renew(self._renewed_ns + self._permit_ns)

    def _grant_exit(self, state: State, batch: _Batch) -> None:
        """Allow the sale that this batch admitted, unless a stop has ended the flatten since."""
        until_ns = self._renewed_ns + PERMIT_NS if self._leased is not None else batch.began_ns + LIFETIME_NS
        for _, decision in batch.decided:
            for effect in decision.effects:
                if isinstance(effect, PlaceExit) and state.flatten is not None and state.flatten.last == effect.intent.client_id:
                    self._permits.grant_exit(effect.intent.client_id, decided_ns=batch.began_ns, until_ns=until_ns)

    def _fail(self, error: Exception, inputs: Sequence[QueuedInput]) -> None:
        if self._failed:
            self._reject(inputs)
            return
        self._failed = error.message if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
        was_latched = bool(self._permits.latched_because) and self._state.position.stage is not Stage.HALTED
        # What replaced the journal may name any epoch, so only the mark of a halt is sure to count at the next start.
        was_latched = was_latched or isinstance(error, JournalReplaced)
        self._permits.latch(self._failed)
        taken_over = isinstance(error, JournalTakenOver)
        failure = Failure(self._failed, self._state.epoch, was_latched, taken_over, self._renewed_ns + TERM_NS)
        if self._on_failure is not None:
            _attempt(self._on_failure, failure)
        _log.critical("the journal failed: this process places no more orders", exc_info=error)
        stops, self._stops = self._stops, None
        inputs = [*inputs, *(stops.inputs if stops is not None else ())]
        if not failure.taken_over:
            self._cancel_all()
        self._reject(inputs)

    def _cancel_all(self) -> None:
        state = self._state
        open_orders = state.open.values()
        venues = {order.venue for order in open_orders} | ({state.venue} if state.venue is not None else set())
        symbols = {order.symbol for order in open_orders} | set(state.policy.symbols if state.policy else ())
        for venue in sorted(venues):
            _attempt(self._perform, CancelAll(venue, tuple(sorted(symbols)), because=self._failed))

    def _reject(self, inputs: Sequence[QueuedInput]) -> None:
        for queued in inputs:
            error = Halted(
                f"the journal cannot be written: {self._failed}",
                code="journal-failed",
                remedy="Fix the disk, run `gatehouse journal verify`, then restart the controller.",
            )
            _answer(queued, error)


def _log_late_failure(append: asyncio.Future[tuple[Entry, ...]]) -> None:
    # No caller waits for this append any more; the next start reads whether it became durable.
    if not append.cancelled() and (error := append.exception()) is not None:
        _log.warning("an append failed after its time limit", extra={"fields": {"why": str(error)}})


def _attempt(act: Callable[[T], None], value: T) -> None:
    # A follower or an effect that fails must not keep the next one, which may be a cancel, from running.
    try:
        act(value)
    except Exception:
        _log.exception("a follower or an effect failed")


def _answer(queued: QueuedInput, error: GatehouseError) -> None:
    if queued.answer is not None and not queued.answer.done():
        queued.answer.set_exception(error)
