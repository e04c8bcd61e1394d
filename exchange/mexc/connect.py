"""Puts the adapter together for one venue: addresses, reach, and one rate limit shared by everything that speaks REST."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from exchange.mexc.client import MexcVenue
from exchange.mexc.hosts import Reach
from exchange.mexc.http import HttpTransport, Timeouts
from exchange.mexc.market import STALL_AFTER, MexcFeed
from exchange.mexc.private import PrivateStream
from exchange.mexc.ratelimit import RateLimiter
from exchange.mexc.rest import RestCaller
from exchange.mexc.socket import StreamTiming
from exchange.model import DataSource
from exchange.ports import Clock, Signer, VenueName


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a venue is and how patient to be with it."""

    rest_url: str
    stream_url: str
    reach: Reach
    timeouts: Timeouts = Timeouts()
    timing: StreamTiming = StreamTiming()


PRODUCTION = Endpoint("https://api.mexc.com", "wss://wbs-api.mexc.com/ws", Reach.MEXC)
"""MEXC itself (mexc-spot-v3.md §1.1)."""


def open_venue(name: VenueName, endpoint: Endpoint, signer: Signer, clock: Clock, rng: Random) -> MexcVenue:
    """A venue for one account. Nothing is connected until the first call. Raises ``Refused`` for a host outside the reach."""
    rest = _rest(endpoint, clock, signer)
    private = PrivateStream(rest, endpoint.stream_url, endpoint.reach, clock, rng, endpoint.timing)
    return MexcVenue(name, rest, private)


def open_feed(
    symbols: Sequence[str],
    endpoint: Endpoint,
    clock: Clock,
    rng: Random,
    source: DataSource = DataSource.LIVE,
    stall_after: int = STALL_AFTER,
) -> MexcFeed:
    """A market feed with a transport of its own; no key needed. ``stall_after`` is in ms. Raises as ``MexcFeed``."""
    return MexcFeed(
        symbols, _rest(endpoint, clock, None), endpoint.stream_url, endpoint.reach, clock, rng, endpoint.timing, source, stall_after
    )


def _rest(endpoint: Endpoint, clock: Clock, signer: Signer | None) -> RestCaller:
    return RestCaller(HttpTransport(endpoint.rest_url, endpoint.reach, endpoint.timeouts), RateLimiter(clock), clock, signer)
