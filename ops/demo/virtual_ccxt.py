"""Lets a ccxt program trade in a rehearsal: its HTTP session goes to the gateway in the same process, on the rehearsal's clock.

The program is run unchanged: a file with ``async def main(gateway, key, secret)``, as ``bot.py`` is. What is replaced is ccxt's
session, and the module ``time`` where ccxt and the program read it. `gatehouse rehearse --bot "ccxt PROGRAM"` calls ``trader``.
"""

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp

# By name, because ccxt has attributes of the same names as its modules.
ccxt_exchange = importlib.import_module("ccxt.async_support.base.exchange")
ccxt_throttler = importlib.import_module("ccxt.async_support.base.throttler")
ccxt_base = importlib.import_module("ccxt.base.exchange")

GATEWAY = "http://127.0.0.1:8700"
_STATUS_TEXT = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 503: "Service Unavailable"}


class Response:
    """What ccxt reads of an answer."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.reason = _STATUS_TEXT.get(status, "")
        self.headers = {"content-type": "application/json"}
        self.content = body

    async def text(self, errors: str = "strict") -> str:
        """The body."""
        return self.content.decode(errors=errors)


class Request:
    """A request, as the context manager that ccxt enters."""

    def __init__(self, port: object, method: str, url: object, data: bytes | None, headers: dict[str, str]) -> None:
        self.port, self.method, self.url = port, method, urlsplit(str(url))
        self.data, self.headers = data, {str(name): str(value) for name, value in headers.items()}

    async def __aenter__(self) -> Response:
        # Imported by name at the time of use: this file is loaded by the command line, which has it loaded.
        from exchange.mexc.http import Failure, Method

        if self.method == "POST" and self.url.path == "/api/v3/order":
            self.port.sent += 1
        headers = {"host": "127.0.0.1:8700", **self.headers}
        if self.data:
            headers["content-length"] = str(len(self.data))
        outcome = await self.port.transport.send(Method(self.method), self.url.path, self.url.query, headers, body=self.data or b"")
        if isinstance(outcome, Failure):
            raise aiohttp.ClientConnectionError(outcome.reason)
        self.port.refused += outcome.status >= 400 and self.method == "POST"
        return Response(outcome.status, outcome.body)

    async def __aexit__(self, *_: object) -> None:
        return


class Session:
    """What ccxt uses of an aiohttp session."""

    def __init__(self, port: object) -> None:
        self.headers: dict[str, str] = {}
        for method in ("get", "post", "put", "delete"):
            setattr(self, method, self._method(port, method.upper()))

    @staticmethod
    def _method(port: object, method: str) -> object:
        def ask(url: object, data: bytes | None = None, headers: dict[str, str] | None = None, **_: object) -> Request:
            return Request(port, method, url, data, headers or {})

        return ask

    async def close(self) -> None:
        """There is no connection."""


def trader(program: Path) -> object:
    """The program as a bot of a rehearsal: a coroutine that takes the port."""

    async def trade(port: object) -> None:
        clock = port.clock
        time = SimpleNamespace(
            time=lambda: clock.now() / 1000,
            time_ns=lambda: clock.now() * 1_000_000,
            monotonic=lambda: clock.monotonic_ns() / 1e9,
            monotonic_ns=clock.monotonic_ns,
            perf_counter=lambda: clock.monotonic_ns() / 1e9,
        )
        with _replaced(port, time):
            module = _loaded(program)
            module.time = time
            module.print = port.said
            await module.main(GATEWAY, port.key, port.secret)

    return trade


@contextmanager
def _replaced(port: object, time: SimpleNamespace) -> Iterator[None]:
    def open_inside(exchange: object, lazy: bool = False) -> None:  # noqa: ARG001, FBT001, FBT002 - ccxt's signature
        if exchange.asyncio_loop is None:
            exchange.asyncio_loop = exchange.throttler.loop = asyncio.get_running_loop()
        if exchange.session is None:
            exchange.session = Session(port)

    kept = ccxt_exchange.Exchange.open, ccxt_base.time, ccxt_throttler.time
    ccxt_exchange.Exchange.open, ccxt_base.time, ccxt_throttler.time = open_inside, time, time.time
    try:
        yield
    finally:
        ccxt_exchange.Exchange.open, ccxt_base.time, ccxt_throttler.time = kept


def _loaded(program: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"rehearsed_{program.stem}", program)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
