"""The composition root: reads the settings, constructs every adapter, and runs the controller until it is told to stop.

Order of a start (architecture.md §3): verify the journal, fold it, journal the start, reach the venues, then open the doors. The
writer arms by itself once every venue in use is reconciled. While another controller leads, a start stands by before all of that.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from controller.bootstrap.journal import checkpoint_signing_key, open_witnesses, reserve_room
from controller.bootstrap.leadership import Leadership, ProcessServices, acquire_leadership, lease_kept
from controller.bootstrap.read import Deployment, found_secret, read_deployment
from controller.bootstrap.servers import open_doors
from controller.bootstrap.venues import examine, open_feeds, open_hosts, open_venues, read_rules
from controller.journal.port import Journal, JournalError, JournalTakenOver, LeasedJournal
from controller.runtime.assembly import Assembly, Parts
from controller.runtime.followers.latchfile import LatchFile
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.recovery.snapshot import Snapshots
from controller.runtime.recovery.snapshot_schedule import SnapshotSchedule
from controller.telemetry import otel, sentry
from controller.telemetry.alerts import Alerts
from controller.telemetry.logs import open_logs
from controller.telemetry.redact import Redactor
from controller.version import VERSION
from exchange.mock.venue import MockVenue
from exchange.ports import Clock, VenueName

LATCH_FILE = "latch"


async def run(directory: Path, *, on_ready: Callable[[], None], on_standby: Callable[[], None] = lambda: None) -> None:
    """Run the controller of the deployment in ``directory`` until SIGTERM or SIGINT.

    While another controller leads the same journal in a database this one stands by, and says so through ``on_standby``.

    Raises:
        JournalTakenOver: another controller leads now.
        GatehouseError: the start failed, or the journal across the network did; nothing is placed any more.
    """
    clock = SystemClock()
    redactor = Redactor()
    deployment = read_deployment(directory, redactor)
    logs = open_logs(redactor)
    try:
        async with AsyncExitStack() as stack:
            stop = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            around = _surroundings(deployment, clock, redactor, stack)
            led = await acquire_leadership(deployment, around, stop, on_standby)
            if led is None:
                return
            # After the journal is let go: whoever stands by must not wait for a target.
            stack.push_async_callback(around.witnesses.finish)
            stack.callback(led.journal.close)
            with lease_kept(led.journal):
                assembly = await _assembled(deployment, around, led, stack)
            await _run(assembly, stack)
            await open_doors(deployment, assembly, stack)
            on_ready()
            await _ended(stop, assembly, led.journal, clock)
    finally:
        logs.close()


def _surroundings(deployment: Deployment, clock: Clock, redactor: Redactor, stack: AsyncExitStack) -> ProcessServices:
    name, environment = deployment.settings.controller_id, deployment.settings.environment.value
    reports = sentry.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(reports.aclose)
    telemetry = otel.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(telemetry.aclose)
    alerts = Alerts(controller_id=name, environment=environment, clock=clock, reports=reports, redactor=redactor)
    key = checkpoint_signing_key(deployment.data)
    return ProcessServices(
        clock=clock,
        redactor=redactor,
        alerts=alerts,
        telemetry=telemetry,
        witnesses=open_witnesses(deployment, key, clock, alerts, redactor),
        memory=RecentHistory(),
        snapshots=Snapshots(deployment.data, key),
        latch=LatchFile(deployment.data / LATCH_FILE),
    )


async def _assembled(deployment: Deployment, around: ProcessServices, led: Leadership, stack: AsyncExitStack) -> Assembly:
    clock, journal, witnesses = around.clock, led.journal, around.witnesses
    keeper = SnapshotSchedule(around.snapshots, around.memory, lambda: witnesses.tree, since=led.recovered.snapshot_seq)
    stack.callback(keeper.finish)
    hosts = open_hosts(deployment, around.alerts, clock, stack)
    feeds, provenance = await open_feeds(deployment, hosts, clock)
    remote = open_venues(deployment, hosts, clock)
    rules = {name: await read_rules(venue, deployment.policy.symbols) for name, venue in remote.items()}
    mock = MockVenue(feeds[VenueName.LIVE], rules[VenueName.LIVE], deployment.settings.mock_balances, clock, seed=1)
    permits = PermitOffice(clock, journal.epoch)
    room = reserve_room(journal, deployment.data)
    if room is not None:
        stack.callback(room[0].remove)
    return Assembly(
        Parts(
            journal=journal,
            recovered=led.recovered,
            memory=around.memory,
            clock=clock,
            permits=permits,
            policy=deployment.policy,
            venues={**remote, VenueName.MOCK: mock},
            feeds=feeds,
            rules=rules,
            accelerated={name: told.accelerated for name, told in provenance.items()},
            alerts=around.alerts,
            telemetry=around.telemetry,
            witnesses=witnesses,
            keeper=keeper,
            latch=around.latch,
            left_behind=led.left_behind,
            reserve=room,
            examine=partial(examine, deployment, remote[VenueName.LIVE], permits),
            bot_secret=partial(found_secret, deployment, around.redactor),
        )
    )


async def _ended(stop: asyncio.Event, assembly: Assembly, journal: Journal, clock: Clock) -> None:
    """Wait until told to stop, or until this process may not act any more: one that stays would keep the journal from the next."""
    ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(event.wait()) for event in (stop, assembly.ended)]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        failure = assembly.failure
        if stop.is_set() or failure is None:
            await stop.wait()
            return
        if failure.taken_over:
            raise JournalTakenOver(
                failure.reason, code="journal-fenced", remedy="Nothing: start this one again, and it stands by for the newer one."
            )
        # What is open is cancelled for as long as nobody else can lead; after that it could be somebody else's.
        alone_s = max(0, failure.alone_until_ns - clock.monotonic_ns()) / 1e9
        leased = isinstance(journal, LeasedJournal)
        ends.append(asyncio.ensure_future(asyncio.sleep(alone_s) if leased else assembly.idle()))
        await asyncio.wait((ends[0], ends[-1]), return_when=asyncio.FIRST_COMPLETED)
        raise JournalError(
            f"the journal could not be written: {failure.reason}",
            code="journal-failed",
            remedy="Mend what keeps it, then start again: the start reads what became durable, and halts if nobody led since.",
        )
    finally:
        for end in ends:
            end.cancel()


async def _run(assembly: Assembly, stack: AsyncExitStack) -> None:
    tasks = assembly.start()

    async def end() -> None:
        assembly.permits.latch("the controller is stopping")
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    stack.push_async_callback(end)
    stack.callback(assembly.stop_ticking)
