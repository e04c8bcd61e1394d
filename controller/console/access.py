"""Lets persons with a token use the console from another machine (ADR 75). ``bootstrap.remote_console`` puts it before the console.

A program sends ``Authorization: Bearer TOKEN``. A browser asks its user once: the name is the person, the password is the token. No
cookie and no session exist, so a revoked token ends with the next request, and a live stream within ``LOOK_AGAIN_S``.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.console.boundary import error_response
from controller.console.tokens import AccessRole, Grant, TokenFile
from controller.serving.bounds import counted_address
from controller.serving.throttle import Rate, Throttle
from exchange.errors import ConfigError
from exchange.model import Millis

FAILURES = Rate(1, 10, seconds=6)
"""How often one address may be wrong: ten times at once, then once in six seconds."""

ALL_FAILURES = Rate(5, 50)
LOOK_AGAIN_S = 5.0
_PERSON = "gatehouse.person"
_log = logging.getLogger(__name__)


def person_of(scope: Scope) -> str:
    """Who sent a request through ``Access``; empty where nobody had to show a token."""
    grant = scope.get(_PERSON)
    return grant.person if isinstance(grant, Grant) else ""


def may_halt_by_token(scope: Scope) -> bool:
    """Whether the token of a request is one to halt with."""
    grant = scope.get(_PERSON)
    return isinstance(grant, Grant) and grant.role is AccessRole.HALT


class Access:
    """ASGI middleware: nothing is answered without a token in force, and an observer only reads."""

    def __init__(self, app: ASGIApp, tokens: TokenFile, now: Callable[[], Millis], monotonic_ns: Callable[[], int]) -> None:
        self._app = app
        self._tokens = tokens
        self._now = now
        self._monotonic_ns = monotonic_ns
        self._each, self._all = Throttle(FAILURES), Throttle(ALL_FAILURES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        token = presented(Headers(scope=scope))
        grant = self._holder(token)
        if grant is None:
            await self._refusal(scope, token)(scope, receive, send)
        elif grant.role is AccessRole.OBSERVER and scope["method"] not in {"GET", "HEAD"}:
            why, remedy = f"the token of {grant.person} is for looking only", "Ask for a token with the role halt."
            await error_response(403, "only-observer", why, remedy, exit_code=4)(scope, receive, send)
        else:
            await self._answer({**scope, _PERSON: grant}, receive, send, token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, token: str) -> None:
        """Answer; what is still being sent when the token ends is cut off."""
        answering = asyncio.ensure_future(self._app(scope, receive, send))
        try:
            while not (await asyncio.wait({answering}, timeout=LOOK_AGAIN_S))[0]:
                if self._holder(token) is None:
                    return
            await answering
        finally:
            if not answering.done():
                answering.cancel()
                await asyncio.wait({answering})

    def _holder(self, token: str) -> Grant | None:
        try:
            return self._tokens.holder(token, self._now()) if token else None
        except ConfigError as error:
            _log.error("nobody can use the console from another machine: %s", error.message)
            return None

    def _refusal(self, scope: Scope, token: str) -> Response:
        client = scope.get("client")
        address = counted_address(tuple(client) if client else None)
        now = Millis(self._monotonic_ns() // 1_000_000)
        wait = (self._each.admit(address, now) or self._all.admit("", now)) if token else 0
        if wait:
            refused = error_response(429, "too-many-tries", "too many wrong tokens", f"Wait {wait} s.", exit_code=4)
            refused.headers["retry-after"] = str(wait)
            return refused
        if token:
            _log.warning("a token that is not in force was shown", extra={"fields": {"address": address}})
        refused = error_response(
            401,
            "no-token",
            "the console asks for a token here, and this one is missing, unknown, revoked or at its end",
            "Ask whom the deployment belongs to for a token: `gatehouse access add PERSON --role observer`.",
            exit_code=4,
        )
        refused.headers["www-authenticate"] = 'Basic realm="gatehouse", charset="UTF-8"'
        return refused


def presented(headers: Headers) -> str:
    """The token of a request; empty without one, or with several."""
    values = headers.getlist("authorization")
    if len(values) != 1:
        return ""
    scheme, _, value = values[0].partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
    except ValueError:
        return ""
