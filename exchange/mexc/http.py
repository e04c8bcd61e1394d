"""The only HTTP client of venue calls: bounded requests to allowed hosts. ``exchange.mexc.rest`` calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import httpcore
import httpx

from exchange import authorities
from exchange.mexc.connections import DEPARTURE, CheckedTransport, Departure, Withheld
from exchange.mexc.lane import Lane
from exchange.mexc.reach import Reach

MAX_REPLY = 1 << 20
"""The most bytes of a reply's body that are read."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Milliseconds to connect, to write, between two reads, and for a whole request with its reply."""

    connect: int = 3_000
    write: int = 3_000
    read: int = 5_000
    total: int = 8_000


class Method(StrEnum):
    """The methods MEXC's API uses."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply of any status. ``retry_after`` is in seconds."""

    status: int
    body: bytes
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """No complete reply. ``never_sent`` is True only when it is certain that no byte of the request left this process."""

    reason: str
    never_sent: bool


Outcome = Reply | Failure


def _freely(write: Callable[[], None]) -> bool:
    write()
    return True


_COMPRESSED = Failure("the reply is compressed although that was declined", never_sent=False)
_TOO_LONG = Failure(f"the reply is longer than {MAX_REPLY} bytes", never_sent=False)
_NEVER_SENT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol,
    httpcore.ConnectError, httpcore.ConnectTimeout,
)  # fmt: skip
_BROKEN = (
    httpx.HTTPError, httpx.InvalidURL, httpx.StreamError,
    httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError,
)  # fmt: skip


class Transport(Protocol):
    """What carries requests to one venue. ``HttpTransport`` is the one over TCP."""

    async def send(
        self,
        method: Method,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        leave: Callable[[Callable[[], None]], bool] = _freely,
    ) -> Outcome:
        """Send one request, once; as ``HttpTransport.send``."""
        ...

    async def aclose(self) -> None:
        """Release what carries requests."""
        ...


class HttpTransport:
    """One pool of keep-alive HTTP/1.1 connections to one venue, and two connections beside it, one for orders and one for cancels.

    No redirects, no proxy from the environment, no retries.
    """

    def __init__(self, base_url: str, reach: Reach, timeouts: Timeouts = Timeouts(), connections: int = 8) -> None:
        """Prepare the pool; nothing is connected yet. Raises ``Refused`` for a host outside ``reach``."""
        reach.check(base_url)
        self._base_url = base_url.rstrip("/")
        self._reach = reach
        self._total = timeouts.total / 1_000
        connect_s, read_s = timeouts.connect / 1_000, timeouts.read / 1_000
        self._lanes = {
            method: Lane(self._base_url, authorities.trusted(), connect_s=connect_s, read_s=read_s)
            for method in (Method.POST, Method.DELETE)
        }
        self._client = httpx.AsyncClient(
            transport=CheckedTransport(
                authorities.trusted(),
                httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30),
            ),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(
                connect=timeouts.connect / 1_000,
                write=timeouts.write / 1_000,
                read=timeouts.read / 1_000,
                pool=timeouts.connect / 1_000,
            ),
            headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "gatehouse"},
        )

    async def send(
        self,
        method: Method,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        leave: Callable[[Callable[[], None]], bool] = _freely,
    ) -> Outcome:
        """Send one request, once, with its parameters in the query, and read the whole reply.

        ``leave`` gets the writing of the first bytes when the connection is open, and calls it or says no (``Permit.leave``). When
        it says no, nothing is written and the failure says ``never_sent``.

        Raises:
            Refused: the URL is outside the reach.
        """
        target = f"{path}?{query}" if query else path
        self._reach.check(self._base_url + target)
        if self._client.is_closed:
            return Failure("the connections are closed", never_sent=True)
        departure = Departure(leave)
        DEPARTURE.set(departure)
        try:
            async with asyncio.timeout(self._total):
                return await self._carry(method, target, headers or {})
        except Withheld:
            return Failure("what allowed it was gone before its first byte left", never_sent=True)
        except TimeoutError:
            return Failure("the whole exchange took too long", never_sent=not departure.left)
        except _NEVER_SENT as error:
            return Failure(authorities.refusal(error) or f"no connection ({type(error).__name__})", never_sent=True)
        except _BROKEN as error:
            return Failure(f"the exchange broke ({type(error).__name__})", never_sent=not departure.left)

    async def aclose(self) -> None:
        """Close every connection."""
        for lane in self._lanes.values():
            await lane.aclose()
        await self._client.aclose()

    async def _carry(self, method: Method, target: str, headers: Mapping[str, str]) -> Outcome:
        lane = self._lane(method, target)
        if lane is not None and lane.carries(target, headers):
            return await _by_lane(lane, method, target, headers)
        return await self._exchange(method, target, headers)

    def _lane(self, method: Method, target: str) -> Lane | None:
        if method is Method.POST and not target.partition("?")[0].endswith("/order"):
            return None
        return self._lanes.get(method)

    async def _exchange(self, method: Method, target: str, headers: Mapping[str, str]) -> Outcome:
        async with self._client.stream(method.value, self._base_url + target, headers=headers) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                return _COMPRESSED
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_REPLY:
                    return _TOO_LONG
            return Reply(response.status_code, bytes(body), _seconds(response.headers.get("retry-after")))


async def _by_lane(lane: Lane, method: Method, target: str, headers: Mapping[str, str]) -> Outcome:
    found = await lane.exchange(method.value, target, headers, MAX_REPLY)
    if found.headers.get("content-encoding", "identity") != "identity":
        return _COMPRESSED
    if len(found.body) > MAX_REPLY:
        return _TOO_LONG
    return Reply(found.status, bytes(found.body), _seconds(found.headers.get("retry-after")))


def _seconds(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    return int(text)
