"""The account's private stream: listen key, renewal, and events with a gap at every interruption (mexc-spot-v3.md §7.6, §7.7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from random import Random

from exchange.errors import VenueError
from exchange.mexc.hosts import Reach
from exchange.mexc.http import Method
from exchange.mexc.rest import RestCaller
from exchange.mexc.socket import DEFAULT_TIMING, Backoff, StreamTiming, open_stream
from exchange.model import Fill, OrderReport
from exchange.ports import Clock, StreamGap, VenueEvent
from exchange.wire.account import parse_listen_key
from exchange.wire.errors import MalformedReply
from exchange.wire.push_decode import decode_push
from exchange.wire.signing import encode_params
from exchange.wire.stream import PRIVATE_CHANNELS

_PATH = "/userDataStream"
_MILLISECOND = 1_000_000
_CLOSE_WITHIN = 2


class PrivateStream:
    """One account's events for as long as somebody iterates ``events``."""

    def __init__(
        self, rest: RestCaller, url: str, reach: Reach, clock: Clock, rng: Random, timing: StreamTiming = DEFAULT_TIMING
    ) -> None:
        """``url`` is the stream's address without a listen key. Raises ``Refused`` for a host outside ``reach``."""
        reach.check(url)
        self._rest = rest
        self._url = url
        self._reach = reach
        self._clock = clock
        self._timing = timing
        self._backoff = Backoff(rng, timing)

    async def events(self) -> AsyncGenerator[VenueEvent, None]:
        """Order reports and fills as they arrive, for ever.

        A ``StreamGap`` comes when the stream is lost and again once a new one is subscribed: private streams have neither
        snapshot nor replay, so only a REST sweep after the second gap is complete. A message that cannot be read is a gap too.
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
        key = parse_listen_key(await self._rest.query(_PATH, method=Method.POST))
        try:
            async with open_stream(
                f"{self._url}?{encode_params([('listenKey', key)])}", self._reach, self._timing, self._clock
            ) as socket:
                early = await socket.subscribe(PRIVATE_CHANNELS)
                self._backoff.reset()
                yield StreamGap("the private stream has just been subscribed")
                for frame in early:
                    for event in _events_of(frame):
                        yield event
                renew_at = self._now() + self._timing.renew_every
                while True:
                    if self._now() >= renew_at:
                        await self._rest.query(_PATH, [("listenKey", key)], method=Method.PUT)
                        renew_at = self._now() + self._timing.renew_every
                    pushed = await socket.next_push(renew_at - self._now())
                    for event in _events_of(pushed) if pushed is not None else ():
                        yield event
        finally:
            with suppress(VenueError, TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await self._rest.query(_PATH, [("listenKey", key)], method=Method.DELETE)

    def _now(self) -> int:
        return self._clock.monotonic_ns() // _MILLISECOND


def _events_of(frame: bytes) -> list[VenueEvent]:
    try:
        body = decode_push(frame).body
    except MalformedReply as error:
        return [StreamGap(error.message)]
    return [body] if isinstance(body, OrderReport | Fill) else []
