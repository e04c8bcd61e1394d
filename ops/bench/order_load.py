"""A client that costs little: raw keep-alive connections that send signed orders, each the next one when it was answered.

``python -m ops.bench.order_load URL KEY SECRET ORDERS SECONDS CONNECTIONS PRICE [PROCESS …]`` sends so many orders, or for so long,
and prints one line of JSON, with the processor time that this process and those that are named used meanwhile. Orders are
IMMEDIATE_OR_CANCEL at a price that does not match, so that none stays open. It imports little besides the standard library.
"""

from __future__ import annotations

import hmac
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from ops.bench.processes import cpu_seconds

_END, _LENGTH = b"\r\n\r\n", b"content-length:"
_SILENT_S = 20
"""After so long without any reply the run ends with an error."""


class Connection:
    """One connection with at most one order on its way."""

    def __init__(self, address: tuple[str, int], key: str, secret: str, price: str) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fields = (
            f"Host: {address[0]}:{address[1]}",
            f"X-MEXC-APIKEY: {key}",
            "Content-Type: application/json",
            "Content-Length: 0",
        )
        self._tail = ("\r\n".join((" HTTP/1.1", *fields)) + "\r\n\r\n").encode()
        self._secret = secret.encode()
        order = f"symbol=BTCUSDT&side=BUY&type=IMMEDIATE_OR_CANCEL&quantity=0.00003&price={price}&recvWindow=60000"
        self._order = order.encode()
        self._reply = b""
        self._sent = 0.0

    def send(self, number: int) -> None:
        """Sign and send an order."""
        payload = b"%s&newClientOrderId=load-%d&timestamp=%d" % (self._order, number, time.time_ns() // 1_000_000)
        signature = hmac.digest(self._secret, payload, "sha256").hex().encode()
        self._sent = time.perf_counter()
        self.socket.sendall(b"POST /api/v3/order?%s&signature=%s%s" % (payload, signature, self._tail))

    def receive(self) -> tuple[float, int, bytes] | None:
        """Seconds since the order, the status and the body; nothing while the reply is incomplete."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._reply += data
        head, ended, body = self._reply.partition(_END)
        if not ended:
            return None
        low = head.lower()
        at = low.index(_LENGTH) + len(_LENGTH)
        if len(body) < int(low[at : low.find(b"\r\n", at) if b"\r\n" in low[at:] else None]):
            return None
        took, self._reply = time.perf_counter() - self._sent, b""
        return took, int(head[9:12]), body


def load(
    url: str, key: str, secret: str, orders: int, most_s: float, connections: int, price: str, watched: Sequence[int] = ()
) -> dict[str, object]:
    """Send so many orders, or what ``most_s`` seconds allow. Only those that were answered with 200 and an order id count."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    numbers = iter(range(first := time.time_ns() // 1_000, first + orders))
    took, refused, waiting = list[float](), list[str](), 0
    with selectors.DefaultSelector() as selector:
        for _ in range(min(connections, orders)):
            connection = Connection(address, key, secret, price)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        processes = (os.getpid(), *watched)
        began, before = time.perf_counter(), [cpu_seconds(process) for process in processes]
        for registered in [*selector.get_map().values()]:
            registered.data.send(next(numbers))
            waiting += 1
        while waiting:
            ready = selector.select(_SILENT_S)
            if not ready:
                raise TimeoutError(f"no reply for {_SILENT_S} s after {len(took)} orders")
            for one, _ in ready:
                answer = one.data.receive()
                if answer is None:
                    continue
                seconds, status, body = answer
                waiting -= 1
                if status == 200 and b'"orderId"' in body:
                    took.append(seconds)
                else:
                    refused.append(f"{status} {body[:200]!r}")
                if time.perf_counter() - began < most_s and (number := next(numbers, None)) is not None:
                    one.data.send(number)
                    waiting += 1
        whole, used = time.perf_counter() - began, [cpu_seconds(process) for process in processes]
        for registered in [*selector.get_map().values()]:
            registered.data.socket.close()
    cpu = [now - then for now, then in zip(used, before, strict=True)]
    return {"took": took, "refused": len(refused), "why": refused[:1], "seconds": whole, "cpu": cpu}


def main() -> None:
    """Parse, send, print."""
    url, key, secret, orders, most_s, connections, price, *watched = sys.argv[1:]
    print(json.dumps(load(url, key, secret, int(orders), float(most_s), int(connections), price, [int(one) for one in watched])))


if __name__ == "__main__":
    main()
