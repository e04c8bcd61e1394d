"""The account's private stream: listen keys, renewal, rotation, a gap at every interruption (mexc-spot-v3.md §7.6, §7.7)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from random import Random

from exchange.errors import VenueError
from exchange.mexc.hosts import Reach
from exchange.mexc.line import Line
from exchange.mexc.listenkeys import ListenKeys
from exchange.mexc.rest import RestCaller
from exchange.mexc.socket import DEFAULT_TIMING, Backoff, SocketLost, StreamTiming
from exchange.model import Fill, OrderReport
from exchange.ports import Clock, StreamGap, VenueEvent
from exchange.wire.errors import MalformedReply
from exchange.wire.push_decode import decode_push
from exchange.wire.signing import encode_params
from exchange.wire.stream import PRIVATE_CHANNELS

MAX_WAITING = 10_000
"""Frames that may wait to be read; a reader that far behind starts over from a gap."""

REMEMBERED = 2_000
"""Events remembered to tell repeats apart while two streams run side by side."""

_MILLISECOND = 1_000_000
_TICK = 1_000
_CLOSE_WITHIN = 2


class PrivateStream:
    """One account's events for as long as somebody iterates ``events``."""

    def __init__(
        self, rest: RestCaller, url: str, reach: Reach, clock: Clock, rng: Random, timing: StreamTiming = DEFAULT_TIMING
    ) -> None:
        """``url`` is the stream's address without a listen key. Raises ``Refused`` for a host outside ``reach``."""
        reach.check(url)
        self._keys = ListenKeys(rest)
        self._url = url
        self._reach = reach
        self._clock = clock
        self._rng = rng
        self._timing = timing
        self._backoff = Backoff(rng, timing)

    async def events(self) -> AsyncGenerator[VenueEvent, None]:
        """Order reports and fills as they arrive, for ever; the same event is told once.

        A ``StreamGap`` comes when the stream is lost and again once a new one is subscribed: private streams have neither
        snapshot nor replay, so only a REST sweep after the second gap is complete. A planned rotation loses nothing and still
        tells one gap, because a sweep costs little. A message that cannot be read is a gap too.
        """
        while True:
            try:
                async with aclosing(self._session()) as session:
                    async for event in session:
                        yield event
            except VenueError as error:
                yield StreamGap(error.message)
            await asyncio.sleep(self._backoff.next_ms() / 1_000)

    async def _session(self) -> AsyncGenerator[VenueEvent, None]:
        lines, told = _Lines(self._keys, self._open, self._clock, self._timing, self._rng), _Told()
        try:
            await lines.start()
            self._backoff.reset()
            yield StreamGap("the private stream has just been subscribed")
            while True:
                received = await lines.next()
                if isinstance(received, StreamGap):
                    yield received
                elif received is not None:
                    for event in told.new(received):
                        yield event
        finally:
            await lines.aclose()

    def _open(self, key: str) -> Line:
        url = f"{self._url}?{encode_params([('listenKey', key)])}"
        return Line(url, self._reach, self._timing, self._clock, PRIVATE_CHANNELS)


class _Lines:
    """The stream in use, and its successor while both run; keeps the listen key alive."""

    def __init__(self, keys: ListenKeys, open_line: Callable[[str], Line], clock: Clock, timing: StreamTiming, rng: Random) -> None:
        self._keys = keys
        self._open = open_line
        self._clock = clock
        self._timing = timing
        self._rng = rng
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._overflown = False
        self._key = ""
        self._line: Line | None = None
        self._next_key = ""
        self._successor: Line | None = None
        self._renew_at = self._rotate_at = 0
        self._switch_at: int | None = None

    async def start(self) -> None:
        """Open the first stream. Raises ``VenueError``."""
        self._key = await self._keys.create()
        self._line = self._open(self._key)
        await self._line.subscribed()
        self._use(self._line)

    async def next(self) -> bytes | StreamGap | None:
        """The next frame, a gap after a rotation, or ``None`` after a while. Raises ``VenueError`` when the stream is lost."""
        if self._overflown:
            raise SocketLost(f"{MAX_WAITING} events wait unread")
        now = self._now()
        if now >= self._renew_at:
            await self._keys.renew(self._key)
            self._renew_at = now + self._timing.renew_every
        if self._successor is not None:
            if await self._has_taken_over(self._successor, now):
                return StreamGap("the private stream was rotated; nothing is known to be missing")
        elif now >= self._rotate_at:
            await self._begin_rotation(now)
        line = self._line
        if line is not None and line.is_lost and self._frames.empty():
            line.check()
        try:
            async with asyncio.timeout(max(1, min(_TICK, self._due_at() - now)) / 1_000):
                return await self._frames.get()
        except TimeoutError:
            return None

    async def aclose(self) -> None:
        """Close the streams and their keys."""
        for line in (self._line, self._successor):
            if line is not None:
                await line.aclose()
        for key in dict.fromkeys(key for key in (self._key, self._next_key) if key):
            with suppress(VenueError, TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await self._keys.close(key)

    async def _begin_rotation(self, now: int) -> None:
        self._rotate_at = now + self._timing.retry_most
        with suppress(VenueError):
            self._next_key = await self._keys.create()
            self._successor = self._open(self._next_key)
            self._successor.when_lost(self._wake)

    async def _has_taken_over(self, successor: Line, now: int) -> bool:
        if successor.is_lost:
            await successor.aclose()
            self._successor, self._next_key, self._switch_at = None, "", None
            return False
        if not successor.is_subscribed:
            return False
        old = self._line
        if self._switch_at is None:
            self._switch_at = now + self._timing.overlap
        if old is None or (now < self._switch_at and not old.is_lost):
            return False
        await old.aclose()
        # The old key is left to expire: the venue may have given the same one twice.
        self._line, self._key = successor, self._next_key
        self._successor, self._next_key, self._switch_at = None, "", None
        self._use(successor)
        return True

    def _use(self, line: Line) -> None:
        now = self._now()
        self._renew_at = now + self._timing.renew_every
        self._rotate_at = now + self._rng.randint(self._timing.rotate_every * 9 // 10, self._timing.rotate_every)
        line.hand_to(self._put)
        line.when_lost(self._wake)

    def _put(self, frame: bytes) -> None:
        if self._frames.qsize() < MAX_WAITING:
            self._frames.put_nowait(frame)
        else:
            self._overflown = True

    def _wake(self) -> None:
        self._frames.put_nowait(None)

    def _due_at(self) -> int:
        if self._successor is None:
            return min(self._renew_at, self._rotate_at)
        return min(self._renew_at, self._switch_at if self._switch_at is not None else self._now() + _TICK // 10)

    def _now(self) -> int:
        return self._clock.monotonic_ns() // _MILLISECOND


class _Told:
    """Which events were told already. A report's event time differs from stream to stream, so it is left out."""

    def __init__(self) -> None:
        self._known: set[VenueEvent] = set()
        self._order: deque[VenueEvent] = deque()

    def new(self, frame: bytes) -> Iterator[VenueEvent]:
        """The frame's event unless it was told before; a ``StreamGap`` for a frame that cannot be read."""
        try:
            body = decode_push(frame).body
        except MalformedReply as error:
            yield StreamGap(error.message)
            return
        if not isinstance(body, OrderReport | Fill):
            return
        identity: VenueEvent = replace(body, updated_at=None) if isinstance(body, OrderReport) else body
        if identity in self._known:
            return
        if len(self._order) == REMEMBERED:
            self._known.discard(self._order.popleft())
        self._known.add(identity)
        self._order.append(identity)
        yield body
