"""The testnet's HTTP application: every request passes the same checks in the same order. ``server`` runs it.

A request first waits for its simulated latency. Firewall faults, rate limits, content type, key and signature are checked before
the handler. The handler runs to its end without waiting, so requests take effect one at a time. Faults that lose or change the
reply follow it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from exchange.testnet.access.auth import RawRequest
from exchange.testnet.conditions.faults import FaultKind, FaultParams, Operation
from exchange.testnet.http import control, openapi, page, provenance, statement
from exchange.testnet.http import websocket as streams
from exchange.testnet.http.endpoint import Call, Endpoint
from exchange.testnet.http.endpoints import ENDPOINTS
from exchange.testnet.http.transport import cut
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.errors import ErrorCode, WireError, WireRefusal, dump_json, refuse
from exchange.wire.signing import parse_params

MAX_REQUEST_BYTES = 65_536
"""The longest accepted query and the longest accepted body."""

_UNKNOWN = "Unknown error, please check your request or try again later."
"""The text by which bots recognise that an order may exist after a 503 (mexc-spot-v3.md §1.2)."""

_WRITES = frozenset({"POST", "PUT", "DELETE"})
_ORDERS = frozenset({Operation.PLACE, Operation.CANCEL})
_HTML_403 = "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1></BODY></HTML>"

RouteHandler = Callable[[Request], Coroutine[Any, Any, Response]]


def build_app(venue: SimulatedVenue, control_token: str) -> Starlette:
    """The application of one venue. ``control_token`` guards ``/__control``; empty leaves it out."""
    # The table first: nearly every request is for one of its paths, and no other route has any of them.
    routes: list[BaseRoute] = [
        *_routes(venue, ENDPOINTS),
        page.route(venue),
        provenance.route(venue),
        statement.route(venue),
        openapi.route(ENDPOINTS),
        WebSocketRoute("/ws", streams.websocket_handler(venue)),
    ]
    if control_token:
        routes.extend(control.routes(venue, control_token))
    return Starlette(
        routes=routes,
        middleware=[Middleware(_SimulatedHeader)],
        exception_handlers={HTTPException: _no_such_endpoint, Exception: _internal_error},
    )


class _SimulatedHeader:
    """Adds ``X-Gatehouse-Testnet: simulated`` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: MutableMapping[str, Any]) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                MutableHeaders(scope=message).append("X-Gatehouse-Testnet", "simulated")
            await send(message)

        await self._app(scope, receive, marked)


def _routes(venue: SimulatedVenue, endpoints: Iterable[Endpoint]) -> list[BaseRoute]:
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [_Table({path: Route(path, _route_handler(venue, methods), methods=list(methods)) for path, methods in by_path.items()})]


class _Table(BaseRoute):
    """Every endpoint by its path: paths have no parameters, so one look finds what a search through sixty patterns finds."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the route of the path says."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        return route.matches(scope) if route is not None else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the route of the path does."""
        await self._routes[scope["path"]].handle(scope, receive, send)


def _route_handler(venue: SimulatedVenue, methods: dict[str, Endpoint]) -> RouteHandler:
    async def handle(request: Request) -> Response:
        endpoint = methods["GET" if request.method == "HEAD" else request.method]
        try:
            return await _answer(venue, endpoint, request)
        except WireRefusal as refusal:
            return error_response(refusal.error)
        except ClientDisconnect:
            return Response()

    return handle


async def _answer(venue: SimulatedVenue, endpoint: Endpoint, request: Request) -> Response:
    address = request.client.host if request.client is not None else "local"
    raw = await _read(request, address)
    operation = endpoint.operation
    await _wait(venue, venue.delays.entry(operation))
    if venue.strikes(FaultKind.CONNECTION_RESET, operation) is not None:
        return await _cut(request)
    blocked = _firewall(venue, operation)
    if blocked is not None:
        return blocked
    if not venue.admits(venue.keys.account_of(raw.api_key) or address, operation, endpoint.path):
        return error_response(WireError.of(ErrorCode.TOO_MANY_REQUESTS, "Too many requests"), retry_after_s=1)
    unstated = not request.headers.get("content-type")
    # Sources disagree (mexc-spot-v3.md §2.1, §8.5): without a body there is nothing whose type could be wrong.
    if unstated and request.method in _WRITES and (raw.body or venue.config.strict_content_type):
        raise refuse(ErrorCode.BAD_CONTENT_TYPE, "Invalid content Type.")
    now = venue.clock.now()
    key = None if endpoint.permission is None else venue.keys.authenticate(raw, endpoint.permission, now)
    account = "" if key is None else key.account
    client_id = raw.params.get("newClientOrderId")
    if operation is Operation.PLACE and client_id:
        venue.count_receipt(account, client_id)
    early = venue.strikes(FaultKind.ERROR_BEFORE_ACCEPT, operation)
    if early is not None:
        return _server_error(early, default=500)
    value = endpoint.handler(Call(venue, raw.params, account, now, key))
    if request.method in _WRITES and operation not in _ORDERS:
        venue.keep(())
    return await _deliver(venue, operation, request, value if isinstance(value, bytes) else dump_json(value))


async def _deliver(venue: SimulatedVenue, operation: Operation, request: Request, body: bytes) -> Response:
    slow = venue.strikes(FaultKind.SLOW_REPLY, operation)
    if slow is not None:
        await _wait(venue, 1000 if slow.ms is None else slow.ms)
    await _wait(venue, venue.delays.response(operation))
    if venue.strikes(FaultKind.LOST_ACK, operation) is not None:
        return await _cut(request)
    late = venue.strikes(FaultKind.ERROR_AFTER_ACCEPT, operation)
    if late is not None:
        return _server_error(late, default=503)
    return Response(body, media_type="application/json")


async def _wait(venue: SimulatedVenue, ms: int) -> None:
    """Wait for ``ms``, but not longer than the venue runs."""
    if ms:
        with suppress(TimeoutError):
            async with asyncio.timeout(ms / 1000):
                await venue.closed.wait()


async def _read(request: Request, address: str) -> RawRequest:
    query = request.scope["query_string"]
    body, more = bytearray(), True
    while more and len(body) <= MAX_REQUEST_BYTES:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if max(len(query), len(body)) > MAX_REQUEST_BYTES:
        raise refuse(ErrorCode.BAD_PARAMETER, "Request too large.")
    text = query.decode("latin-1")
    return RawRequest(request.headers.get("x-mexc-apikey"), text, bytes(body), parse_params(text, bytes(body)), address)


def _firewall(venue: SimulatedVenue, operation: Operation) -> Response | None:
    if venue.strikes(FaultKind.FORBIDDEN_HTML, operation) is not None:
        return HTMLResponse(_HTML_403, status_code=403)
    banned = venue.strikes(FaultKind.IP_BANNED, operation)
    if banned is not None:
        seconds = 120 if banned.retry_after_s is None else banned.retry_after_s
        return error_response(WireError.of(ErrorCode.IP_BANNED, "IP banned"), retry_after_s=seconds)
    limited = venue.strikes(FaultKind.RATE_LIMITED, operation)
    if limited is not None:
        seconds = 1 if limited.retry_after_s is None else limited.retry_after_s
        return error_response(WireError.of(ErrorCode.TOO_MANY_REQUESTS, "Too many requests"), retry_after_s=seconds)
    return None


async def _cut(request: Request) -> Response:
    await cut(request)
    return Response()


def _server_error(params: FaultParams, default: int) -> Response:
    status = default if params.status is None else params.status
    return error_response(WireError(status, _UNKNOWN if status == 503 else "Service not available, please try again", status))


def error_response(error: WireError, *, retry_after_s: int | None = None) -> Response:
    """A MEXC error as a response."""
    headers = {} if retry_after_s is None else {"Retry-After": str(math.ceil(retry_after_s))}
    return Response(dump_json(error.body()), status_code=error.http_status, media_type="application/json", headers=headers)


async def _no_such_endpoint(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return error_response(WireError(status, f"{request.method} {request.url.path} is not an endpoint of this venue", status))


async def _internal_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    return error_response(WireError.of(ErrorCode.INTERNAL_ERROR, "Internal error"))
