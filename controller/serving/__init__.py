"""Runs an ASGI server inside the running event loop, for the gateway, the console, the local socket and the witness.

The process keeps its own signal handlers. ``serve`` is what a server uses; its ``Acceptor`` bounds what clients may use.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from controller.serving.acceptor import Acceptor
from controller.serving.guarded import guarded_protocol
from controller.serving.websocket import MOST_FRAME, guarded_websocket
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
            remedy=f"`ss -ltnp 'sport = :{port}'` names the program that uses the port: stop it, or set another port below "
            f"[{section}] in "
            "gatehouse.toml.",
        ) from None
    return listener


@asynccontextmanager
async def serve(
    app: ASGIApp,
    listener: socket.socket,
    acceptor: Acceptor,
    *,
    tls: ssl.SSLContext | None = None,
    drain: Callable[[], None] | None = None,
    websockets: bool = False,
) -> AsyncIterator[None]:
    """Serve ``app`` on a bound socket to the clients that ``acceptor`` lets in; without ``websockets`` only requests.

    Leaving the context stops accepting, calls ``drain``, and waits for open requests.
    """
    config = uvicorn.Config(
        app,
        ws=guarded_websocket(acceptor) if websockets else "none",
        ws_max_size=MOST_FRAME,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config, acceptor, tls)
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
    """A uvicorn server that installs no signal handlers, accepts through a acceptor, and sets ``listening`` once it listens."""

    def __init__(self, config: uvicorn.Config, acceptor: Acceptor, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._acceptor = acceptor
        self._tls = tls

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # asyncio's own accept writes thousands of lines when no descriptor is left, and drops nobody.
        make = partial(
            guarded_protocol(self._acceptor), config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        for listener in sockets or ():
            self._acceptor.open(listener, make, self._tls)
        self.servers = [cast("Any", self._acceptor)]
        self.started = True
        self.listening.set()
