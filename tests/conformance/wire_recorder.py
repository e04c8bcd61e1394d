"""Records what a case uses on the wire: the endpoints that were answered and the channels that were pushed on."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

REFUSED = " refused"
"""The suffix of an endpoint that was answered with an error."""


class WireRecorder:
    """Wraps the testnet's application and records ``GET /api/v3/depth`` or ``spot@private.orders.v3.api.pb``."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def recording(self, app: ASGIApp) -> ASGIApp:
        """The application, recorded."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            async def noted(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    self.used.add(f"{scope['method']} {scope['path']}" + (REFUSED if message["status"] >= 400 else ""))
                elif message["type"] == "websocket.send" and message.get("bytes"):
                    self.used.add(_channel(message["bytes"]))
                await send(message)

            await app(scope, receive, noted)

        return recorded


def _channel(push: bytes) -> str:
    """The topic of a push: its first field is the channel's name (mexc-spot-v3.md §7.3), arguments follow the second ``@``."""
    assert push[0] == 0x0A, "a push begins with its channel"
    name = push[2 : 2 + push[1]].decode()
    return "@".join(name.split("@")[:2])
