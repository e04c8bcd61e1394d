"""The controller of a rehearsal: it starts as ``controller.bootstrap.run`` does, in the surroundings of virtual time.

What a process of its own has and this one does not: signal handlers, sockets that listen, the threads that watch the event loop and
the latch file, telemetry that is exported, and the check of the bot's file on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from controller.bootstrap import assemble, in_force, run_assembly
from controller.bootstrap.journal import checkpoint_signing_key, open_publisher
from controller.bootstrap.leadership import ProcessServices, acquire_leadership
from controller.bootstrap.read import read_deployment
from controller.bootstrap.remote_claims import open_remote_claims
from controller.bootstrap.signer import asking
from controller.bootstrap.statistics import keep_statistics
from controller.bootstrap.stopping import cancel_before_stop
from controller.console.app import create_app as create_console
from controller.console.limits import LOCAL_LIMITS
from controller.gateway.app import create_app as create_gateway
from controller.gateway.limits import GatewayLimits
from controller.journal.port import Journal
from controller.rehearsal.folder import CONSOLE, GATEWAY
from controller.rehearsal.network import Sites
from controller.rehearsal.signer import InsideSigner
from controller.rehearsal.time import NoThreads
from controller.runtime.assembly import Assembly
from controller.runtime.followers.latchfile import LATCH_FILE, LatchFile, latch_elsewhere
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.recovery.snapshot import Snapshots
from controller.runtime.statistics import EVERY_S, at_once
from controller.runtime.surroundings import Surroundings
from controller.settings.state_directory import state_directory
from controller.signer.service import SignerService
from controller.telemetry.alerts import Alerts
from controller.telemetry.facade import OFF
from controller.telemetry.meters import no_meters
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS
from exchange.errors import GatehouseError
from exchange.ports import Clock

OpenSigner = Callable[[Path, Clock], SignerService]
"""Reads a deployment's files and makes the signer's service of them."""


@dataclass(slots=True, eq=False)
class InsideController:
    """One controller process that is none. ``start``, then ``stop`` or ``crash``; after either it may be started again."""

    directory: Path
    sites: Sites
    clock: Clock
    rng: Random
    open_signer: OpenSigner
    assembly: Assembly | None = None
    journal: Journal | None = None
    starts: int = 0
    statistics_every_s: float = EVERY_S
    on_started: Callable[[Assembly], None] = lambda _: None
    _stack: AsyncExitStack | None = None

    @property
    def running(self) -> Assembly:
        """The assembly that runs."""
        assert self.assembly is not None, "the controller is not running"
        return self.assembly

    async def start(self) -> None:
        """Start as ``gatehouse run`` does. Raises ``GatehouseError``."""
        self.starts += 1
        redactor = Redactor()
        deployment = replace(read_deployment(self.directory, redactor), network=self.sites.network)
        alerts = Alerts(clock=self.clock, reports=NO_REPORTS, redactor=redactor)
        key, elsewhere = checkpoint_signing_key(deployment.data), state_directory()
        services = ProcessServices(
            clock=self.clock,
            redactor=redactor,
            alerts=alerts,
            telemetry=OFF,
            meters=no_meters(self.clock),
            reports=NO_REPORTS,
            publisher=open_publisher(deployment, key, self.clock, alerts, redactor),
            remote_claims=open_remote_claims(deployment, key, self.clock, alerts.notify),
            history=RecentHistory(),
            snapshots=Snapshots(deployment.data, key),
            latch=LatchFile(deployment.data / LATCH_FILE, latch_elsewhere(elsewhere, deployment.directory) if elsewhere else None),
        )
        signers = asking(InsideSigner(self.open_signer(self.directory, self.clock)), deployment.settings)
        async with AsyncExitStack() as stack:
            leadership = await acquire_leadership(deployment, services, asyncio.Event(), _nothing, _waits)
            assert leadership is not None, "no other controller leads a journal in a new folder"
            stack.push_async_callback(services.publisher.finish)
            stack.callback(leadership.claims.close)
            stack.callback(leadership.journal.close)
            self.journal = leadership.journal
            surroundings = Surroundings(NoThreads, self.rng)
            deployment = in_force(deployment, leadership)
            self.assembly = await assemble(deployment, services, leadership, signers, _waits, stack, surroundings)
            keep_statistics(self.assembly, alerts.notify, stack, compute=at_once, every_s=self.statistics_every_s)
            self.on_started(self.assembly)
            await run_assembly(self.assembly, stack)
            limits = GatewayLimits(strict_content_type=deployment.settings.gateway.strict_content_type)
            self.sites.at(GATEWAY).app = create_gateway(self.assembly.bots, self.assembly.keyring, limits)
            self.sites.at(CONSOLE).app = create_console(
                self.assembly.operator, local=True, limits=LOCAL_LIMITS, monotonic_ns=self.clock.monotonic_ns
            )
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """End in order: cancel what is open, and close everything."""
        assembly, stack = self.running, self._stack
        self._leave()
        await cancel_before_stop(asyncio.Event(), assembly)
        assert stack is not None
        await stack.aclose()

    async def crash(self) -> None:
        """End as ``kill -9`` does: nothing more is decided, sent or journalled. What is on its way to a venue still arrives."""
        assembly, stack = self.running, self._stack
        self._leave()
        assembly.permits.latch("the process was killed")
        assembly.stop_ticking()
        assert stack is not None
        with suppress(GatehouseError):
            await stack.aclose()

    def _leave(self) -> None:
        for url in (GATEWAY, CONSOLE):
            self.sites.at(url).down()
        self.assembly = self._stack = None


def _nothing() -> None:
    """Nobody stands by here."""


def _waits(_: object) -> None:
    """The rehearsal's progress shows how far it is."""
