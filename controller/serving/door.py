"""Accepts connections for a server, within limits: how many, from one address, and with descriptors left for everything else.

A full door drops the connection that has waited for its client the longest, so that whoever connects next is served. A connection
whose request is being worked on is never dropped. ``controller.bootstrap`` makes the ``Doors`` of a process.
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
"""How long a door that found no descriptor accepts nothing."""

KEPT_FOR_EACH = 16
"""Whoever signed over more connections than these has none of them preferred."""

_AT_ONCE = 16
_SHED = 16
_SPARES = 2
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger(__name__)


class Guest(Protocol):
    """One connection, as its door sees it."""

    address: str
    proven: str
    """Who sent a request with a valid signature over it; empty when nobody did."""
    waiting_since: float | None
    """Since when it has waited for its client; ``None`` while the server works for it."""

    def drop(self) -> None:
        """End the connection at once."""
        ...


class Doors:
    """The doors of one process. They share its descriptors: clients over TCP are dropped before anything else goes without."""

    def __init__(self, ceiling: int = sys.maxsize) -> None:
        self.ceiling = ceiling
        self._remote: list[Door] = []

    def add(self, name: str, bounds: Bounds, *, local: Callable[[socket.socket], bool] | None = None) -> Door:
        """A new door. ``local``: which peers of a unix socket may enter; the door may use the descriptors that are kept."""
        door = Door(name, bounds, self, local)
        if local is None:
            self._remote.append(door)
        return door

    def shed(self, count: int) -> None:
        """Drop the connections over TCP that have waited the longest."""
        waiting = [(rank, door, guest) for door in self._remote for rank, guest in door.waiting()]
        for _, door, guest in sorted(waiting, key=lambda one: one[0])[:count]:
            door.drop(guest)


class Door:
    """The door of one server. ``controller.serving`` opens it and closes it."""

    def __init__(self, name: str, bounds: Bounds, doors: Doors, local: Callable[[socket.socket], bool] | None) -> None:
        self.bounds = bounds
        self.guests: dict[Guest, None] = {}
        self._name = name
        self._doors = doors
        self._local = local
        self._at_once = min(_AT_ONCE, max(1, bounds.connections // 8))
        self._arriving: dict[Guest, asyncio.Task[Any]] = {}
        self._spares: list[int] = []
        self._resume: asyncio.TimerHandle | None = None
        self._listener: socket.socket | None = None

    def open(self, listener: socket.socket, make: Callable[[], Any], tls: ssl.SSLContext | None) -> None:
        """Accept on a bound socket; ``make`` gives the protocol of a new connection, which is its ``Guest``."""
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

    def leave(self, guest: Guest) -> None:
        """Forget a connection that has ended."""
        self.guests.pop(guest, None)
        if self._local is not None and self._listener is not None:
            self._loop.call_soon(self._refill)

    def drop(self, guest: Guest) -> None:
        """End a connection; it no longer counts."""
        self.leave(guest)
        if (task := self._arriving.get(guest)) is not None:
            task.cancel()
        guest.drop()

    def waiting(self) -> list[tuple[tuple[bool, float], Guest]]:
        """The connections that wait for their clients, each with its rank: the lowest is dropped first."""
        proven = Counter(guest.proven for guest in self.guests if guest.proven)
        return [
            ((0 < proven[guest.proven] <= KEPT_FOR_EACH, guest.waiting_since), guest)
            for guest in self.guests
            if guest.waiting_since is not None
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
        if self._local is None and connection.fileno() >= self._doors.ceiling:
            _log.warning("the %s refuses a connection: the other descriptors are kept for venues and the local socket", self._name)
            self._doors.shed(1)
            return False
        if not self._make_room(address):
            _log.warning("the %s refuses a connection: it works on a request on every other one", self._name)
            return False
        connection.settimeout(0)
        guest = self._make()
        guest.address, guest.waiting_since = address, self._loop.time()
        self.guests[guest] = None
        handshake_s = self.bounds.head_seconds if self._tls is not None else None
        seated = self._loop.connect_accepted_socket(lambda: guest, connection, ssl=self._tls, ssl_handshake_timeout=handshake_s)
        self._arriving[guest] = task = self._loop.create_task(seated)
        task.add_done_callback(partial(self._seated, guest, connection))
        return True

    def _seated(self, guest: Guest, connection: socket.socket, task: asyncio.Task[Any]) -> None:
        del self._arriving[guest]
        if task.cancelled() or (error := task.exception()) is not None:
            self.leave(guest)
            connection.close()
            if not task.cancelled() and not isinstance(error, OSError):
                _log.error("the %s could not open a connection", self._name, exc_info=error)

    def _make_room(self, address: str) -> bool:
        if sum(guest.address == address for guest in self.guests) >= self.bounds.per_address:
            return self._drop_one([(rank, guest) for rank, guest in self.waiting() if guest.address == address])
        return len(self.guests) < self.bounds.connections or self._drop_one(self.waiting())

    def _drop_one(self, waiting: list[tuple[tuple[bool, float], Guest]]) -> bool:
        if not waiting:
            return False
        _log.warning("the %s is full: it drops the connection that has waited the longest", self._name)
        self.drop(min(waiting, key=lambda one: one[0])[1])
        return True

    def _starve(self, listener: socket.socket) -> None:
        # The kernel reports the listener as ready all the time now, so look away for a moment.
        _log.error("the %s has no descriptor left for a connection: idle connections are dropped", self._name)
        self._loop.remove_reader(listener)
        self._doors.shed(_SHED)
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
