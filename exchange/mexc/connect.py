"""Puts the adapter together for one venue. What shares a host shares a ``VenueHost``: one rate limit, one transport, one clock."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from exchange.mexc.client import MexcVenue
from exchange.mexc.host import PRODUCTION, Endpoint, VenueHost
from exchange.mexc.market import MexcFeed
from exchange.mexc.private import PrivateStream
from exchange.mexc.rest import RestCaller
from exchange.mexc.watch import DEFAULT_DOUBTS, Doubts
from exchange.model import DataSource
from exchange.ports import Clock, Signer, VenueName

__all__ = ["PRODUCTION", "Endpoint", "VenueHost", "open_feed", "open_venue"]


def open_venue(
    name: VenueName, endpoint: Endpoint, signer: Signer, clock: Clock, rng: Random, *, gate: VenueHost | None = None
) -> MexcVenue:
    """A venue for one account. Nothing is connected until the first call.

    Without a ``gate`` it makes one of its own and closes it with itself; a given one is shared and stays open.

    Raises:
        Refused: a host outside the reach.
    """
    rest = _caller(endpoint, clock, gate, signer)
    private = PrivateStream(rest, endpoint.stream_url, endpoint.reach, clock, rng, endpoint.timing)
    return MexcVenue(name, rest, private)


def open_feed(
    symbols: Sequence[str],
    endpoint: Endpoint,
    clock: Clock,
    rng: Random,
    source: DataSource = DataSource.LIVE,
    doubts: Doubts = DEFAULT_DOUBTS,
    *,
    gate: VenueHost | None = None,
) -> MexcFeed:
    """A market feed; no key needed. ``gate`` is as for ``open_venue``.

    ``doubts`` says when a stream that looks alive is not believed. Raises as ``MexcFeed``.
    """
    rest = _caller(endpoint, clock, gate, None)
    return MexcFeed(symbols, rest, endpoint.stream_url, endpoint.reach, clock, rng, endpoint.timing, source, doubts)


def _caller(endpoint: Endpoint, clock: Clock, gate: VenueHost | None, signer: Signer | None) -> RestCaller:
    return RestCaller(VenueHost(endpoint, clock) if gate is None else gate, signer, owns_gate=gate is None)
