"""The gateway: MEXC's spot API for governed bots, as one ASGI application over a ``GatewayPort`` (architecture.md §4).

``controller.bootstrap`` builds it and serves it with ``gateway.server``. The checks of a request run from the cheapest to the most
expensive: path, size, parameters, key, signature, time, rate; only then is the port called. Paths match byte for byte. Every error
has MEXC's shape and reveals no internal detail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from controller.gateway.account import AccountViews
from controller.gateway.differences import HEARTBEAT, REFUSED, why_not
from controller.gateway.limits import GatewayLimits
from controller.gateway.market import MarketViews
from controller.gateway.orders import OrderDesk, batch_size
from controller.gateway.port import BotKeys, GatewayPort
from controller.gateway.requests import (
    Authenticator,
    Call,
    Lane,
    RequestHead,
    Shown,
    read_body,
    read_head,
    read_params,
    traceparent_of,
)
from controller.gateway.streams.endpoint import PATH, refuse_stream, serve_stream
from controller.gateway.streams.hub import Hub
from controller.gateway.streams.keys import StreamKeys
from controller.gateway.throttled import Throttled
from controller.serving.guarded import key_of, vouch
from controller.serving.throttle import Throttle
from controller.telemetry.w3c import REQUEST, TRACE_ID_HEADER, RequestTrace
from exchange.errors import GatehouseError
from exchange.wire.errors import ErrorCode, WireError, WireRefusal, dump_json, refuse
from policies.silence import HeardBy

_API = "/api/v3/"
_ALWAYS = frozenset({_API + "ping", _API + "time"})
_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))

Record = Callable[[str, bytes, int, bytes], None]
"""Takes the path, the query, the status and the body of an answer to a public request."""

Handler = Callable[[Call], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The handler of a path, the rate limit it counts against, and how many requests it counts as."""

    lane: Lane
    answer: Handler
    weigh: Callable[[Call], int] = lambda _: 1


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. ``retry_after_s`` is 0 when waiting does not help; ``close`` ends the connection."""

    status: int
    body: bytes
    retry_after_s: int = 0
    close: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, error: WireError, *, retry_after_s: int = 0) -> Reply:
        """The error in MEXC's shape. A request that may be read only in part ends its connection."""
        return cls(error.http_status, dump_json(error.body()), retry_after_s, close=error.http_status in {408, 413, 414})


def create_app(port: GatewayPort, keys: BotKeys, limits: GatewayLimits, record: Record | None = None) -> Starlette:
    """The gateway of one deployment. It reads ``keys`` on every request. ``record`` gets every answer about the market."""
    app = Starlette(
        routes=[Mount("/", app=Gateway(port, keys, limits, record))],
        exception_handlers={404: _nowhere, Exception: _failed},
    )
    app.router.redirect_slashes = False
    return app


class Gateway:
    """The ASGI application behind ``create_app``."""

    def __init__(self, port: GatewayPort, keys: BotKeys, limits: GatewayLimits, record: Record | None = None) -> None:
        self._port = port
        self._record = record
        self._keys = keys
        self._authenticator = Authenticator(keys, strict_content_type=limits.strict_content_type)
        self._limits = limits
        self._history = Throttle(limits.history)
        stream_keys = StreamKeys(port, keys)
        self._hub = Hub(port, stream_keys, limits.streams.at_most(limits.connection.per_address), self._history)
        self._endpoints = endpoints(port, stream_keys)
        self._paths = frozenset(path for _, path in self._endpoints)
        self._lanes = {
            Lane.ORDER: Throttle(limits.orders),
            Lane.CANCEL: Throttle(limits.cancels),
            Lane.QUERY: Throttle(limits.queries),
        }
        self._unsigned = Throttle(limits.unsigned)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one stream."""
        if scope["type"] != "http":
            await self._stream(scope, receive, send)
            return
        trace = RequestTrace(traceparent_of(scope))
        before = REQUEST.set(trace)
        try:
            reply = await self._reply(scope, receive)
        finally:
            REQUEST.reset(before)
        if self._record is not None and self._of_the_market(scope):
            self._record(scope["path"], scope["query_string"], reply.status, reply.body)
        headers = [*_HEADERS, *reply.headers, (b"content-length", str(len(reply.body)).encode())]
        headers += [(TRACE_ID_HEADER, trace_id.encode()) for trace_id in dict.fromkeys(trace.trace_ids)]
        if reply.retry_after_s:
            headers.append((b"retry-after", str(reply.retry_after_s).encode()))
        if reply.close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = read_head({**scope, "method": "GET"}, self._limits)
            self._debit(self._unsigned, request.address)
            if scope.get("raw_path", b"") != PATH.encode():
                raise _not_found(f"gatehouse: streams are at {PATH}.")
            self._check_ready(ErrorCode.SERVICE_UNAVAILABLE)
            await serve_stream(self._hub, request, scope, receive, send)
        except Throttled as wait:
            await refuse_stream(receive, send, wait.error, retry_after_s=wait.retry_after_s)
        except WireRefusal as refusal:
            await refuse_stream(receive, send, refusal.error)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        try:
            request = read_head(scope, self._limits)
            endpoint = self._endpoint(request, scope.get("raw_path"))
            call = await self._admit(request, endpoint, scope, receive)
            if call.bot:
                vouch(scope, call.bot, call.key)
            value = await endpoint.answer(call)
        except Throttled as wait:
            return Reply.of(wait.error, retry_after_s=wait.retry_after_s)
        except WireRefusal as refusal:
            return Reply.of(refusal.error)
        except GatehouseError as error:
            return Reply.of(WireError.of(ErrorCode.INTERNAL_ERROR, f"gatehouse: {error.code}: {error.message}. {error.remedy}"))
        if isinstance(value, Shown):
            return Reply(200, value.body, headers=value.headers)
        return Reply(200, value if isinstance(value, bytes) else dump_json(value))

    def _of_the_market(self, scope: Scope) -> bool:
        endpoint = self._endpoints.get((scope["method"], scope["path"]))
        return endpoint is not None and endpoint.lane in {Lane.PUBLIC, Lane.HISTORY} and scope["path"] not in _ALWAYS

    def _endpoint(self, request: RequestHead, raw_path: bytes | None) -> Endpoint:
        # Another server could read an escape in the path as a different path.
        if raw_path is not None and raw_path.split(b"?")[0] != request.path.encode():
            raise _not_found("No such endpoint.")
        endpoint = self._endpoints.get((request.method, request.path))
        if endpoint is not None:
            return endpoint
        if request.path == PATH:
            raise WireRefusal(WireError(426, "gatehouse: streams: this address takes websocket handshakes only.", 426))
        if reason := why_not(request.method, request.path):
            raise _not_found(f"gatehouse: {request.method} {request.path}: {reason}")
        if request.path in self._paths or any(path == request.path for _, path in REFUSED):
            raise WireRefusal(WireError(405, f"{request.method} is not allowed here.", 405))
        raise _not_found("No such endpoint.")

    async def _admit(self, request: RequestHead, endpoint: Endpoint, scope: Scope, receive: Receive) -> Call:
        now = self._port.now()
        if endpoint.lane in {Lane.PUBLIC, Lane.HISTORY}:
            # A key that was revoked since shows no bot: the program that holds it is one that was replaced. And a proxy may send
            # another program's requests on the connection on which it sends the bot's.
            if not request.forwarded and (key := key_of(scope)) and (signer := self._keys.find(key)) is not None:
                self._port.heard_from(signer.name, HeardBy.MARKET_DATA)
            self._debit(self._unsigned, request.address)
            if endpoint.lane is Lane.HISTORY:
                self._debit(self._history, request.address)
            if request.path not in _ALWAYS:
                self._require_ready(endpoint)
            return Call(read_params(request.query, b""), bot="", signature="", expires=now)
        body = b"" if request.method == "GET" else await read_body(receive, self._limits)
        try:
            call = self._authenticator.authenticate(request, body, read_params(request.query, body), now)
        except WireRefusal:
            # Requests without a proven signature count per address, so that no one else can use up a bot's own rate limit.
            self._debit(self._unsigned, request.address)
            raise
        # Before the rates: a bot that sends too much is not silent.
        self._port.heard_from(call.bot, HeardBy.HEARTBEAT if request.path == HEARTBEAT else HeardBy.REQUEST)
        self._debit(self._lanes[endpoint.lane], call.bot)
        if (more := endpoint.weigh(call) - 1) > 0:
            self._debit(self._lanes[endpoint.lane], call.bot, more)
        self._require_ready(endpoint)
        return call

    def _debit(self, throttle: Throttle, owner: str, count: int = 1) -> None:
        wait = throttle.admit(owner, self._port.now(), count)
        if wait:
            raise Throttled("gatehouse: request-rate: too many requests; nothing was decided or sent.", wait)

    def _require_ready(self, endpoint: Endpoint) -> None:
        # A 5xx would mean that the order may be live, and it is certain that it is not.
        self._check_ready(ErrorCode.TRADING_DISABLED if endpoint.lane is Lane.ORDER else ErrorCode.SERVICE_UNAVAILABLE)

    def _check_ready(self, code: ErrorCode) -> None:
        if not self._port.ready():
            raise refuse(
                code, "gatehouse: not-ready: the controller reads its journal; nothing was decided or sent. Send it again."
            )


def endpoints(port: GatewayPort, stream_keys: StreamKeys) -> Mapping[tuple[str, str], Endpoint]:
    """Every endpoint of the gateway, by method and path."""
    market, desk, account = MarketViews(port), OrderDesk(port), AccountViews(port)
    table: Mapping[tuple[str, str], Endpoint] = {
        ("GET", "ping"): Endpoint(Lane.PUBLIC, market.ping),
        ("GET", "time"): Endpoint(Lane.PUBLIC, market.time),
        ("GET", "exchangeInfo"): Endpoint(Lane.PUBLIC, market.exchange_info),
        ("GET", "defaultSymbols"): Endpoint(Lane.PUBLIC, market.default_symbols),
        ("GET", "depth"): Endpoint(Lane.PUBLIC, market.depth),
        ("GET", "trades"): Endpoint(Lane.PUBLIC, market.trades),
        ("GET", "aggTrades"): Endpoint(Lane.PUBLIC, market.agg_trades),
        ("GET", "historicalTrades"): Endpoint(Lane.PUBLIC, market.trades),
        ("GET", "klines"): Endpoint(Lane.HISTORY, market.klines),
        ("GET", "avgPrice"): Endpoint(Lane.HISTORY, market.average_price),
        ("GET", "ticker/24hr"): Endpoint(Lane.HISTORY, market.day_ticker),
        ("GET", "ticker/price"): Endpoint(Lane.PUBLIC, market.price),
        ("GET", "ticker/bookTicker"): Endpoint(Lane.PUBLIC, market.book_ticker),
        ("POST", "order"): Endpoint(Lane.ORDER, desk.place),
        ("POST", "order/test"): Endpoint(Lane.ORDER, desk.test),
        ("POST", "batchOrders"): Endpoint(Lane.ORDER, desk.batch, batch_size),
        ("DELETE", "order"): Endpoint(Lane.CANCEL, desk.cancel),
        ("DELETE", "openOrders"): Endpoint(Lane.CANCEL, desk.cancel_symbols),
        ("DELETE", "order/all"): Endpoint(Lane.CANCEL, desk.cancel_everything),
        ("GET", "order"): Endpoint(Lane.QUERY, desk.query),
        ("GET", "openOrders"): Endpoint(Lane.QUERY, desk.open),
        ("GET", "allOrders"): Endpoint(Lane.QUERY, desk.history),
        ("GET", "myTrades"): Endpoint(Lane.QUERY, account.my_trades),
        ("GET", "account"): Endpoint(Lane.QUERY, account.account),
        ("GET", "tradeFee"): Endpoint(Lane.QUERY, account.trade_fee),
        ("GET", "selfSymbols"): Endpoint(Lane.QUERY, account.self_symbols),
        ("GET", "kyc/status"): Endpoint(Lane.QUERY, account.kyc),
        ("GET", "uid"): Endpoint(Lane.QUERY, account.uid),
        ("GET", "mxDeduct/enable"): Endpoint(Lane.QUERY, account.mx_deduction),
        ("GET", "capital/config/getall"): Endpoint(Lane.QUERY, account.currencies),
        ("POST", "userDataStream"): Endpoint(Lane.QUERY, stream_keys.create),
        ("GET", "userDataStream"): Endpoint(Lane.QUERY, stream_keys.list),
        ("PUT", "userDataStream"): Endpoint(Lane.QUERY, stream_keys.renew),
        ("DELETE", "userDataStream"): Endpoint(Lane.QUERY, stream_keys.close),
    }
    others = {
        ("GET", "/api/v1/contract/detail"): Endpoint(Lane.PUBLIC, account.contracts),
        ("GET", HEARTBEAT): Endpoint(Lane.QUERY, account.heartbeat),
    }
    return MappingProxyType({(method, _API + path): endpoint for (method, path), endpoint in table.items()} | others)


def _not_found(message: str) -> WireRefusal:
    return WireRefusal(WireError(404, message, 404))


async def _nowhere(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    """The answer to a request target that is not a path."""
    return Response(dump_json(WireError(404, "No such endpoint.", 404).body()), status_code=404, media_type="application/json")


async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    """The answer to an internal error; starlette raises it again for the log. 500 means that the outcome is unknown."""
    error_shown = WireError.of(
        ErrorCode.INTERNAL_ERROR, "gatehouse: internal error. If this was an order, query it before sending another."
    )
    return Response(dump_json(error_shown.body()), status_code=500, media_type="application/json")
