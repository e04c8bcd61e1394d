"""uvicorn's HTTP protocol with replies that are written at once. The testnet and the controller's servers derive theirs from it.

An ASGI application gives the head of a reply and its body one after the other, and uvicorn writes each by itself: two system calls,
two packets, and a client that wakes up for a head without a body. Here the head waits for a body that follows at once.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class WholeReplies(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which writes the head of a reply together with the beginning of its body."""

    def on_headers_complete(self) -> None:
        """Begin to answer the request."""
        super().on_headers_complete()
        cycle: RequestResponseCycle | None = self.cycle
        # An upgrade has no cycle of its own. To a HEAD request no body is written.
        if cycle is not None and cycle.transport is self.transport and cycle.scope["method"] != "HEAD":
            cycle.transport = cast("asyncio.Transport", _Together(self.transport, cycle))


class _Together:
    """What a cycle uses of its transport. It holds the head back until the next write, at most for this turn of the event loop."""

    __slots__ = ("_cycle", "_head", "_held", "_transport")

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        self._transport = transport
        self._cycle = cycle
        self._held = False
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write, or hold the head back. ``100 Continue`` comes before the reply and is written at once."""
        if self._held or not self._cycle.response_started:
            head, self._head = self._head, b""
            self._transport.write(head + data if head else data)
        else:
            self._held, self._head = True, data
            # A stream of events may have nothing to say for long after its head.
            asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        """Write what is held back, and close."""
        self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head:
            self.write(b"")
