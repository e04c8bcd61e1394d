"""A raw HTTP server that answers every request with one canned order, and a raw keep-alive client. The benches compare with it."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

CANNED = (
    b'{"symbol":"BTCUSDT","orderId":"C02__505979017439002624115","orderListId":-1,"price":"50000","origQty":"0.001",'
    b'"type":"LIMIT","side":"BUY","stpMode":"","transactTime":1790000000000}'
)
_REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(CANNED), CANNED)
_END = b"\r\n\r\n"


class CannedServer(asyncio.Protocol):
    """Answers as soon as a request's head has arrived; requests without a body only."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every complete head."""
        self._buffer += data
        while _END in self._buffer:
            _, _, self._buffer = self._buffer.partition(_END)
            self._transport.write(_REPLY)


class KeepAlive:
    """One connection that sends requests without a body and reads whole replies."""

    def __init__(self, port: int, api_key: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fields = ("Host: 127.0.0.1", f"X-MEXC-APIKEY: {api_key}", "Content-Type: application/json", "Content-Length: 0")
        self._tail = b" HTTP/1.1\r\n" + "\r\n".join((*fields, "", "")).encode()
        self._rest = b""

    def ask(self, method: str, target: str) -> tuple[int, bytes]:
        """The status and the body."""
        self._socket.sendall(f"{method} {target}".encode() + self._tail)
        head, body = self._read_head()
        low = head.lower()
        at = low.index(b"content-length:") + 15
        end = low.find(b"\r\n", at)
        length = int(low[at : end if end >= 0 else len(low)])
        while len(body) < length:
            body += self._receive()
        self._rest = body[length:]
        return int(head[9:12]), body[:length]

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _read_head(self) -> tuple[bytes, bytes]:
        data = self._rest
        while _END not in data:
            data += self._receive()
        head, _, body = data.partition(_END)
        return head, body

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


class AsyncKeepAlive(asyncio.Protocol):
    """The same client in an event loop, one request at a time, as a bot uses it."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._data = b""
        self._gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when the server accepts."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass a complete reply to the waiting request."""
        self._data += data
        if self._data.endswith(CANNED) and self._answer is not None:
            answer, self._answer, self._data = self._answer, None, b""
            answer.set_result(CANNED)

    async def ask(self, target: str, api_key: str) -> bytes:
        """The body of the canned reply."""
        self._answer = asyncio.get_running_loop().create_future()
        fields = ("Host: 127.0.0.1", f"X-MEXC-APIKEY: {api_key}", "Content-Length: 0")
        self._transport.write("\r\n".join((f"POST {target} HTTP/1.1", *fields, "", "")).encode())
        return await self._answer

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is lost."""
        del exc
        self._gone.set()

    async def hang_up(self) -> None:
        """Close the connection and wait until it is closed."""
        self._transport.close()
        await self._gone.wait()
