"""The websocket protocol of a server: what ``serving.guarded`` does for requests, for streams (reliability.md F101, F105).

The application reads and ends a stream through ASGI, and sends through ``WebSocket.push``, which never waits: many streams get the
same bytes, and one slow reader must not hold up the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Protocol

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from controller.serving.acceptor import Acceptor, Client

MOST_FRAME = 8_192
"""The bytes of one client message: thirty long channel names fit. MEXC's clients send at most 1,024."""

FRAMES_PER_SECOND = 100
"""What a client may send, pings included (mexc-spot-v3.md §1.5)."""

_SOCKET = "gatehouse-socket"
_REASON_BYTES = 123
_POLICY = 1008

# uvicorn logs the whole address of every stream, and a listen key is part of it.
_log = logging.getLogger(__name__)
_log.setLevel(logging.WARNING)


class WebSocket(Protocol):
    """One stream, as the application sends on it."""

    @property
    def unread(self) -> bool:
        """Whether the client has not read what was sent; push nothing more until ``when_read`` calls."""
        ...

    def push(self, frames: bytes) -> None:
        """Send frames that are encoded; nothing once the stream ends."""
        ...

    def when_read(self, call: Callable[[], None]) -> None:
        """Call this when the client has read what was sent."""
        ...

    def occupied(self, by: str, *, busy: bool) -> None:
        """``by`` is the bot that proved itself, or empty. A full server drops no stream that is ``busy``."""
        ...

    def end(self, code: int, reason: str) -> None:
        """Send the reason and close; a client that does not read it is cut."""
        ...


def socket_of(scope: Scope) -> WebSocket | None:
    """The stream of a request; ``None`` in a server that serves none."""
    found: WebSocket | None = scope.get("state", {}).get(_SOCKET)
    return found


def text_frame(text: str) -> bytes:
    """A text message as it is sent."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def binary_frame(data: bytes) -> bytes:
    """A binary message as it is sent, the same for every client."""
    return Frame(Opcode.BINARY, data).serialize(mask=False)


def guarded_websocket(acceptor: Acceptor) -> type[GuardedWebSocket]:
    """The protocol for the streams of an acceptor, as the class that uvicorn expects."""

    class Guarded(GuardedWebSocket):
        _acceptor = acceptor

    return Guarded


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """A stream in which every wait for the client has an end, and which sends without waiting; a ``Client`` of its acceptor."""

    _acceptor: ClassVar[Acceptor]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.logger = self.conn.logger = _log
        self.conn.debug = False
        self.address = ""
        self.proven = ""
        self.waiting_since: float | None = self.loop.time()
        self.unread = False
        self._when_read: Callable[[], None] = lambda: None
        self._deadline: asyncio.TimerHandle | None = None
        self._second = 0
        self._frames = 0

    def take_over(self, client: Client) -> None:
        """The connection of ``client`` is this stream's from now on."""
        self.address = client.address
        self._acceptor.leave(client)
        self._acceptor.clients[self] = None

    def drop(self) -> None:
        """End the stream at once."""
        self.transport.abort()

    def push(self, frames: bytes) -> None:
        """Send encoded frames."""
        if not (self.close_sent or self.transport.is_closing()):
            self.transport.write(frames)

    def when_read(self, call: Callable[[], None]) -> None:
        """Set what is called when the client has read everything."""
        self._when_read = call

    def occupied(self, by: str, *, busy: bool) -> None:
        """Note who uses the stream, and whether it is in use."""
        self.proven = by
        self.waiting_since = None if busy else self.loop.time()

    def end(self, code: int, reason: str) -> None:
        """Close with a reason."""
        if self.close_sent or self.transport.is_closing():
            return
        said = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        with suppress(InvalidState):
            self.conn.send_close(code, said)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": said})
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        self._cut_later()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the stream."""
        self._stop_deadline()
        self._acceptor.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read the client's frames. Once the stream closes, what the client has not read is given up in time."""
        super().data_received(data)
        if self.transport.is_closing():
            self._cut_later()

    def eof_received(self) -> None:
        """The client sends no more, so the stream closes once everything is read; that too has a time limit."""
        super().eof_received()
        self._cut_later()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The application has ended the stream."""
        super().on_task_complete(task)
        self._cut_later()

    def keepalive_timeout(self) -> None:
        """It answered no ping. What it did not read must not keep it open, or its bot would count as connected."""
        super().keepalive_timeout()
        self.transport.abort()

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self.unread = True
        self._cut_later()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self.unread = False
        if not (self.close_sent or self.transport.is_closing()):
            self._stop_deadline()
            self._when_read()

    def handle_connect(self, event: Request) -> None:
        """The handshake: the application gets this stream."""
        self.app_state = {**self.app_state, _SOCKET: self}
        super().handle_connect(event)

    def handle_text(self, event: Frame) -> None:
        """A message."""
        if self._counted():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """A message that no stream has a use for."""
        if self._counted():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """A part of a message."""
        if self._counted():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer; one that reads no answer gets none."""
        if not self._counted() or self.unread:
            self.conn.data_to_send()
            return
        super().handle_ping()

    def handle_close(self, event: Frame) -> None:
        """The client closes, and must read what was sent before in time."""
        super().handle_close(event)
        self._cut_later()

    def _counted(self) -> bool:
        """Count one frame of the client; end the stream of one that sends too many."""
        second = int(self.loop.time())
        self._frames = self._frames + 1 if second == self._second else 1
        self._second = second
        if self._frames > FRAMES_PER_SECOND:
            self.end(_POLICY, f"gatehouse: more than {FRAMES_PER_SECOND} messages in a second")
            return False
        return True

    def _cut_later(self) -> None:
        if self._deadline is None and not self.disconnected:
            self._deadline = self.loop.call_later(self._acceptor.bounds.write_seconds, self.transport.abort)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
