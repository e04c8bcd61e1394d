"""TCP and TLS connections that check, at the last moment, whether a request may still leave. ``exchange.mexc.http`` uses them.

A connection can take seconds to open. What allowed an order when it was signed may be gone by then: the latch has fallen, or the
permit has run out. So the check is made here, between a finished handshake and the first byte of the request, with nothing awaited
in between. httpcore's own connections give the event loop a turn at that place, and a latch can fall in it.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import httpcore
import httpx

from exchange.mexc.addresses import connected_socket

if find_spec("sniffio") is None:
    # httpcore asks for it at every request. Where it is missing, Python would search all its folders each time, which may need a
    # free descriptor: no cancel may depend on one.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

_PAUSE_ABOVE = 256 * 1024
"""Bytes that may wait to be read before the connection stops taking more."""


@dataclass(slots=True)
class Departure:
    """One request: ``leave`` writes its first bytes if it may (``Permit.leave``); ``left`` says whether it has."""

    leave: Callable[[Callable[[], None]], bool]
    left: bool = False


DEPARTURE: ContextVar[Departure] = ContextVar("departure")
"""The request that the running task sends."""


class Withheld(Exception):
    """The request may not leave any more. None of its bytes did."""


class CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over connections of this module. Plain HTTP/1.1, no proxy, nothing retried."""

    def __init__(self, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(verify=verify, trust_env=False, limits=limits)
        # httpx has no parameter for the backend; a pool is all that its constructor makes.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=True,
            http2=False,
            network_backend=TcpBackend(),
        )


class TcpBackend(httpcore.AsyncNetworkBackend):
    """Opens connections of this module. The pool and ``exchange.mexc.lane`` use it."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - asyncio sets TCP_NODELAY itself
    ) -> httpcore.AsyncNetworkStream:
        """A connected socket."""
        source = (local_address, 0) if local_address else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                connected = await connected_socket(host, port, source)
                _, connection = await loop.create_connection(_Connection, sock=connected)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return connection

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002 - httpcore's signature
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """No venue is behind one."""
        raise httpcore.UnsupportedProtocol(f"no venue is reached over {path}")

    async def sleep(self, seconds: float) -> None:
        """For httpcore's retries, of which there are none."""
        await asyncio.sleep(seconds)


class _Connection(asyncio.Protocol, httpcore.AsyncNetworkStream):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _PAUSE_ABOVE and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # What httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's signature
        """The next bytes, or nothing at the end."""
        try:
            async with asyncio.timeout(timeout):
                while not self._received and not self._ended:
                    self._waiting = asyncio.get_running_loop().create_future()
                    await self._waiting
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        if not self._received and self._error is not None:
            raise httpcore.ReadError(str(self._error))
        found = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return found

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109, ARG002 - never waits
        """Hand a few kilobytes to the kernel. Nothing is awaited between the check and that.

        Raises:
            Withheld: the request may not leave any more.
        """
        if not buffer:
            return
        departure = DEPARTURE.get()
        if departure.left:
            self._write(departure, buffer)
        elif not departure.leave(lambda: self._write(departure, buffer)):
            raise Withheld

    def _write(self, departure: Departure, buffer: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        departure.left = True
        self._transport.write(buffer)

    async def aclose(self) -> None:
        """Close at once; nothing that still waits to be sent is sent."""
        if self._transport is not None:
            self._transport.abort()
            # asyncio closes the socket in the loop's next turns, one for TLS and one for TCP.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        """The same connection behind TLS, its certificate checked."""
        assert self._transport is not None
        loop, inside = asyncio.get_running_loop(), _Connection()
        try:
            async with asyncio.timeout(timeout):
                transport = await loop.start_tls(self._transport, inside, ssl_context, server_hostname=server_hostname)
        except TimeoutError as error:
            await self.aclose()
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, ssl.SSLError) as error:
            await self.aclose()
            raise httpcore.ConnectError(str(error)) from error
        if transport is None:
            raise httpcore.ConnectError("the connection was lost during the TLS handshake")
        inside.connection_made(transport)
        return inside

    def get_extra_info(self, info: str) -> Any:
        """httpcore asks whether an idle connection has anything to read, which means that it is of no more use."""
        if self._transport is None:
            return None
        if info == "is_readable":
            return self._ended or bool(self._received) or _readable(self._transport)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


def _readable(transport: asyncio.Transport) -> bool:
    socket = transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return True
    poll = select.poll()
    with suppress(OSError):
        poll.register(socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    return True
