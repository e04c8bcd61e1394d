"""Starts the watchdog's process beside the controller and starts it again when it ends. ``run`` calls it (ADR 27).

The process has a session of its own, so that nothing that ends the controller ends it. It outlives the controller, cancels what is
left, and ends by itself. A watchdog on another host is not started here.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from controller.bootstrap.read import Deployment
from controller.bootstrap.signer import Signers
from controller.bootstrap.supervise import Supervisor
from controller.core.effects import AlertKind
from controller.notifying.ahead import Waiting
from controller.runtime.followers.heartbeat import Heartbeat, Ties
from controller.settings.beside import WATCHDOG_OUTPUT, arguments_of_watchdog
from controller.settings.deployment import read_secret
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.watchdog.log import is_locked
from exchange.ports import VenueName
from policies.stage import Environment


def ties_of(deployment: Deployment, redactor: Redactor) -> Ties | None:
    """How the controller reaches its watchdog; ``None`` when the settings have none. Raises ``ConfigError`` without its token."""
    settings = deployment.settings.watchdog
    if not settings.enabled:
        return None
    token = read_secret(deployment.directory, settings.token_file) if settings.token_file else ""
    redactor.register(token)
    production = deployment.settings.environment is Environment.PRODUCTION
    return Ties(settings.where(deployment.data), token, settings.lease_s, settings.is_required(production=production))


def keep_watchdog(deployment: Deployment, alerts: Alerts, stack: AsyncExitStack, waiting: Waiting) -> Supervisor | None:
    """Keep a watchdog running on this host, if the settings have one here. ``stack`` ends the keeping, never the watchdog.

    It is taken from those that were started ahead and are ``waiting``. Returns what keeps it.
    """
    settings = deployment.settings.watchdog
    if not settings.enabled or settings.address:
        return None
    loop = asyncio.get_running_loop()
    arguments = arguments_of_watchdog(deployment.directory)
    supervisor = Supervisor(
        "watchdog",
        AlertKind.WATCHDOG,
        arguments,
        deployment.data / WATCHDOG_OUTPUT,
        partial(is_locked, deployment.data),
        lambda alert: loop.call_soon_threadsafe(alerts.notify, alert),
        waiting.take(arguments),
    )
    supervisor.start()
    stack.callback(supervisor.end)
    return supervisor


def vouch_while_signed(heartbeat: Heartbeat | None, signers: Signers) -> None:
    """Let the lease run out while open orders cannot be cancelled from here, because nothing is signed."""
    if heartbeat is not None:
        heartbeat.cannot_cancel = lambda: signers.problem(VenueName.LIVE)


def say_goodbye_at_the_end(
    heartbeat: Heartbeat | None, kept: Supervisor | None, nothing_left: asyncio.Event, stack: AsyncExitStack
) -> None:
    """Tell the watchdog that nobody has to be watched any more, if the controller ended with ``nothing_left`` open.

    It ends then, so it is not ``kept`` any more: its end is no alert, and no other watchdog is started.

    A controller that fails, or that is hurried out with orders open, says nothing: the watchdog then cancels what it left.
    """
    if heartbeat is None:
        return

    async def goodbye() -> None:
        if nothing_left.is_set():
            if kept is not None:
                kept.end()
            await heartbeat.goodbye()

    stack.push_async_callback(goodbye)
