"""Reads what a simulated venue declares about its data. The bootstrap calls it; MEXC itself is not asked."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from exchange.errors import VenueError
from exchange.mexc.host import VenueEndpoint
from exchange.mexc.http import Failure, Method
from exchange.mexc.reach import Reach
from exchange.model import DataSource
from exchange.wire.errors import MalformedReply, load_json

PATH = "/testnet/provenance"


@dataclass(frozen=True, slots=True)
class Provenance:
    """The source of a venue's market data, and whether its market runs faster than the clock of the world.

    ``instance`` names the testnet itself, and is another one for a testnet whose state was deleted; empty where none is declared.
    """

    source: DataSource
    accelerated: bool
    instance: str = ""


LIVE = Provenance(DataSource.LIVE, accelerated=False)
"""The provenance of MEXC itself."""


async def ask_provenance(endpoint: VenueEndpoint) -> Provenance:
    """Read a venue's declaration; ``LIVE`` without asking when the endpoint is MEXC's.

    Raises:
        VenueError: it does not answer, or does not declare its data; undeclared data is never treated as live.
    """
    if endpoint.reach is Reach.MEXC:
        return LIVE
    transport = endpoint.transport()
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
        accelerated = Decimal(declared["speed"]) > 1 or declared.get("virtual_time") is True
        return Provenance(DataSource(declared["source"]), accelerated=accelerated, instance=str(declared.get("instance", "")))
    except (KeyError, TypeError, ValueError, InvalidOperation):
        raise VenueError(
            f"{endpoint.rest_url} does not say what its market data is",
            code="no-provenance",
            remedy="Use gatehouse's own testnet as the venue of a rehearsal.",
        ) from None
