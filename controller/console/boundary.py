"""The console's HTTP boundary: who may send a request, how large it may be, and what a browser may do with the answer.

``console.app`` wraps its application in it. On loopback the console has no login: it reads, accepts commands that have their own
signatures, and halts for the user of its process (ADR 71); elsewhere ``access`` asks for a token. This module keeps other web pages
in the same browser out: one ``Host`` header with a known name (DNS rebinding), no foreign ``Origin`` or ``Sec-Fetch-Site`` (forged
requests), JSON bodies only for the API, forms only from the console's own pages, no CORS, and a content security policy without
inline code or other hosts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.console.schema import ErrorDetail, ErrorView
from exchange.errors import (
    ConfigError,
    DeadlineExceeded,
    GatehouseError,
    Halted,
    Refused,
    Unauthorised,
    Unreachable,
    UsageError,
    VenueError,
)

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""The host names of a console on this machine."""

BODY_DEADLINE_S = 10
"""How long a client may take to send a body."""

_CSP = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'"
)

_OWN = frozenset({"same-origin", "none"})
"""``Sec-Fetch-Site`` of a request that no other site caused."""

SECURITY_HEADERS = (
    ("content-security-policy", _CSP),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
)
"""On every answer, errors included. With ``no-referrer`` a browser would name no origin with the console's own forms."""


def host_name(value: str) -> str:
    """The name in a ``Host`` header, lower case, without its port; IPv6 keeps its brackets."""
    name, _, port = value.rpartition(":")
    return (name if name and port.isdigit() else value).lower()


_STATUS: tuple[tuple[type[GatehouseError], int], ...] = (
    (UsageError, 400),
    (ConfigError, 400),
    (Unauthorised, 403),
    (Refused, 409),
    (Halted, 503),
    (Unreachable, 503),
    (VenueError, 503),
    (DeadlineExceeded, 504),
)


def http_status(error: GatehouseError) -> int:
    """The HTTP status of an error that a client gets."""
    return next((code for kind, code in _STATUS if isinstance(error, kind)), 500)


class Boundary:
    """ASGI middleware around the whole console.

    Args:
        names: the host names to accept; ``None`` for a unix socket, which no web page can reach.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] | None) -> None:
        self._app = app
        self._names = None if names is None else frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a foreign request; add the security headers to every answer."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for key, value in SECURITY_HEADERS:
                    headers[key] = value
            await send(message)

        if refusal := self._refusal(Headers(scope=scope), scope["method"]):
            await refusal(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers, method: str) -> Response | None:
        if self._names is None:
            return None
        hosts = headers.getlist("host")
        if len(hosts) != 1 or host_name(hosts[0]) not in self._names:
            return error_response(
                421, "unknown-host", "the console does not accept this host name", "Open it as http://127.0.0.1 with its port."
            )
        if method in {"GET", "HEAD"}:
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if (origin is not None and origin.partition("://")[2] != hosts[0]) or site not in _OWN:
            return error_response(403, "foreign-origin", "a web page of another site sent this", "Use the gatehouse command line.")
        return None


def error_response(status: int, code: str, message: str, remedy: str, *, exit_code: int = 2) -> Response:
    """A JSON error body that does not come from a ``GatehouseError``."""
    view = ErrorView(error=ErrorDetail(code=code, message=message, remedy=remedy, exit_code=exit_code))
    return Response(view.model_dump_json(), status_code=status, media_type="application/json")


async def read_json(request: Request, limit: int) -> bytes:
    """The body of a request that is declared as JSON; never more than ``limit`` bytes of it are kept.

    Raises:
        UsageError: another content type, too long, or cut off.
        DeadlineExceeded: it did not arrive in time.
    """
    if _content_type(request) != "application/json":
        raise UsageError("the body is not JSON", code="not-json", remedy="Send it with Content-Type: application/json.")
    return await _read_body(request, limit)


async def read_form(request: Request, limit: int) -> dict[str, str]:
    """The fields of a form that one of the console's own pages sent.

    Raises:
        UsageError: no browser sent it from such a page, or as ``read_json``.
        DeadlineExceeded: it did not arrive in time.
    """
    # A browser names the origin of every form; the boundary has compared it. What names none is no page of ours.
    if "origin" not in request.headers or _content_type(request) != "application/x-www-form-urlencoded":
        raise UsageError(
            "this is no form of the console's pages",
            code="not-a-form",
            remedy="Use the console's page, or the gatehouse command line.",
        )
    try:
        pairs = parse_qsl(
            (await _read_body(request, limit)).decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=8
        )
    except ValueError:
        raise UsageError("the form cannot be read", code="not-a-form", remedy="Use the console's page.") from None
    return dict(pairs)


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_body(request: Request, limit: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise UsageError(
                        f"the body is longer than {limit} bytes", code="too-long", remedy=f"Send at most {limit} bytes."
                    )
    except TimeoutError:
        raise DeadlineExceeded(
            "the body did not arrive in time", code="slow-body", remedy=f"Send it within {BODY_DEADLINE_S} s."
        ) from None
    except ClientDisconnect:
        raise UsageError("the body was cut off", code="cut-off", remedy="Send it again.") from None
    return bytes(body)
