"""Accepts connections for a server, within limits: how many, from one address, and with descriptors left for everything else.

A full acceptor drops the connection that has waited for its client the longest, so that the next client is served. A connection
whose request is being worked on is never dropped. ``controller.bootstrap`` makes the ``Acceptors`` of a process.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from controller.serving.bounds import Bounds, counted_address

BACKLOG = 512
PAUSE_S = 0.1
"""How long an acceptor that found no descriptor accepts nothing."""

KEPT_FOR_EACH = 16
"""A bot that signed over more connections than these has none of them preferred."""

_AT_ONCE = 16
_SHED = 16
_SPARES = 2
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger(__name__)


class Client(Protocol):
    """One connection, as its acceptor sees it."""

    address: str
    proven: str
    """The bot that sent a request with a valid signature over it; empty when none did."""
    waiting_since: float | None
    """Since when it has waited for its client; ``None`` while the server works for it."""

    def drop(self) -> None:
        """End the connection at once."""
        ...


class Acceptors:
    """The acceptors of one process. They share its descriptors: clients over TCP are dropped before anything else goes without."""

    def __init__(self, ceiling: int = sys.maxsize) -> None:
        self.ceiling = ceiling
        self._remote: list[Acceptor] = []

    def add(self, name: str, bounds: Bounds, *, local: Callable[[socket.socket], bool] | None = None) -> Acceptor:
        """A new acceptor. ``local``: which peers of a unix socket may enter; the acceptor may use the descriptors that are kept."""
        acceptor = Acceptor(name, bounds, self, local)
        if local is None:
            self._remote.append(acceptor)
        return acceptor

    def shed(self, count: int) -> None:
        """Drop the connections over TCP that have waited the longest."""
        waiting = [(rank, acceptor, client) for acceptor in self._remote for rank, client in acceptor.waiting()]
        for _, acceptor, client in sorted(waiting, key=lambda one: one[0])[:count]:
            acceptor.drop(client)


class Acceptor:
    """The acceptor of one server. ``controller.serving`` opens it and closes it."""

    def __init__(self, name: str, bounds: Bounds, acceptors: Acceptors, local: Callable[[socket.socket], bool] | None) -> None:
        self.bounds = bounds
        self.clients: dict[Client, None] = {}
        self._name = name
        self._acceptors = acceptors
        self._local = local
        self._at_once = min(_AT_ONCE, max(1, bounds.connections // 8))
        self._arriving: dict[Client, asyncio.Task[Any]] = {}
        self._spares: list[int] = []
        self._resume: asyncio.TimerHandle | None = None
        self._listener: socket.socket | None = None

    def open(self, listener: socket.socket, make: Callable[[], Any], tls: ssl.SSLContext | None) -> None:
        """Accept on a bound socket; ``make`` gives the protocol of a new connection, which is its ``Client``."""
        self._loop = asyncio.get_running_loop()
        self._make, self._tls, self._listener = make, tls, listener
        listener.settimeout(0)
        listener.listen(BACKLOG)
        self._refill()
        self._loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Accept nothing more. Connections that are open stay."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener = None
        if self._resume is not None:
            self._resume.cancel()
        for task in self._arriving.values():
            task.cancel()
        while self._spares:
            os.close(self._spares.pop())

    async def wait_closed(self) -> None:
        """Wait until no connection is half accepted."""
        await asyncio.gather(*self._arriving.values(), return_exceptions=True)

    def leave(self, client: Client) -> None:
        """Forget a connection that has ended."""
        self.clients.pop(client, None)
        if self._local is not None and self._listener is not None:
            self._loop.call_soon(self._refill)

    def drop(self, client: Client) -> None:
        """End a connection; it no longer counts."""
        self.leave(client)
        if (task := self._arriving.get(client)) is not None:
            task.cancel()
        client.drop()

    def waiting(self) -> list[tuple[tuple[bool, float], Client]]:
        """The connections that wait for their clients, each with its rank: the lowest is dropped first."""
        proven = Counter(client.proven for client in self.clients if client.proven)
        return [
            ((0 < proven[client.proven] <= KEPT_FOR_EACH, client.waiting_since), client)
            for client in self.clients
            if client.waiting_since is not None
        ]

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(self._at_once):
            try:
                connection, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._starve(listener)
                return
            if not self._admits(connection, counted_address(peer)):
                connection.close()

    def _admits(self, connection: socket.socket, address: str) -> bool:
        if self._local is not None and not self._local(connection):
            return False
        if self._local is None and connection.fileno() >= self._acceptors.ceiling:
            _log.warning("the %s refuses a connection: the other descriptors are kept for venues and the local socket", self._name)
            self._acceptors.shed(1)
            return False
        if not self._make_room(address):
            _log.warning("the %s refuses a connection: it works on a request on every other one", self._name)
            return False
        connection.settimeout(0)
        client = self._make()
        client.address, client.waiting_since = address, self._loop.time()
        self.clients[client] = None
        handshake_s = self.bounds.head_seconds if self._tls is not None else None
        seated = self._loop.connect_accepted_socket(lambda: client, connection, ssl=self._tls, ssl_handshake_timeout=handshake_s)
        self._arriving[client] = task = self._loop.create_task(seated)
        task.add_done_callback(partial(self._seated, client, connection))
        return True

    def _seated(self, client: Client, connection: socket.socket, task: asyncio.Task[Any]) -> None:
        del self._arriving[client]
        if task.cancelled() or (error := task.exception()) is not None:
            self.leave(client)
            connection.close()
            if not task.cancelled() and not isinstance(error, OSError):
                _log.error("the %s could not open a connection", self._name, exc_info=error)

    def _make_room(self, address: str) -> bool:
        if sum(client.address == address for client in self.clients) >= self.bounds.per_address:
            return self._drop_one([(rank, client) for rank, client in self.waiting() if client.address == address])
        return len(self.clients) < self.bounds.connections or self._drop_one(self.waiting())

    def _drop_one(self, waiting: list[tuple[tuple[bool, float], Client]]) -> bool:
        if not waiting:
            return False
        _log.warning("the %s is full: it drops the connection that has waited the longest", self._name)
        self.drop(min(waiting, key=lambda one: one[0])[1])
        return True

    def _starve(self, listener: socket.socket) -> None:
        # The kernel reports the listener as ready all the time now, so look away for a moment.
        _log.error("the %s has no descriptor left for a connection: idle connections are dropped", self._name)
        self._loop.remove_reader(listener)
        self._acceptors.shed(_SHED)
        pause = PAUSE_S
        if self._spares:
            os.close(self._spares.pop())
            pause = 0
        self._resume = self._loop.call_later(pause, self._look_again, listener)

    def _look_again(self, listener: socket.socket) -> None:
        self._resume = None
        self._loop.add_reader(listener, self._accept, listener)

    def _refill(self) -> None:
        # Held in reserve: given up when nothing else is left, so that a halt is still accepted.
        with suppress(OSError):
            while self._local is not None and self._listener is not None and len(self._spares) < _SPARES:
                self._spares.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
