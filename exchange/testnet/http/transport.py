"""Cuts a connection without a closing message, which ASGI does not offer. The app and the websocket handler use it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request as Handshake

from exchange.http_replies import WholeReplies

_TRANSPORT = "gatehouse-transport"


class ConnectionCut(ConnectionResetError):
    """Raised instead of a cut if there is no socket (the application is called in-process)."""


class CuttableHttpProtocol(WholeReplies):
    """uvicorn's HTTP protocol with replies in one write, its transport accessible to the application."""

    def on_message_begin(self) -> None:
        """Start a request and put the transport into its scope."""
        super().on_message_begin()
        self.scope["state"][_TRANSPORT] = self.transport


class CuttableWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's websocket protocol, with its transport accessible to the application."""

    def handle_connect(self, event: Handshake) -> None:
        """Start a connection with the transport in its scope."""
        self.app_state = {**self.app_state, _TRANSPORT: self.transport}
        super().handle_connect(event)


async def cut(request: Request) -> None:
    """Close the request's connection at once, without a reply, and return when it is closed."""
    if not abort(request.scope):
        raise ConnectionCut("the venue cut the connection")
    while (await request.receive())["type"] != "http.disconnect":
        continue


def abort(scope: MutableMapping[str, Any]) -> bool:
    """Abort the connection of a scope; ``False`` if there is none."""
    transport = scope.get("state", {}).get(_TRANSPORT)
    if transport is None:
        return False
    transport.abort()
    return True
