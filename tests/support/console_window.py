"""The console in a real browser: the server in a thread, the windows that look at it, and what they asked for and complained of."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from controller.console.app import create_app
from controller.console.port import StreamItem
from controller.console.schema import StatusView
from controller.console.server import serving
from tests.support.operator_port import NOW, FakePort, a_sample

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Console:
    """The real console on loopback in a thread of its own, over a fake port."""

    def __init__(self) -> None:
        self.port = FakePort(
            samples=[a_sample(NOW - n * 60_000, f"{1000 + math.sin(n):.2f}", covered=n % 9 > 0) for n in range(90, 0, -1)]
        )
        self.number = 0
        self._loop = asyncio.new_event_loop()
        self._server = AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.number}"

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def start(self) -> None:
        self.number = self._do(
            self._server.enter_async_context(serving(create_app(self.port, local=False), "127.0.0.1", self.number))
        )

    def stop(self) -> None:
        self._do(self._server.aclose())

    def publish(self, *items: StreamItem) -> None:
        async def publish_all() -> None:
            for item in items:
                if isinstance(item, StatusView):
                    # A page that asks once more, as one that was just opened does, sees the same.
                    self.port.view = item
                self.port.publish(item)

        self._do(publish_all())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Window:
    """A page, its requests and its console errors."""

    page: Page
    requests: list[str] = field(default_factory=list)
    page_errors: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        running.close()


@contextmanager
def a_console() -> Iterator[Console]:
    """A console that is served."""
    console = Console()
    console.start()
    yield console
    console.close()


def look(browser: Browser, console: Console, path: str = "", **options: Any) -> Window:
    """Open a page of it."""
    page = browser.new_context(**options).new_page()
    window = Window(page)
    page.on("request", lambda request: window.requests.append(request.url))
    page.on("console", lambda message: window.page_errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: window.page_errors.append(str(error)))
    page.goto(console.url + path)
    return window
