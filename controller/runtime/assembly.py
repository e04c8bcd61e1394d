"""The running controller put together from adapters it is given: who feeds the writer, and who follows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from controller.effects import CancelAll, Effect
from controller.inputs import HaltAsked, Latched, VenueReported
from controller.journal.port import Journal
from controller.runtime.bots import Bots
from controller.runtime.examine import Examiner, Findings
from controller.runtime.flatten import Emptied
from controller.runtime.inbox import Inbox
from controller.runtime.latchfile import LatchFile
from controller.runtime.markets import Markets
from controller.runtime.memory import Memory
from controller.runtime.operator import Operator
from controller.runtime.perform import Performer
from controller.runtime.permit import PermitOffice
from controller.runtime.reconcile import Sweeper
from controller.runtime.recover import Recovered
from controller.runtime.schedule import start_ticking
from controller.runtime.supervise import supervised
from controller.runtime.tracing import Tracing
from controller.runtime.witness import Witnesses
from controller.runtime.writer import Carried, Writer
from controller.telemetry.alerts import Alerts
from controller.telemetry.facade import Telemetry
from exchange.errors import GatehouseError
from exchange.model import OrderStatus, SymbolRules
from exchange.ports import Clock, MarketFeed, StreamGap, Venue, VenueName
from policies.schema import Policy
from policies.stage import Stage

_log = logging.getLogger(__name__)

SWEEP_EVERY_S = 3.0
RULES_EVERY_S = 60.0
_IN_FLIGHT = frozenset({OrderStatus.ADMITTED, OrderStatus.UNKNOWN})


@dataclass(slots=True)
class Assembly:
    """A controller whose parts know each other. ``start`` sets it going."""

    writer: Writer
    permits: PermitOffice
    operator: Operator
    bots: Bots
    _start: Callable[[], list[asyncio.Task[None]]]
    stop_ticking: Callable[[], None]

    def start(self) -> list[asyncio.Task[None]]:
        """Start the writer and everything that feeds it. Cancel the tasks to stop."""
        return self._start()


class _Ticker:
    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        self._scheduler: object = None

    def start(self) -> None:
        self._scheduler = start_ticking(self._markets.tick)

    def stop(self) -> None:
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)  # type: ignore[attr-defined]


def assemble(
    *,
    journal: Journal,
    recovered: Recovered,
    memory: Memory,
    clock: Clock,
    permits: PermitOffice,
    policy: Policy,
    venues: Mapping[VenueName, Venue],
    feeds: Mapping[VenueName, MarketFeed],
    rules: Mapping[VenueName, dict[str, SymbolRules]],
    accelerated: Mapping[VenueName, bool],
    alerts: Alerts,
    telemetry: Telemetry,
    witnesses: Witnesses,
    latch: LatchFile,
    examine: Callable[[], Awaitable[Findings]],
) -> Assembly:
    """Connect the parts. Nothing runs yet."""
    inbox = Inbox()
    sweepers: dict[VenueName, Sweeper] = {}
    markets = Markets(
        feeds=feeds,
        rules=rules,
        accelerated=accelerated,
        symbols=policy.symbols,
        clock=clock,
        inbox=inbox,
        offsets={name: lambda name=name: sweepers[name].offset for name in venues},  # type: ignore[misc]
    )
    performer = Performer(
        venues=venues,
        permits=permits,
        inbox=inbox,
        clock=clock,
        told=alerts.notify,
        emptied=lambda effect, result: _emptied(effect, result, writer, inbox, clock, sweepers),
        still_open=lambda venue: _in_flight(writer, venue),
        working=lambda venue: sum(1 for order in writer.known.open_on(venue) if order.working),
    )
    writer = Writer(
        journal=journal,
        state=recovered.state,
        clock=clock,
        permits=permits,
        inbox=inbox,
        perform=performer.perform,
        failing=latch.mark,
    )
    for name, venue in venues.items():
        sweepers[name] = Sweeper(
            venue,
            symbols=policy.symbols,
            ledger=lambda name=name: writer.known.ledger(name),  # type: ignore[misc]
            inbox=inbox,
            clock=clock,
            every_s=SWEEP_EVERY_S,
        )
    tracing = Tracing(telemetry, clock)
    writer.watch(memory.carried)
    writer.watch(lambda _: markets.tick_taken())
    writer.watch(tracing.carried)
    writer.watch(witnesses.carried)
    _halt_if_latched(latch, inbox, writer, clock)
    bots = Bots(writer=writer, inbox=inbox, performer=performer, markets=markets, memory=memory, clock=clock)
    operator = Operator(writer=writer, inbox=inbox, markets=markets, memory=memory, journal=journal, clock=clock, tracing=tracing)
    ticker = _Ticker(markets)

    def start() -> list[asyncio.Task[None]]:
        work: dict[str, Callable[[], Awaitable[None]]] = {
            **{f"{name} market feed": feed.run for name, feed in feeds.items()},
            **{f"{name} market watch": lambda name=name: markets.follow(name) for name in feeds},  # type: ignore[misc]
            **{f"{name} sweeps": sweepers[name].run for name in venues},
            **{
                f"{name} private stream": lambda venue=venue: _listen(venue, inbox, clock, sweepers[venue.name])  # type: ignore[misc]
                for name, venue in venues.items()
            },
            "symbol rules": lambda: _refresh_rules(venues, rules, policy),
            "witnesses": witnesses.run,
            "account checks": Examiner(examine=examine, known=lambda: writer.known, inbox=inbox, clock=clock).run,
            "alerts": lambda: _for_ever(alerts.run),
        }
        mock = venues[VenueName.MOCK]
        if (follow := getattr(mock, "run", None)) is not None:
            work["mock executor"] = follow
        writing = asyncio.create_task(writer.run(), name="writer")
        writing.add_done_callback(lambda task: _writer_ended(task, permits))
        tasks = [writing]
        tasks += [asyncio.create_task(supervised(name, item, inbox, clock), name=name) for name, item in work.items()]
        _perform_all(performer, recovered.effects)
        ticker.start()
        return tasks

    return Assembly(writer, permits, operator, bots, start, ticker.stop)


def _writer_ended(task: asyncio.Task[None], permits: PermitOffice) -> None:
    if not task.cancelled():
        permits.latch("the writer ended")
        _log.critical("the writer ended: nothing will be placed again in this process", exc_info=task.exception())


def _halt_if_latched(latch: LatchFile, inbox: Inbox, writer: Writer, clock: Clock) -> None:
    """The last process halted without being able to journal it: halt before anything else, then clear the mark."""
    reason = latch.read()
    if not reason:
        return

    def clear(batch: Carried) -> None:
        if batch.after.position.stage is Stage.HALTED:
            latch.clear()

    writer.watch(clear)
    inbox.fact(HaltAsked(by="controller", reason=f"the last process halted without a journal: {reason}"), clock.monotonic_ns())


def _perform_all(performer: Performer, effects: tuple[Effect, ...]) -> None:
    for effect in effects:
        performer.perform(effect)


def _in_flight(writer: Writer, venue: VenueName) -> int:
    return sum(1 for order in writer.known.open.values() if order.venue is venue and order.status in _IN_FLIGHT)


def _emptied(
    effect: CancelAll,
    result: Emptied,
    writer: Writer,
    inbox: Inbox,
    clock: Clock,
    sweepers: Mapping[VenueName, Sweeper],
) -> None:
    sweepers[effect.venue].sweep_soon()
    state, times = writer.known, writer.halt_clock
    if state.position.stage is not Stage.HALTED or effect.venue is not state.watched or times is None:
        return
    empty = result.empty_ns >= 0
    inbox.fact(
        Latched(
            cause=state.halt_cause,
            breach_to_latch_us=(times.latched_ns - times.known_ns) // 1000,
            latch_to_cancelled_us=max(0, result.empty_ns - times.latched_ns) // 1000 if empty else -1,
            cancelled=result.orders,
            verified_empty=empty,
        ),
        clock.monotonic_ns(),
    )


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
