"""The composition root: reads the settings, makes every adapter, and runs the controller until it must stop.

``gatehouse run`` calls ``run``. Order of a start (architecture.md §3): verify the journal, fold it, journal the start, reach the
venues, then open the servers. The writer arms by itself once every venue in use is reconciled. While another controller leads, a
start stands by before all of these steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from controller.bootstrap.alerts import AlertLine
from controller.bootstrap.backups import show_backups
from controller.bootstrap.crashes import note_crash
from controller.bootstrap.end import end_now
from controller.bootstrap.journal import checkpoint_signing_key, growth_switch, journal_hold, make_disk_reserve, open_publisher
from controller.bootstrap.leadership import Leadership, ProcessServices, acquire_leadership, lease_kept
from controller.bootstrap.metrics import keep_metrics
from controller.bootstrap.notified import keep_notified, notified_standby
from controller.bootstrap.rates import open_rates
from controller.bootstrap.read import Deployment, find_bot_secret, read_deployment
from controller.bootstrap.real_venue import compare_with_the_real_venue
from controller.bootstrap.release import watch_release
from controller.bootstrap.remote_claims import keep_claims, open_remote_claims
from controller.bootstrap.replay import keep_replay
from controller.bootstrap.restore_drill import restore_drill
from controller.bootstrap.restored import follow_restored, require_checkpoint_key
from controller.bootstrap.servers import open_servers
from controller.bootstrap.signer import Signers, open_signers
from controller.bootstrap.signer_budget import keep_budget
from controller.bootstrap.statistics import keep_statistics
from controller.bootstrap.stopping import StopSignals, cancel_before_stop, end_start
from controller.bootstrap.supervise import Supervisor
from controller.bootstrap.testnet import keep_testnet, watch_instance
from controller.bootstrap.venues import (
    examine,
    open_candles,
    open_feeds,
    open_hosts,
    open_statements,
    open_venues,
    own_venues,
    testnet_control,
)
from controller.bootstrap.venues_known import VenuesKnown, needed_at_a_start
from controller.bootstrap.watchdog import keep_watchdog, say_goodbye_at_the_end, ties_of, vouch_while_signed
from controller.core.effects import Alert, AlertKind
from controller.journal.port import Journal, JournalError, JournalTakenOver, LeasedJournal
from controller.notifying.ahead import Waiting
from controller.notifying.service_manager import NONE, ServiceManager
from controller.runtime.assembly import Assembly, Parts
from controller.runtime.drills.practice import Means
from controller.runtime.followers.latchfile import LATCH_FILE, LatchFile, latch_elsewhere
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.collector import few_collections
from controller.runtime.loop.liveness import block_halt_signal
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.recovery.old_roster import require_trusted_roster
from controller.runtime.recovery.snapshot import Snapshots
from controller.runtime.recovery.snapshot_schedule import SnapshotSchedule
from controller.runtime.surroundings import PROCESS, Surroundings
from controller.runtime.venues.waiting import OnWaiting
from controller.serving.descriptors import in_use, limit, raise_limit, share
from controller.settings.state_directory import state_directory
from controller.signer.spawn import Spawned
from controller.telemetry import otel, sentry
from controller.telemetry.alerts import Alerts
from controller.telemetry.book import Book
from controller.telemetry.logs import open_logs
from controller.telemetry.redact import Redactor
from controller.version import VERSION
from exchange.mock.venue import MockVenue
from exchange.ports import Clock, VenueName

_YOUNG = 5_000
"""Objects made since the last look for cycles: looking through so many takes a millisecond or two."""

EXIT_STUCK = 75
"""The exit code of a process whose writer was stuck: start it again. It has halted, and goes on cancelling after the start."""


async def run(
    directory: Path,
    *,
    on_ready: Callable[[], None],
    on_standby: Callable[[], None] = lambda: None,
    on_waiting: OnWaiting = lambda _: None,
    signer: Spawned | None = None,
    ahead: Waiting | None = None,
    manager: ServiceManager = NONE,
) -> None:
    """Run the controller of the deployment in ``directory`` until SIGTERM or SIGINT.

    While another controller leads the same journal in a database, this process stands by and calls ``on_standby``. While a venue
    does not answer, the start waits for it and calls ``on_waiting`` now and then. ``signer`` is the signer process if it runs
    already, and ``ahead`` are those that wait until this controller leads. ``manager`` hears how it is.

    Raises:
        JournalTakenOver: another controller leads now.
        GatehouseError: the start failed, or the journal failed later; no order is placed any more.
    """
    raise_limit()
    share(limit(), in_use(), gateway=0)
    clock = SystemClock()
    redactor = Redactor()
    deployment = read_deployment(directory, redactor)
    async with AsyncExitStack() as stack:
        # First of all: a thread that starts before does not keep the signal pending.
        stack.enter_context(block_halt_signal())
        stack.callback(open_logs(redactor).close)
        signals = StopSignals(end_start)
        line, services = _open_services(deployment, clock, redactor, stack)
        signers = stack.enter_context(open_signers(deployment, signer, _alert_on(asyncio.get_running_loop(), services.alerts)))
        standing_by = notified_standby(manager, on_standby, stack)
        leadership = await acquire_leadership(deployment, services, signals.stop, standing_by.begin, on_waiting)
        if leadership is None:
            return
        deployment = in_force(deployment, leadership)
        _close_at_the_end(services, leadership, stack)
        _alert_at_start(deployment, leadership, services.alerts, stack)
        nothing_left = asyncio.Event()
        watchdog = _keep_beside(deployment, services.alerts, nothing_left, ahead or Waiting(), stack)
        with lease_kept(leadership.journal):
            assembly = await signals.unless_stopped(assemble(deployment, services, leadership, signers, on_waiting, stack))
        if assembly is None:
            if not leadership.recovered.state.open:
                nothing_left.set()
            return
        line.connect(assembly, stack)
        assembly.operator.inspector.channels_now = line.channels
        say_goodbye_at_the_end(assembly.heartbeat, watchdog, nothing_left, stack)
        scrape = keep_metrics(services, assembly, clock)
        stack.enter_context(few_collections(_YOUNG))
        await run_assembly(assembly, stack)
        show_backups(deployment, assembly, clock, services.alerts, stack)
        keep_budget(signers, assembly, clock, services.alerts.notify, stack)
        keep_statistics(assembly, services.alerts.notify, stack)
        keep_claims(services.remote_claims, assembly.halt_for_integrity, services.alerts.notify, stack)
        record = keep_replay(deployment, assembly, clock, services.alerts.notify, stack)
        await open_servers(deployment, assembly, record, scrape, services.alerts, clock, stack)
        watch_instance(deployment, services.alerts.notify, stack)
        watch_release(deployment, partial(_artifact_in_force, assembly), services.alerts.notify, stack)
        signals.started()
        standing_by.end()
        keep_notified(manager, assembly, signals.stop, stack)
        on_ready()
        await _wait_for_end(signals.stop, assembly, leadership.journal, clock, services.alerts)
        if await cancel_before_stop(signals.at_once, assembly):
            nothing_left.set()


def _keep_beside(
    deployment: Deployment, alerts: Alerts, nothing_left: asyncio.Event, waiting: Waiting, stack: AsyncExitStack
) -> Supervisor | None:
    """Keep the watchdog and the testnet running; what was started ahead and is not needed ends. Returns what keeps the watchdog."""
    watchdog = keep_watchdog(deployment, alerts, stack, waiting)
    keep_testnet(deployment, alerts.notify, nothing_left, stack, waiting)
    waiting.drop()
    return watchdog


def _close_at_the_end(services: ProcessServices, leadership: Leadership, stack: AsyncExitStack) -> None:
    """Close what leading holds. The journal is first, so that a standby does not wait for a checkpoint target."""
    stack.push_async_callback(services.publisher.finish)
    stack.push_async_callback(services.remote_claims.release)
    stack.callback(leadership.claims.close)
    stack.callback(leadership.journal.close)


def _alert_at_start(deployment: Deployment, leadership: Leadership, alerts: Alerts, stack: AsyncExitStack) -> None:
    note_crash(deployment.data, leadership.recovered.state, alerts.notify, stack)
    if leadership.first_halt is not None and leadership.first_halt.alert is not None:
        alerts.notify(leadership.first_halt.alert)


def _artifact_in_force(assembly: Assembly) -> str:
    release = assembly.writer.state.release
    return release.artifact if release is not None else ""


def in_force(deployment: Deployment, leadership: Leadership) -> Deployment:
    """The deployment under the policy in force: the one in the file may be a proposal."""
    policy = leadership.recovered.state.policy
    assert policy is not None, "a start puts the first policy in force"
    return replace(deployment, policy=policy)


def _open_services(
    deployment: Deployment, clock: Clock, redactor: Redactor, stack: AsyncExitStack
) -> tuple[AlertLine, ProcessServices]:
    name, environment = deployment.settings.controller_id, deployment.settings.environment.value
    reports = sentry.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(reports.aclose)
    about = {"controller_id": name, "environment": environment, "version": VERSION}
    telemetry = otel.from_environment(**about, redactor=redactor)
    stack.push_async_callback(telemetry.aclose)
    meters = otel.meters_from_environment(Book(clock), **about, redactor=redactor)
    stack.push_async_callback(meters.aclose)
    meters.start()
    line = AlertLine(deployment, clock, redactor, reports)
    line.start(stack)
    alerts = line.alerts
    require_checkpoint_key(deployment.data)
    key, elsewhere = checkpoint_signing_key(deployment.data), state_directory()
    services = ProcessServices(
        clock=clock,
        redactor=redactor,
        alerts=alerts,
        telemetry=telemetry,
        meters=meters,
        reports=reports,
        publisher=open_publisher(deployment, key, clock, alerts, redactor),
        remote_claims=open_remote_claims(deployment, key, clock, alerts.notify),
        history=RecentHistory(),
        snapshots=Snapshots(deployment.data, key),
        latch=LatchFile(deployment.data / LATCH_FILE, latch_elsewhere(elsewhere, deployment.directory) if elsewhere else None),
    )
    return line, services


def _alert_on(loop: asyncio.AbstractEventLoop, alerts: Alerts) -> Callable[[str], None]:
    """Raise alerts about the signer on the event loop; its supervisor is on another thread."""

    def alert(detail: str) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(alerts.notify, Alert(AlertKind.SIGNER, "the signer process is in trouble", detail))

    return alert


async def assemble(
    deployment: Deployment,
    services: ProcessServices,
    leadership: Leadership,
    signers: Signers,
    on_waiting: OnWaiting,
    stack: AsyncExitStack,
    surroundings: Surroundings = PROCESS,
) -> Assembly:
    """Open the venues and connect every part, for ``gatehouse run`` and for rehearsals. ``stack`` closes what was opened."""
    clock, journal, publisher = services.clock, leadership.journal, services.publisher
    last_seq = leadership.recovered.snapshot_seq
    snapshot_schedule = SnapshotSchedule(services.snapshots, services.history, lambda: publisher.tree, last_seq)
    stack.callback(snapshot_schedule.finish)
    hosts = open_hosts(deployment, services.alerts.notify, clock, stack)
    feeds = open_feeds(deployment, hosts, clock, surroundings.rng)
    signers.follow(leadership.recovered.state)
    remote = open_venues(deployment, hosts, clock, signers, surroundings.rng)
    known = VenuesKnown(deployment, remote, feeds, clock)
    await known.reach(needed_at_a_start(leadership.recovered.state), on_waiting)
    known.reach_the_others(services.alerts.notify, stack)
    # A bot keeps the ids of its trades for longer than this process lives.
    ids, balances = surroundings.token(16), deployment.settings.mock_balances
    mock = MockVenue(feeds[VenueName.LIVE], known.rules[VenueName.LIVE], balances, clock, seed=1, ids=ids)
    permits = PermitOffice(clock, journal.epoch)
    disk_reserve = make_disk_reserve(journal, deployment.data)
    if disk_reserve is not None:
        stack.callback(disk_reserve[0].remove)
    assembly = Assembly(
        Parts(
            journal=journal,
            recovered=leadership.recovered,
            history=services.history,
            clock=clock,
            permits=permits,
            policy=deployment.policy,
            venues={**remote, VenueName.MOCK: mock},
            feeds=feeds,
            rules=known.rules,
            accelerated=known.accelerated,
            alerts=services.alerts,
            telemetry=services.telemetry,
            publisher=publisher,
            snapshot_schedule=snapshot_schedule,
            latch=services.latch,
            first_halt=leadership.first_halt.request if leadership.first_halt is not None else None,
            high_water=leadership.high_water,
            reserve=disk_reserve,
            examine=partial(examine, deployment, remote[VenueName.LIVE], permits),
            bot_secret=partial(find_bot_secret, deployment, services.redactor),
            open_own_venues=partial(own_venues, deployment, services.alerts, clock, signers),
            end_process=_end_process,
            testnet_control=testnet_control(deployment, services.redactor),
            rates=open_rates(deployment, remote[VenueName.LIVE], clock),
            ask_testnet=open_statements(deployment, stack),
            candles=open_candles(deployment, hosts, feeds, clock),
            means=Means(growth_switch(journal), journal_hold(journal), restore_drill(deployment, clock)),
            watchdog=ties_of(deployment, services.redactor),
            surroundings=surroundings,
        )
    )
    assembly.writer.add_follower(lambda batch: signers.follow(batch.after))
    assembly.operator.require_trusted = partial(require_trusted_roster, deployment.data)
    follow_restored(deployment.data, leadership.first_halt, assembly.writer.add_follower)
    live, rules = feeds[VenueName.LIVE], known.rules[VenueName.LIVE]
    compare_with_the_real_venue(deployment, assembly, remote[VenueName.LIVE], live, rules, clock, services.alerts.notify, stack)
    permits.require(lambda: signers.problem(assembly.writer.state.venue))
    vouch_while_signed(assembly.heartbeat, signers)
    permits.require(lambda: services.remote_claims.problem if assembly.writer.state.venue is VenueName.LIVE else "")
    return assembly


def _end_process(reason: str) -> None:
    end_now(EXIT_STUCK, f"the controller was stuck and ends, exit code {EXIT_STUCK}: {reason}")


async def _wait_for_end(stop: asyncio.Event, assembly: Assembly, journal: Journal, clock: Clock, alerts: Alerts) -> None:
    """Wait for a signal, or until this process may not act any more. It must then end, so that another process can lead."""
    ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(event.wait()) for event in (stop, assembly.ended)]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        failure = assembly.failure
        if stop.is_set() or failure is None:
            await stop.wait()
            return
        alerts.decided(Alert(AlertKind.LEASE, "this controller may not write its journal any more", failure.reason))
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


async def run_assembly(assembly: Assembly, stack: AsyncExitStack) -> None:
    """Start the writer and what feeds it; ``stack`` stops them."""
    tasks = assembly.start()

    async def end() -> None:
        assembly.writer.write_held()
        assembly.permits.latch("the controller is stopping")
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    stack.push_async_callback(end)
    stack.callback(assembly.stop_ticking)
