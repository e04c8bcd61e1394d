"""The only websocket client of venue streams: allowed hosts, no proxy, no redirect, PINGs. ``Subscription`` calls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Protocol

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK, InvalidHandshake, WebSocketException

from exchange import authorities
from exchange.errors import VenueError
from exchange.mexc.reach import Reach
from exchange.ports import Clock
from exchange.wire.errors import MalformedReply
from exchange.wire.stream import BAD_LISTEN_KEY, Channel, ControlReply, parse_reply, ping_frame, subscribe_frames

MAX_FRAME = 1 << 20
_MILLISECOND = 1_000_000


class SocketLost(VenueError):
    """A stream could not be opened, was cut, became silent or refused a channel."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the stream is lost: {reason}",
            code="venue-stream-lost",
            remedy="Nothing to do: gatehouse reconnects and queries by REST; check the network if it continues.",
        )


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """How a stream is kept alive, milliseconds.

    mexc-spot-v3.md §1.5: 60 s of silence close it, listen keys live an hour, no connection lasts longer than 24 h. So a new one is
    opened after ``rotate_every`` at most, and the old one is closed only after both have run for ``overlap``.

    A lost stream is opened again after ``retry_first``, then after twice as long each time: up to ``retry_young`` in the first
    ``young_for`` of an outage, later up to ``retry_most``.
    """

    open_within: int = 5_000
    subscribe_within: int = 10_000
    ping_every: int = 15_000
    idle_after: int = 45_000
    renew_every: int = 30 * 60_000
    retry_first: int = 250
    retry_young: int = 1_500
    young_for: int = 120_000
    retry_most: int = 10_000
    rotate_every: int = 23 * 3_600_000
    overlap: int = 5_000


DEFAULT_TIMING = StreamTiming()


STEADY_MS = 10_000
"""A stream that lived shorter may be one that a venue opens and cuts again and again."""


class Backoff:
    """Exponential waits with jitter, so that many clients do not reconnect at the same time.

    While an outage is young the waits are short: a venue that comes back after ten seconds is noticed within two. A fifth of each
    wait is random. So at most 53 tries come in a minute; MEXC drops a client that opens a hundred a second (mexc-spot-v3.md §1.5).
    """

    def __init__(self, rng: Random, timing: StreamTiming) -> None:
        self._rng = rng
        self._timing = timing
        self._failures = 0
        self._waited = 0

    def next_ms(self) -> int:
        """Milliseconds to wait before the next try: four fifths to all of a bound that doubles with every failure."""
        timing = self._timing
        most = min(timing.retry_young, timing.retry_most) if self._waited < timing.young_for else timing.retry_most
        bound = min(most, timing.retry_first << min(self._failures, 16))
        self._failures += 1
        wait = self._rng.randint(max(1, bound * 4 // 5), bound)
        self._waited += wait
        return wait

    def ended(self, lived_ms: int) -> None:
        """Note that a stream ended. One that lived for ``STEADY_MS`` starts the waits over; one that is cut at once does not."""
        if lived_ms >= STEADY_MS:
            self.reset()

    def reset(self) -> None:
        """Start over after a success."""
        self._failures = self._waited = 0


class Connection(Protocol):
    """An open websocket. Its methods raise ``WebSocketException`` or ``OSError`` when it is cut."""

    async def send(self, message: str, /) -> None:
        """Send a text frame."""
        ...

    async def recv(self) -> str | bytes:
        """The next frame."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...


Connect = Callable[[str, StreamTiming], Awaitable[Connection]]
"""Opens a websocket at an address. It raises ``WebSocketException``, ``OSError`` or ``TimeoutError`` when it cannot."""


class StreamSocket:
    """An open stream: subscribes with proof, sends PINGs, and returns binary frames one at a time."""

    def __init__(self, connection: Connection, timing: StreamTiming, clock: Clock) -> None:
        self._connection = connection
        self._timing = timing
        self._clock = clock
        self._received_at = self._now()
        self._ping_at = self._received_at + timing.ping_every

    @property
    def heard_ns(self) -> int:
        """When something of any kind last came, monotonic."""
        return self._received_at * _MILLISECOND

    async def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Subscribe and wait until every channel is acknowledged by name; returns pushes that came meanwhile.

        Raises:
            SocketLost: a channel was refused or not acknowledged in time, or the stream was cut.
        """
        missing = set(channels)
        pushes: list[bytes] = []
        try:
            async with asyncio.timeout(self._timing.subscribe_within / 1_000):
                for frame in subscribe_frames(channels):
                    await self._send(frame)
                while missing:
                    received = await self._receive()
                    if isinstance(received, bytes):
                        pushes.append(received)
                    else:
                        missing -= set(_reply(received).accepted(channels))
        except TimeoutError as error:
            names = ", ".join(sorted(channel.name for channel in missing))
            raise SocketLost(f"not acknowledged: {names}") from error
        return pushes

    async def next_push(self, within_ms: int) -> bytes | None:
        """The next binary frame, or ``None`` after ``within_ms`` at most. A PING goes out when one is due (§1.5).

        Raises:
            SocketLost: cut, or nothing received for ``idle_after``.
        """
        now = self._now()
        if now - self._received_at > self._timing.idle_after:
            raise SocketLost(f"nothing received for {now - self._received_at} ms")
        if now >= self._ping_at:
            await self._send(ping_frame())
            self._ping_at = now + self._timing.ping_every
        try:
            async with asyncio.timeout(max(1, min(within_ms, self._ping_at - now)) / 1_000):
                received = await self._receive()
        except TimeoutError:
            return None
        if isinstance(received, bytes):
            return received
        _reply(received)
        return None

    async def _send(self, frame: str) -> None:
        try:
            await self._connection.send(frame)
        except (WebSocketException, OSError) as error:
            raise SocketLost(f"cut while sending ({type(error).__name__})") from error

    async def _receive(self) -> bytes | str:
        try:
            received = await self._connection.recv()
        except (WebSocketException, OSError) as error:
            if isinstance(error, ConnectionClosedOK):
                raise SocketLost("the venue closed it") from error
            raise SocketLost(f"the connection broke ({type(error).__name__})") from error
        self._received_at = self._now()
        return received

    def _now(self) -> int:
        return self._clock.monotonic_ns() // _MILLISECOND


async def connect_tcp(url: str, timing: StreamTiming) -> Connection:
    """Open a websocket over TCP, or TLS over it."""
    return await _NoRedirect(
        url,
        ssl=authorities.trusted() if url.startswith("wss:") else None,
        proxy=None,
        compression=None,
        max_size=MAX_FRAME,
        open_timeout=timing.open_within / 1_000,
        close_timeout=1,
        ping_interval=timing.ping_every / 1_000,
        ping_timeout=timing.idle_after / 1_000,
        user_agent_header="gatehouse",
    )


@asynccontextmanager
async def open_stream(
    url: str, reach: Reach, timing: StreamTiming, clock: Clock, connect: Connect = connect_tcp
) -> AsyncIterator[StreamSocket]:
    """Open a stream for the length of the block.

    Raises:
        Refused: the URL is outside the reach. SocketLost: it could not be opened.
    """
    reach.check(url)
    try:
        connection = await connect(url, timing)
    except (InvalidHandshake, WebSocketException, OSError, TimeoutError) as error:
        raise SocketLost(authorities.refusal(error) or f"not opened ({type(error).__name__})") from error
    try:
        yield StreamSocket(connection, timing, clock)
    finally:
        await connection.close()


class _NoRedirect(connect):
    """A redirect could lead out of the reach, so it is an error like any other status."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _reply(text: str) -> ControlReply:
    if text == BAD_LISTEN_KEY:
        raise SocketLost("the listen key is invalid or expired")
    try:
        return parse_reply(text)
    except MalformedReply as error:
        raise SocketLost(error.message) from error
