"""The testnet's control endpoint: arm faults, switch symbols, pause the market, read its state. Not part of MEXC's protocol.

Tests, demos and operators call it. It answers only requests from this machine that carry the start-up token in
``X-Testnet-Control``, so a bot cannot reach it by accident:

    POST   /__control/faults          one fault, or a list of them   -> {"armed": [ids]}
    GET    /__control/faults                                         -> {"faults": [...]}
    DELETE /__control/faults[?kind=]                                 -> {"lifted": n}
    GET    /__control/symbols                                        -> {"symbols": [...]}
    POST   /__control/symbols         what to change about one, as ``ListingChange``  -> its listing now
    GET    /__control/state                                          -> position, orders, receipts
    POST   /__control/deposits, /__control/withdrawals               -> {"id": ...}
           {"account": ..., "asset": ..., "amount": "decimal text"}: money from outside, or to outside
    POST   /__control/snapshot        {"path": a file in the snapshot directory}     -> {"path": ..., "sha256": ...}
    POST   /__control/pause, /__control/resume                       -> {"paused": bool}
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.errors import GatehouseError
from exchange.testnet import snapshot
from exchange.testnet.conditions.faults import Fault, FaultKind
from exchange.testnet.conditions.listings import ListingChange
from exchange.testnet.config import is_loopback
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.errors import dump_json

MAX_BODY = 65_536

Handler = Callable[[Request], Awaitable[Response]]


def routes(venue: SimulatedVenue, token: str) -> Sequence[Route]:
    """The control routes of one venue, guarded by ``token``."""
    control = _Control(venue)
    table: tuple[tuple[str, str, Handler], ...] = (
        ("POST", "faults", control.arm),
        ("GET", "faults", control.armed),
        ("DELETE", "faults", control.lift),
        ("POST", "symbols", control.relist),
        ("GET", "symbols", control.listings),
        ("GET", "state", control.state),
        ("POST", "deposits", control.deposit),
        ("POST", "withdrawals", control.withdraw),
        ("POST", "snapshot", control.snapshot),
        ("POST", "pause", control.pause),
        ("POST", "resume", control.resume),
    )
    return [Route(f"/__control/{path}", _guarded(token, handler), methods=[method]) for method, path, handler in table]


class _SnapshotRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str


class _TransferRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    asset: str = Field(pattern="^[A-Z0-9]{1,20}$")
    amount: Decimal = Field(gt=0)


class _Control:
    def __init__(self, venue: SimulatedVenue) -> None:
        self._venue = venue

    async def arm(self, request: Request) -> Response:
        try:
            document = await _document(request)
            faults = [Fault.model_validate(item) for item in (document if isinstance(document, list) else [document])]
        except (ValueError, RecursionError, ValidationError) as error:
            return _json({"error": "fault-unusable", "message": str(error), "kinds": list(FaultKind)}, 400)
        return _json({"armed": [self._venue.arm(fault) for fault in faults]})

    async def armed(self, _: Request) -> Response:
        return _json({"faults": _armed(self._venue)})

    async def lift(self, request: Request) -> Response:
        name = request.query_params.get("kind")
        if name is not None and name not in set(FaultKind):
            return _json({"error": "fault-unknown", "message": f"{name} is not a fault", "kinds": list(FaultKind)}, 400)
        return _json({"lifted": self._venue.faults.clear(None if name is None else FaultKind(name))})

    async def relist(self, request: Request) -> Response:
        try:
            change = ListingChange.model_validate(await _document(request))
        except (ValueError, RecursionError, ValidationError) as error:
            return _json({"error": "listing-unusable", "message": str(error)}, 400)
        if change.symbol not in self._venue.engine.rules:
            return _json({"error": "symbol-unknown", "message": f"{change.symbol} is not listed"}, 400)
        listing = self._venue.listings.change(change, self._venue.clock.now())
        self._venue.keep(())
        return _json(asdict(listing))

    async def listings(self, _: Request) -> Response:
        return _json({"symbols": [asdict(one) for one in self._venue.listings.all()]})

    async def deposit(self, request: Request) -> Response:
        return await self._transfer(request, deposit=True)

    async def withdraw(self, request: Request) -> Response:
        return await self._transfer(request, deposit=False)

    async def _transfer(self, request: Request, *, deposit: bool) -> Response:
        try:
            wanted = _TransferRequest.model_validate(await _document(request))
            done = self._venue.transfer(wanted.account, wanted.asset, wanted.amount, deposit=deposit)
        except (ValueError, RecursionError, ValidationError) as error:
            return _json({"error": "transfer-unusable", "message": str(error)}, 400)
        except GatehouseError as error:
            return _json({"error": error.code, "message": f"{error.message} {error.remedy}"}, 400)
        return _json({"id": done.id})

    async def state(self, _: Request) -> Response:
        return _json(self._venue.state())

    async def snapshot(self, request: Request) -> Response:
        try:
            wanted = _SnapshotRequest.model_validate(await _document(request))
            written = snapshot.write(self._venue, wanted.path)
        except (ValueError, RecursionError, ValidationError) as error:
            return _json({"error": "snapshot-unusable", "message": str(error)}, 400)
        except GatehouseError as error:
            return _json({"error": error.code, "message": f"{error.message} {error.remedy}"}, 400)
        return _json({"path": str(written.path), "sha256": written.sha256})

    async def pause(self, _: Request) -> Response:
        self._venue.pause()
        return _json({"paused": True})

    async def resume(self, _: Request) -> Response:
        self._venue.resume()
        return _json({"paused": False})


async def _document(request: Request) -> object:
    body = await request.body()
    if len(body) > MAX_BODY:
        raise ValueError("too large")
    document: object = json.loads(body, parse_float=Decimal)
    return document


def _guarded(token: str, handler: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        token_sent = request.headers.get("x-testnet-control", "")
        local = request.client is None or is_loopback(request.client.host)
        if not local or not hmac.compare_digest(token_sent.encode(), token.encode()):
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
