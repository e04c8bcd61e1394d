"""Builds the running controller from its adapters: what feeds the writer, and what follows it.

``controller.bootstrap`` opens the adapters, passes them in as ``Parts`` and starts the ``Assembly``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from controller.core.causes import Cause
from controller.core.effects import Alert, AlertKind, CancelAll
from controller.core.inputs import AlertNoticed, HaltAsked
from controller.core.order_state import OrderState
from controller.core.state import Ledger
from controller.journal.port import Journal
from controller.runtime.api.bots import Bots
from controller.runtime.api.keyring import Keyring
from controller.runtime.api.operator import Operator
from controller.runtime.drills.control import TestnetControl
from controller.runtime.drills.practice import NO_MEANS, Bench, Means
from controller.runtime.drills.runner import DrillRunner
from controller.runtime.followers.checkpoints import CheckpointPublisher
from controller.runtime.followers.disk_space import DiskReserve, ReserveFile
from controller.runtime.followers.heartbeat import Heartbeat, Ties
from controller.runtime.followers.high_water import HighWater
from controller.runtime.followers.latchfile import LatchFile, LatchMark, LatchMarkWriter
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.followers.tracing import Tracing
from controller.runtime.loop.immediate_halt import ImmediateHalt
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.schedule import Ticker
from controller.runtime.loop.supervise import supervised
from controller.runtime.loop.writer import Failure, Writer
from controller.runtime.recovery.recover import Recovered
from controller.runtime.recovery.snapshot_schedule import SnapshotSchedule
from controller.runtime.surroundings import PROCESS, Surroundings, Threads
from controller.runtime.venues import streams
from controller.runtime.venues.account_checks import Examiner, Findings
from controller.runtime.venues.attester import AskTestnet, Attester
from controller.runtime.venues.cancel_all import CancelAllResult, NotEmpty, trades_on
from controller.runtime.venues.candles import Candles
from controller.runtime.venues.capital import CapitalHistory
from controller.runtime.venues.clocks import ClockMeter
from controller.runtime.venues.emergency import OpenVenues, cancel_everything
from controller.runtime.venues.halt_figures import report_drill, report_halt
from controller.runtime.venues.markets import Markets
from controller.runtime.venues.perform import Performer
from controller.runtime.venues.rates import RateWatch, ReadRate
from controller.runtime.venues.reconcile import Sweeper
from controller.runtime.venues.strangers import Strangers
from controller.runtime.venues.symbol_rules import RulesReader
from controller.telemetry.alerts import Alerts
from controller.telemetry.facade import Telemetry
from exchange.model import OrderStatus, SymbolRules
from exchange.ports import Clock, MarketFeed, Venue, VenueName
from policies.eur import RateSource
from policies.schema import OnStop, Policy

_log = logging.getLogger(__name__)

SWEEP_EVERY_S = 3.0
_IN_FLIGHT = frozenset({OrderStatus.ADMITTED, OrderStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Parts:
    """What a controller is built from. ``rules`` are refreshed in place while it runs; ``first_halt`` comes before all else.

    ``open_own_venues`` opens venue clients for another event loop, and ``end_process`` ends this process at once: both are for a
    writer that is stuck. ``ask_testnet`` asks the testnet for a signed statement. ``testnet_control`` and ``means`` are for
    drills: see ``controller.runtime.drills.practice``.
    """

    journal: Journal
    recovered: Recovered
    history: RecentHistory
    clock: Clock
    permits: PermitOffice
    policy: Policy
    venues: Mapping[VenueName, Venue]
    feeds: Mapping[VenueName, MarketFeed]
    rules: Mapping[VenueName, dict[str, SymbolRules]]
    accelerated: Mapping[VenueName, bool]
    alerts: Alerts
    telemetry: Telemetry
    publisher: CheckpointPublisher
    snapshot_schedule: SnapshotSchedule
    latch: LatchFile
    first_halt: HaltAsked | None
    high_water: HighWater
    reserve: tuple[ReserveFile, Path] | None
    examine: Callable[[], Awaitable[Findings]]
    bot_secret: Callable[[str, str], str]
    open_own_venues: OpenVenues
    end_process: Callable[[str], None]
    testnet_control: TestnetControl
    rates: Mapping[RateSource, ReadRate]
    ask_testnet: AskTestnet
    candles: Candles
    means: Means = NO_MEANS
    watchdog: Ties | None = None
    surroundings: Surroundings = PROCESS


class Assembly:
    """A controller whose parts are connected. Nothing runs until ``start``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.inbox = inbox = Inbox()
        clock = parts.clock
        self._sweepers: dict[VenueName, Sweeper] = {}
        self._clock_meters = {name: ClockMeter(venue, clock, self._policy_now) for name, venue in parts.venues.items()}
        self._attester = Attester(parts.ask_testnet, lambda: self.writer.state, clock, parts.surroundings.token)
        self._markets = self._make_markets()
        lost_entries = parts.first_halt is not None and parts.first_halt.cause is Cause.INTEGRITY
        self._strangers = Strangers(lambda: self.writer.state, lost_entries=lost_entries)
        self._rules = RulesReader(parts.venues, parts.rules, parts.policy.symbols)
        self._performer, self._measured_latches = self._make_performer(), set[int]()
        self.writer = writer = Writer(
            journal=parts.journal,
            state=parts.recovered.state,
            clock=clock,
            permits=parts.permits,
            inbox=inbox,
            perform=self._performer.perform,
            prepare=self._performer.prepare,
            on_failure=self._on_failure,
            on_halt=self._on_halt,
        )
        self.ended = asyncio.Event()
        self.failure: Failure | None = None
        self._sweepers.update({name: self._sweeper(name, venue) for name, venue in parts.venues.items()})
        tracing = Tracing(parts.telemetry, clock)
        self._latch_marks = LatchMarkWriter(parts.latch, marked=parts.first_halt is not None, kept=parts.latch.names_entry)
        for follower in (
            *(parts.high_water.on_batch, parts.history.on_batch, lambda _: self._markets.tick_taken(), tracing.on_batch),
            *(parts.publisher.on_batch, parts.snapshot_schedule.on_batch, self._latch_marks.on_batch),
        ):
            writer.add_follower(follower)
        self._halt = ImmediateHalt(
            permits=parts.permits, inbox=inbox, clock=clock, record=self._on_halt, cancel_now=self._cancel_now
        )
        writer.add_follower(self._halt.on_batch)
        self._disk_reserve = self._make_disk_reserve()
        if parts.first_halt is not None:
            inbox.fact(parts.first_halt, clock.monotonic_ns())
        self.heartbeat = self._make_heartbeat(parts.watchdog)
        self.bots = self._make_bots(tracing)
        self.keyring = Keyring(lambda: writer.state.bot_keys, parts.bot_secret)
        parts.alerts.journal_with(self._noticed)
        self.operator = Operator(
            writer=writer,
            inbox=inbox,
            markets=self._markets,
            history=parts.history,
            journal=parts.journal,
            clock=clock,
            tracing=tracing,
            halt=self._halt,
            permits=parts.permits,
            key_problem=self.keyring.problem,
            target_statuses=lambda: parts.publisher.target_statuses,
            heartbeat=self.heartbeat,
            token=parts.surroundings.token,
        )
        self._ticker = Ticker(self._markets.tick, clock)
        self._threads = self._make_threads()
        self._drills = self._make_drills()

    def _make_markets(self) -> Markets:
        parts = self._parts
        return Markets(
            feeds=parts.feeds,
            rules=parts.rules,
            accelerated=parts.accelerated,
            symbols=parts.policy.symbols,
            clock=parts.clock,
            inbox=self.inbox,
            clocks={name: meter.seen for name, meter in self._clock_meters.items()},
            accounts=lambda: {name: one.last for name, one in self._sweepers.items() if one.last is not None},
            testnet=lambda: self._attester.last,
            streams=partial(streams.noted, parts.feeds, parts.venues),
        )

    def _make_threads(self) -> Threads:
        parts = self._parts
        return parts.surroundings.halt_threads(
            clock=parts.clock,
            permits=parts.permits,
            halt=self._halt,
            latch=parts.latch,
            latch_marks=self._latch_marks,
            loop_turn=lambda: self._ticker.turned_ns,
            last_decision=self._last_decision_ns,
            on_stuck=self._on_stuck,
        )

    def _make_drills(self) -> DrillRunner:
        parts = self._parts
        bench = Bench(
            state=lambda: self.writer.state,
            policy=parts.policy,
            clock=parts.clock,
            permits=parts.permits,
            markets=self._markets,
            venues=parts.venues,
            threads=self._threads,
            heartbeat=self.heartbeat,
            disk=self._disk_reserve,
            means=parts.means,
            sweep=lambda venue: self._sweepers[venue].sweep_soon(),
            control=parts.testnet_control,
        )
        drills = DrillRunner(bench, self.inbox)
        self.writer.add_follower(drills.on_batch)
        return drills

    def _make_performer(self) -> Performer:
        parts = self._parts
        return Performer(
            venues=parts.venues,
            permits=parts.permits,
            inbox=self.inbox,
            clock=parts.clock,
            on_alert=parts.alerts.decided,
            on_cancel_all_result=self._on_cancel_all_result,
            on_not_empty=self._on_not_empty,
            still_open=lambda venue: sum(1 for order in self._open_on(venue) if order.status in _IN_FLIGHT),
            working=lambda venue: sum(1 for order in self._open_on(venue) if order.working),
            trades_on=self._trades_on,
            owner=lambda venue, order_id: self.writer.state.owner_of(venue, order_id),  # noqa: PLW0108 - of the state at the time
            strangers=self._strangers,
            read_account=lambda venue: self._sweepers[venue].look_now(),
            on_refused=self._rules.refused,
        )

    def _make_disk_reserve(self) -> DiskReserve | None:
        parts = self._parts
        if parts.reserve is None:
            return None
        disk_reserve = DiskReserve(*parts.reserve, parts.permits, self.inbox, parts.clock, parts.alerts.notify, parts.alerts.ended)
        self.writer.add_follower(disk_reserve.on_batch)
        return disk_reserve

    def _make_bots(self, tracing: Tracing) -> Bots:
        parts = self._parts
        return Bots(
            writer=self.writer,
            inbox=self.inbox,
            markets=self._markets,
            candles=parts.candles,
            history=parts.history,
            clock=parts.clock,
            blocked=lambda: parts.permits.suspended_because,
            tracing=tracing,
        )

    def _make_heartbeat(self, ties: Ties | None) -> Heartbeat | None:
        if ties is None:
            return None
        heartbeat = Heartbeat(ties, lambda: self.writer.state, self._decided_ns, self.inbox, self._parts.clock)
        self._parts.permits.require(heartbeat.problem)
        return heartbeat

    def _decided_ns(self) -> int | None:
        return None if self.writer.failed_because else self.writer.last_tick_ns

    @property
    def permits(self) -> PermitOffice:
        """The office that issues the permits to place orders."""
        return self._parts.permits

    def start(self) -> list[asyncio.Task[None]]:
        """Start the writer and everything that feeds it; cancel the tasks to stop."""
        clock = self._parts.clock
        writing = asyncio.create_task(self.writer.run(), name="writer")
        writing.add_done_callback(lambda task: _writer_ended(task, self._parts.permits))
        feeding = [
            asyncio.create_task(supervised(name, work, self.inbox, clock), name=name) for name, work in self._background().items()
        ]
        for effect in self._parts.recovered.effects:
            self._performer.perform(effect)
        self._ticker.start()
        self._threads.start()
        return [writing, *feeding]

    async def idle(self) -> None:
        """Wait until every effect has ended: each cancel-all is proven or has given up."""
        await self._performer.drain()

    async def cancel_before_stop(self) -> bool:
        """Let no order leave any more, and cancel what is open until the venues are proven empty, if the policy says so.

        Returns whether nothing is left open.
        """
        self._parts.permits.suspend("stop", "the controller is stopping")
        if not self.writer.state.open:
            return True
        if self._parts.policy.on_stop is OnStop.KEEP:
            return False
        self._cancel_now("the controller is stopping")
        await self.idle()
        return True

    def stop_ticking(self) -> None:
        """Send no more ticks to the writer, and watch it no more."""
        self._drills.stop()
        self._threads.stop()
        self._ticker.stop()

    def _background(self) -> dict[str, Callable[[], Awaitable[None]]]:
        parts = self._parts
        examiner = Examiner(examine=parts.examine, current_state=lambda: self.writer.state, inbox=self.inbox, clock=parts.clock)
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "symbol rules": self._rules.run,
            "checkpoints": partial(parts.publisher.run, self.halt_for_integrity),
            "account checks": examiner.run,
            "snapshots": parts.snapshot_schedule.run,
            "testnet statements": self._attester.run,
            "EUR rate": RateWatch(parts.rates, policy=self._policy_now, inbox=self.inbox, clock=parts.clock).run,
        }
        for name, feed in parts.feeds.items():
            work[f"{name} market feed"] = feed.run
            work[f"{name} market watch"] = partial(self._markets.follow, name)
            work[f"{name} candles"] = partial(parts.candles.follow, name)
        for name, venue in parts.venues.items():
            work[f"{name} sweeps"] = self._sweepers[name].run
            work[f"{name} clock"] = self._clock_meters[name].run
            work[f"{name} private stream"] = partial(
                streams.listen, venue, self.inbox, parts.clock, partial(self._after_gap, name), self._strangers
            )
        if self._disk_reserve is not None:
            work["disk reserve"] = self._disk_reserve.run
        if self.heartbeat is not None:
            work["watchdog heartbeat"] = self.heartbeat.run
        if (run_mock := getattr(parts.venues[VenueName.MOCK], "run", None)) is not None:
            work["mock executor"] = run_mock
        return work

    def halt_for_integrity(self, reason: str) -> None:
        """Halt: what this controller knows is contradicted from outside. Call it on the event loop."""
        self.inbox.fact(HaltAsked(by="controller", reason=reason, cause=Cause.INTEGRITY), self._parts.clock.monotonic_ns())

    def _on_halt(self, reason: str) -> None:
        self._latch_marks.halted(LatchMark(reason, self.writer.state.epoch, halted=True))

    def _on_failure(self, failure: Failure) -> None:
        if failure.halted or not failure.taken_over:
            self._latch_marks.failed(LatchMark(failure.reason, failure.epoch, halted=failure.halted))
        self.failure = failure
        self.ended.set()

    def _sweeper(self, name: VenueName, venue: Venue) -> Sweeper:
        return Sweeper(
            venue,
            symbols=self._parts.policy.symbols,
            ledger=partial(self._ledger, name),
            inbox=self.inbox,
            clock=self._parts.clock,
            every_s=SWEEP_EVERY_S,
            rules=partial(self._markets.rules_of, name),
            strangers=self._strangers,
            history=CapitalHistory(venue, self._parts.clock, partial(self._markets.quotes, name)),
            lost=partial(self._lost, name),
        )

    def _lost(self, name: VenueName) -> bool:
        return any(order.status is OrderStatus.UNKNOWN for order in self._open_on(name))

    def _after_gap(self, name: VenueName) -> None:
        self._sweepers[name].sweep_soon()
        self._performer.look_ups.stream_came_back(name)

    def _policy_now(self) -> Policy:
        return self.writer.state.policy or self._parts.policy

    def _ledger(self, name: VenueName) -> Ledger:
        return self.writer.state.ledger(name)

    def _open_on(self, venue: VenueName) -> list[OrderState]:
        return self.writer.state.open_on(venue)

    def _trades_on(self, venue: VenueName) -> bool:
        permits = self._parts.permits
        stopped = permits.latched_because or permits.suspended_because or self.writer.failed_because
        return not stopped and trades_on(self.writer.state, venue)

    def _on_cancel_all_result(self, effect: CancelAll, result: CancelAllResult) -> None:
        self._sweepers[effect.venue].sweep_soon()
        state, times, clock = self.writer.state, self.writer.halt_clock, self._parts.clock
        report_halt(effect, result, state, times, self.inbox, clock, self._performer.cancel_all, self._measured_latches)
        report_drill(effect, result, state, times, self.inbox, clock, self._performer.cancel_all)

    def _on_not_empty(self, effect: CancelAll, not_empty: NotEmpty) -> None:
        title = f"{effect.venue} is not proven empty after {not_empty.seconds} s of cancelling"
        self._parts.alerts.notify(Alert(AlertKind.NOT_EMPTY, title, f"{not_empty.because}; gatehouse goes on cancelling"))

    def _cancel_now(self, because: str) -> None:
        state = self.writer.state
        for venue in sorted(self._venues_in_use()):
            symbols = {order.symbol for order in state.open_on(venue)} | set(self._parts.policy.symbols)
            self._performer.perform(CancelAll(venue, tuple(sorted(symbols)), because=because))

    def _venues_in_use(self) -> set[VenueName]:
        state = self.writer.state
        return {order.venue for order in state.open.values()} | ({state.venue} if state.venue is not None else set())

    def _last_decision_ns(self) -> int:
        """When the writer last decided a tick. A writer that has failed says so itself, and then only the loop is watched."""
        return self._ticker.turned_ns if self.writer.failed_because else self.writer.last_tick_ns or 0

    def _on_stuck(self, reason: str) -> None:
        """On the liveness thread: cancel what is open without the event loop, notify people, and end this process."""
        parts, state = self._parts, self.writer.state
        mark = LatchMark(f"the controller was stuck: {reason}", state.epoch, halted=True)
        alert = Alert(AlertKind.HALTED, "the controller was stuck: orders are stopped and cancelled, and its process ends", reason)
        try:
            self._latch_marks.halted(mark)
            _log.critical("the controller is stuck and ends: %s", reason)
            emptying = cancel_everything(
                parts.open_own_venues,
                sorted((self._venues_in_use() | ({state.watched} if state.watched is not None else set())) - {VenueName.MOCK}),
                tuple(sorted({*parts.policy.symbols, *(order.symbol for order in state.open.values())})),
                parts.clock,
                in_flight=any(order.status in _IN_FLIGHT for order in state.open.values()),
                notify=partial(parts.alerts.send_now, alert),
            )
            asyncio.run(emptying)
        finally:
            self._latch_marks.failed(mark)
            parts.end_process(reason)

    def _noticed(self, alert: Alert) -> None:
        self.inbox.fact(AlertNoticed(alert.kind, alert.title, alert.detail), self._parts.clock.monotonic_ns())


def _writer_ended(task: asyncio.Task[None], permits: PermitOffice) -> None:
    if not task.cancelled():
        permits.latch("the writer ended")
        _log.critical("the writer ended: nothing will be placed again in this process", exc_info=task.exception())
