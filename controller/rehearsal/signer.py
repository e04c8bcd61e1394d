"""The signer of a rehearsal: its real service and protocol, over a pipe in memory instead of a socket to another process."""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from typing import cast

from controller.bootstrap.signer import Message
from controller.signer.remote import Link
from controller.signer.service import SignerService
from exchange.errors import GatehouseError


class MemoryPipe:
    """What ``Link`` uses of a socket. Every request is answered before it returns from ``send``."""

    def __init__(self, service: SignerService) -> None:
        self._service = service
        self._answers: deque[bytes] = deque()
        self._open = True

    def send(self, message: bytes, _flags: int = 0) -> int:
        """Pass one request to the service."""
        if not self._open:
            raise BrokenPipeError
        self._answers.append(self._service.answer(message))
        return len(message)

    def recv(self, _size: int) -> bytes:
        """The oldest answer that was not read."""
        if not self._answers:
            raise BlockingIOError
        return self._answers.popleft()

    def setsockopt(self, *_: object) -> None:
        """Time limits are for the kernel's sockets."""

    def close(self) -> None:
        """Take no more requests."""
        self._open = False


class InsideSigner:
    """A signer in this process (``controller.bootstrap.signer.SignerLink``)."""

    def __init__(self, service: SignerService) -> None:
        self.link = Link(1.0, lambda: None)
        self.link.attach(cast("socket.socket", MemoryPipe(service)))
        self.link.up()
        self._known: tuple[Message, ...] = ()

    def inform(self, messages: tuple[Message, ...]) -> None:
        """Tell the service what is new."""
        known, self._known = self._known, messages
        for message in messages:
            if message not in known:
                # A refusal is the service's decision: what depends on it is refused too, and says so.
                with suppress(GatehouseError):
                    self.link.ask(*message)
