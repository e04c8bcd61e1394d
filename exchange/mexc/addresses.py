"""Opens a TCP socket to the first of a host's addresses that answers. ``exchange.mexc.connections`` calls it.

asyncio can race addresses too (``happy_eyeballs_delay``), but loses a socket that connects in the same turn of the loop in which
the caller gives up: under load each late connection then holds a descriptor until a garbage collection.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

HEAD_START_S = 0.25
"""How long an address is tried alone before the next one is tried beside it (RFC 8305 §5)."""

Address = tuple[int, int, int, str, Any]
"""As ``socket.getaddrinfo`` returns it: family, kind, protocol, canonical name, address."""


async def connected_socket(host: str, port: int, source: tuple[str, int] | None = None) -> socket.socket:
    """A connected socket that does not block. A caller that gives up leaves none open.

    Raises:
        OSError: the name is unknown, or no address answers.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    tries: list[asyncio.Task[socket.socket]] = []
    chosen: asyncio.Task[socket.socket] | None = None
    try:
        for address in addresses:
            tries.append(asyncio.create_task(_connect(address, source)))
            if chosen := await _first_connected(tries, HEAD_START_S):
                return chosen.result()
        if chosen := await _first_connected(tries, None):
            return chosen.result()
        raise next((error for one in tries if (error := one.exception())), OSError(f"{host} has no address"))
    finally:
        for one in tries:
            if one is not chosen:
                one.cancel()
                one.add_done_callback(_close)


async def _first_connected(tries: list[asyncio.Task[socket.socket]], within_s: float | None) -> asyncio.Task[socket.socket] | None:
    """The first try that connects, or None once every one failed or the time is over."""
    deadline = None if within_s is None else asyncio.get_running_loop().time() + within_s
    while pending := [one for one in tries if not one.done()]:
        left = None if deadline is None else deadline - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        if connected := next((one for one in done if one.exception() is None), None):
            return connected
    return next((one for one in tries if one.exception() is None), None)


async def _connect(address: Address, source: tuple[str, int] | None) -> socket.socket:
    family, kind, protocol, _, peer = address
    opened = socket.socket(family, kind, protocol)
    try:
        opened.settimeout(0)
        if source is not None:
            opened.bind(source)
        await asyncio.get_running_loop().sock_connect(opened, peer)
    except BaseException:
        opened.close()
        raise
    return opened


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
