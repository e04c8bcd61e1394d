"""Serves the gateway on TCP and bounds what a connection may use before a request (reliability.md F100, F101, F105)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from controller.gateway.limits import GatewayLimits
from controller.serving import DRAIN_S, listen, running


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int, limits: GatewayLimits) -> AsyncIterator[int]:
    """Serve ``app`` inside the running loop; yields the port, which matters when 0 was asked for.

    ``controller.bootstrap`` enters it. Leaving the context stops accepting and waits for open requests.

    Raises:
        ConfigError: the address cannot be bound.
    """
    listener = listen(host, port, "gateway")
    async with running(_config(app, limits), listener):
        yield int(listener.getsockname()[1])


def guarded_protocol(limits: GatewayLimits) -> type[HttpToolsProtocol]:
    """The HTTP protocol with these limits, as the class that uvicorn expects."""

    class Guarded(GuardedProtocol):
        bounds = limits

    return Guarded


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 that limits the bytes and seconds of a request head, and the connections of the process.

    uvicorn alone waits without limit for a first request and buffers a header of any size.
    """

    bounds: ClassVar[GatewayLimits] = GatewayLimits()
    _refused = False
    _head_bytes = 0
    _reading_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            self._refused = True
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data; end the connection when a request head is too large."""
        if self._refused or self.transport.is_closing():
            return
        super().data_received(data)
        if self._reading_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.bounds.head_bytes:
                self._refused = True
                self.send_400_response("Request header too large.")

    def on_message_begin(self) -> None:
        """A request begins: start the time limit of its head."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head is complete. A target that is not a path is answered with 404."""
        self._stop_waiting()
        self._reading_head = False
        self._head_bytes = 0
        if not self.url.startswith(b"/"):
            self.url = b"/"
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._reading_head = True
        self._deadline = self.loop.call_later(self.bounds.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _config(app: ASGIApp, limits: GatewayLimits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=guarded_protocol(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=DRAIN_S,
    )
