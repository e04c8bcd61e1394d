"""The websocket endpoint ``/ws``: reads control frames, sends pushes, and ends connections by MEXC's rules. The app routes it.

The protocol is mexc-spot-v3.md §7.1. One task reads control frames and queues their replies, one task sends what is queued.
The connection ends when one of them ends, or when the session does (idle, too old, too slow, listen key expired).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from exchange.testnet.access.ratelimit import SlidingWindow
from exchange.testnet.http.transport import abort
from exchange.testnet.push.outbox import Outbox
from exchange.testnet.push.session import Session
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.errors import WireRefusal
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

_MS = 1_000_000
_SECOND_NS = 1_000_000_000
_CLOSE_GRACE_S = 1
_GOING_AWAY = 1001

WebsocketHandler = Callable[[WebSocket], Coroutine[Any, Any, None]]


def websocket_handler(venue: SimulatedVenue) -> WebsocketHandler:
    """The websocket endpoint of one venue."""

    async def serve(socket: WebSocket) -> None:
        key = socket.query_params.get("listenKey")
        await socket.accept()
        account = None if key is None else venue.listen_keys.owner(key, venue.clock.now())
        if key is not None and (account is None or not venue.listen_keys.connect(key)):
            with suppress(WebSocketDisconnect):
                await socket.send_text(BAD_LISTEN_KEY)
                await socket.close()
            return
        now_ns = venue.clock.monotonic_ns()
        session = Session(
            limits=venue.stream_limits,
            outbox=Outbox(venue.stream_limits.queue),
            opened_ns=now_ns,
            account=account,
            listen_key=key,
            active_ns=now_ns,
            unsubscribed_ns=now_ns,
        )
        venue.hub.join(session)
        try:
            await _run(venue, socket, session)
        finally:
            venue.hub.leave(session)
            if key is not None:
                venue.listen_keys.disconnect(key)

    return serve


async def _run(venue: SimulatedVenue, socket: WebSocket, session: Session) -> None:
    tasks = [
        asyncio.create_task(_read(venue, socket, session)),
        asyncio.create_task(_write(venue, socket, session)),
        asyncio.create_task(_watch(venue, session)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    await _close(socket, session)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError | WebSocketDisconnect):
            raise result


async def _close(socket: WebSocket, session: Session) -> None:
    if session.abrupt and abort(socket.scope):
        return
    if socket.client_state is WebSocketState.CONNECTED and socket.application_state is WebSocketState.CONNECTED:
        with suppress(WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(_CLOSE_GRACE_S):
                await socket.close(_GOING_AWAY, session.reason)


async def _read(venue: SimulatedVenue, socket: WebSocket, session: Session) -> None:
    frames = SlidingWindow(venue.stream_limits.frames_per_second)
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        now_ns = venue.clock.monotonic_ns()
        session.touch(now_ns)
        if not frames.admit("", now_ns):
            session.end("sends too much")
            return
        text = message.get("text")
        try:
            if text is None:
                session.send(format_error_frame())
            else:
                _obey(venue, session, parse_request(text))
        except WireRefusal:
            session.send(format_error_frame())


def _obey(venue: SimulatedVenue, session: Session, request: ControlRequest) -> None:
    if request.method is ControlMethod.PING:
        session.send(pong_frame())
        return
    if request.method is ControlMethod.UNSUBSCRIPTION:
        for name in request.channels:
            venue.hub.unsubscribe(session, name)
        session.send(ack_frame(request.channels, request.id))
        return
    accepted: list[str] = []
    refused: list[str] = []
    for name in request.channels:
        channel = parse_channel(name)
        taken = channel is not None and venue.hub.subscribe(session, channel)
        (accepted if taken else refused).append(name)
    if accepted:
        session.send(ack_frame(accepted, request.id))
    if refused:
        session.send(refused_frame(refused, request.id))


async def _write(venue: SimulatedVenue, socket: WebSocket, session: Session) -> None:
    while True:
        message = session.outbox.take()
        if message is None:
            await session.outbox.changed()
        elif isinstance(message, str):
            await socket.send_text(message)
            session.touch(venue.clock.monotonic_ns())
        else:
            await socket.send_bytes(message)
            session.touch(venue.clock.monotonic_ns())


async def _watch(venue: SimulatedVenue, session: Session) -> None:
    while not session.ended.is_set():
        now_ns = venue.clock.monotonic_ns()
        at_ns, reason = session.deadline()
        if session.listen_key is not None:
            key_ends_ns = now_ns + venue.listen_keys.remaining_ms(session.listen_key, venue.clock.now()) * _MS
            at_ns, reason = min((at_ns, reason), (key_ends_ns, "listenKey expired"))
        if at_ns <= now_ns:
            session.end(reason)
            return
        session.changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout((at_ns - now_ns) / _SECOND_NS):
                await session.changed.wait()
