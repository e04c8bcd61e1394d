"""One websocket connection of the hub: its channels, its outbox, and when the venue cuts it (mexc-spot-v3.md §1.5)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from exchange.testnet.config import StreamLimits
from exchange.testnet.push.outbox import Outbox

_MS = 1_000_000

TOO_OLD = "connected for as long as a connection may be"
"""Why a connection ends after 24 hours."""


@dataclass(slots=True, eq=False)
class Session:
    """A connection. ``account`` and ``listen_key`` are set on a private one; instants are monotonic nanoseconds.

    ``changed`` is set when the deadline may have changed, ``ended`` when the connection must end.
    """

    limits: StreamLimits
    outbox: Outbox
    opened_ns: int
    account: str | None = None
    listen_key: str | None = None
    channels: set[str] = field(default_factory=set)
    active_ns: int = 0
    unsubscribed_ns: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""
    abrupt: bool = False

    def touch(self, now_ns: int) -> None:
        """Note that something was received or sent."""
        self.active_ns = now_ns

    def send(self, message: str | bytes) -> None:
        """Queue a message that must not be lost; a connection that reads too slowly is closed."""
        self.outbox.put(message)
        if self.outbox.overflowed:
            self.end("reads too slowly", abrupt=True)

    def send_latest(self, channel: str, message: bytes) -> None:
        """Queue a push of the present state, replacing an older one that still waits."""
        self.outbox.put_latest(channel, message)
        if self.outbox.overflowed:
            self.end("reads too slowly", abrupt=True)

    def subscribe(self, channel: str) -> bool:
        """Add a channel; ``False`` if the connection already has the maximum."""
        if channel not in self.channels and len(self.channels) >= self.limits.subscriptions:
            return False
        self.channels.add(channel)
        self.changed.set()
        return True

    def unsubscribe(self, channel: str, now_ns: int) -> None:
        """Remove a channel."""
        self.channels.discard(channel)
        if not self.channels:
            self.unsubscribed_ns = now_ns
            self.changed.set()

    def end(self, reason: str, *, abrupt: bool = False) -> None:
        """Close the connection; ``abrupt`` does not wait until the client has read the queued messages."""
        if not self.ended.is_set():
            self.reason = reason
            self.abrupt = abrupt
            self.ended.set()
            self.changed.set()

    def deadline(self) -> tuple[int, str]:
        """When the venue will cut the connection unless there is traffic before, and why."""
        ends = [(self.opened_ns + self.limits.lifetime_ms * _MS, TOO_OLD)]
        if self.channels:
            ends.append((self.active_ns + self.limits.idle_ms * _MS, "no traffic"))
        else:
            ends.append((self.unsubscribed_ns + self.limits.unsubscribed_ms * _MS, "no valid subscription"))
        return min(ends)
