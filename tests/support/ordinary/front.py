"""The doors of the private world: MEXC, which is TLS in front of a testnet, and the ECB's file of reference rates.

MEXC's door can be closed, and its names can stop resolving.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.ordinary import world

PORT = 443
FILE = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<Cube><Cube time="{day}"><Cube currency="USD" rate="{dollars}"/><Cube currency="JPY" rate="163.1"/></Cube></Cube>
</gesmes:Envelope>
"""


class Front:
    """Forwards every connection to the testnet's port. ``certificate`` is the file of the world's folder that the next one shows.

    ``listener`` makes, for each connection, what gets to see the bytes of its client.
    """

    def __init__(self, directory: Path, to_port: int, listener: Callable[[], Callable[[bytes], None]] = lambda: _unheard) -> None:
        self.certificate = "server.pem"
        self._listener = listener
        self._directory = directory
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Accept connections."""
        context = world.server_context(self._directory, self.certificate)
        self._server = await asyncio.start_server(
            self._connected, world.MEXC, PORT, ssl=context, ssl_handshake_timeout=20, backlog=256
        )

    def close(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._server is not None:
            self._server.close()
        self._server = None
        self.cut()

    def cut(self) -> None:
        """Cut every open connection."""
        for writer in tuple(self._open):
            writer.transport.abort()

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Nobody answers at the address within the block."""
        self.close()
        try:
            yield
        finally:
            await self.open()

    @asynccontextmanager
    async def unresolved(self) -> AsyncIterator[None]:
        """The names have no address within the block; open connections are cut, so that everybody has to look the names up."""
        hosts = self._directory / "hosts"
        hosts.write_text(world.HOSTS)
        self.cut()
        try:
            yield
        finally:
            hosts.write_text(world.RESOLVED)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.close()
            return
        ends = (writer, far_writer)
        self._open.update(ends)
        try:
            await asyncio.gather(_pump(reader, far_writer, self._listener()), _pump(far_reader, writer, _unheard))
        finally:
            self._open.difference_update(ends)
            for end in ends:
                end.close()


class Bank:
    """The ECB: one file over TLS, with today's rate of the dollar."""

    def __init__(self, directory: Path, dollars: str) -> None:
        self._directory = directory
        self.dollars = dollars
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Serve the file."""
        self._server = await asyncio.start_server(self._asked, world.ECB, PORT, ssl=world.server_context(self._directory))

    def close(self) -> None:
        """Serve it no more."""
        if self._server is not None:
            self._server.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            body = FILE.format(day=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", dollars=self.dollars).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()


def _unheard(_: bytes) -> None:
    """Nobody looks at these bytes."""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hear: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            hear(data)
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
