"""Reads and authenticates a gateway request: bounded, with unambiguous parameters and a known bot (mexc-spot-v3.md §2).

``gateway.app`` calls it. The gateway is stricter than MEXC where two parties could read the same bytes differently: a parameter
may not be repeated, and parameters are in the query or in the body but not in both, because MEXC signs their bare concatenation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from starlette.types import Receive, Scope

from controller.gateway.limits import GatewayLimits
from controller.gateway.port import BotKey, BotKeys
from controller.telemetry.w3c import TRACEPARENT_HEADER, Origin, parse_traceparent
from exchange.model import Millis
from exchange.wire.errors import ErrorCode, WireError, WireRefusal, missing, refuse
from exchange.wire.signing import check_window, parse_params, parse_window, split_signature, verify

_BODY_METHODS = frozenset({"POST", "PUT", "DELETE"})
_MAX_KEY_LENGTH = 64
_FORWARDED = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"})
"""A proxy adds one of these to what it passes on: the headers of RFC 7239 and RFC 9110, and the usual ones before them."""
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"


class Lane(Enum):
    """Which rate limit a request counts against. PUBLIC and HISTORY need no signature; HISTORY is what a venue may be asked for."""

    PUBLIC = "public"
    HISTORY = "history"
    QUERY = "query"
    ORDER = "order"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The parts of an HTTP request that the gateway reads; every other header is ignored.

    ``forwarded``: a proxy passed it on, and may share its connection between several programs.
    """

    method: str
    path: str
    query: str
    address: str
    api_key: str | None
    content_type: str
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered. ``bot``, ``signature`` and the bot's ``key`` are empty on public endpoints.

    ``timestamp`` is when the bot signed it, ``expires`` the last instant at which the same signature would be accepted again.
    """

    params: Mapping[str, str]
    bot: str
    signature: str
    expires: Millis
    key: str = ""
    timestamp: Millis = Millis(0)


@dataclass(frozen=True, slots=True)
class Shown:
    """A reply that already is JSON, with headers of its own."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def read_head(scope: Scope, limits: GatewayLimits) -> RequestHead:
    """The request line and the headers that matter.

    Raises:
        WireRefusal: 700008 for bytes that are not ASCII, 33333 for a query or body beyond the limits, or for the same header twice.
    """
    found: dict[bytes, bytes] = {}
    forwarded = False
    for name, value in scope["headers"]:
        forwarded = forwarded or name in _FORWARDED
        if name in {b"x-mexc-apikey", b"content-type", b"content-length", b"host"}:
            if name in found:
                raise refuse(ErrorCode.BAD_PARAMETER, f"Header {name.decode()} was sent twice.")
            found[name] = value
    if b"host" not in found:
        raise refuse(ErrorCode.BAD_PARAMETER, "Header host was not sent.")
    query: bytes = scope["query_string"]
    if len(query) > limits.query_bytes:
        raise WireRefusal(WireError(int(ErrorCode.BAD_PARAMETER), "The query is too long.", 414))
    length = found.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 9 or int(length) > limits.body_bytes:
        raise _too_large()
    if not query.isascii():
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, "Illegal characters found in the query.")
    client = scope.get("client")
    api_key = found.get(b"x-mexc-apikey")
    return RequestHead(
        method=scope["method"],
        path=scope["path"],
        query=query.decode("ascii"),
        address=client[0] if client else "",
        api_key=api_key.decode("latin-1") if api_key is not None else None,
        content_type=found.get(b"content-type", b"").decode("latin-1"),
        forwarded=forwarded,
    )


def traceparent_of(scope: Scope) -> Origin | None:
    """The trace that the client is in. A header that was sent twice counts as absent, and so does one that is malformed."""
    found = [value for name, value in scope["headers"] if name == TRACEPARENT_HEADER]
    return parse_traceparent(found[0]) if len(found) == 1 else None


async def read_body(receive: Receive, limits: GatewayLimits) -> bytes:
    """The whole body, within its size and time.

    Raises:
        WireRefusal: 33333 when it is too large (HTTP 413), too slow (HTTP 408) or cut off.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise refuse(ErrorCode.BAD_PARAMETER, "The request was cut off.")
                body += message.get("body", b"")
                if len(body) > limits.body_bytes:
                    raise _too_large()
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise WireRefusal(WireError(int(ErrorCode.BAD_PARAMETER), "The request body took too long.", 408)) from None


def read_params(query: str, body: bytes) -> Mapping[str, str]:
    """The request's parameters, each sent once and in one place. Only the signature may be in the other place.

    Raises:
        WireRefusal: 33333 for a repeated parameter, for parameters in both places, or for a body that is not a form.
    """
    bare_query, in_query = split_signature(query)
    if body:
        bare_body, in_body = split_signature(_form(body))
        if bare_query and bare_body:
            raise refuse(ErrorCode.BAD_PARAMETER, "Send all parameters in the query or all in the body, not in both.")
        if in_query is not None and in_body is not None:
            raise refuse(ErrorCode.BAD_PARAMETER, "Parameter 'signature' was sent more than once.")
    params = parse_params(query, body)
    if len(params) != _pairs(query) + (_pairs(_form(body)) if body else 0):
        raise refuse(ErrorCode.BAD_PARAMETER, "A parameter was sent more than once.")
    return MappingProxyType(params)


class Authenticator:
    """Proves which bot a request comes from."""

    def __init__(self, keys: BotKeys, *, strict_content_type: bool = False) -> None:
        self._keys = keys
        self._strict = strict_content_type

    def authenticate(self, request: RequestHead, body: bytes, params: Mapping[str, str], now: Millis) -> Call:
        """The call of the bot that signed the request.

        Raises:
            WireRefusal: 400 no key, 700001 malformed key, 10072 unknown key, 700013 content type, 700004 no signature or
                timestamp, 700002 wrong signature, 700005 and 700003 timing.
        """
        key = self._find_key(request.api_key)
        if request.method in _BODY_METHODS and not self._takes(request.content_type, body):
            raise refuse(ErrorCode.BAD_CONTENT_TYPE, "Invalid content Type: send application/json.")
        signature = params.get("signature")
        if not signature:
            raise missing("signature")
        timestamp, recv_window = parse_window(params)
        if not verify(key.secret, request.query, body):
            raise refuse(ErrorCode.BAD_SIGNATURE, "Signature for this request is not valid.")
        untimely = check_window(timestamp, recv_window, now)
        if untimely is not None:
            raise WireRefusal(untimely)
        return Call(params, key.name, signature, Millis(timestamp + recv_window), key.key, timestamp)

    def _takes(self, content_type: str, body: bytes) -> bool:
        """Sources disagree about what MEXC asks for (mexc-spot-v3.md §2.1, §8.5); without a body no type can be wrong."""
        stated = content_type.split(";", maxsplit=1)[0].strip().lower()
        if self._strict:
            return stated == _JSON
        return stated in {_JSON, _FORM} or (not stated and not body)

    def _find_key(self, api_key: str | None) -> BotKey:
        if not api_key:
            raise refuse(ErrorCode.API_KEY_REQUIRED, "api key required")
        if len(api_key) > _MAX_KEY_LENGTH or not api_key.isascii() or not api_key.isprintable():
            raise refuse(ErrorCode.BAD_API_KEY, "API-key format invalid.")
        key = self._keys.find(api_key)
        if key is None:
            raise refuse(ErrorCode.BAD_ACCESS_KEY, "Api key info invalid")
        return key


def _form(body: bytes) -> str:
    if not body.isascii():
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, "Illegal characters found in the body.")
    text = body.decode("ascii")
    if text.lstrip().startswith(("{", "[")):
        raise refuse(ErrorCode.BAD_PARAMETER, "Send parameters in the query, or in the body as name=value pairs.")
    return text


def _pairs(text: str) -> int:
    return sum(1 for pair in text.split("&") if pair)


def _too_large() -> WireRefusal:
    return WireRefusal(WireError(int(ErrorCode.BAD_PARAMETER), "The request body is too large.", 413))
