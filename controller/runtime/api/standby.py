"""Implements the console's port on a standby: it answers reads and accepts only a halt (ADR 19). ``bootstrap`` creates it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import islice

from controller.console.port import LOCAL_SOCKET, StreamItem
from controller.console.role import Role, StandbyView
from controller.console.schema import EntryView, GateView, ProposalView, ProposeRequest, ReceiptView, StatusView
from controller.core import events as e
from controller.core.decisions.boot import boot
from controller.core.inputs import Boot
from controller.journal.chain import Entry
from controller.journal.lease import TERM_S
from controller.runtime.api import views
from controller.runtime.api.inspector import Inspector
from controller.runtime.api.reads import Reads
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.loop.inbox import Inbox
from controller.runtime.recovery.follow import Standby
from controller.runtime.venues.markets import Markets
from controller.telemetry.health import Probe, livez
from exchange.errors import GatehouseError, Refused
from exchange.model import Millis, Quote, SymbolRules
from exchange.ports import Clock, VenueName

SHOW_EVERY_S = 1.0

_TAKEOVER_STARTED = "HALTED as soon as the journal is taken over; `gatehouse status` shows when it is"

_CHANGES: Mapping[type[e.Event], str] = {
    e.PolicyAdopted: "policy",
    e.ReleaseAdopted: "release",
    e.AccountBound: "venue account",
    e.StageChanged: "stage",
}


class _NoMarkets(Markets):
    """Markets without data, because a standby watches none."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(feeds={}, rules={}, accelerated={}, symbols=(), clock=clock, inbox=Inbox(), clocks={})

    def quotes(self, venue: VenueName) -> dict[str, Quote]:  # noqa: ARG002 - the same for every venue
        """No quotes."""
        return {}

    def rules_of(self, venue: VenueName) -> Mapping[str, SymbolRules]:  # noqa: ARG002 - the same for every venue
        """No rules."""
        return {}


class StandbyOperator(Reads):
    """Implements ``OperatorPort`` for a standby. ``halt`` calls ``mark``, then takes the journal over to halt."""

    def __init__(
        self, standby: Standby, history: RecentHistory, boot_input: Boot, clock: Clock, mark: Callable[[str], None]
    ) -> None:
        super().__init__(lambda: standby.follower.state, history)
        self._standby = standby
        self._boot_input = boot_input
        self._clock = clock
        self._mark = mark
        self._markets = _NoMarkets(clock)
        self.inspector = Inspector(
            state=self._state,
            read=self._kept,
            oldest=lambda: history.entries[0][0].seq - 1 if history.entries else self._state().seq,
            history=history,
            seen=lambda: None,
            now=lambda: Millis(max(clock.now(), self._state().at)),
        )

    def alive(self) -> Probe:
        """Alive while it polls the journal, with or without success."""
        return livez(self._standby.last_check_ns, self._clock.monotonic_ns())

    async def status(self) -> StatusView:
        """The deployment as far as the journal was read, and how far behind that is."""
        state, lag = self._state(), self._standby.lag
        now = Millis(max(self._clock.now(), state.at))
        head = self._standby.follower.head.hash
        status = views.status_view(state, self._history, self._markets, head, now, lambda _: "")
        return status.model_copy(
            update={
                "role": Role.STANDBY,
                "standby": StandbyView(
                    leader_epoch=lag.leader_epoch,
                    behind_entries=lag.entries,
                    quiet_ms=lag.quiet_ms,
                    takes_over_after_ms=TERM_S * 1000,
                    problem=lag.problem,
                    changes=self._changes(now),
                ),
                "armed": False,
                "reconciled": False,
                "not_armed_because": "this is the standby; only the leader trades",
            }
        )

    async def gates(self) -> Sequence[GateView]:
        """Refused: only the leader evaluates gates."""
        raise _only_the_leader()

    async def journal(self, after: int, limit: int) -> Sequence[EntryView]:
        """Entries after a sequence number, in order, as far back as the history goes."""
        entries = [(entry, event) for entry, event in self._history.entries if entry.seq > after]
        return [views.entry_view(entry, event) for entry, event in entries[:limit]]

    async def _kept(self, after: int, limit: int) -> list[Entry]:
        return list(islice((entry for entry, _ in self._history.entries if entry.seq > after), limit))

    async def propose(self, request: ProposeRequest, *, seal: bool) -> ProposalView:  # noqa: ARG002 - the same for every request
        """Refused: only the leader decides."""
        raise _only_the_leader()

    async def submit(self, envelope_text: str) -> ReceiptView:  # noqa: ARG002 - the same for every request
        """Refused: only the leader decides."""
        raise _only_the_leader()

    async def halt(self, reason: str, by: str = LOCAL_SOCKET) -> ReceiptView:  # noqa: ARG002 - the mark says why, not who
        """Take the journal over and halt. The receipt names the last entry before the request; the halt follows it."""
        await asyncio.to_thread(self._mark, reason)
        self._standby.halt(reason)
        head = self._standby.follower.head
        return ReceiptView(seq=head.seq, hash=head.hash, position=_TAKEOVER_STARTED, gate=None, pending=None)

    async def subscribe(self) -> AsyncIterator[StreamItem]:
        """The status, once a second."""
        while True:
            yield await self.status()
            await asyncio.sleep(SHOW_EVERY_S)

    def _changes(self, now: Millis) -> tuple[str, ...]:
        state = self._state()
        if not state.seq:
            return ()
        try:
            events = boot(state, self._boot_input, now).events
        except GatehouseError as error:
            return (f"nothing, because the start would fail: {error.message}",)
        found = [_CHANGES[type(event)] for event in events if type(event) in _CHANGES]
        if state.gatehouse_version != self._boot_input.gatehouse_version:
            found.append("version of gatehouse")
        return tuple(dict.fromkeys(found))


def _only_the_leader() -> Refused:
    return Refused(
        "this is the standby, and only the leader decides",
        code="standby",
        remedy="Send it to the leader. `gatehouse halt` works here too: it takes the journal over and halts.",
    )
