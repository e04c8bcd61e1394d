"""The network of a rehearsal: requests and streams go to applications in this process, and no byte leaves it.

A ``Site`` is one address with the application that answers there; it can be down. ``Inside`` gives the clients of venues
(``exchange.mexc.network``) what they have over TCP: replies, streams, and every way in which a connection fails.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosedError

from exchange.mexc.http import Failure, Method, Outcome, Reply, Timeouts
from exchange.mexc.network import Network
from exchange.mexc.reach import Reach
from exchange.mexc.socket import Connection, StreamTiming

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_TRANSPORT = "gatehouse-transport"
"""Where the testnet's application looks for what cuts a connection (``exchange.testnet.http.transport``)."""


def _freely(write: Callable[[], None]) -> bool:
    write()
    return True


@dataclass(slots=True, eq=False)
class Site:
    """One address: the application that answers there, ``None`` while nobody listens.

    ``withheld``: packets to and from it vanish, on connections that are open too. ``cuts`` are what is open now.
    """

    app: App | None = None
    withheld: bool = False
    cuts: dict[Cut, None] = field(default_factory=dict)
    working: set[asyncio.Task[Outcome]] = field(default_factory=set)
    requests: int = 0

    def down(self) -> None:
        """Listen no more, and cut every connection."""
        self.app = None
        for cut in tuple(self.cuts):
            cut.abort()


class Cut:
    """One open connection, which either side can cut."""

    __slots__ = ("_callback", "_site", "_waiting", "was_cut")

    def __init__(self, site: Site) -> None:
        self._site = site
        self._waiting: asyncio.Future[None] | None = None
        self._callback: Callable[[], None] | None = None
        self.was_cut = False
        site.cuts[self] = None

    def when_cut(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once it is cut."""
        self._callback = callback

    def abort(self) -> None:
        """Cut it."""
        if self.was_cut:
            return
        self.was_cut = True
        self.release()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        if self._callback is not None:
            self._callback()

    async def wait(self) -> None:
        """Wait until it is cut."""
        if not self.was_cut:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting

    def release(self) -> None:
        """It has ended."""
        self._site.cuts.pop(self, None)


class Sites:
    """Every address of one rehearsal, by host and port."""

    def __init__(self) -> None:
        self._sites: dict[str, Site] = {}

    def at(self, url: str) -> Site:
        """The site of an address; one where nobody listens yet is made."""
        return self._sites.setdefault(urlsplit(url).netloc, Site())

    @property
    def network(self) -> Network:
        """What the clients of venues use."""
        return Network(self._transport, self._connect)

    def _transport(self, base_url: str, reach: Reach, timeouts: Timeouts, connections: int) -> InsideTransport:  # noqa: ARG002
        reach.check(base_url)
        return InsideTransport(self.at(base_url), timeouts.total / 1_000)

    async def _connect(self, url: str, timing: StreamTiming) -> Connection:
        site = self.at(url)
        if site.app is None:
            raise ConnectionRefusedError("nobody listens there")
        stream = InsideStream(site, site.app, url)
        async with asyncio.timeout(timing.open_within / 1_000):
            await stream.opened()
        return stream


class InsideTransport:
    """Requests to one site (``exchange.mexc.http.Transport``)."""

    def __init__(self, site: Site, within_s: float, client: tuple[str, int] = ("127.0.0.1", 50_000)) -> None:
        self._site = site
        self._within_s = within_s
        self._client = client
        self._closed = False

    async def send(
        self,
        method: Method,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        leave: Callable[[Callable[[], None]], bool] = _freely,
        body: bytes = b"",
    ) -> Outcome:
        """Send one request, once; as ``HttpTransport.send``."""
        site = self._site
        app = site.app
        if self._closed:
            return Failure("the connections are closed", never_sent=True)
        if app is None:
            return Failure("no connection (ConnectError)", never_sent=True)
        if not leave(_nothing):
            return Failure("what allowed it was gone before its first byte left", never_sent=True)
        site.requests += 1
        exchange = _Exchange(site, method.value, path, query, headers or {}, self._client, body)
        answering = asyncio.create_task(exchange.run(app))
        site.working.add(answering)
        answering.add_done_callback(site.working.discard)
        try:
            # A client that gives up does not stop the venue: what reached it is carried out.
            async with asyncio.timeout(self._within_s):
                return await asyncio.shield(answering)
        except TimeoutError:
            return Failure("the whole exchange took too long", never_sent=False)

    async def aclose(self) -> None:
        """Send no more."""
        self._closed = True


def _nothing() -> None:
    """The first byte of a request leaves with the call of its application."""


class _Exchange:
    """One request and its reply, as an ASGI application sees it."""

    def __init__(
        self, site: Site, method: str, path: str, query: str, headers: Mapping[str, str], client: tuple[str, int], body: bytes
    ) -> None:
        self._cut = Cut(site)
        self._site = site
        self._body: bytes | None = body
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._reply: list[bytes] = []
        self._scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": client,
            "server": ("127.0.0.1", 80),
            "state": {_TRANSPORT: self._cut},
        }

    async def run(self, app: App) -> Outcome:
        """The reply, or how the exchange broke."""
        try:
            await app(self._scope, self._receive, self._send)
        except ConnectionError:
            return Failure("the exchange broke (RemoteProtocolError)", never_sent=False)
        finally:
            self._cut.release()
        if self._site.withheld:
            await asyncio.Event().wait()
        if self._cut.was_cut or not self._status:
            return Failure("the exchange broke (RemoteProtocolError)", never_sent=False)
        after = self._headers.get(b"retry-after", b"")
        return Reply(self._status, b"".join(self._reply), int(after) if after.isdigit() else None)

    async def _receive(self) -> Message:
        if self._cut.was_cut:
            return {"type": "http.disconnect"}
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._cut.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {name.lower(): value for name, value in message.get("headers", ())}
        elif message["type"] == "http.response.body":
            self._reply.append(message.get("body", b""))


class InsideStream:
    """The client's end of one websocket (``exchange.mexc.socket.Connection``)."""

    def __init__(self, site: Site, app: App, url: str) -> None:
        where = urlsplit(url)
        self._site = site
        self._cut = Cut(site)
        self._cut.when_cut(self._lost)
        self._to_app: deque[Message] = deque([{"type": "websocket.connect"}])
        self._from_app: deque[str | bytes] = deque()
        self._app_waits: asyncio.Future[None] | None = None
        self._client_waits: asyncio.Future[None] | None = None
        self._accepted = asyncio.get_running_loop().create_future()
        self._ended = False
        scope: Scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": where.path,
            "raw_path": where.path.encode(),
            "root_path": "",
            "query_string": where.query.encode(),
            "headers": [],
            "subprotocols": [],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
            "state": {_TRANSPORT: self._cut},
        }
        self._serving = asyncio.create_task(self._serve(app, scope), name="stream of a venue")

    async def opened(self) -> None:
        """Wait until the application has accepted it. Raises ``ConnectionError``."""
        await asyncio.shield(self._accepted)

    async def send(self, message: str, /) -> None:
        """Send a text frame. Raises ``ConnectionClosedError``."""
        if self._ended:
            raise ConnectionClosedError(None, None)
        self._to_app.append({"type": "websocket.receive", "text": message})
        _wake(self._app_waits)

    async def recv(self) -> str | bytes:
        """The next frame. Raises ``ConnectionClosedError``."""
        while not self._from_app or self._site.withheld:
            if self._ended and not self._site.withheld:
                raise ConnectionClosedError(None, None)
            self._client_waits = asyncio.get_running_loop().create_future()
            await self._client_waits
        return self._from_app.popleft()

    async def close(self) -> None:
        """Close it."""
        self._cut.abort()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({self._serving}, timeout=1)

    async def _serve(self, app: App, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._lost()
            self._cut.release()

    def _lost(self) -> None:
        self._ended = True
        if not self._accepted.done():
            self._accepted.set_exception(ConnectionResetError("the stream was not accepted"))
        _wake(self._app_waits)
        _wake(self._client_waits)

    async def _receive(self) -> Message:
        while not self._to_app or self._site.withheld:
            if self._ended:
                return {"type": "websocket.disconnect", "code": 1006}
            self._app_waits = asyncio.get_running_loop().create_future()
            await self._app_waits
        return self._to_app.popleft()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept" and not self._accepted.done():
            self._accepted.set_result(None)
        elif kind == "websocket.send":
            text = message.get("text")
            self._from_app.append(message["bytes"] if text is None else text)
            _wake(self._client_waits)
        elif kind == "websocket.close":
            self._lost()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
