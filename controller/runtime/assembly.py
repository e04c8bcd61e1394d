"""The running controller put together from adapters it is given: who feeds the writer, and who follows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from controller.core.causes import Cause
from controller.core.effects import Alert, CancelAll
from controller.core.inputs import HaltAsked, AlertNoticed, VenueReported
from controller.core.order_state import OrderState
from controller.core.state import Ledger
from controller.journal.port import Journal
from controller.runtime.api.bots import Bots
from controller.runtime.api.keyring import Keyring
from controller.runtime.api.operator import Operator
from controller.runtime.followers.checkpoints import CheckpointPublisher
from controller.runtime.followers.disk_space import DiskReserve, ReserveFile
from controller.runtime.followers.latchfile import LatchFile, Mark, Marking
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.followers.tracing import Tracing
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.schedule import start_ticking
from controller.runtime.loop.supervise import supervised
from controller.runtime.loop.writer import Failure, Writer
from controller.runtime.recovery.recover import Recovered
from controller.runtime.recovery.snapshot_schedule import SnapshotSchedule
from controller.runtime.venues.account_checks import Examiner, Findings
from controller.runtime.venues.cancel_all import CancelAllResult
from controller.runtime.venues.halt_figures import report_drill, report_halt
from controller.runtime.venues.markets import Markets
from controller.runtime.venues.perform import Performer
from controller.runtime.venues.reconcile import Offset, Sweeper
from controller.telemetry.alerts import Alerts
from controller.telemetry.facade import Telemetry
from exchange.errors import GatehouseError
from exchange.model import OrderStatus, SymbolRules
from exchange.ports import Clock, MarketFeed, StreamGap, Venue, VenueName
from policies.schema import Policy

_log = logging.getLogger(__name__)

SWEEP_EVERY_S = 3.0
RULES_EVERY_S = 60.0
_IN_FLIGHT = frozenset({OrderStatus.ADMITTED, OrderStatus.UNKNOWN})


class _Ticker:
    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        self._scheduler: object = None

    def start(self) -> None:
        self._scheduler = start_ticking(self._markets.tick)

    def stop(self) -> None:
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a controller is put together from. ``rules`` are refreshed in place while it runs."""

    journal: Journal
    recovered: Recovered
    memory: RecentHistory
    clock: Clock
    permits: PermitOffice
    policy: Policy
    venues: Mapping[VenueName, Venue]
    feeds: Mapping[VenueName, MarketFeed]
    rules: Mapping[VenueName, dict[str, SymbolRules]]
    accelerated: Mapping[VenueName, bool]
    alerts: Alerts
    telemetry: Telemetry
    witnesses: CheckpointPublisher
    keeper: SnapshotSchedule
    latch: LatchFile
    left_behind: Mark | None
    reserve: tuple[ReserveFile, Path] | None
    examine: Callable[[], Awaitable[Findings]]
    bot_secret: Callable[[str, str], str]


class Assembly:
    """A controller whose parts know each other. Nothing runs until ``start``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._inbox = inbox = Inbox()
        clock = parts.clock
        self._sweepers: dict[VenueName, Sweeper] = {}
        self._markets = Markets(
            feeds=parts.feeds,
            rules=parts.rules,
            accelerated=parts.accelerated,
            symbols=parts.policy.symbols,
            clock=clock,
            inbox=inbox,
            offsets={name: partial(self._offset, name) for name in parts.venues},
        )
        self._performer = Performer(
            venues=parts.venues,
            permits=parts.permits,
            inbox=inbox,
            clock=clock,
            told=parts.alerts.decided,
            emptied=self._emptied,
            still_open=lambda venue: sum(1 for order in self._open_on(venue) if order.status in _IN_FLIGHT),
            working=lambda venue: sum(1 for order in self._open_on(venue) if order.working),
        )
        self.writer = writer = Writer(
            journal=parts.journal,
            state=parts.recovered.state,
            clock=clock,
            permits=parts.permits,
            inbox=inbox,
            perform=self._performer.perform,
            failing=self._failing,
            halting=self._halting,
        )
        self.ended = asyncio.Event()
        self.failure: Failure | None = None
        for name, venue in parts.venues.items():
            self._sweepers[name] = self._sweeper(name, venue)
        tracing = Tracing(parts.telemetry, clock)
        self._marking = Marking(parts.latch, marked=parts.left_behind is not None)
        for watcher in (parts.memory.carried, lambda _: self._markets.tick_taken(), tracing.carried, parts.witnesses.carried):
            writer.watch(watcher)
        writer.watch(parts.keeper.carried)
        writer.watch(self._marking.carried)
        self._room = self._watched_room()
        self._halt_first(parts.left_behind)
        markets, memory = self._markets, parts.memory
        self.bots = Bots(writer=writer, inbox=inbox, performer=self._performer, markets=markets, memory=memory, clock=clock)
        self.keyring = Keyring(lambda: writer.known.bot_keys, parts.bot_secret)
        parts.alerts.journal_with(self._noticed)
        self.operator = Operator(
            writer=writer,
            inbox=inbox,
            markets=markets,
            memory=memory,
            journal=parts.journal,
            clock=clock,
            tracing=tracing,
            key_problem=self.keyring.problem,
            standings=lambda: parts.witnesses.standings,
        )
        self._ticker = _Ticker(self._markets)

    def _watched_room(self) -> DiskReserve | None:
        parts = self._parts
        if parts.reserve is None:
            return None
        room = DiskReserve(*parts.reserve, parts.permits, self._inbox, parts.clock, parts.alerts.notify)
        self.writer.watch(room.carried)
        return room

    def _halt_first(self, left_behind: Mark | None) -> None:
        """The last process on this host left a mark that still means a halt: nothing comes before it."""
        if left_behind is not None:
            reason = f"the last process here halted without a journal: {left_behind.reason}"
            asked = HaltAsked(by="controller", reason=reason, cause=Cause.JOURNAL)
            self._inbox.fact(asked, self._parts.clock.monotonic_ns())

    @property
    def permits(self) -> PermitOffice:
        """Who issues the permits to place."""
        return self._parts.permits

    def start(self) -> list[asyncio.Task[None]]:
        """Start the writer and everything that feeds it. Cancel the tasks to stop."""
        clock = self._parts.clock
        writing = asyncio.create_task(self.writer.run(), name="writer")
        writing.add_done_callback(lambda task: _writer_ended(task, self._parts.permits))
        feeding = [
            asyncio.create_task(supervised(name, work, self._inbox, clock), name=name) for name, work in self._background().items()
        ]
        for effect in self._parts.recovered.effects:
            self._performer.perform(effect)
        self._ticker.start()
        return [writing, *feeding]

    async def idle(self) -> None:
        """Wait until nothing is being carried out: every cancel was proven, or given up."""
        await self._performer.drain()

    def stop_ticking(self) -> None:
        """Time passes without anybody being told."""
        self._ticker.stop()

    def _background(self) -> dict[str, Callable[[], Awaitable[None]]]:
        parts = self._parts
        examiner = Examiner(examine=parts.examine, known=lambda: self.writer.known, inbox=self._inbox, clock=parts.clock)
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "symbol rules": partial(_refresh_rules, parts.venues, parts.rules, parts.policy),
            "witnesses": partial(parts.witnesses.run, self._contradicted),
            "account checks": examiner.run,
            "alerts": partial(_for_ever, parts.alerts.run),
            "snapshots": parts.keeper.run,
        }
        for name, feed in parts.feeds.items():
            work[f"{name} market feed"] = feed.run
            work[f"{name} market watch"] = partial(self._markets.follow, name)
        for name, venue in parts.venues.items():
            work[f"{name} sweeps"] = self._sweepers[name].run
            work[f"{name} private stream"] = partial(_listen, venue, self._inbox, parts.clock, self._sweepers[name])
        if self._room is not None:
            work["disk room"] = self._room.run
        if (follow := getattr(parts.venues[VenueName.MOCK], "run", None)) is not None:
            work["mock executor"] = follow
        return work

    def _contradicted(self, reason: str) -> None:
        self._inbox.fact(HaltAsked(by="controller", reason=reason, cause=Cause.INTEGRITY), self._parts.clock.monotonic_ns())

    def _halting(self, reason: str) -> None:
        self._marking.halted(Mark(reason, self.writer.known.epoch, halted=True))

    def _failing(self, failure: Failure) -> None:
        if failure.halted or not failure.taken_over:
            self._marking.failed(Mark(failure.reason, failure.epoch, halted=failure.halted))
        self.failure = failure
        self.ended.set()

    def _sweeper(self, name: VenueName, venue: Venue) -> Sweeper:
        return Sweeper(
            venue,
            symbols=self._parts.policy.symbols,
            ledger=partial(self._ledger, name),
            inbox=self._inbox,
            clock=self._parts.clock,
            every_s=SWEEP_EVERY_S,
        )

    def _offset(self, name: VenueName) -> Offset | None:
        return self._sweepers[name].offset

    def _ledger(self, name: VenueName) -> Ledger:
        return self.writer.known.ledger(name)

    def _open_on(self, venue: VenueName) -> list[OrderState]:
        return self.writer.known.open_on(venue)

    def _emptied(self, effect: CancelAll, result: CancelAllResult) -> None:
        self._sweepers[effect.venue].sweep_soon()
        state, times, clock = self.writer.known, self.writer.halt_clock, self._parts.clock
        report_halt(effect, result, state, times, self._inbox, clock)
        report_drill(effect, result, state, times, self._inbox, clock, self._performer.perform)

    def _noticed(self, alert: Alert) -> None:
        self._inbox.fact(AlertNoticed(alert.kind, alert.title, alert.detail), self._parts.clock.monotonic_ns())


def _writer_ended(task: asyncio.Task[None], permits: PermitOffice) -> None:
    if not task.cancelled():
        permits.latch("the writer ended")
        _log.critical("the writer ended: nothing will be placed again in this process", exc_info=task.exception())


async def _listen(venue: Venue, inbox: Inbox, clock: Clock, sweeper: Sweeper) -> None:
    async for event in venue.events():
        if isinstance(event, StreamGap):
            sweeper.sweep_soon()
        else:
            inbox.fact(VenueReported(venue.name, event), clock.monotonic_ns())


async def _refresh_rules(
    venues: Mapping[VenueName, Venue], rules: Mapping[VenueName, dict[str, SymbolRules]], policy: Policy
) -> None:
    """Rules can change within a day: a suspended side must stop orders (execution-safety.md §1.3)."""
    while True:
        await asyncio.sleep(RULES_EVERY_S)
        for name, known in rules.items():
            try:
                fresh = await venues[name].symbol_rules(policy.symbols)
            except GatehouseError:
                continue
            known.clear()
            known.update(fresh)


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    await work()
    await asyncio.Event().wait()
