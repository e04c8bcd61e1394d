"""One connection that is kept for one kind of request, orders or cancels, so that none of them waits for a pool (ADR 77).

``exchange.mexc.http`` makes two lanes and sends by them what they may carry. A lane carries one request at a time: who finds it
busy, or not connected, takes the pool. Its connections are those of ``exchange.mexc.connections``: the same addresses and
certificate checks, and the same question, directly before the first byte, whether the request may still leave. What is different is
what httpx and httpcore do around them, which takes longer than everything else that an order needs.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpcore
import httptools

from exchange.mexc.connections import TcpBackend

_TARGET = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*")
"""What is sent as it is; httpx would encode anything else, so it gets that."""

_NAME, _VALUE = re.compile(r"[A-Za-z0-9-]+"), re.compile(r"[!-~]*")
_MOST_HEAD = 100 * 1024
"""The most bytes of a reply before its body, as with httpcore."""

_AT_ONCE = 64 * 1024
_EXPIRES_S = 30
"""Seconds after which an idle connection is not used again, as in the pool."""

_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Received:
    """A reply. The names of its headers are in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class Lane:
    """One kept connection to one venue. Not for several threads.

    It is opened beside the requests and never waited for. A lane whose connection is not ready carries nothing: the pool, which
    queries keep warm, has a connection sooner. And it is opened only for requests that follow each other before it would expire.
    """

    def __init__(self, base_url: str, certificates: ssl.SSLContext, *, connect_s: float, read_s: float) -> None:
        """Nothing is connected yet."""
        parts = urlsplit(base_url)
        self._tls = certificates if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._connect_s, self._read_s = connect_s, read_s
        named = f"[{self._host}]" if ":" in self._host else self._host
        address = named if self._port == _PORTS[parts.scheme] else f"{named}:{self._port}"
        fields = (
            f"Host: {address}", "Accept: application/json", "Accept-Encoding: identity", "Connection: keep-alive",
            "User-Agent: gatehouse",
        )  # fmt: skip
        self._fields = "\r\n".join(fields) + "\r\n"
        self._prefix = parts.path
        self._backend = TcpBackend()
        self._idle: httpcore.AsyncNetworkStream | None = None
        self._idle_since = 0.0
        self._asked = float("-inf")
        self._carrying: httpcore.AsyncNetworkStream | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closed = False

    def carries(self, target: str, headers: Mapping[str, str]) -> bool:
        """Whether its connection is ready and free, and may carry this as it is. If it is closed, it is opened for the next one."""
        if self._carrying is not None or self._closed or not _is_plain(target, headers):
            return False
        now = asyncio.get_running_loop().time()
        often, self._asked = now - self._asked <= _EXPIRES_S, now
        idle = self._idle
        if idle is not None and now - self._idle_since <= _EXPIRES_S and not idle.get_extra_info("is_readable"):
            return True
        if self._opening is None and (often or idle is not None):
            self._idle = None
            self._opening = asyncio.create_task(self._renew(idle, again=often))
        return False

    async def exchange(self, method: str, target: str, headers: Mapping[str, str], most: int) -> Received:
        """Send one request without a body, once, and read its whole reply; a body of more than ``most`` bytes only in part.

        Call it right after ``carries`` said yes.

        Raises:
            Withheld: the request may not leave any more, and no byte of it did.
            httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError: there is no complete reply.
        """
        connection, self._idle = self._idle, None
        assert connection is not None, "the connection was ready"
        self._carrying = connection
        kept = False
        try:
            extra = "Content-Length: 0\r\n" if method == "POST" else ""
            own = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"{method} {self._prefix}{target} HTTP/1.1\r\n{self._fields}{own}{extra}\r\n"
            await connection.write(head.encode("ascii"))
            reply, reusable = await self._read(connection, most)
            kept = reusable and not self._closed
            if kept:
                self._keep(connection)
            return reply
        finally:
            self._carrying = None
            if not kept:
                await connection.aclose()

    async def aclose(self) -> None:
        """Close the connection. What it carries now ends with it."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        for connection in (self._idle, self._carrying):
            if connection is not None:
                await connection.aclose()
        self._idle = None

    def _keep(self, connection: httpcore.AsyncNetworkStream) -> None:
        self._idle, self._idle_since = connection, asyncio.get_running_loop().time()

    async def _renew(self, stale: httpcore.AsyncNetworkStream | None, *, again: bool) -> None:
        try:
            if stale is not None:
                await stale.aclose()
            if again:
                self._keep(await self._connected())
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            pass  # The pool says so to whom it concerns.
        finally:
            self._opening = None

    async def _connected(self) -> httpcore.AsyncNetworkStream:
        stream = await self._backend.connect_tcp(self._host, self._port, timeout=self._connect_s)
        if self._tls is None:
            return stream
        self._tls.set_alpn_protocols(["http/1.1"])
        return await stream.start_tls(self._tls, server_hostname=self._host, timeout=self._connect_s)

    async def _read(self, connection: httpcore.AsyncNetworkStream, most: int) -> tuple[Received, bool]:
        """The reply, and whether the connection may be used again."""
        state = _Reading(most)
        while not state.done:
            data = await connection.read(_AT_ONCE, timeout=self._read_s)
            if data:
                state.feed(data)
            else:
                state.end()
        return state.reply, state.reusable


def _is_plain(target: str, headers: Mapping[str, str]) -> bool:
    return _TARGET.fullmatch(target) is not None and all(
        _NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers.items()
    )


class _Reading:
    """Reads one reply. Informational replies before it are passed over."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._headed = False
        self._before_body = 0
        self._parser = httptools.HttpResponseParser(self)
        self.reply = Received()
        self.done = self.reusable = False

    def feed(self, data: bytes) -> None:
        """More bytes came. Raises ``httpcore.RemoteProtocolError`` for what is no HTTP."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            if self.done:
                return  # What is wrong came after a whole reply.
            raise httpcore.RemoteProtocolError(str(error)) from error
        self._before_body += 0 if self._headed else len(data)
        if self._before_body > _MOST_HEAD:
            raise httpcore.RemoteProtocolError("the head of the reply is too long")

    def end(self) -> None:
        """The venue closed the connection: that ends a body without a length, and cuts any other."""
        if not self._headed or {"content-length", "transfer-encoding"} & self.reply.headers.keys():
            raise httpcore.RemoteProtocolError("the venue closed the connection before its reply was complete")
        self.done = True

    # What httptools calls

    def on_message_begin(self) -> None:
        # Bytes after the reply that nobody asked for: no later reply on this connection can be trusted.
        self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.done:
            key, text, known = name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"), self.reply.headers
            known[key] = f"{known[key]}, {text}" if key in known else text

    def on_headers_complete(self) -> None:
        if not self.done:
            if self.reply.headers.get("transfer-encoding", "chunked").lower() != "chunked":
                raise ValueError("the reply has a transfer encoding that was not asked for")
            self.reply.status = self._parser.get_status_code()
            self._headed = True

    def on_body(self, data: bytes) -> None:
        if not self.done:
            self.reply.body += data
            self.done = len(self.reply.body) > self._most

    def on_message_complete(self) -> None:
        if self.done:
            return
        if self.reply.status < 200:
            self.reply.headers.clear()
            self._headed = False
            return
        self.done, self.reusable = True, self._parser.should_keep_alive()
