"""The bounded queue of messages for one websocket: a slow reader loses its connection and never fills the memory. Sessions own it.

All messages wait in one order. Replies and sequential pushes (private events, depth changes, trades) are all kept; if too many
wait, the outbox overflows and the connection must be closed, because none of them may be lost silently. Pushes of the present state
(best prices, snapshots, candles) replace the waiting one of the same channel.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Outbox:
    """A queue with one reader. Not thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[tuple[str, str | bytes]] = deque()
        self._latest: dict[str, bytes] = {}
        self._changed = asyncio.Event()
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: str | bytes) -> None:
        """Queue a message that must not be lost, or overflow."""
        self._push("", message)

    def put_latest(self, channel: str, message: bytes) -> None:
        """Queue a push of the present state; it replaces a waiting one of the same channel."""
        if channel in self._latest:
            self._latest[channel] = message
            return
        self._latest[channel] = message
        self._push(channel, b"")

    def take(self) -> str | bytes | None:
        """The next message, or ``None`` when nothing waits."""
        if not self._waiting:
            self._changed.clear()
            return None
        channel, message = self._waiting.popleft()
        return self._latest.pop(channel) if channel else message

    async def changed(self) -> None:
        """Wait until a message was queued after the outbox was last empty."""
        await self._changed.wait()

    def _push(self, channel: str, message: str | bytes) -> None:
        if len(self._waiting) >= self._limit:
            self.overflowed = True
        else:
            self._waiting.append((channel, message))
        self._changed.set()
