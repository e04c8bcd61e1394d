"""The live stream: changes as server-sent events, for at most ``MAX_READERS`` readers. ``console.app`` serves it.

Events are ``status`` (a StatusView, at most two a second), ``entry`` (an EntryView) and ``sample`` (a SampleView). A reader
gets the current status first. Nothing is replayed: a disconnected reader connects again and reads what it missed through
the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from controller.console.port import OperatorPort, StreamItem
from controller.console.schema import EntryView, StatusView
from exchange.errors import GatehouseError, Refused

STATUS_INTERVAL_S = 0.5
PING_INTERVAL_S = 15.0
MAX_READERS = 32
RETRY_MS = 1000


def frame(item: StreamItem) -> bytes:
    """One server-sent event. JSON has no bare newline, so one ``data`` line is enough."""
    name = "status" if isinstance(item, StatusView) else "entry" if isinstance(item, EntryView) else "sample"
    return f"event: {name}\ndata: {item.model_dump_json()}\n\n".encode()


class LiveStream:
    """Sends the port's changes to its readers until it is closed."""

    def __init__(self, port: OperatorPort) -> None:
        self._port = port
        self._closed = asyncio.Event()
        self._readers = 0

    def close(self) -> None:
        """End every reader, so that a server can stop."""
        self._closed.set()

    async def open(self) -> AsyncIterator[bytes]:
        """A new reader's stream.

        Raises:
            Refused: there are too many readers already.
        """
        if self._readers >= MAX_READERS:
            raise Refused(
                f"the live stream already has {MAX_READERS} readers",
                code="too-many-readers",
                remedy=f"Close a console window: at most {MAX_READERS} can be open.",
            )
        return self._read(await self._port.status())

    async def _read(self, first: StatusView) -> AsyncGenerator[bytes, None]:
        self._readers += 1
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
            self._readers -= 1
            for task in (following, closing):
                task.cancel()
                with suppress(asyncio.CancelledError, GatehouseError):
                    await task
            if isinstance(items, AsyncGenerator):
                await items.aclose()
