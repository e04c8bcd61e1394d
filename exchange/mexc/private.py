"""The account's private stream, with renewal, rotation and gaps (mexc-spot-v3.md §7.6, §7.7). ``MexcVenue.events`` iterates it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from random import Random

from exchange.errors import VenueError
from exchange.mexc.listenkeys import ListenKeyApi
from exchange.mexc.reach import Reach
from exchange.mexc.rest import RestCaller
from exchange.mexc.socket import DEFAULT_TIMING, Backoff, SocketLost, StreamTiming
from exchange.mexc.stream_meter import StreamMeter
from exchange.mexc.subscription import Subscription
from exchange.model import Fill, ForeignOrder, OrderReport
from exchange.ports import Clock, StreamGap, VenueEvent
from exchange.stream_life import PRIVATE, StreamLife
from exchange.wire.errors import MalformedReply
from exchange.wire.push_decode import decode_push
from exchange.wire.signing import encode_params
from exchange.wire.stream import PRIVATE_CHANNELS

MAX_WAITING = 10_000
"""The most frames that may wait to be read; a reader further behind starts over with a gap."""

REMEMBERED = 2_000
"""Events kept to recognise repeats while two streams run side by side."""

_MILLISECOND = 1_000_000
_TICK = 1_000
_CLOSE_WITHIN = 2


class PrivateStream:
    """One account's events, as long as ``events`` is iterated."""

    def __init__(
        self, rest: RestCaller, url: str, reach: Reach, clock: Clock, rng: Random, timing: StreamTiming = DEFAULT_TIMING
    ) -> None:
        """``url`` is the stream's address without a listen key. Raises ``Refused`` for a host outside ``reach``."""
        reach.check(url)
        self._keys = ListenKeyApi(rest)
        self._connect = rest.connect
        self._url = url
        self._reach = reach
        self._clock = clock
        self._rng = rng
        self._timing = timing
        self._backoff = Backoff(rng, timing)
        self._up_ns: int | None = None
        self._meter = StreamMeter(PRIVATE, clock)

    @property
    def life(self) -> StreamLife:
        """What happened to the stream."""
        return self._meter.life

    async def events(self) -> AsyncGenerator[VenueEvent, None]:
        """Order reports and fills as they arrive, without end; each event comes once.

        A ``StreamGap`` comes when the stream is lost and again once a new one is subscribed: private streams have neither
        snapshot nor replay, so only a REST query after the second gap is complete. A planned rotation loses nothing but also
        causes one gap, because a query is cheap. An unreadable message causes a gap too.
        """
        while True:
            self._up_ns = None
            try:
                async with aclosing(self._session()) as session:
                    async for event in session:
                        yield event
            except VenueError as error:
                self._meter.down(error.message)
                yield StreamGap(error.message)
            self._ended()
            await asyncio.sleep(self._backoff.next_ms() / 1_000)

    def _ended(self) -> None:
        if self._up_ns is not None:
            self._backoff.ended((self._clock.monotonic_ns() - self._up_ns) // _MILLISECOND)

    async def _session(self) -> AsyncGenerator[VenueEvent, None]:
        rotating = _RotatingSubscription(self._keys, self._open, self._clock, self._timing, self._rng, self._meter)
        deduplicator = _Deduplicator()
        try:
            await rotating.start()
            self._up_ns = self._clock.monotonic_ns()
            yield StreamGap("the private stream has just been subscribed")
            while True:
                received = await rotating.next()
                if isinstance(received, StreamGap):
                    yield received
                elif received is not None:
                    self._meter.message(self._clock.now())
                    for event in deduplicator.new(received):
                        yield event
        finally:
            await rotating.aclose()

    def _open(self, key: str) -> Subscription:
        url = f"{self._url}?{encode_params([('listenKey', key)])}"
        return Subscription(url, self._reach, self._timing, self._clock, PRIVATE_CHANNELS, self._connect)


class _RotatingSubscription:
    """The stream in use, and its successor while both run. Renews the listen key."""

    def __init__(
        self,
        keys: ListenKeyApi,
        open_subscription: Callable[[str], Subscription],
        clock: Clock,
        timing: StreamTiming,
        rng: Random,
        meter: StreamMeter,
    ) -> None:
        self._keys = keys
        self._open = open_subscription
        self._clock = clock
        self._timing = timing
        self._rng = rng
        self._meter = meter
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._overflown = False
        self._key = ""
        self._subscription: Subscription | None = None
        self._next_key = ""
        self._successor: Subscription | None = None
        self._renew_at = self._rotate_at = 0
        self._switch_at: int | None = None

    async def start(self) -> None:
        """Open the first stream. Raises ``VenueError``."""
        self._key = await self._keys.create()
        self._subscription = self._open(self._key)
        await self._subscription.subscribed()
        self._use(self._subscription)

    async def next(self) -> bytes | StreamGap | None:
        """The next frame, a gap after a rotation, or ``None`` after a time-out. Raises ``VenueError`` if the stream is lost."""
        if self._overflown:
            raise SocketLost(f"{MAX_WAITING} events wait unread")
        now = self._now()
        if now >= self._renew_at:
            await self._keys.renew(self._key)
            self._meter.renewed()
            self._renew_at = now + self._timing.renew_every
        if self._successor is not None:
            if await self._has_taken_over(self._successor, now):
                return StreamGap("the private stream was rotated; no event is known to be missing")
        elif now >= self._rotate_at:
            await self._begin_rotation(now)
        subscription = self._subscription
        if subscription is not None and subscription.is_lost and self._frames.empty():
            subscription.check()
        try:
            async with asyncio.timeout(max(1, min(_TICK, self._due_at() - now)) / 1_000):
                return await self._frames.get()
        except TimeoutError:
            return None

    async def aclose(self) -> None:
        """Close the streams and their keys."""
        for subscription in (self._subscription, self._successor):
            if subscription is not None:
                await subscription.aclose()
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

    async def _has_taken_over(self, successor: Subscription, now: int) -> bool:
        if successor.is_lost:
            await successor.aclose()
            self._successor, self._next_key, self._switch_at = None, "", None
            return False
        if not successor.is_subscribed:
            return False
        old = self._subscription
        if self._switch_at is None:
            self._switch_at = now + self._timing.overlap
        if old is None or (now < self._switch_at and not old.is_lost):
            return False
        # The successor comes first: the end of the old one is then no loss.
        self._subscription = successor
        await old.aclose()
        # The old key is not closed but expires: the venue may have returned the same key twice.
        self._key = self._next_key
        self._successor, self._next_key, self._switch_at = None, "", None
        self._meter.replaced()
        self._use(successor)
        # It has been subscribed for the whole overlap, so nothing more has to come to show that it works.
        self._meter.settled()
        return True

    def _use(self, subscription: Subscription) -> None:
        now = self._now()
        self._renew_at = now + self._timing.renew_every
        self._rotate_at = now + self._rng.randint(self._timing.rotate_every * 9 // 10, self._timing.rotate_every)
        subscription.hand_to(self._put)
        subscription.when_lost(lambda: self._lost(subscription))
        if not subscription.is_lost:
            self._meter.up()

    def _lost(self, subscription: Subscription) -> None:
        if subscription is self._subscription:
            self._meter.down(subscription.problem or "it was closed", subscription.heard_ns)
        self._wake()

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


class _Deduplicator:
    """Drops repeated events. A report's event time differs from stream to stream, so it is ignored."""

    def __init__(self) -> None:
        self._recent: set[VenueEvent] = set()
        self._order: deque[VenueEvent] = deque()

    def new(self, frame: bytes) -> Iterator[VenueEvent]:
        """The frame's event unless it is a repeat; a ``StreamGap`` for an unreadable frame."""
        try:
            body = decode_push(frame).body
        except MalformedReply as error:
            yield StreamGap(error.message)
            return
        if not isinstance(body, OrderReport | ForeignOrder | Fill):
            return
        identity: VenueEvent = replace(body, updated_at=None) if isinstance(body, OrderReport) else body
        if identity in self._recent:
            return
        if len(self._order) == REMEMBERED:
            self._recent.discard(self._order.popleft())
        self._recent.add(identity)
        self._order.append(identity)
        yield body
