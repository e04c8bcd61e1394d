"""What a simulated venue says its data is. Asked in rehearsal only; in production the data is the exchange's own."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from exchange.errors import VenueError
from exchange.mexc.connect import Endpoint
from exchange.mexc.hosts import Reach
from exchange.mexc.http import HttpTransport
from exchange.mexc.ratelimit import RateLimiter
from exchange.mexc.rest import RestCaller
from exchange.model import DataSource
from exchange.ports import Clock

PATH = "/testnet/provenance"


@dataclass(frozen=True, slots=True)
class Provenance:
    """The source of a venue's market data, and whether its time runs faster than the clock."""

    source: DataSource
    accelerated: bool


LIVE = Provenance(DataSource.LIVE, accelerated=False)
"""What MEXC itself provides."""


async def ask_provenance(endpoint: Endpoint, clock: Clock) -> Provenance:
    """Read a venue's declaration; ``LIVE`` without asking when the endpoint is MEXC's.

    Raises:
        VenueError: it does not answer, or does not declare what it is. Undeclared data is never taken for something better.
    """
    if endpoint.reach is Reach.MEXC:
        return LIVE
    rest = RestCaller(HttpTransport(endpoint.rest_url, endpoint.reach, endpoint.timeouts), RateLimiter(clock), clock)
    try:
        reply = await rest.public(PATH)
    finally:
        await rest.aclose()
    declared = reply if isinstance(reply, dict) else {}
    try:
        return Provenance(DataSource(declared["source"]), accelerated=Decimal(declared["speed"]) > 1)
    except (KeyError, TypeError, ValueError, InvalidOperation):
        raise VenueError(
            f"{endpoint.rest_url} does not say what its market data is",
            code="no-provenance",
            remedy="Use gatehouse's own testnet as a rehearsal's venue.",
        ) from None
