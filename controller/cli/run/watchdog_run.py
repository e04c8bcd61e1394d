"""Builds a watchdog from the deployment's settings and runs it. ``run.watchdog`` calls this."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random, SystemRandom

from controller.alerts.delivery import END_WITHIN_S, Delivery, Route, failing_title
from controller.alerts.notice import Source
from controller.core.alert_catalogue import Severity
from controller.core.effects import Alert, AlertKind
from controller.notifying.progress import fed
from controller.notifying.service_manager import from_environment
from controller.runtime.loop.clock import SystemClock
from controller.settings.channels import open_channel, quiet_hours
from controller.settings.deployment import Settings, load_settings, read_secret
from controller.settings.venues import endpoint_of
from controller.telemetry import sentry
from controller.telemetry.alerts import Alerts
from controller.telemetry.logs import open_logs
from controller.telemetry.redact import Redactor
from controller.version import VERSION
from controller.watchdog.lease import SECOND, Terms
from controller.watchdog.log import WatchdogLog
from controller.watchdog.process import Charge, Watchdog
from exchange.errors import ConfigError
from exchange.mexc.connect import VenueHost, open_venue
from exchange.mexc.network import TCP, Network
from exchange.mexc.ratelimit import LockOut
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.ports import Clock, Venue, VenueName
from policies.stage import Environment

_NOTHING = SignerLimits(frozenset(), Decimal(0))
"""A watchdog reads and cancels. Its signer signs no order, whatever asks it."""


async def serve(directory: Path, announce: Callable[[str, int], None], *, attached: bool) -> None:
    """Run the watchdog of the deployment in ``directory`` until it is stopped, or until nobody needs it.

    Raises:
        ConfigError: the settings have no watchdog, or a secret is missing.
        Refused: another watchdog runs for this deployment on this host.
    """
    clock, redactor, manager = SystemClock(), Redactor(), from_environment()
    settings = load_settings(directory)
    if not settings.watchdog.enabled:
        raise ConfigError(
            "gatehouse.toml has no watchdog",
            code="no-watchdog",
            remedy="Add a [watchdog] table with enabled = true.",
        )
    secrets = keys_of(directory, settings)
    token = read_secret(directory, settings.watchdog.token_file) if settings.watchdog.token_file else ""
    for secret in (*(secret for _, secret in secrets.values()), token):
        redactor.register(secret)
    data = directory / settings.data
    logs = open_logs(redactor)
    try:
        async with AsyncExitStack() as stack:
            tell = open_alerts(directory, settings, clock, redactor, stack)
            watchdog = open_watchdog(settings, Means(data, secrets, token, clock, attached=attached), tell, stack)
            lease_s = settings.watchdog.lease_s
            with _stopping(watchdog.stop):
                async with fed(manager, lambda: watchdog.ticks or None, f"lease {lease_s} s"):
                    await watchdog.run(settings.watchdog.where(data), lambda address: announce(address, lease_s))
    finally:
        logs.close()


@dataclass(frozen=True, slots=True)
class Means:
    """What a watchdog works with: its folder, its key and secret for each venue, and what it takes from its process."""

    data: Path
    secrets: Mapping[VenueName, tuple[str, str]]
    token: str
    clock: Clock
    network: Network = TCP
    rng: Random = field(default_factory=SystemRandom)
    worker: Executor | None = None
    attached: bool = False


def open_watchdog(settings: Settings, means: Means, tell: Callable[[str, str], None], stack: AsyncExitStack) -> Watchdog:
    """The watchdog of a deployment. ``tell`` gets its alerts; ``stack`` closes what it opens.

    Raises:
        Refused: another watchdog runs for this deployment on this host.
    """
    log = WatchdogLog(means.data, settings.controller_id, means.clock.now(), means.worker)
    stack.callback(log.close)
    venues = {name: _venue(settings, name, means, tell, stack) for name in means.secrets}
    terms = Terms(
        settings.watchdog.lease_s * SECOND,
        settings.watchdog.idle_s * SECOND,
        means.attached,
        simulated=settings.environment is not Environment.PRODUCTION,
    )
    return Watchdog(Charge(settings.controller_id, terms, venues, means.token), log, means.clock, tell)


def keys_of(directory: Path, settings: Settings) -> Mapping[VenueName, tuple[str, str]]:
    """The watchdog's key and secret for each of its venues. Raises ``ConfigError``."""
    return {name: _key(directory, settings, name) for name in settings.watchdog.venues}


def _key(directory: Path, settings: Settings, name: VenueName) -> tuple[str, str]:
    own = settings.watchdog
    if name is VenueName.LIVE and own.api_key:
        return own.api_key, read_secret(directory, own.secret_file)
    venue = settings.testnet if name is VenueName.TESTNET else settings.live
    return venue.api_key, read_secret(directory, venue.secret_file)


def _venue(settings: Settings, name: VenueName, means: Means, tell: Callable[[str, str], None], stack: AsyncExitStack) -> Venue:
    endpoint, clock = replace(endpoint_of(settings, name), network=means.network), means.clock
    host = VenueHost(endpoint, clock, on_lockout=partial(_tell_lockout, tell, name))
    stack.push_async_callback(host.aclose)
    return open_venue(name, endpoint, LocalSigner(*means.secrets[name], _NOTHING), clock, means.rng, host=host)


def _tell_lockout(tell: Callable[[str, str], None], name: VenueName, lockout: LockOut) -> None:
    tell(f"the {name} venue has locked the watchdog out", f"HTTP {lockout.status}, for {lockout.seconds} s")


def open_alerts(
    directory: Path, settings: Settings, clock: Clock, redactor: Redactor, stack: AsyncExitStack
) -> Callable[[str, str], None]:
    """What sends a watchdog's alerts: to the log, to Sentry, and through every channel that this process can read.

    Each channel gets them at once, whatever its step: when the controller is silent, nothing escalates. A channel that this
    process cannot open is an alert on the others and keeps no watchdog from its work.
    """
    name, environment = settings.controller_id, settings.environment.value
    reports = sentry.from_environment(controller_id=name, environment=environment, version=VERSION, redactor=redactor)
    stack.push_async_callback(reports.aclose)
    routes, unusable = [], []
    for one in settings.alerts.channels:
        try:
            routes.append(Route(open_channel(directory, one, redactor), Severity(one.severity)))
        except ConfigError as error:
            unusable.append((one.name, error.message))
    delivery = Delivery(routes, Source(name, environment), clock, hours=quiet_hours(settings.alerts))
    alerts = Alerts(clock=clock, reports=reports, redactor=redactor, deliver=delivery.offer)
    delivery.start()
    stack.push_async_callback(asyncio.to_thread, delivery.end, END_WITHIN_S)
    for channel, why in unusable:
        alerts.decided(Alert(AlertKind.CHANNEL, failing_title(channel), f"the watchdog cannot use it: {why}"))

    def tell(title: str, detail: str) -> None:
        alerts.decided(Alert(AlertKind.WATCHDOG, title, detail))

    return tell


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
