"""The composition root: reads the settings, makes every adapter, and runs the controller until it must stop.

``gatehouse run`` calls ``run``. Order of a start (architecture.md §3): verify the journal, fold it, journal the start, reach the
venues, then open the servers. The writer arms by itself once every venue in use is reconciled. While another controller leads, a
start stands by before all of these steps.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from controller.bootstrap.journal import checkpoint_signing_key, make_disk_reserve, open_publisher
from controller.bootstrap.leadership import Leadership, ProcessServices, acquire_leadership, lease_kept
from controller.bootstrap.read import Deployment, find_bot_secret, read_deployment
from controller.bootstrap.servers import open_servers
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

    While another controller leads the same journal in a database, this process stands by and calls ``on_standby``.

    Raises:
        JournalTakenOver: another controller leads now.
        GatehouseError: the start failed, or the journal failed later; no order is placed any more.
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
            services = _open_services(deployment, clock, redactor, stack)
            leadership = await acquire_leadership(deployment, services, stop, on_standby)
            if leadership is None:
                return
            # Runs after the journal is closed, so that a standby does not wait for a checkpoint target.
            stack.push_async_callback(services.publisher.finish)
            stack.callback(leadership.journal.close)
            with lease_kept(leadership.journal):
                assembly = await _assemble(deployment, services, leadership, stack)
            await _run(assembly, stack)
            await open_servers(deployment, assembly, stack)
            on_ready()
            await _wait_for_end(stop, assembly, leadership.journal, clock)
    finally:
        logs.close()


def _open_services(deployment: Deployment, clock: Clock, redactor: Redactor, stack: AsyncExitStack) -> ProcessServices:
    name, environment = deployment.settings.controller_id, deployment.settings.environment.value
    reports = sentry.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(reports.aclose)
    telemetry = otel.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(telemetry.aclose)
    alerts = Alerts(clock=clock, reports=reports, redactor=redactor)
    key = checkpoint_signing_key(deployment.data)
    return ProcessServices(
        clock=clock,
        redactor=redactor,
        alerts=alerts,
        telemetry=telemetry,
        publisher=open_publisher(deployment, key, clock, alerts, redactor),
        history=RecentHistory(),
        snapshots=Snapshots(deployment.data, key),
        latch=LatchFile(deployment.data / LATCH_FILE),
    )


async def _assemble(deployment: Deployment, services: ProcessServices, leadership: Leadership, stack: AsyncExitStack) -> Assembly:
    clock, journal, publisher = services.clock, leadership.journal, services.publisher
    last_seq = leadership.recovered.snapshot_seq
    snapshot_schedule = SnapshotSchedule(services.snapshots, services.history, lambda: publisher.tree, last_seq)
    stack.callback(snapshot_schedule.finish)
    hosts = open_hosts(deployment, services.alerts, clock, stack)
    feeds, provenance = await open_feeds(deployment, hosts, clock)
    remote = open_venues(deployment, hosts, clock)
    rules = {name: await read_rules(venue, deployment.policy.symbols) for name, venue in remote.items()}
    mock = MockVenue(feeds[VenueName.LIVE], rules[VenueName.LIVE], deployment.settings.mock_balances, clock, seed=1)
    permits = PermitOffice(clock, journal.epoch)
    disk_reserve = make_disk_reserve(journal, deployment.data)
    if disk_reserve is not None:
        stack.callback(disk_reserve[0].remove)
    return Assembly(
        Parts(
            journal=journal,
            recovered=leadership.recovered,
            history=services.history,
            clock=clock,
            permits=permits,
            policy=deployment.policy,
            venues={**remote, VenueName.MOCK: mock},
            feeds=feeds,
            rules=rules,
            accelerated={name: stated.accelerated for name, stated in provenance.items()},
            alerts=services.alerts,
            telemetry=services.telemetry,
            publisher=publisher,
            snapshot_schedule=snapshot_schedule,
            latch=services.latch,
            latch_mark=leadership.latch_mark,
            reserve=disk_reserve,
            examine=partial(examine, deployment, remote[VenueName.LIVE], permits),
            bot_secret=partial(find_bot_secret, deployment, services.redactor),
        )
    )


async def _wait_for_end(stop: asyncio.Event, assembly: Assembly, journal: Journal, clock: Clock) -> None:
    """Wait for a signal, or until this process may not act any more. It must then end, so that another process can lead."""
    ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(event.wait()) for event in (stop, assembly.ended)]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        failure = assembly.failure
        if stop.is_set() or failure is None:
            await stop.wait()
            return
        if failure.taken_over:
            raise JournalTakenOver(
                failure.reason, code="journal-fenced", remedy="Start this controller again: it then stands by for the newer one."
            )
        # Cancel while no other controller can lead; after that the open orders may belong to another controller.
        exclusive_s = max(0, failure.exclusive_until_ns - clock.monotonic_ns()) / 1e9
        leased = isinstance(journal, LeasedJournal)
        ends.append(asyncio.ensure_future(asyncio.sleep(exclusive_s) if leased else assembly.idle()))
        await asyncio.wait((ends[0], ends[-1]), return_when=asyncio.FIRST_COMPLETED)
        raise JournalError(
            f"the journal could not be written: {failure.reason}",
            code="journal-failed",
            remedy="Fix the journal's disk or database, then start again. The start halts if no other controller has led since.",
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
