"""What a simulated venue says its data is. Asked in rehearsal only; in production the data is the exchange's own."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from exchange.errors import VenueError
from exchange.mexc.host import Endpoint
from exchange.mexc.hosts import Reach
from exchange.mexc.http import Failure, HttpTransport, Method
from exchange.model import DataSource
from exchange.wire.errors import MalformedReply, load_json

PATH = "/testnet/provenance"


@dataclass(frozen=True, slots=True)
class Provenance:
    """The source of a venue's market data, and whether its time runs faster than the clock."""

    source: DataSource
    accelerated: bool


LIVE = Provenance(DataSource.LIVE, accelerated=False)
"""What MEXC itself provides."""


async def ask_provenance(endpoint: Endpoint) -> Provenance:
    """Read a venue's declaration; ``LIVE`` without asking when the endpoint is MEXC's.

    Raises:
        VenueError: it does not answer, or does not declare what it is. Undeclared data is never taken for something better.
    """
    if endpoint.reach is Reach.MEXC:
        return LIVE
    transport = HttpTransport(endpoint.rest_url, endpoint.reach, endpoint.timeouts)
    try:
        outcome = await transport.send(Method.GET, PATH)
    finally:
        await transport.aclose()
    if isinstance(outcome, Failure):
        raise VenueError(
            f"{endpoint.rest_url} does not answer: {outcome.reason}", code="venue-silent", remedy="Start the venue first."
        )
    try:
        reply = load_json(outcome.body)
    except MalformedReply:
        reply = None
    declared = reply if isinstance(reply, dict) else {}
    try:
        return Provenance(DataSource(declared["source"]), accelerated=Decimal(declared["speed"]) > 1)
    except (KeyError, TypeError, ValueError, InvalidOperation):
        raise VenueError(
            f"{endpoint.rest_url} does not say what its market data is",
            code="no-provenance",
            remedy="Use gatehouse's own testnet as a rehearsal's venue.",
        ) from None
