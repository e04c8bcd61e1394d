"""Runs an ASGI server inside the running event loop, for the gateway, the console and the witness.

The process keeps its own signal handlers.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext

import uvicorn

from exchange.errors import ConfigError

DRAIN_S = 3
"""How long open requests may take to finish once a server stops."""


def listen(host: str, port: int, section: str) -> socket.socket:
    """A TCP socket bound to an address; 0 is any free port. ``section`` is where ``gatehouse.toml`` has the address.

    Raises:
        ConfigError: ``cannot-listen``.
    """
    # Name the protocol: asyncio turns Nagle's delay off only on sockets that name it.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"the {section} cannot listen on {host}:{port}: {error.strerror}",
            code="cannot-listen",
            remedy=f"Stop the program that uses the port, or set another port in [{section}].",
        ) from None
    return listener


@asynccontextmanager
async def running(
    config: uvicorn.Config, listener: socket.socket, *, drain: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """Serve on a bound socket. Leaving the context stops accepting, calls ``drain``, and waits for open requests."""
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    listening.cancel()
    try:
        yield
    finally:
        if drain is not None:
            drain()
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """A uvicorn server that installs no signal handlers and sets ``listening`` once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()
