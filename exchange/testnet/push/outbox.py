"""What waits to be sent on one websocket: bounded, so that a slow reader costs a connection and never the venue's memory.

Three kinds of message wait in one order. Replies and sequential pushes (private events, depth changes, trades) are each kept;
when too many wait, the box overflows and the connection must be dropped, because losing one silently would be a lie. Pushes
that only state the present (best prices, snapshots, candles) replace the one of the same channel that is still waiting.
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
        """Queue a message that must arrive, or overflow."""
        self._push("", message)

    def put_latest(self, channel: str, message: bytes) -> None:
        """Queue a statement about the present; it replaces an older one of the same channel."""
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
        """Wait until something was queued since the box was last found empty."""
        await self._changed.wait()

    def _push(self, channel: str, message: str | bytes) -> None:
        if len(self._waiting) >= self._limit:
            self.overflowed = True
        else:
            self._waiting.append((channel, message))
        self._changed.set()
