"""Many connections of clients that do not behave, for tests of the servers: idle, half a head, or a byte now and then."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

HEAD = b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Padding: " + b"y" * 10_000
AT_ONCE = 50
DRIP_S = 0.2


class Crowd:
    """Opens connections and holds them; ``drips`` more of them send a byte of a request head five times a second."""

    def __init__(self, where: int | Path, *, idle: int = 0, drips: int = 0) -> None:
        self._where = where
        self._idle, self._drips = idle, drips
        self.sockets: list[socket.socket] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Crowd:
        await self.join()
        self._task = asyncio.create_task(self._drip(self.sockets[self._idle :]))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
        for one in self.sockets:
            one.close()

    async def join(self) -> None:
        """Open as many connections as at the beginning, as well as those that the server has not ended."""
        for one in self.sockets:
            if not _is_open(one):
                one.close()
        self.sockets[:] = [one for one in self.sockets if one.fileno() >= 0]
        wanted = self._idle + self._drips
        for begin in range(0, wanted, AT_ONCE):
            await asyncio.gather(*(self._open() for _ in range(begin, min(begin + AT_ONCE, wanted))))

    def still_open(self) -> int:
        """How many of the connections the server has not ended."""
        return sum(map(_is_open, self.sockets))

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        local = isinstance(self._where, Path)
        one = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        one.setblocking(False)
        self.sockets.append(one)
        await loop.sock_connect(one, str(self._where) if local else ("127.0.0.1", self._where))

    async def _drip(self, sockets: list[socket.socket]) -> None:
        for byte in range(len(HEAD)):
            for one in sockets:
                with suppress(OSError):
                    one.send(HEAD[byte : byte + 1])
            await asyncio.sleep(DRIP_S)


async def eventually(condition: Callable[[], bool], *, within_s: float = 30) -> None:
    """Wait until a condition holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not condition():
        assert loop.time() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


def _is_open(one: socket.socket) -> bool:
    try:
        return one.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
