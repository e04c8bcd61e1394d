"""Starts the servers of a controller: the gateway for bots, the console for operators, the local socket. Used by a start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial

from controller.bootstrap.read import Deployment
from controller.bootstrap.remote_console import open_remote_console
from controller.bootstrap.shown_settings import shown_settings
from controller.console.app import create_app as create_console
from controller.console.limits import LOCAL_LIMITS, TCP_LIMITS
from controller.console.port import OperatorPort
from controller.console.server import serving as serving_console
from controller.console.server import serving_socket
from controller.gateway.app import Record
from controller.gateway.app import create_app as create_gateway
from controller.gateway.limits import GatewayLimits
from controller.gateway.server import serving as serving_gateway
from controller.runtime.assembly import Assembly
from controller.serving.acceptor import Acceptors
from controller.serving.descriptors import Budget, in_use, limit, share
from controller.telemetry.alerts import Alerts
from controller.telemetry.scrape import Scrape
from exchange.ports import Clock

SOCKET_FILE = "gatehouse.sock"


@asynccontextmanager
async def open_standby_servers(
    deployment: Deployment, operator: OperatorPort, metrics: Scrape, alerts: Alerts, clock: Clock
) -> AsyncIterator[None]:
    """The console and the local socket of a standby. A standby opens no gateway port, so a bot's connection is refused."""
    async with AsyncExitStack() as stack:
        budget = share(limit(), in_use(), gateway=0)
        await _open_console(deployment, operator, metrics, budget, Acceptors(budget.ceiling), alerts, clock, stack)
        yield


async def open_servers(
    deployment: Deployment,
    assembly: Assembly,
    record: Record | None,
    metrics: Scrape,
    alerts: Alerts,
    clock: Clock,
    stack: AsyncExitStack,
) -> None:
    """Start all servers of a controller that leads; ``stack`` stops them. ``record`` gets the gateway's answers about the market.

    Raises:
        ConfigError: ``too-few-descriptors``, ``cannot-listen``.
    """
    settings = deployment.settings.gateway
    limits = GatewayLimits(strict_content_type=settings.strict_content_type)
    budget = share(limit(), in_use(), gateway=limits.connection.connections)
    limits = replace(limits, connection=limits.connection.at_most(budget.gateway))
    acceptors = Acceptors(budget.ceiling)
    gateway = create_gateway(assembly.bots, assembly.keyring, limits, record)
    await stack.enter_async_context(serving_gateway(gateway, settings.host, settings.port, limits, acceptors))
    await _open_console(deployment, assembly.operator, metrics, budget, acceptors, alerts, clock, stack)


async def _open_console(
    deployment: Deployment,
    operator: OperatorPort,
    metrics: Scrape,
    budget: Budget,
    acceptors: Acceptors,
    alerts: Alerts,
    clock: Clock,
    stack: AsyncExitStack,
) -> None:
    settings = deployment.settings.console
    shown = partial(shown_settings, deployment.settings)
    remote = replace(TCP_LIMITS, connection=TCP_LIMITS.connection.at_most(budget.console))
    local = replace(LOCAL_LIMITS, connection=LOCAL_LIMITS.connection.at_most(budget.local))
    console = create_console(operator, local=False, limits=remote, settings=shown, metrics=metrics)
    await stack.enter_async_context(serving_console(console, settings.host, settings.port, remote, acceptors))
    await open_remote_console(deployment, operator, metrics, remote, acceptors, alerts, clock, stack)
    console = create_console(operator, local=True, limits=local, metrics=metrics)
    await stack.enter_async_context(serving_socket(console, deployment.data / SOCKET_FILE, local, acceptors))
