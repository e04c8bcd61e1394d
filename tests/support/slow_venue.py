"""A venue on loopback, TLS only, whose connections are slow to open and which knows when the kernel took each order in.

A process of its own: ``python -m tests.support.slow_venue PEM SEED``. It prints its port, and ``{order: nanoseconds}`` at the
end of its input. Three things are late by 0.5 to 3 s: the answer to a SYN (nothing is accepted, the queue is full, the kernel drops
it), the reading of the TLS hello, and the second half of the server's answer to it. The time of an order is the kernel's timestamp
of its last segment, so a busy machine cannot make it look later than it was.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import sys
from contextlib import suppress
from random import Random

_SO_TIMESTAMPNS = 35
_ANSWER = b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n{}"
_QUEUE = 16


class SlowVenue:
    """Serves every connection of one listening socket."""

    def __init__(self, pem: str, seed: int) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pem)
        self._chance = Random(seed)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=_QUEUE)
        self._listening.setblocking(False)
        self._listening.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._serving: set[asyncio.Task[None]] = set()
        self.port: int = self._listening.getsockname()[1]
        self.arrived: dict[str, int] = {}

    async def serve(self) -> None:
        """Accept for ever, with pauses in which the kernel drops what the full queue cannot hold."""
        loop = asyncio.get_running_loop()
        while True:
            if self._chance.random() < 0.004:
                await asyncio.sleep(self._chance.uniform(0.5, 3))
            connection, _ = await loop.sock_accept(self._listening)
            task = asyncio.create_task(self._connection(connection))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _connection(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ssl.SSLError, EOFError):
            connection.setblocking(False)
            await self._late()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = self._tls.wrap_bio(incoming, outgoing, server_side=True)
            received_ns = 0
            while not _done(tls):
                await self._send(connection, outgoing.read(), in_halves=True)
                data, received_ns = await _received(connection)
                incoming.write(data)
            asked = b""
            while True:
                with suppress(ssl.SSLWantReadError):
                    asked += tls.read(65_536)
                if asked.endswith(b"\r\n\r\n"):
                    self.arrived[asked.split(b" ", 2)[1].decode()] = received_ns
                    asked = b""
                    tls.write(_ANSWER)
                    await self._send(connection, outgoing.read())
                    if self._chance.random() < 0.4:
                        return
                data, received_ns = await _received(connection)
                incoming.write(data)

    async def _send(self, connection: socket.socket, data: bytes, *, in_halves: bool = False) -> None:
        loop = asyncio.get_running_loop()
        if in_halves and data:
            await loop.sock_sendall(connection, data[: len(data) // 2])
            await self._late()
            data = data[len(data) // 2 :]
        await loop.sock_sendall(connection, data)

    async def _late(self) -> None:
        if self._chance.random() < 0.4:
            await asyncio.sleep(self._chance.uniform(0.5, 3))


def _done(tls: ssl.SSLObject) -> bool:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


async def _received(connection: socket.socket) -> tuple[bytes, int]:
    """The next bytes and the kernel's time of the last of them; 0 where it took none."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
    data, notes, _, _ = connection.recvmsg(65_536, 256)
    if not data:
        raise EOFError
    for level, kind, content in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", content)
            return data, seconds * 1_000_000_000 + nanoseconds
    return data, 0


async def _serve_until_the_input_ends(pem: str, seed: int) -> None:
    venue = SlowVenue(pem, seed)
    serving = asyncio.create_task(venue.serve())
    sys.stdout.write(f"{venue.port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    serving.cancel()
    sys.stdout.write(json.dumps(venue.arrived))


if __name__ == "__main__":
    asyncio.run(_serve_until_the_input_ends(sys.argv[1], int(sys.argv[2])))
