"""Builds venue clients and market feeds. Those on one host share a ``VenueHost``. The bootstrap and ``doctor`` call it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from exchange.mexc.client import MexcVenue
from exchange.mexc.history import MexcHistory
from exchange.mexc.host import PRODUCTION, VenueEndpoint, VenueHost
from exchange.mexc.market import MexcFeed
from exchange.mexc.private import PrivateStream
from exchange.mexc.rest import RestCaller
from exchange.mexc.stream_watch import DEFAULT_WATCH_LIMITS, WatchLimits
from exchange.model import DataSource
from exchange.ports import Clock, Signer, VenueName

__all__ = ["PRODUCTION", "VenueEndpoint", "VenueHost", "open_feed", "open_history", "open_venue"]


def open_venue(
    name: VenueName, endpoint: VenueEndpoint, signer: Signer, clock: Clock, rng: Random, *, host: VenueHost | None = None
) -> MexcVenue:
    """A venue for one account. Nothing is connected until the first call.

    Without a ``host`` it makes its own and closes it at the end; a ``host`` passed in is shared and stays open.

    Raises:
        Refused: an address outside the reach.
    """
    rest = _caller(endpoint, clock, host, signer)
    private = PrivateStream(rest, endpoint.stream_url, endpoint.reach, clock, rng, endpoint.timing)
    return MexcVenue(name, rest, private)


def open_feed(
    symbols: Sequence[str],
    endpoint: VenueEndpoint,
    clock: Clock,
    rng: Random,
    source: DataSource = DataSource.LIVE,
    watch_limits: WatchLimits = DEFAULT_WATCH_LIMITS,
    *,
    host: VenueHost | None = None,
) -> MexcFeed:
    """A market feed; no key needed. ``host`` is as for ``open_venue``.

    ``watch_limits`` says when a stream is no longer trusted. Raises as ``MexcFeed``.
    """
    rest = _caller(endpoint, clock, host, None)
    return MexcFeed(symbols, rest, endpoint.stream_url, endpoint.reach, clock, rng, endpoint.timing, source, watch_limits)


def open_history(endpoint: VenueEndpoint, clock: Clock, *, host: VenueHost) -> MexcHistory:
    """The candles and statistics of the market at a shared host; no key needed."""
    return MexcHistory(_caller(endpoint, clock, host, None), clock)


def _caller(endpoint: VenueEndpoint, clock: Clock, host: VenueHost | None, signer: Signer | None) -> RestCaller:
    return RestCaller(VenueHost(endpoint, clock) if host is None else host, signer, owns_host=host is None)
