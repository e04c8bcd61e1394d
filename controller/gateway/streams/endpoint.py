"""The gateway's ``/ws``: opens a stream or says why not, and does what a client's messages ask (mexc-spot-v3.md §7.1)."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from controller.gateway.requests import RequestHead
from controller.gateway.streams.hub import Hub
from controller.gateway.streams.session import POLICY, Session
from controller.serving.websocket import socket_of, text_frame
from exchange.wire.errors import WireError, WireRefusal, dump_json
from exchange.wire.signing import parse_params
from exchange.wire.stream import (
    BAD_LISTEN_KEY,
    ControlMethod,
    ControlRequest,
    ack_frame,
    format_error_frame,
    parse_channel,
    parse_request,
    pong_frame,
    refused_frame,
)

PATH = "/ws"

_BAD_KEY = "gatehouse: the listen key is unknown or has ended. Make one with POST /api/v3/userDataStream."
_UNKNOWN_CHANNEL = "no such channel"


async def refuse_stream(receive: Receive, send: Send, error: WireError, *, retry_after_s: int = 0) -> None:
    """Answer a handshake with an error in MEXC's shape instead of opening a stream."""
    body = dump_json(error.body())
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    if retry_after_s:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    await receive()
    await send({"type": "websocket.http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def serve_stream(hub: Hub, request: RequestHead, scope: Scope, receive: Receive, send: Send) -> None:
    """Open the stream of a handshake that may be answered, and serve it until it ends.

    Raises:
        WireRefusal: nothing was accepted yet: 429 where too many streams are open.
    """
    socket = socket_of(scope)
    if socket is None:
        raise _refusal(501, "this server opens no streams")
    key = parse_params(request.query, b"").get("listenKey")
    owner = None if key is None else hub.keys.owner(key)
    if (key is None or owner is not None) and (why := hub.full_for(owner)):
        raise _refusal(429, f"{why}. Close one, or subscribe to more channels on the ones that are open.")
    if owner is not None and not hub.keys.connect(owner.listen_key):
        raise _refusal(429, "five streams of this listen key are open, and that is the most. Make another one.")
    try:
        await receive()
        await send({"type": "websocket.accept"})
        if key is not None and owner is None:
            socket.push(text_frame(BAD_LISTEN_KEY))
            socket.end(POLICY, _BAD_KEY)
            return
        with hub.connected(owner):
            await _converse(hub, hub.join(socket, owner, request.address), receive)
    finally:
        if owner is not None:
            hub.keys.disconnect(owner.listen_key)


async def _converse(hub: Hub, session: Session, receive: Receive) -> None:
    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            hub.heard(session)
            try:
                request = parse_request(message.get("text") or "")
            except WireRefusal:
                hub.reply(session, text_frame(format_error_frame()))
                continue
            await _obey(hub, session, request)
    finally:
        hub.leave(session)


async def _obey(hub: Hub, session: Session, request: ControlRequest) -> None:
    if request.method is ControlMethod.PING:
        hub.reply(session, text_frame(pong_frame()))
        return
    if request.method is ControlMethod.UNSUBSCRIPTION:
        for name in request.channels:
            hub.unsubscribe(session, name)
        hub.reply(session, text_frame(ack_frame(request.channels, request.id)))
        return
    accepted: list[str] = []
    refused: dict[str, list[str]] = {}
    for name in request.channels:
        channel = parse_channel(name)
        why = _UNKNOWN_CHANNEL if channel is None else await hub.subscribe(session, channel)
        if why:
            refused.setdefault(why, []).append(name)
        else:
            accepted.append(name)
    if accepted:
        hub.reply(session, text_frame(ack_frame(accepted, request.id)))
    for why, names in refused.items():
        hub.reply(session, text_frame(refused_frame(names, request.id, f"gatehouse: {why}.")))


def _refusal(status: int, why: str) -> WireRefusal:
    return WireRefusal(WireError(status, f"gatehouse: streams: {why}", status))
