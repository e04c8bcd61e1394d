"""The live stream: changes as server-sent events, for a limited number of readers. ``console.app`` serves it.

Events are ``status`` (a StatusView, at most two a second), ``entry`` (an EntryView) and ``sample`` (a SampleView). A reader
gets the current status first. Nothing is replayed: a disconnected reader connects again and reads what it missed through
the API. A reader that does not read is dropped by the server, and its subscription ends when its queue is full.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from controller.console.limits import TCP_LIMITS, ConsoleLimits, TooMany
from controller.console.port import OperatorPort, StreamItem
from controller.console.schema import EntryView, StatusView
from exchange.errors import GatehouseError

STATUS_INTERVAL_S = 0.5
PING_INTERVAL_S = 15.0
RETRY_MS = 1000
RETRY_AFTER_S = 5


def frame(item: StreamItem) -> bytes:
    """One server-sent event. JSON has no bare newline, so one ``data`` line is enough."""
    name = "status" if isinstance(item, StatusView) else "entry" if isinstance(item, EntryView) else "sample"
    return f"event: {name}\ndata: {item.model_dump_json()}\n\n".encode()


class Frames:
    """One reader's stream, in bytes. Who opened it closes it, also when nothing was read of it."""

    def __init__(self, frames: AsyncGenerator[bytes, None], leave: Callable[[], None]) -> None:
        self._frames = frames
        self._leave: Callable[[], None] | None = leave

    def __aiter__(self) -> Frames:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._frames)
        except BaseException:
            self._gone()
            raise

    async def aclose(self) -> None:
        """End it."""
        self._gone()
        await self._frames.aclose()

    def _gone(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None


class LiveResponse(StreamingResponse):
    """The answer to one reader. It ends the reader's stream also when the client left before the first byte."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._frames.aclose()


class LiveStream:
    """Sends the port's changes to its readers until it is closed."""

    def __init__(self, port: OperatorPort, limits: ConsoleLimits = TCP_LIMITS) -> None:
        self._port = port
        self._limits = limits
        self._closed = asyncio.Event()
        self._readers: Counter[str] = Counter()

    def close(self) -> None:
        """End every reader, so that a server can stop."""
        self._closed.set()

    async def open(self, address: str = "") -> Frames:
        """A new reader's stream. It counts from now until it ends or is closed.

        Raises:
            TooMany: there are too many readers already, at this address or together.
        """
        self._check(address)
        self._readers[address] += 1
        leave = partial(self._leave, address)
        try:
            first = await self._port.status()
        except BaseException:
            leave()
            raise
        return Frames(self._read(first), leave)

    def _check(self, address: str) -> None:
        of_one, of_all = self._limits.readers_per_address, self._limits.readers
        crowded = self._readers[address] >= of_one
        if not crowded and self._readers.total() < of_all:
            return
        raise TooMany(
            f"the live stream already has {of_one} readers at this address"
            if crowded
            else f"the live stream already has {of_all} readers",
            code="too-many-readers",
            remedy="Close a console window.",
            status=429 if crowded else 503,
            retry_after_s=RETRY_AFTER_S,
        )

    def _leave(self, address: str) -> None:
        self._readers[address] -= 1
        self._readers += Counter()

    async def _read(self, first: StatusView) -> AsyncGenerator[bytes, None]:
        items = aiter(self._port.subscribe())
        following = asyncio.ensure_future(anext(items, None))
        closing = asyncio.ensure_future(self._closed.wait())
        loop = asyncio.get_running_loop()
        held: StatusView | None = None
        due = loop.time() + STATUS_INTERVAL_S
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            yield frame(first)
            while not self._closed.is_set():
                wait = PING_INTERVAL_S if held is None else max(0.0, due - loop.time())
                await asyncio.wait({following, closing}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                item = None
                if following.done():
                    item = following.result()
                    if item is None:
                        return
                    following = asyncio.ensure_future(anext(items, None))
                elif held is None:
                    yield b": still here\n\n"
                if isinstance(item, StatusView):
                    held = item
                elif item is not None:
                    yield frame(item)
                if held is not None and loop.time() >= due:
                    yield frame(held)
                    held, due = None, loop.time() + STATUS_INTERVAL_S
        finally:
            for task in (following, closing):
                task.cancel()
                with suppress(asyncio.CancelledError, GatehouseError):
                    await task
            if isinstance(items, AsyncGenerator):
                await items.aclose()
