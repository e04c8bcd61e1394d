"""``GET /testnet/statement``: answers a challenge with a signed statement. The controller asks it; MEXC has no such path (ADR 47).

It needs no signature: it shows hashes and counts, and passing it on proves nothing.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exchange.statement import Challenge, answer
from exchange.testnet.venue import SimulatedVenue

PATH = "/testnet/statement"
_NUMBER_DIGITS = 15


def route(venue: SimulatedVenue) -> Route:
    """The statements of one venue."""

    async def state(request: Request) -> Response:
        asked = request.query_params
        after = asked.get("after", "0")
        challenge = Challenge(
            asked.get("nonce", ""),
            asked.get("controller", ""),
            asked.get("account", ""),
            asked.get("prefix", ""),
            int(after) if after.isascii() and after.isdigit() and len(after) <= _NUMBER_DIGITS else -1,
        )
        account = venue.keys.account_of(challenge.account)
        if not challenge.usable or account is None:
            return JSONResponse({"error": "name a nonce, a controller, an account's key and a prefix"}, status_code=400)
        statement = venue.statements.about(challenge, account, venue.instance, venue.clock.now())
        return JSONResponse(answer(statement, venue.identity))

    return Route(PATH, state, methods=["GET"])
