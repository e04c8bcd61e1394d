"""One stream of a client: its channels, what waits for a slow reader, and when it ends (mexc-spot-v3.md §1.5). The hub owns it.

Nothing here waits. Replies and sequential pushes (private events, depth changes, trades, candles) are all kept, and a reader that
lets too many wait is cut, because none may be lost silently. A push of a present state replaces a waiting one of its channel.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from controller.gateway.stream_limits import StreamLimits
from controller.serving.websocket import WebSocket
from exchange.wire.stream import Channel

GOING_AWAY, POLICY, TRY_AGAIN = 1001, 1008, 1013
"""Close codes of RFC 6455: the gateway or the stream goes away; the client broke a rule; connect again and read REST."""

TOO_SLOW = "gatehouse: this stream is read too slowly. What was not sent is in REST: connect again and read it."


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a private stream belongs to. It ends with its listen key, and with the key that the listen key was made with."""

    bot: str
    listen_key: str


class Session:
    """A stream. ``owner`` is ``None`` on a public one; instants are the event loop's seconds."""

    def __init__(self, socket: WebSocket, limits: StreamLimits, now: float, owner: Owner | None, address: str = "") -> None:
        self.socket = socket
        self.address = address
        self.owner = owner
        self.limits = limits
        self.channels: dict[str, Channel] = {}
        self.opened = self.active = self.unsubscribed = now
        self.ended = False
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._latest: dict[str, bytes] = {}
        self._bytes = 0
        socket.when_read(self.flush)
        socket.occupied(self._bot, busy=False)

    @property
    def _bot(self) -> str:
        return "" if self.owner is None else self.owner.bot

    def subscribe(self, channel: Channel) -> None:
        """Add a channel."""
        self.channels[channel.name] = channel
        self.socket.occupied(self._bot, busy=True)

    def unsubscribe(self, name: str, now: float) -> None:
        """Remove a channel."""
        if self.channels.pop(name, None) is not None and not self.channels:
            self.unsubscribed = now
            self.socket.occupied(self._bot, busy=False)

    def send(self, frame: bytes) -> None:
        """Queue a frame that must not be lost; ``flush`` sends it."""
        if self.ended:
            return
        self._waiting.append(("", frame))
        self._bytes += len(frame)
        self._bound()

    def send_latest(self, name: str, frame: bytes) -> None:
        """Queue the present state of a channel, in place of an older one that still waits."""
        if self.ended:
            return
        older = self._latest.get(name)
        self._latest[name] = frame
        self._bytes += len(frame) - len(older or b"")
        if older is None:
            self._waiting.append((name, b""))
        self._bound()

    def flush(self) -> None:
        """Send what waits, unless the client has yet to read what was sent before."""
        if self.socket.unread or not self._waiting or self.ended:
            return
        frames = [self._latest.pop(name) if name else frame for name, frame in self._waiting]
        self._waiting.clear()
        self._bytes = 0
        self.socket.push(b"".join(frames))

    def end(self, code: int, reason: str) -> None:
        """Close with a reason, after what waits if the client reads it."""
        if self.ended:
            return
        self.flush()
        self.ended = True
        self._waiting.clear()
        self._latest.clear()
        self.socket.end(code, reason)

    def overdue(self, now: float) -> str:
        """Why the stream has lived long enough; empty while it has not."""
        limits = self.limits
        if now - self.opened >= limits.lifetime_s:
            return f"gatehouse: connected for {limits.lifetime_s / 3_600:g} hours, the longest that a stream may be. Connect again."
        if not self.channels:
            late = now - self.unsubscribed >= limits.unsubscribed_s
            return f"gatehouse: no valid subscription within {limits.unsubscribed_s:g} s" if late else ""
        return f"gatehouse: no traffic for {limits.idle_s:g} s. Send PING." if now - self.active >= limits.idle_s else ""

    def _bound(self) -> None:
        slow = len(self._waiting) > self.limits.messages or self._bytes > self.limits.queue_bytes
        if slow and self.socket.unread:
            self.end(POLICY, TOO_SLOW)
        elif slow:
            self.flush()
