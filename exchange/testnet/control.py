"""The testnet's control endpoint: arm faults, pause the market, look inside. Not part of MEXC's protocol.

It answers only to requests from this machine that carry the token given at start in ``X-Testnet-Control``, so a bot cannot
reach it by accident:

    POST   /__control/faults          one fault, or a list of them   -> {"armed": [ids]}
    GET    /__control/faults                                         -> {"faults": [...]}
    DELETE /__control/faults[?kind=]                                 -> {"lifted": n}
    GET    /__control/state                                          -> position, orders, receipts
    POST   /__control/pause, /__control/resume                       -> {"paused": bool}
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.testnet.config import is_loopback
from exchange.testnet.faults import Fault, FaultKind
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.errors import dump_json

MAX_BODY = 65_536

Handler = Callable[[Request], Awaitable[Response]]


def routes(venue: SimulatedVenue, token: str) -> Sequence[Route]:
    """The control routes over one venue, guarded by ``token``."""

    async def arm(request: Request) -> Response:
        body = await request.body()
        try:
            if len(body) > MAX_BODY:
                raise ValueError("too large")  # noqa: TRY301 - one place says what a usable body is
            document = json.loads(body, parse_float=Decimal)
            faults = [Fault.model_validate(item) for item in (document if isinstance(document, list) else [document])]
        except (ValueError, RecursionError, ValidationError) as error:
            return _json({"error": "fault-unusable", "message": str(error), "kinds": list(FaultKind)}, 400)
        return _json({"armed": [venue.arm(fault) for fault in faults]})

    async def armed(_: Request) -> Response:
        return _json({"faults": _armed(venue)})

    async def lift(request: Request) -> Response:
        name = request.query_params.get("kind")
        if name is not None and name not in set(FaultKind):
            return _json({"error": "fault-unknown", "message": f"{name} is not a fault", "kinds": list(FaultKind)}, 400)
        return _json({"lifted": venue.faults.clear(None if name is None else FaultKind(name))})

    async def state(_: Request) -> Response:
        return _json(venue.state())

    async def pause(_: Request) -> Response:
        venue.pause()
        return _json({"paused": True})

    async def resume(_: Request) -> Response:
        venue.resume()
        return _json({"paused": False})

    return [
        Route("/__control/faults", _guarded(token, arm), methods=["POST"]),
        Route("/__control/faults", _guarded(token, armed), methods=["GET"]),
        Route("/__control/faults", _guarded(token, lift), methods=["DELETE"]),
        Route("/__control/state", _guarded(token, state), methods=["GET"]),
        Route("/__control/pause", _guarded(token, pause), methods=["POST"]),
        Route("/__control/resume", _guarded(token, resume), methods=["POST"]),
    ]


def _guarded(token: str, handler: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        given = request.headers.get("x-testnet-control", "")
        local = request.client is None or is_loopback(request.client.host)
        if not local or not hmac.compare_digest(given.encode(), token.encode()):
            return _json({"error": "control-refused", "message": "Send the control token in X-Testnet-Control."}, 403)
        return await handler(request)

    return guarded


def _armed(venue: SimulatedVenue) -> list[dict[str, object]]:
    return [
        {"id": one.id, "struck": one.struck, "spent": one.spent, **one.fault.model_dump(mode="json", exclude_none=True)}
        for one in venue.faults.armed()
    ]


def _json(value: object, status: int = 200) -> Response:
    return Response(dump_json(value), status_code=status, media_type="application/json")
