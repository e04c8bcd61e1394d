"""Sends the engine's events to every websocket that subscribed. ``SimulatedVenue`` owns it.

Private events go out at once, one push each, in the order they happened (mexc-spot-v3.md §7.8). Public channels are batched
by their period; a push is encoded once for all its listeners.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from exchange.matching.engine import Engine
from exchange.matching.events import BalanceChanged, EngineEvent, Filled, OrderChanged
from exchange.model import Millis
from exchange.ports import Clock
from exchange.push.channels import PublicChannel
from exchange.testnet.conditions.faults import FaultKind, FaultPlan
from exchange.testnet.market.history import History
from exchange.testnet.push.channels import market_event, open_channel
from exchange.testnet.push.session import TOO_OLD, Session
from exchange.wire.push import BalanceReason, BalanceUpdate, OrderExtras, Push
from exchange.wire.push_encode import encode_push
from exchange.wire.stream import ACCOUNT, DEALS, ORDERS, Channel, Topic

_SOON_MS = 100
"""The longest time, in ms, a new listener waits for the present state."""

_PrivateEvent = OrderChanged | Filled | BalanceChanged
_CHAINED = frozenset({Topic.AGGRE_DEPTH, Topic.INCREASE_DEPTH_BATCH})


@dataclass(slots=True, eq=False)
class _Public:
    channel: Channel
    work: PublicChannel
    listeners: list[Session] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Hub:
    """Every websocket session and the channels it subscribed to. Belongs to one event loop."""

    def __init__(self, engine: Engine, history: History, clock: Clock, faults: FaultPlan) -> None:
        self._engine = engine
        self._history = history
        self._frozen: tuple[int, str | None] = (0, None)
        self._clock = clock
        self._faults = faults
        self._public: dict[str, _Public] = {}
        self._held_back: dict[str, tuple[_PrivateEvent, asyncio.TimerHandle]] = {}
        self.sessions: list[Session] = []

    def subscribe(self, session: Session, channel: Channel) -> bool:
        """Subscribe a session to a channel; ``False`` if it may not, or has too many already."""
        if channel.topic.is_private and session.account is None:
            return False
        if channel.symbol is not None and channel.symbol not in self._engine.rules:
            return False
        if channel.name in session.channels:
            return True
        if not session.subscribe(channel.name):
            return False
        if channel.topic.is_private:
            return True
        public = self._public.get(channel.name)
        if public is None:
            public = self._public[channel.name] = _Public(channel, open_channel(channel, self._engine, self._history, self._clock))
        public.listeners.append(session)
        if not public.work.sequential:
            self._schedule(public, min(public.work.period_ms, _SOON_MS))
        return True

    def unsubscribe(self, session: Session, name: str) -> None:
        """End a session's subscription."""
        session.unsubscribe(name, self._clock.monotonic_ns())
        public = self._public.get(name)
        if public is None:
            return
        public.listeners = [listener for listener in public.listeners if listener is not session]
        if not public.listeners:
            if public.timer is not None:
                public.timer.cancel()
            del self._public[name]

    def join(self, session: Session) -> None:
        """Add a websocket that was opened."""
        self.sessions.append(session)

    def leave(self, session: Session) -> None:
        """Remove a websocket that was closed."""
        for name in tuple(session.channels):
            self.unsubscribe(session, name)
        self.sessions = [other for other in self.sessions if other is not session]

    def publish(self, events: Iterable[EngineEvent]) -> None:
        """Send the engine's events to their listeners."""
        for event in events:
            if isinstance(event, OrderChanged | Filled | BalanceChanged):
                self._publish_or_hold(event)
            elif self._public and (happened := market_event(event)) is not None:
                for public in self._public.values():
                    if public.work.absorb(happened):
                        self._schedule(public, public.work.period_ms)

    def freeze(self, until_ns: int, channel: str | None) -> None:
        """Push nothing until ``until_ns`` (with ``channel``: on channels whose name contains it); connections stay open."""
        self._frozen = (until_ns, channel)

    def cut(self, channel: str | None) -> None:
        """Close the connections that listen to a channel whose name contains ``channel``, or all of them."""
        for session in self.sessions:
            if channel is None or any(channel in name for name in session.channels):
                session.end(TOO_OLD)

    def close(self) -> None:
        """Cancel every timer and close every connection."""
        for _, timer in self._held_back.values():
            timer.cancel()
        for public in self._public.values():
            if public.timer is not None:
                public.timer.cancel()
        for session in self.sessions:
            session.end("the venue is going down")

    def _is_frozen(self, channel: str) -> bool:
        until_ns, target = self._frozen
        return self._clock.monotonic_ns() < until_ns and (target is None or target in channel)

    def _schedule(self, public: _Public, ms: int) -> None:
        if public.timer is None:
            public.timer = asyncio.get_running_loop().call_later(ms / 1000, self._flush, public)

    def _flush(self, public: _Public) -> None:
        public.timer = None
        if public.work.periodic:
            self._schedule(public, public.work.period_ms)
        now = self._clock.now()
        body = public.work.body()
        if body is None:
            return
        name = public.channel.name
        if public.channel.topic in _CHAINED and self._faults.take(FaultKind.VERSION_GAP, now, channel=name) is not None:
            return
        if self._is_frozen(name):
            return
        frame = encode_push(Push(public.channel, body, created_at=now, sent_at=now))
        for session in public.listeners:
            if public.work.sequential:
                session.send(frame)
            else:
                session.send_latest(name, frame)

    def _publish_or_hold(self, event: _PrivateEvent) -> None:
        """Publish a private event, or hold it back until the account's next event if a fault says so."""
        earlier = self._held_back.pop(event.account, None)
        if earlier is None and self._listeners(event):
            fault = self._faults.take(FaultKind.REORDERED_PRIVATE_EVENTS, self._clock.now(), channel=_private_channel(event).name)
            if fault is not None:
                delay = 200 if fault.ms is None else fault.ms
                timer = asyncio.get_running_loop().call_later(delay / 1000, self._publish_held, event.account)
                self._held_back[event.account] = (event, timer)
                return
        self._publish_private(event)
        if earlier is not None:
            earlier[1].cancel()
            self._publish_private(earlier[0])

    def _publish_held(self, account: str) -> None:
        event, _ = self._held_back.pop(account)
        self._publish_private(event)

    def _listeners(self, event: _PrivateEvent) -> list[Session]:
        name = _private_channel(event).name
        return [session for session in self.sessions if session.account == event.account and name in session.channels]

    def _publish_private(self, event: _PrivateEvent) -> None:
        now = self._clock.now()
        channel = _private_channel(event)
        listeners = self._listeners(event)
        if not listeners or self._is_frozen(channel.name):
            return
        frame = _private_frame(event, now)
        copies = 1 if self._faults.take(FaultKind.DUPLICATE_PRIVATE_EVENTS, now, channel=channel.name) is None else 2
        for session in listeners:
            for _ in range(copies):
                session.send(frame)


def _private_channel(event: _PrivateEvent) -> Channel:
    if isinstance(event, OrderChanged):
        return ORDERS
    return DEALS if isinstance(event, Filled) else ACCOUNT


def _private_frame(event: _PrivateEvent, now: Millis) -> bytes:
    channel = _private_channel(event)
    if isinstance(event, OrderChanged):
        view = event.order
        extras = OrderExtras(view.maker, view.last_quantity, view.amount, view.remaining_amount)
        return encode_push(Push(channel, view.report, created_at=event.at, sent_at=now), extras)
    if isinstance(event, Filled):
        return encode_push(Push(channel, event.fill, created_at=event.at, sent_at=now))
    change = event.change
    update = BalanceUpdate(
        asset=change.asset,
        free=change.free,
        free_change=change.free_delta,
        locked=change.locked,
        locked_change=change.locked_delta,
        reason=BalanceReason(change.reason.value),
        at=event.at,
    )
    return encode_push(Push(channel, update, created_at=event.at, sent_at=now))
