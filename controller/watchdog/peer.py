"""One connection of a controller to the watchdog's process. ``controller.watchdog.process`` makes one for each."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from typing import cast

from controller.watchdog.protocol import LONGEST_LINE, Hello, Message, ProtocolError, Wire, new_nonce

HELLO_WITHIN_S = 5.0
"""A connection that does not say whose it is within this time is closed."""
_CREDENTIALS = struct.Struct("3i")

_log = logging.getLogger(__name__)


class Peer(asyncio.Protocol):
    """Reads lines as they arrive and answers each at once, with what ``heard`` says to it."""

    def __init__(self, controller_id: str, token: str, heard: Callable[[Message], Message]) -> None:
        self._controller_id = controller_id
        self._heard = heard
        self._wire = Wire(token, "watchdog", "controller")
        self._nonce = new_nonce()
        self._known = False
        self._unread = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say our number for this connection; refuse processes of other users."""
        self._transport = cast("asyncio.Transport", transport)
        if not _is_ours(transport.get_extra_info("socket")):
            _log.error("a process of another user tried to talk to the watchdog")
            self._transport.abort()
            return
        self._transport.write(self._wire.line(Hello(nonce=self._nonce)))
        asyncio.get_running_loop().call_later(HELLO_WITHIN_S, self._close_unless_known)

    def data_received(self, data: bytes) -> None:
        """Take every whole line."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        if len(self._unread) > LONGEST_LINE:
            self._refuse("a line is too long")
        try:
            for line in lines:
                self._take(line)
        except (ProtocolError, ValueError) as error:
            self._refuse(str(error))

    def _take(self, line: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        message = self._wire.read(line)
        if isinstance(message, Hello):
            if self._known or message.controller_id != self._controller_id:
                raise ProtocolError(f"a controller called {message.controller_id[:64]!r} is not the one that is watched here")
            self._wire.nonces, self._known = self._nonce + message.nonce, True
        elif not self._known:
            raise ProtocolError("the first line does not say whose connection it is")
        else:
            transport.write(self._wire.line(self._heard(message)))

    def _refuse(self, why: str) -> None:
        _log.error("a connection to the watchdog is closed: %s", why)
        if self._transport is not None:
            self._transport.abort()

    def _close_unless_known(self) -> None:
        if not self._known and self._transport is not None:
            self._transport.abort()


def _is_ours(connection: socket.socket) -> bool:
    if connection.family != socket.AF_UNIX:
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(credentials)[1] in {0, os.geteuid()}
