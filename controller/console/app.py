"""The operator API and the console's pages, as one ASGI application over an ``OperatorPort``.

``controller.bootstrap`` builds it and serves it with ``console.server``. Reads need no authentication; a command has its own
signatures; only the local unix socket (mode 0600), and a browser of the same user on this machine, may halt without one (ADR 71).
Errors of the API are JSON with a code, a message and a remedy; internal details are not shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.console.boundary import LOOPBACK_NAMES, Boundary, error_response, http_status, read_json
from controller.console.limits import LOCAL_LIMITS, TCP_LIMITS, ConsoleLimits, TooMany
from controller.console.pages.frame import STATIC
from controller.console.pages.halting import HaltsAs, MayHalt, by_a_page, by_own_user
from controller.console.pages.plain import SettingsInForce
from controller.console.pages.site import page_routes
from controller.console.port import GateRefused, OperatorPort
from controller.console.schema import ErrorDetail, ErrorView, HaltRequest, ProposeRequest
from controller.console.stream import LiveResponse, LiveStream
from controller.console.view import View
from controller.serving.bounds import counted_address
from controller.serving.throttle import Throttle
from controller.telemetry.health import Probe, readyz
from controller.telemetry.scrape import Scrape
from exchange.errors import (
    GatehouseError,
    UsageError,
)
from exchange.model import Millis

REQUEST_LIMIT = 16 * 1024
ENVELOPE_LIMIT = 256 * 1024
DEFAULT_ROWS = 50
MAX_ROWS = 1000
_MAX_CURSOR = 2**53 - 1

ModelT = TypeVar("ModelT", bound=BaseModel)


class ConsoleApp:
    """The application. ``drain`` ends its live streams, so that the server can stop in time."""

    def __init__(self, app: ASGIApp, stream: LiveStream) -> None:
        self._app = app
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    def drain(self) -> None:
        """End every live stream."""
        self._stream.close()


def create_app(
    port: OperatorPort,
    *,
    local: bool,
    hosts: Iterable[str] = (),
    limits: ConsoleLimits | None = None,
    monotonic_ns: Callable[[], int] = time.monotonic_ns,
    may_halt: MayHalt = by_own_user,
    settings: SettingsInForce = tuple,
    metrics: Scrape | None = None,
    guard: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    halts_as: HaltsAs = by_a_page,
) -> ConsoleApp:
    """The console over ``port``.

    Args:
        local: for the unix socket: adds ``POST /v1/halt``, accepts any host name, and proposals seal evidence (ADR 25).
        hosts: host names to accept besides those of loopback.
        limits: instead of those that a console on TCP or a local socket usually has.
        monotonic_ns: the clock for the rate of proposals.
        may_halt: whose browser may halt without a signature.
        settings: what of the settings in force may be shown.
        guard: put before everything but the boundary: who may ask at all (``console.access``).
        halts_as: who halts from a page, in the journal.
        metrics: answers ``/metrics``; without it there is no such page.
    """
    limits = limits or (LOCAL_LIMITS if local else TCP_LIMITS)
    api = _Api(port, limits, None if local else _ProposalLimit(limits, monotonic_ns))
    routes = [
        *page_routes(port, _anybody if local else may_halt, settings, halts_as),
        Route("/livez", api.livez),
        Route("/readyz", api.readyz),
        Route("/v1/status", api.status),
        Route("/v1/gates", api.gates),
        Route("/v1/orders", api.orders),
        Route("/v1/fills", api.fills),
        Route("/v1/balances", api.balances),
        Route("/v1/series", api.series),
        Route("/v1/journal", api.journal),
        Route("/v1/chain", api.chain),
        Route("/v1/stream", api.live),
        Route("/v1/propose", api.propose, methods=["POST"]),
        Route("/v1/commands", api.submit, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    if metrics is not None:
        routes.append(Route("/metrics", metrics.show))
    if local:
        routes.append(Route("/v1/halt", api.halt, methods=["POST"]))
    app = Starlette(
        routes=routes,
        exception_handlers={GatehouseError: _typed_error, HTTPException: _http_error, Exception: _unexpected_error},
    )
    app.router.redirect_slashes = False
    return ConsoleApp(Boundary(guard(app), None if local else LOOPBACK_NAMES.union(hosts)), api.stream)


def _anybody(_: Scope) -> bool:
    """At the local socket: its mode and the kernel have let in only who may halt."""
    return True


class _ProposalLimit:
    """Limits proposals over TCP, where anybody may ask for one, of each address and together."""

    def __init__(self, limits: ConsoleLimits, monotonic_ns: Callable[[], int]) -> None:
        self._each, self._all = Throttle(limits.proposals), Throttle(limits.all_proposals)
        self._monotonic_ns = monotonic_ns

    def check(self, address: str) -> None:
        now = Millis(self._monotonic_ns() // 1_000_000)
        of_one = self._each.admit(address, now)
        wait = of_one or self._all.admit("", now)
        if wait:
            raise TooMany(
                "too many proposals over TCP; nothing was decided",
                code="too-many-proposals",
                remedy=f"Wait {wait} s, or propose on the controller's machine, where the local socket has no such limit.",
                status=429 if of_one else 503,
                retry_after_s=wait,
            )


class _Api:
    def __init__(self, port: OperatorPort, limits: ConsoleLimits, proposal_limit: _ProposalLimit | None) -> None:
        self._port = port
        self._proposal_limit = proposal_limit
        self.stream = LiveStream(port, limits)

    async def livez(self, _request: Request) -> Response:
        return _probe(self._port.alive())

    async def readyz(self, _request: Request) -> Response:
        status = await self._port.status()
        unwitnessed = [checkpoint.target for checkpoint in status.checkpoints if checkpoint.problem]
        alive = self._port.alive()
        return _probe(
            readyz(
                alive,
                armed=status.armed,
                not_armed_because=status.not_armed_because,
                unwitnessed=unwitnessed,
                signer=status.signer_budget.sentence if status.signer_budget is not None else "",
            )
        )

    async def status(self, _request: Request) -> Response:
        return _json(await self._port.status())

    async def gates(self, _request: Request) -> Response:
        return _json_list(await self._port.gates())

    async def orders(self, request: Request) -> Response:
        return _json_list(await self._port.orders(_limit(request)))

    async def fills(self, request: Request) -> Response:
        return _json_list(await self._port.fills(_limit(request)))

    async def balances(self, _request: Request) -> Response:
        return _json_list(await self._port.balances())

    async def series(self, request: Request) -> Response:
        return _json(await self._port.series(Millis(_integer(request, "after", default=0, low=0, high=_MAX_CURSOR))))

    async def journal(self, request: Request) -> Response:
        after = _integer(request, "after", default=0, low=0, high=_MAX_CURSOR)
        return _json_list(await self._port.journal(after, _limit(request)))

    async def chain(self, request: Request) -> Response:
        after = _integer(request, "after", default=0, low=0, high=_MAX_CURSOR)
        return _json(await self._port.inspector.chain(after, _limit(request)))

    async def live(self, request: Request) -> Response:
        return LiveResponse(await self.stream.open(_address(request)))

    async def propose(self, request: Request) -> Response:
        if self._proposal_limit is not None:
            self._proposal_limit.check(_address(request))
        proposed = _parse(ProposeRequest, await read_json(request, REQUEST_LIMIT))
        return _json(await self._port.propose(proposed, seal=self._proposal_limit is None))

    async def submit(self, request: Request) -> Response:
        try:
            envelope = (await read_json(request, ENVELOPE_LIMIT)).decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError(
                "the envelope is not UTF-8", code="not-utf8", remedy="Send the file that `gatehouse sign` wrote."
            ) from None
        return _json(await self._port.submit(envelope))

    async def halt(self, request: Request) -> Response:
        return _json(await self._port.halt(_parse(HaltRequest, await read_json(request, REQUEST_LIMIT)).reason))


def _address(request: Request) -> str:
    return counted_address(tuple(request.client) if request.client is not None else None)


def _json(view: View, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(view.model_dump_json(), status_code=status, headers=headers, media_type="application/json")


def _probe(probe: Probe) -> Response:
    text = f"{probe.because or 'ok'}, but {probe.but}" if probe.but else probe.because or "ok"
    return Response(text, status_code=probe.http_status, media_type="text/plain")


_ROWS = TypeAdapter(list[BaseModel])


def _json_list(views: Sequence[View]) -> Response:
    return Response(_ROWS.dump_json(list(views), serialize_as_any=True), media_type="application/json")


def _limit(request: Request) -> int:
    return _integer(request, "limit", default=DEFAULT_ROWS, low=1, high=MAX_ROWS)


def _integer(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_CURSOR)) else -1
    if not low <= value <= high:
        raise UsageError(
            f"{name} is not an integer from {low} to {high}",
            code="bad-query",
            remedy=f"Set {name} to an integer from {low} to {high}, or omit it.",
        )
    return value


def _parse(model: type[ModelT], body: bytes) -> ModelT:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise UsageError(f"{where}: {first['msg']}", code="bad-request", remedy=f"Correct {where}.") from None


async def _typed_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, GatehouseError):
        raise error
    status = http_status(error)
    headers = None
    if isinstance(error, TooMany):
        status, headers = error.status, {"retry-after": str(error.retry_after_s)}
    detail = ErrorDetail(code=error.code, message=error.message, remedy=error.remedy, exit_code=error.exit_code)
    return _json(ErrorView(error=detail, gate=error.gate if isinstance(error, GateRefused) else None), status, headers)


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return error_response(404, "not-found", "this path does not exist", "See the operator API in the documentation.")
    return error_response(
        status, "bad-request", "this path does not accept this request", "See the operator API in the documentation."
    )


async def _unexpected_error(_request: Request, _error: Exception) -> Response:
    return error_response(500, "internal", "an internal error of gatehouse", "Read the controller's log.", exit_code=1)
