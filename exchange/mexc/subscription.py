"""One subscribed stream in its own task. The market feed and the private stream run two side by side to switch without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from exchange.errors import VenueError
from exchange.mexc.reach import Reach
from exchange.mexc.socket import Connect, StreamSocket, StreamTiming, connect_tcp, open_stream
from exchange.ports import Clock
from exchange.wire.stream import Channel

Take = Callable[[bytes], None]

_TICK = 1_000


class Subscription:
    """A stream from opening to its end. Frames are buffered until ``hand_to``, then passed on as they come."""

    def __init__(
        self,
        url: str,
        reach: Reach,
        timing: StreamTiming,
        clock: Clock,
        channels: Sequence[Channel],
        connect: Connect = connect_tcp,
    ) -> None:
        """Start opening the stream; needs a running event loop. Raises ``Refused`` for a URL outside ``reach``."""
        reach.check(url)
        self._url = url
        self._reach = reach
        self._timing = timing
        self._clock = clock
        self._channels = channels
        self._connect = connect
        self._kept: list[bytes] = []
        self._take: Take = self._kept.append
        self._subscribed = asyncio.Event()
        self._socket: StreamSocket | None = None
        self._task = asyncio.create_task(self._run(), name="stream")

    @property
    def is_subscribed(self) -> bool:
        """Whether every channel is acknowledged and the stream is not lost."""
        return self._subscribed.is_set() and not self._task.done()

    @property
    def is_lost(self) -> bool:
        """Whether the stream has ended."""
        return self._task.done()

    @property
    def problem(self) -> str:
        """What ended the stream; empty while it is open, and after it was closed on our side."""
        if not self._task.done() or self._task.cancelled():
            return ""
        error = self._task.exception()
        return error.message if isinstance(error, VenueError) else str(error or "")

    @property
    def heard_ns(self) -> int | None:
        """When something of any kind last came, monotonic; ``None`` before the stream is open."""
        return self._socket.heard_ns if self._socket is not None else None

    def hand_to(self, take: Take) -> None:
        """Pass every frame to ``take`` from now on, the buffered ones first."""
        kept, self._kept = self._kept, []
        self._take = take
        for frame in kept:
            take(frame)

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the stream has ended."""
        self._task.add_done_callback(lambda _: callback())

    async def subscribed(self) -> None:
        """Wait until every channel is acknowledged. Raises ``SocketLost``."""
        waiting = asyncio.create_task(self._subscribed.wait())
        try:
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        self.check()

    async def ended(self, within_ms: int) -> None:
        """Wait until the stream has ended, for at most ``within_ms``."""
        await asyncio.wait({self._task}, timeout=max(0, within_ms) / 1_000)

    def check(self) -> None:
        """Raise ``SocketLost`` if the stream has ended."""
        if self._task.done():
            self._task.result()

    async def aclose(self) -> None:
        """End the stream and drop further frames. Calling it again has no effect."""
        self._take = _drop
        await end(self._task)

    async def _run(self) -> None:
        async with open_stream(self._url, self._reach, self._timing, self._clock, self._connect) as socket:
            self._socket = socket
            for frame in await socket.subscribe(self._channels):
                self._take(frame)
            self._subscribed.set()
            while True:
                pushed = await socket.next_push(_TICK)
                if pushed is not None:
                    self._take(pushed)


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended, with any result. Unlike awaiting the task, this can itself be cancelled."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _drop(_: bytes) -> None:
    """Ignore a frame after the stream was closed."""
