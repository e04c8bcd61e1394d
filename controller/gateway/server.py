"""Serves the gateway on TCP, within the bounds of its limits (reliability.md F101, F105)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from controller.gateway.limits import GatewayLimits
from controller.serving import listen, serve
from controller.serving.acceptor import Acceptors


@asynccontextmanager
async def serving(
    app: ASGIApp, host: str, port: int, limits: GatewayLimits, acceptors: Acceptors | None = None
) -> AsyncIterator[int]:
    """Serve ``app`` inside the running loop; yields the port, which matters when 0 was asked for.

    ``controller.bootstrap`` enters it. Leaving the context stops accepting and waits for open requests.

    Args:
        acceptors: those of the process; without, this server is alone in it.

    Raises:
        ConfigError: the address cannot be bound.
    """
    listener = listen(host, port, "gateway")
    acceptor = (acceptors or Acceptors()).add("gateway", limits.connection)
    async with serve(app, listener, acceptor, websockets=True):
        yield int(listener.getsockname()[1])
