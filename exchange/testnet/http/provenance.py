"""``GET /testnet/provenance``: what the venue declares about its data. Clients ask it in rehearsal; MEXC has no such path."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exchange.testnet.venue import SimulatedVenue

PATH = "/testnet/provenance"


def route(venue: SimulatedVenue) -> Route:
    """The declaration of one venue: the source of its market data, the speed of its market, and which venue it is."""

    async def declare(_: Request) -> Response:
        market = {"simulated": True, "source": venue.market.source.value, "speed": str(venue.market.speed)}
        if venue.market.virtual:
            market["virtual_time"] = True
        return JSONResponse({**market, **venue.instance.document()})

    return Route(PATH, declare, methods=["GET"])
