"""The composition root: reads the settings, constructs every adapter, and runs the controller until it is told to stop.

Order of a start (DESIGN §3): verify the journal, fold it, journal the start, reach the venues, and only then open the doors. The
writer arms by itself once every venue in use is reconciled.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

from controller.bootstrap.doors import open_doors
from controller.bootstrap.journal import checkpoint_key, fold, keep_snapshot, open_verified, open_witnesses
from controller.bootstrap.read import Deployment, found_secret, read_deployment
from controller.bootstrap.venues import examine, open_feeds, open_gates, open_venues, read_rules
from controller.runtime.assembly import Assembly, Parts
from controller.runtime.clock import SystemClock
from controller.runtime.latchfile import LatchFile
from controller.runtime.memory import Memory
from controller.runtime.permit import PermitOffice
from controller.runtime.snapshot import Snapshots
from controller.telemetry import otel, sentry
from controller.telemetry.alerts import Alerts
from controller.telemetry.logs import open_logs
from controller.telemetry.redact import Redactor
from controller.version import VERSION
from exchange.mock.venue import MockVenue
from exchange.ports import Clock, VenueName

LATCH_FILE = "latch"


async def run(directory: Path, *, on_ready: Callable[[], None]) -> None:
    """Run the controller of the deployment in ``directory`` until SIGTERM or SIGINT.

    Raises:
        GatehouseError: the start failed; nothing was placed.
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
            await _start(deployment, clock, redactor, stack)
            on_ready()
            await stop.wait()
    finally:
        logs.close()


async def _start(deployment: Deployment, clock: Clock, redactor: Redactor, stack: AsyncExitStack) -> None:
    settings = deployment.settings
    name, environment = settings.controller_id, settings.environment.value
    reports = sentry.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(reports.aclose)
    telemetry = otel.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(telemetry.aclose)
    alerts = Alerts(controller_id=name, environment=environment, clock=clock, reports=reports, redactor=redactor)
    key = checkpoint_key(deployment.data)
    witnesses = open_witnesses(deployment, key, clock, alerts, redactor)
    journal = await open_verified(deployment, witnesses, clock)
    stack.callback(journal.close)
    memory = Memory()
    snapshots = Snapshots(deployment.data, key)
    recovered = fold(deployment, journal, memory, witnesses, snapshots, clock)
    gates = open_gates(deployment, alerts, clock, stack)
    feeds, provenance = await open_feeds(deployment, gates, clock)
    remote = open_venues(deployment, gates, clock)
    rules = {name: await read_rules(venue, deployment.policy.symbols) for name, venue in remote.items()}
    mock = MockVenue(feeds[VenueName.LIVE], rules[VenueName.LIVE], settings.mock_balances, clock, seed=1)
    permits = PermitOffice(clock, journal.epoch)
    assembly = Assembly(
        Parts(
            journal=journal,
            recovered=recovered,
            memory=memory,
            clock=clock,
            permits=permits,
            policy=deployment.policy,
            venues={**remote, VenueName.MOCK: mock},
            feeds=feeds,
            rules=rules,
            accelerated={name: told.accelerated for name, told in provenance.items()},
            alerts=alerts,
            telemetry=telemetry,
            witnesses=witnesses,
            latch=LatchFile(deployment.data / LATCH_FILE),
            examine=partial(examine, deployment, remote[VenueName.LIVE], permits),
            bot_secret=partial(found_secret, deployment, redactor),
        )
    )
    stack.callback(keep_snapshot, snapshots, assembly, journal, memory, witnesses, recovered.state.seq)
    await _run(assembly, stack)
    await open_doors(deployment, assembly, stack)


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
