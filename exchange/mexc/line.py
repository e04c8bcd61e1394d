"""One subscribed stream in a task of its own. Two can run side by side, so that one takes over from the other without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from exchange.mexc.hosts import Reach
from exchange.mexc.socket import StreamTiming, open_stream
from exchange.ports import Clock
from exchange.wire.stream import Channel

Take = Callable[[bytes], None]

_TICK = 1_000


class Line:
    """A stream from opening to its loss. Frames are kept until somebody takes them, and then handed over as they come."""

    def __init__(self, url: str, reach: Reach, timing: StreamTiming, clock: Clock, channels: Sequence[Channel]) -> None:
        """Start opening the stream; needs a running event loop. Raises ``Refused`` for a URL outside ``reach``."""
        reach.check(url)
        self._url = url
        self._reach = reach
        self._timing = timing
        self._clock = clock
        self._channels = channels
        self._kept: list[bytes] = []
        self._take: Take = self._kept.append
        self._subscribed = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="stream")

    @property
    def is_subscribed(self) -> bool:
        """Whether every channel is acknowledged and the stream is not lost."""
        return self._subscribed.is_set() and not self._task.done()

    @property
    def is_lost(self) -> bool:
        """Whether the stream has ended."""
        return self._task.done()

    def hand_to(self, take: Take) -> None:
        """Give every frame to ``take`` from now on, those kept so far first."""
        kept, self._kept = self._kept, []
        self._take = take
        for frame in kept:
            take(frame)

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once the stream has ended."""
        self._task.add_done_callback(lambda _: tell())

    async def subscribed(self) -> None:
        """Wait until every channel is acknowledged. Raises ``SocketLost``."""
        waiting = asyncio.create_task(self._subscribed.wait())
        try:
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        self.check()

    async def ended(self, within_ms: int) -> None:
        """Wait for the stream to be lost, for at most ``within_ms``."""
        await asyncio.wait({self._task}, timeout=max(0, within_ms) / 1_000)

    def check(self) -> None:
        """Raises ``SocketLost`` once the stream has ended."""
        if self._task.done():
            self._task.result()

    async def aclose(self) -> None:
        """End the stream; nothing is handed over any more. Harmless when repeated."""
        self._take = _drop
        await end(self._task)

    async def _run(self) -> None:
        async with open_stream(self._url, self._reach, self._timing, self._clock) as socket:
            for frame in await socket.subscribe(self._channels):
                self._take(frame)
            self._subscribed.set()
            while True:
                pushed = await socket.next_push(_TICK)
                if pushed is not None:
                    self._take(pushed)


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended, whatever it ended with. Unlike awaiting it, this can itself be cancelled."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _drop(_: bytes) -> None:
    """What is said to nobody."""
