"""The doors of a controller: the gateway for bots, the console for operators, and the local socket."""

from __future__ import annotations

from contextlib import AsyncExitStack

from controller.bootstrap.read import Deployment
from controller.console.app import create_app as create_console
from controller.console.server import serving as serving_console
from controller.console.server import serving_socket
from controller.gateway.app import create_app as create_gateway
from controller.gateway.limits import GatewayLimits
from controller.gateway.server import serving as serving_gateway
from controller.runtime.assembly import Assembly

SOCKET_FILE = "gatehouse.sock"


async def open_doors(deployment: Deployment, assembly: Assembly, stack: AsyncExitStack) -> None:
    """Open all doors; ``stack`` closes them."""
    settings, limits = deployment.settings, GatewayLimits()
    gateway = create_gateway(assembly.bots, assembly.keyring, limits)
    await stack.enter_async_context(serving_gateway(gateway, settings.gateway.host, settings.gateway.port, limits))
    console = create_console(assembly.operator, local=False)
    await stack.enter_async_context(serving_console(console, settings.console.host, settings.console.port))
    local = create_console(assembly.operator, local=True)
    await stack.enter_async_context(serving_socket(local, deployment.data / SOCKET_FILE))
