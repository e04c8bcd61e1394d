"""The single writer: takes inputs, decides, remembers, and only then lets anything happen (DESIGN §1.4, §4).

One batch is one durable transaction. A latch is carried out the moment it is decided, before the journal is written; all else
waits until the events behind it are on disk. A decision that fails is replaced by a halt in the same batch. When the journal cannot
be written the writer latches, tells the shell to cancel what is open, and never acts again in this process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from controller import events as e
from controller.causes import Cause
from controller.decide import decide
from controller.deciding.draft import Decision
from controller.effects import CancelAll, Effect, Latch
from controller.inputs import HaltAsked, ProposalAsked
from controller.journal.chain import Entry, Record
from controller.journal.port import Journal
from controller.runtime.inbox import Inbox, Letter
from controller.runtime.permit import PermitOffice
from controller.state import State
from exchange.errors import GatehouseError, Halted
from exchange.model import Millis
from exchange.ports import Clock
from policies.stage import Stage

BATCH_MOST = 64

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Carried:
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
        watchers: Sequence[Callable[[Carried], None]] = (),
        failing: Callable[[str], None] | None = None,
    ) -> None:
        self._journal = journal
        self._known = state
        self._clock = clock
        self._permits = permits
        self._inbox = inbox
        self._perform = perform
        self._watchers = list(watchers)
        self._failing = failing
        self._halt_clock: HaltClock | None = None
        self._failed: str = ""

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

    def watch(self, watcher: Callable[[Carried], None]) -> None:
        """Call ``watcher`` after every durable batch."""
        self._watchers.append(watcher)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            self.step(await self._inbox.take(BATCH_MOST))

    def step(self, letters: Sequence[Letter]) -> None:
        """Decide one batch, make it durable, carry it out."""
        if self._failed:
            self._turn_away(letters)
            return
        try:
            self._write(letters)
        except Exception as error:
            self._fail(error, letters)

    def _write(self, letters: Sequence[Letter]) -> None:
        began = self._clock.monotonic_ns()
        now = Millis(max(self._clock.now(), self._known.at))
        state, decided = self._known, list[tuple[Letter, Decision]]()
        for letter in letters:
            found = self._decide(state, letter, now)
            if found is not None:
                decided.append(found)
                state = found[1].after
        events = [event for _, decision in decided for event in decision.events]
        decided_at = self._clock.monotonic_ns()
        entries = self._journal.append([Record(event.kind, e.encode(event)) for event in events], now) if events else ()
        self._known = state
        self._permit(state)
        pairs = tuple(zip(entries, events, strict=True))
        carried = Carried(pairs, state, began, decided_at, self._clock.monotonic_ns())
        for watcher in self._watchers:
            _attempt(watcher, carried)
        for letter, decision in decided:
            if letter.answer is not None and not letter.answer.done():
                letter.answer.set_result(decision)
            for effect in decision.effects:
                if not isinstance(effect, Latch):
                    _attempt(self._perform, effect)

    def _decide(self, state: State, letter: Letter, now: Millis) -> tuple[Letter, Decision] | None:
        try:
            decision = decide(state, letter.input, now)
        except Exception as error:
            if isinstance(error, GatehouseError) and isinstance(letter.input, ProposalAsked):
                _answer(letter, error)
                return None
            if isinstance(letter.input, HaltAsked):
                raise
            # A rule that cannot be evaluated is a rule that was broken (DESIGN §1.2): stop at once, and say where.
            _log.exception("a decision failed")
            reason = f"{type(error).__name__} while deciding {type(letter.input).__name__}"
            _answer(letter, Halted(reason, code="decision-failed", remedy="Read the log; the deployment halts itself."))
            halt = HaltAsked(by="controller", reason=reason, cause=Cause.CONTROLLER)
            return self._decide(state, Letter(halt, letter.known_ns, None), now)
        for effect in decision.effects:
            if isinstance(effect, Latch):
                self._halt_clock = HaltClock(letter.known_ns, self._permits.latch(effect.reason))
        return letter, decision

    def _permit(self, state: State) -> None:
        if state.position.stage is Stage.HALTED or state.drill is not None:
            if not self._permits.latched_because:
                self._permits.latch(state.halt_reason or state.not_armed_because)
            return
        if self._permits.latched_because:
            self._permits.unlatch()
        if state.armed:
            self._permits.renew()
        else:
            self._permits.lapse()

    def _fail(self, error: Exception, letters: Sequence[Letter]) -> None:
        self._failed = error.message if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
        self._permits.latch(self._failed)
        if self._failing is not None:
            _attempt(self._failing, self._failed)
        _log.critical("nothing can be remembered any more, so nothing will be placed again", exc_info=error)
        known = self._known
        open_orders = known.open.values()
        venues = {order.venue for order in open_orders} | ({known.venue} if known.venue is not None else set())
        symbols = {order.symbol for order in open_orders} | set(known.policy.symbols if known.policy else ())
        for venue in sorted(venues):
            _attempt(self._perform, CancelAll(venue, tuple(sorted(symbols)), because=self._failed))
        self._turn_away(letters)

    def _turn_away(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            error = Halted(
                f"the journal cannot be written: {self._failed}",
                code="journal-failed",
                remedy="Mend the disk, run `gatehouse journal verify`, then restart the controller.",
            )
            _answer(letter, error)


def _attempt(act: Callable[[T], None], given: T) -> None:
    # What one of them gets wrong must not keep a cancel from the next.
    try:
        act(given)
    except Exception:
        _log.exception("a watcher or an effect failed")


def _answer(letter: Letter, error: GatehouseError) -> None:
    if letter.answer is not None and not letter.answer.done():
        letter.answer.set_exception(error)
