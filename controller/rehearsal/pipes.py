"""Unix sockets of a virtual loop: both ends are in this process, and what one end writes the other reads in the loop's next turn.

The watchdog listens on one and the controller's heartbeat connects to it, both with asyncio's own calls.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_INSIDE = SimpleNamespace(family=socket.AF_INET)
"""What is said to be the socket of a pipe. The kernel's credentials of another process are asked only of a unix socket."""


class Pipe(asyncio.Transport):
    """One end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol) -> None:
        super().__init__({"socket": _INSIDE, "peername": "inside", "sockname": "inside"})
        self._loop = loop
        self._protocol = protocol
        self._other: Pipe | None = None
        self._closed = False

    def join(self, other: Pipe) -> None:
        """Write to ``other`` from now on."""
        self._other = other

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Replace what reads."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """What reads."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def write(self, data: Any) -> None:
        """Send to the other end."""
        other = self._other
        if not self._closed and other is not None:
            self._loop.call_soon(other.read, bytes(data))

    def write_eof(self) -> None:
        """Pipes end both ways at once."""

    def can_write_eof(self) -> bool:
        """They do not end one way."""
        return False

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def pause_reading(self) -> None:
        """What is written is always read."""

    def resume_reading(self) -> None:
        """As above."""

    def close(self) -> None:
        """End both ways."""
        self.abort()

    def abort(self) -> None:
        """End both ways."""
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self._protocol.connection_lost, None)
            if self._other is not None:
                self._other.abort()

    def read(self, data: bytes) -> None:
        """Take what the other end wrote."""
        if not self._closed and isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(data)


class PipeServer:
    """What listens at a path."""

    def __init__(self, pipes: Pipes, path: str) -> None:
        self._pipes = pipes
        self._path = path

    def close(self) -> None:
        """Take no more connections; those that are open stay."""
        self._pipes.close(self._path)


class Pipes:
    """The paths of one loop at which somebody listens."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._listening: dict[str, Callable[[], asyncio.BaseProtocol]] = {}

    def listen(self, factory: Callable[[], asyncio.BaseProtocol], path: str) -> PipeServer:
        """Listen at ``path``, where a socket appears as usual. Raises ``OSError``."""
        os.mknod(path, stat.S_IFSOCK | 0o600)
        self._listening[path] = factory
        return PipeServer(self, path)

    def connect(self, factory: Callable[[], asyncio.BaseProtocol], path: str) -> tuple[Pipe, asyncio.BaseProtocol]:
        """Connect to ``path``. Raises ``OSError``."""
        listening = self._listening.get(path)
        if listening is None:
            raise ConnectionRefusedError(f"nobody listens at {path}")
        ours, theirs = Pipe(self._loop, factory()), Pipe(self._loop, listening())
        ours.join(theirs)
        theirs.join(ours)
        for end in (theirs, ours):
            end.get_protocol().connection_made(end)
        return ours, ours.get_protocol()

    def close(self, path: str) -> None:
        """Listen no more."""
        self._listening.pop(path, None)
        with suppress(FileNotFoundError):
            Path(path).unlink()
