"""The composition root: reads the settings, constructs every adapter, and runs the controller until it is told to stop.

Order of a start (DESIGN §3): verify the journal, fold it, journal the start, reach the venues, and only then open the doors. The
writer arms by itself once every venue in use is reconciled.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import generate_key, load_key, save_key
from controller.authority.roster import load_roster
from controller.console.app import create_app as create_console
from controller.console.server import serving as serving_console
from controller.console.server import serving_socket
from controller.effects import Alert, AlertKind
from controller.gateway.app import create_app as create_gateway
from controller.gateway.limits import GatewayLimits
from controller.gateway.port import BotKey
from controller.gateway.server import serving as serving_gateway
from controller.inputs import Boot, Release
from controller.journal.port import Journal
from controller.journal.verify import verify_journal
from controller.runtime.assembly import Assembly, Parts
from controller.runtime.clock import SystemClock
from controller.runtime.examine import Findings
from controller.runtime.latchfile import LatchFile
from controller.runtime.memory import Memory
from controller.runtime.permit import PermitOffice
from controller.runtime.recover import Recovered, recover
from controller.runtime.snapshot import SAVE_AFTER, Snapshots
from controller.runtime.witness import Witnesses
from controller.settings import Settings, VenueSettings, journal_place, load_settings, read_secret
from controller.telemetry import otel, sentry
from controller.telemetry.alerts import Alerts
from controller.telemetry.logs import open_logs
from controller.telemetry.redact import Redactor
from controller.version import VERSION
from exchange.errors import ConfigError, GatehouseError, IntegrityError, Unreachable
from exchange.mexc.checks import Demands, check_account
from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import PRODUCTION, Endpoint, Gate, open_feed, open_venue
from exchange.mexc.hosts import Reach
from exchange.mexc.provenance import Provenance, ask_provenance
from exchange.mexc.ratelimit import LockOut
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.mock.venue import MockVenue
from exchange.model import SymbolRules
from exchange.ports import Clock, MarketFeed, Venue, VenueName
from policies import canonical
from policies.document import canonical_bytes, load_policy
from policies.ramp import symbols_at
from policies.schema import Policy
from policies.stage import Environment, Stage

T = TypeVar("T")

LATCH_FILE = "latch"
CHECKPOINT_KEY_FILE = "checkpoint.key"
SOCKET_FILE = "gatehouse.sock"
REACH_WITHIN_S = 60.0
RETRY_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class _Deployment:
    """A deployment's directory, read."""

    directory: Path
    data: Path
    settings: Settings
    policy: Policy
    boot: Boot
    secrets: dict[VenueName, str]
    bots: tuple[BotKey, ...]


async def run(directory: Path, *, on_ready: Callable[[], None]) -> None:
    """Run the controller of the deployment in ``directory`` until SIGTERM or SIGINT.

    Raises:
        GatehouseError: the start failed; nothing was placed.
    """
    clock = SystemClock()
    redactor = Redactor()
    deployment = _read(directory, redactor)
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


def _read(directory: Path, redactor: Redactor) -> _Deployment:
    settings = load_settings(directory)
    policy = load_policy((directory / settings.policy).read_bytes())
    if policy.environment is not settings.environment:
        raise ConfigError(
            f"the settings are for {settings.environment} and the policy for {policy.environment}",
            code="environment-mismatch",
            remedy="Use a policy of the settings' environment.",
        )
    roster = load_roster(directory / settings.roster)
    data = directory / settings.data
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    secrets = {
        VenueName.TESTNET: read_secret(directory, settings.testnet.secret_file),
        VenueName.LIVE: read_secret(directory, settings.live.secret_file),
    }
    bots = tuple(BotKey(bot.name, bot.key, read_secret(directory, bot.secret_file)) for bot in settings.bots)
    for secret in (*secrets.values(), *(bot.secret for bot in bots)):
        redactor.register(secret)
    release = settings.release
    subject = {"name": release.name, "version": release.version, "artifact": release.artifact}
    boot = Boot(
        controller_id=settings.controller_id,
        environment=settings.environment,
        gatehouse_version=VERSION,
        epoch=0,
        policy=canonical_bytes(policy).decode(),
        roster=roster.canonical_bytes.decode(),
        release=Release(release.name, release.version, release.artifact, canonical.digest(canonical.encode(subject))),
        accounts={
            VenueName.TESTNET: _fingerprint(settings.testnet),
            VenueName.LIVE: _fingerprint(settings.live),
        },
    )
    return _Deployment(directory, data, settings, policy, boot, secrets, bots)


def _fingerprint(venue: VenueSettings) -> str:
    return canonical.digest(canonical.encode({"rest": venue.rest, "api_key": venue.api_key}))


def _open_journal(deployment: _Deployment, witnesses: Witnesses, clock: Clock) -> Journal:
    """Verify the journal against itself and against every witness, then take it over."""
    place = journal_place(deployment.directory, deployment.settings)
    controller_id = deployment.settings.controller_id
    checkpoints = witnesses.known()
    if place.exists():
        report = verify_journal(place, controller_id, monotonic_ns=clock.monotonic_ns, checkpoints=checkpoints, storage=False)
        problem = str(report.first_problem.message) if report.first_problem is not None else ""
    else:
        problem = "it is gone, and a witness knows of it" if checkpoints else ""
    if problem:
        raise IntegrityError(
            f"the journal does not verify: {problem}",
            code="journal-broken",
            remedy="Run `gatehouse journal verify`; restore a backup. gatehouse never repairs a journal.",
        )
    return place.open(controller_id)


def _checkpoint_key(data: Path) -> Ed25519PrivateKey:
    path = data / CHECKPOINT_KEY_FILE
    if not path.exists():
        save_key(generate_key(), path)
    return load_key(path)


async def _start(deployment: _Deployment, clock: Clock, redactor: Redactor, stack: AsyncExitStack) -> None:
    settings = deployment.settings
    name, environment = settings.controller_id, settings.environment.value
    reports = sentry.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(reports.aclose)
    telemetry = otel.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(telemetry.aclose)
    alerts = Alerts(controller_id=name, environment=environment, clock=clock, reports=reports, redactor=redactor)
    directories = [deployment.directory / path for path in settings.witnesses]
    key = _checkpoint_key(deployment.data)
    witnesses = Witnesses(settings.controller_id, key, directories, clock, alerts.notify)
    journal = _open_journal(deployment, witnesses, clock)
    stack.callback(journal.close)
    memory = Memory()
    snapshots = Snapshots(deployment.data, key)
    recovered = _recover(deployment, journal, memory, witnesses, snapshots, clock)
    gates = _open_gates(deployment, alerts, clock, stack)
    feeds, provenance = await _open_feeds(deployment, gates, clock)
    remote = _open_venues(deployment, gates, clock)
    rules = {name: await _rules(venue, deployment.policy.symbols) for name, venue in remote.items()}
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
            examine=partial(_examine, deployment, remote[VenueName.LIVE], permits),
        )
    )
    stack.callback(_keep_snapshot, snapshots, assembly, journal, memory, witnesses, recovered.state.seq)
    await _run(assembly, stack)
    await _open_doors(deployment, assembly, stack)


def _recover(
    deployment: _Deployment, journal: Journal, memory: Memory, witnesses: Witnesses, snapshots: Snapshots, clock: Clock
) -> Recovered:
    """Fold what came after the snapshot; take a new one when that was much."""
    snapshot = snapshots.load(journal.hash_at)
    if snapshot is not None:
        witnesses.resume(snapshot.tree)
    boot = replace(deployment.boot, epoch=journal.epoch)
    recovered = recover(journal, memory, boot, clock, witnesses.entry, snapshot)
    if recovered.folded >= SAVE_AFTER:
        snapshots.save(recovered.state, journal.head, memory.kept(), witnesses.tree)
    return recovered


def _keep_snapshot(
    snapshots: Snapshots, assembly: Assembly, journal: Journal, memory: Memory, witnesses: Witnesses, since: int
) -> None:
    """At the end of a run that added much, so that the next start has little to fold."""
    known = assembly.writer.known
    if not assembly.writer.failed_because and known.seq - since >= SAVE_AFTER:
        snapshots.save(known, journal.head, memory.kept(), witnesses.tree)


def _open_gates(deployment: _Deployment, alerts: Alerts, clock: Clock, stack: AsyncExitStack) -> dict[VenueName, Gate]:
    """One gate per host, whoever talks to it: a venue's limits are counted by address."""
    by_host: dict[str, Gate] = {}
    gates: dict[VenueName, Gate] = {}
    for name in (VenueName.TESTNET, VenueName.LIVE):
        endpoint = _endpoint(deployment.settings, name)
        if endpoint.rest_url not in by_host:
            by_host[endpoint.rest_url] = Gate(endpoint, clock, on_lockout=partial(_locked_out, alerts, name))
            stack.push_async_callback(by_host[endpoint.rest_url].aclose)
        gates[name] = by_host[endpoint.rest_url]
    return gates


def _locked_out(alerts: Alerts, name: VenueName, lockout: LockOut) -> None:
    detail = f"HTTP {lockout.status}: nothing but a cancel every few seconds is sent for {lockout.seconds} s"
    alerts.notify(Alert(AlertKind.VENUE_LOCKOUT, f"the {name} venue has locked us out", detail))


async def _open_feeds(
    deployment: _Deployment, gates: dict[VenueName, Gate], clock: Clock
) -> tuple[dict[VenueName, MarketFeed], dict[VenueName, Provenance]]:
    feeds: dict[VenueName, MarketFeed] = {}
    told: dict[VenueName, Provenance] = {}
    for name, gate in gates.items():
        endpoint = _endpoint(deployment.settings, name)
        told[name] = await _reached(partial(ask_provenance, endpoint), f"the {name} venue")
        feeds[name] = open_feed(deployment.policy.symbols, endpoint, clock, SystemRandom(), told[name].source, gate=gate)
    return feeds, told


async def _examine(deployment: _Deployment, live: MexcVenue, permits: PermitOffice) -> Findings:
    """Whether the live account is fit for what the policy would have it do."""
    policy, production = deployment.policy, deployment.settings.environment is Environment.PRODUCTION
    demands = Demands(
        symbols=symbols_at(policy, Stage.LIVE_EUR10),
        order_notional_most=policy.limits.order_notional_max_eur * policy.eur_rate.quote_per_eur,
        offset_most_ms=policy.guards.clock_offset.no_entry_ms,
        powerless_key=production,
    )
    rows = await check_account(live, permits.current, demands)
    return Findings(len(rows), tuple(row.name for row in rows if not row.ok))


def _open_venues(deployment: _Deployment, gates: dict[VenueName, Gate], clock: Clock) -> dict[VenueName, MexcVenue]:
    policy = deployment.policy
    limits = SignerLimits(frozenset(policy.symbols), policy.limits.order_notional_max_eur * policy.eur_rate.quote_per_eur)
    venues: dict[VenueName, MexcVenue] = {}
    for name, gate in gates.items():
        settings = deployment.settings.testnet if name is VenueName.TESTNET else deployment.settings.live
        signer = LocalSigner(settings.api_key, deployment.secrets[name], limits)
        venues[name] = open_venue(name, _endpoint(deployment.settings, name), signer, clock, SystemRandom(), gate=gate)
    return venues


def _endpoint(settings: Settings, name: VenueName) -> Endpoint:
    venue = settings.testnet if name is VenueName.TESTNET else settings.live
    if settings.environment is Environment.PRODUCTION and name is VenueName.LIVE:
        if (venue.rest, venue.ws) != (PRODUCTION.rest_url, PRODUCTION.stream_url):
            raise ConfigError(
                "in production the live venue is MEXC's own address and nothing else",
                code="live-address",
                remedy=f'Set live.rest = "{PRODUCTION.rest_url}" and live.ws = "{PRODUCTION.stream_url}".',
            )
        return PRODUCTION
    return Endpoint(venue.rest, venue.ws, Reach.LOOPBACK)


async def _rules(venue: Venue, symbols: tuple[str, ...]) -> dict[str, SymbolRules]:
    return dict(await _reached(lambda: venue.symbol_rules(symbols), f"the {venue.name} venue"))


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


async def _open_doors(deployment: _Deployment, assembly: Assembly, stack: AsyncExitStack) -> None:
    settings, limits = deployment.settings, GatewayLimits()
    gateway = create_gateway(assembly.bots, deployment.bots, limits)
    await stack.enter_async_context(serving_gateway(gateway, settings.gateway.host, settings.gateway.port, limits))
    console = create_console(assembly.operator, local=False)
    await stack.enter_async_context(serving_console(console, settings.console.host, settings.console.port))
    local = create_console(assembly.operator, local=True)
    await stack.enter_async_context(serving_socket(local, deployment.data / SOCKET_FILE))


async def _reached(ask: Callable[[], Awaitable[T]], what: str) -> T:
    """Ask until there is an answer; a venue may still be starting."""
    deadline = asyncio.get_running_loop().time() + REACH_WITHIN_S
    while True:
        try:
            return await ask()
        except GatehouseError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise Unreachable(
                    f"{what} was not reached in {REACH_WITHIN_S:.0f} s: {error.message}",
                    code="venue-unreachable",
                    remedy="Start the venue, or correct its address in gatehouse.toml.",
                ) from error
            await asyncio.sleep(RETRY_EVERY_S)
