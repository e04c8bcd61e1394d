"""The HTTP protocol of every server: it limits the bytes and seconds that a client may use (reliability.md F101, F105)."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any, ClassVar

from starlette.types import Scope

from controller.serving.acceptor import Acceptor
from controller.serving.websocket import GuardedWebSocket
from exchange.http_replies import WholeReplies

_VOUCH, _KEY = "vouch", "key"


class _Wait(Enum):
    """What a connection waits for its client to do."""

    FIRST = auto()
    HEAD = auto()
    BODY = auto()
    NEXT = auto()
    READ = auto()
    GO = auto()


def guarded_protocol(acceptor: Acceptor) -> type[GuardedProtocol]:
    """The protocol for the connections of a acceptor, as the class that uvicorn expects."""

    class Guarded(GuardedProtocol):
        _acceptor = acceptor

    return Guarded


def vouch(scope: Scope, signer: str, key: str) -> None:
    """A request had a valid signature of ``signer``: a full acceptor drops its connection last. The gateway calls it."""
    said = scope.get("state", {}).get(_VOUCH)
    if said is not None:
        said(signer, key)


def key_of(scope: Scope) -> str:
    """The key of the last signed request of this connection; empty where nobody or several signed one."""
    key = scope.get("state", {}).get(_KEY)
    return key() if key is not None else ""


class GuardedProtocol(WholeReplies):
    """HTTP/1.1 in which every wait for the client has an end: for a head, a body, the next request, and the reading of an answer.

    uvicorn alone waits without limit for a first request, for a body and for a reader, and buffers a header of any size.
    """

    _acceptor: ClassVar[Acceptor]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.address = ""
        self.proven = ""
        self._shared = False
        self._key = ""
        self.waiting_since: float | None = None
        self._waits: _Wait | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._parsing: _Wait | None = None
        self._head_bytes = 0
        self._unread = False
        self._asked = False
        self._served = False
        self._open = False
        self._dropped = False

    def drop(self) -> None:
        """End the connection at once, also when an answer is not read yet."""
        self._dropped = True
        if self._open:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection and wait for a first request head."""
        super().connection_made(transport)
        self._open = True
        if self._dropped:
            transport.abort()
        else:
            self._note()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._open = False
        self._stop_deadline()
        self._acceptor.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data; end the connection when a request head is too large."""
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        super().data_received(data)
        too_large = self._parsing is _Wait.HEAD and self._head_bytes > self._acceptor.bounds.head_bytes
        if too_large and not self.transport.is_closing():
            self.send_400_response("Request header too large.")
        self._note()

    def eof_received(self) -> None:
        """The client sends no more, so the transport closes once everything is read; that too has a time limit."""
        super().eof_received()
        self.loop.call_soon(self._note)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._parsing = _Wait.HEAD
        self.scope["state"][_VOUCH] = self._vouch
        self.scope["state"][_KEY] = self._key_of

    def on_headers_complete(self) -> None:
        """The head is complete. A target that is not a path is answered with 404."""
        self._parsing = _Wait.BODY
        self._head_bytes = 0
        if not self.url.startswith(b"/"):
            self.url = b"/"
        super().on_headers_complete()
        self._asked = self._asked or not (self.parser.should_upgrade() and self._should_upgrade())

    def on_message_complete(self) -> None:
        """The request has arrived."""
        self._parsing = None
        self._head_bytes = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection becomes a stream, unless an answer is still under way on it."""
        if self.pipeline or (self._asked and not self.cycle.response_complete):
            self.send_400_response("A stream begins on a connection without an open request.")
            return
        self._open = False
        self._stop_deadline()
        super().handle_websocket_upgrade()
        stream = self.transport.get_protocol()
        if isinstance(stream, GuardedWebSocket):
            stream.take_over(self)

    def on_response_complete(self) -> None:
        """An answer was given: wait for the next request."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._served = True
        self._note()

    def pause_writing(self) -> None:
        """The client does not read what it asked for."""
        super().pause_writing()
        self._unread = True
        self._note()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._unread = False
        self._note()

    def _vouch(self, signer: str, key: str) -> None:
        self._shared = self._shared or self.proven not in {"", signer}
        self.proven, self._key = signer, key

    def _key_of(self) -> str:
        return "" if self._shared else self._key

    def _note(self) -> None:
        if not self._open:
            return
        waits = self._waits_for()
        if waits is self._waits:
            return
        if self._waits is None or waits is None:
            self.waiting_since = None if waits is None else self.loop.time()
        self._waits = waits
        self._stop_deadline()
        if waits is not None:
            self._deadline = self.loop.call_later(self._seconds(waits), self.transport.abort)

    def _waits_for(self) -> _Wait | None:
        if self.transport.is_closing():
            return _Wait.GO
        if self._unread:
            return _Wait.READ
        if self._asked and (self.pipeline or not self.cycle.response_complete):
            return _Wait.BODY if self._parsing is _Wait.BODY and not self.pipeline else None
        return self._parsing or (_Wait.NEXT if self._served else _Wait.FIRST)

    def _seconds(self, waits: _Wait) -> float:
        bounds = self._acceptor.bounds
        match waits:
            case _Wait.FIRST | _Wait.HEAD:
                return bounds.head_seconds
            case _Wait.BODY:
                return bounds.request_seconds
            case _Wait.NEXT:
                return bounds.idle_seconds
            case _Wait.READ | _Wait.GO:
                return bounds.write_seconds

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
