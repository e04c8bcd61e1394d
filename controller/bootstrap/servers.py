"""Starts the servers of a controller: the gateway for bots, the console for operators, the local socket. Used by a start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from controller.bootstrap.read import Deployment
from controller.console.app import create_app as create_console
from controller.console.port import OperatorPort
from controller.console.server import serving as serving_console
from controller.console.server import serving_socket
from controller.gateway.app import create_app as create_gateway
from controller.gateway.limits import GatewayLimits
from controller.gateway.server import serving as serving_gateway
from controller.runtime.assembly import Assembly

SOCKET_FILE = "gatehouse.sock"


@asynccontextmanager
async def open_standby_servers(deployment: Deployment, operator: OperatorPort) -> AsyncIterator[None]:
    """The console and the local socket of a standby. A standby opens no gateway port, so a bot's connection is refused."""
    settings = deployment.settings
    remote, local = create_console(operator, local=False), create_console(operator, local=True)
    async with (
        serving_console(remote, settings.console.host, settings.console.port),
        serving_socket(local, deployment.data / SOCKET_FILE),
    ):
        yield


async def open_servers(deployment: Deployment, assembly: Assembly, stack: AsyncExitStack) -> None:
    """Start all servers of a controller that leads; ``stack`` stops them."""
    settings, limits = deployment.settings, GatewayLimits()
    gateway = create_gateway(assembly.bots, assembly.keyring, limits)
    await stack.enter_async_context(serving_gateway(gateway, settings.gateway.host, settings.gateway.port, limits))
    console = create_console(assembly.operator, local=False)
    await stack.enter_async_context(serving_console(console, settings.console.host, settings.console.port))
    local = create_console(assembly.operator, local=True)
    await stack.enter_async_context(serving_socket(local, deployment.data / SOCKET_FILE))
