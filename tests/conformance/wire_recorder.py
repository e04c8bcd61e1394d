"""What the testnet was really used for: the endpoints it answered and the channels it pushed on, seen on the wire."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

REFUSED = " refused"
"""Follows an endpoint that was answered with an error."""


class WireRecorder:
    """Stands in front of the testnet's application and keeps ``GET /api/v3/depth`` or ``spot@private.orders.v3.api.pb``."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def watching(self, app: ASGIApp) -> ASGIApp:
        """The application, watched."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            async def noted(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    self.seen.add(f"{scope['method']} {scope['path']}" + (REFUSED if message["status"] >= 400 else ""))
                elif message["type"] == "websocket.send" and message.get("bytes"):
                    self.seen.add(_channel(message["bytes"]))
                await send(message)

            await app(scope, receive, noted)

        return watched


def _channel(push: bytes) -> str:
    """The topic of a push: its first field is the channel's name (mexc-spot-v3.md §7.3), arguments follow the second ``@``."""
    assert push[0] == 0x0A, "a push begins with its channel"
    name = push[2 : 2 + push[1]].decode()
    return "@".join(name.split("@")[:2])
