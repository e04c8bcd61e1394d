"""Fans out what the market and the bots do to every stream that subscribed. ``streams.endpoint`` opens the streams.

Everything runs on the event loop that orders share, so the work of one turn is bounded: at most ``AT_ONCE`` channels are encoded
and as many streams written to, then other work has its turn. A push is decoded, encoded and framed once, however many listen.

A stream is whole or it ends. Where something may be missing, every stream that it concerns is closed with the reason: after a break
of the market's feed, after a change of the stage's market or account, and when a reader is too slow. REST shows where things stand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from controller.gateway.port import GatewayPort
from controller.gateway.stream_limits import StreamLimits
from controller.gateway.stream_port import AccountEnded, BalanceNews, BotNews, FillNews, MarketNews, MarketReplaced, OrderNews
from controller.gateway.streams.history import HistoryChannel, open_history
from controller.gateway.streams.keys import StreamKeys
from controller.gateway.streams.session import GOING_AWAY, POLICY, TRY_AGAIN, Owner, Session
from controller.serving.throttle import Throttle
from controller.serving.websocket import WebSocket, binary_frame
from exchange.errors import GatehouseError
from exchange.ports import FeedBroken
from exchange.push.channels import PublicChannel, open_channel
from exchange.wire.push import Body, OrderExtras, Push
from exchange.wire.push_encode import encode_push
from exchange.wire.stream import ACCOUNT, DEALS, ORDERS, Channel, Topic
from policies.silence import HeardBy

AT_ONCE = 16
"""The channels, and the streams, that one turn of the event loop works on."""

SWEEP_S = 1.0
"""How often deadlines and keys are looked at."""


@dataclass(slots=True, eq=False)
class _Public:
    channel: Channel
    work: PublicChannel | HistoryChannel
    listeners: dict[Session, None] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None
    asking: asyncio.Task[None] | None = None


class Hub:
    """Every stream of one gateway."""

    def __init__(self, port: GatewayPort, keys: StreamKeys, limits: StreamLimits, history: Throttle) -> None:
        """``history`` limits how often an address may ask for candles and statistics, by requests and by streams."""
        self.limits = limits
        self._history = history
        self.keys = keys
        self._port = port
        self._public: dict[str, _Public] = {}
        self._of_symbol: dict[str, list[_Public]] = {}
        self._sessions: dict[Session, None] = {}
        self._due: deque[_Public] = deque()
        self._unsent: dict[Session, None] = {}
        self._turning = False
        self._sweeping: asyncio.TimerHandle | None = None
        port.streams.follow_market(self._on_market)
        port.streams.follow_bots(self._on_bot, self._listening)

    # Streams

    def full_for(self, owner: Owner | None) -> str:
        """Why no further stream may be opened; empty when one may."""
        mine = [one for one in self._sessions if (one.owner is None) is (owner is None)]
        most = self.limits.public if owner is None else self.limits.private
        if len(mine) >= most:
            return f"{most} {'public' if owner is None else 'private'} streams are open, and that is the most"
        if owner is not None and sum(one.owner is not None and one.owner.bot == owner.bot for one in mine) >= self.limits.per_bot:
            return f"{self.limits.per_bot} private streams of this bot are open, and that is the most"
        return ""

    def join(self, socket: WebSocket, owner: Owner | None, address: str = "") -> Session:
        """A stream was opened."""
        session = Session(socket, self.limits, asyncio.get_running_loop().time(), owner, address)
        self._sessions[session] = None
        if self._sweeping is None:
            self._sweep_later()
        return session

    def leave(self, session: Session) -> None:
        """A stream has ended."""
        for name in tuple(session.channels):
            self.unsubscribe(session, name)
        self._sessions.pop(session, None)
        self._unsent.pop(session, None)
        if not self._sessions and self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    @property
    def unsent(self) -> int:
        """How many channels and streams wait for their turn."""
        return len(self._due) + len(self._unsent)

    def heard(self, session: Session) -> None:
        """A client sent something."""
        session.active = asyncio.get_running_loop().time()
        if session.owner is not None:
            self._port.heard_from(session.owner.bot, HeardBy.STREAM)

    def connected(self, owner: Owner | None) -> AbstractContextManager[None]:
        """The bot of a stream has it open for as long as the context lasts. ``session`` ends one that has gone silent."""
        return nullcontext() if owner is None else self._port.connected(owner.bot)

    def reply(self, session: Session, frame: bytes) -> None:
        """Send a reply to a client's message, after what waits."""
        session.send(frame)
        self._send_soon(session)

    # Subscriptions

    async def subscribe(self, session: Session, channel: Channel) -> str:
        """Subscribe a stream to a channel. Returns why not; empty when it is subscribed."""
        if channel.name in session.channels:
            return ""
        if len(session.channels) >= self.limits.subscriptions:
            return f"{self.limits.subscriptions} subscriptions are the most that a connection may have"
        if channel.topic.is_private:
            return self._subscribe_private(session, channel)
        if channel.name not in self._public and (why := await self._open(session, channel)):
            return why
        # The answer of a market may take a while, and much may have happened to the stream since.
        public = self._public.get(channel.name)
        if session.ended or public is None:
            if public is not None and not public.listeners:
                self._close(public)
            return "this stream is about to end"
        public.listeners[session] = None
        session.subscribe(channel)
        if isinstance(public.work, HistoryChannel):
            public.work.begin()
        if isinstance(public.work, HistoryChannel) or not public.work.sequential:
            self._schedule(public)
        return ""

    def unsubscribe(self, session: Session, name: str) -> None:
        """End a stream's subscription."""
        session.unsubscribe(name, asyncio.get_running_loop().time())
        public = self._public.get(name)
        if public is not None:
            public.listeners.pop(session, None)
            if not public.listeners:
                self._close(public)
        if name == ACCOUNT.name and not any(ACCOUNT.name in one.channels for one in self._sessions):
            self._port.streams.forget_balances()

    def _subscribe_private(self, session: Session, channel: Channel) -> str:
        if session.owner is None:
            return "a private channel needs a connection with ?listenKey=, from POST /api/v3/userDataStream"
        session.subscribe(channel)
        if channel.topic is Topic.PRIVATE_ACCOUNT:
            self._port.streams.refresh_balances()
        return ""

    async def _open(self, session: Session, channel: Channel) -> str:
        if why := self._unavailable(channel):
            return why
        if len(self._public) >= self.limits.channels:
            return f"{self.limits.channels} different channels are open, and that is the most"
        work: PublicChannel | HistoryChannel | None = open_channel(channel, self._port)
        if work is None:
            if why := self._no_history(session):
                return why
            work = open_history(channel, self._port)
            try:
                await work.check()
            except GatehouseError as error:
                return f"{error.message.rstrip('.')}. {error.remedy}"
            # The feed may have broken while the venue answered.
            if why := self._unavailable(channel):
                return why
        if channel.name not in self._public:
            public = self._public[channel.name] = _Public(channel, work)
            for symbol in self._symbols(channel):
                self._of_symbol.setdefault(symbol, []).append(public)
        return ""

    def _no_history(self, session: Session) -> str:
        if sum(isinstance(one.work, HistoryChannel) for one in self._public.values()) >= self.limits.histories:
            return f"{self.limits.histories} different channels of candles and mini tickers are open, and that is the most"
        wait = self._history.admit(session.address, self._port.now())
        return f"too many requests for candles and statistics; wait {wait} s" if wait else ""

    def _symbols(self, channel: Channel) -> Collection[str]:
        return sorted(self._port.rules(None)) if channel.symbol is None else (channel.symbol,)

    def _unavailable(self, channel: Channel) -> str:
        if channel.topic is Topic.INCREASE_DEPTH_BATCH:
            return "the feed joins the changes of 100 ms, so single ones are not known here. Subscribe to aggre.depth"
        symbols = self._symbols(channel)
        listed = self._port.rules(None)
        if not symbols or any(symbol not in listed for symbol in symbols):
            return f"{channel.symbol} is not traded here; {', '.join(sorted(listed))} may be"
        return next((why for symbol in symbols if (why := self._port.streams.market_problem(symbol))), "")

    def _close(self, public: _Public) -> None:
        if public.timer is not None:
            public.timer.cancel()
        if public.asking is not None:
            public.asking.cancel()
        if self._public.get(public.channel.name) is public:
            del self._public[public.channel.name]
        for symbol, followers in tuple(self._of_symbol.items()):
            if public in followers:
                followers.remove(public)
            if not followers:
                del self._of_symbol[symbol]

    # The market

    def _on_market(self, news: MarketNews) -> None:
        if isinstance(news, MarketReplaced):
            self._cut(tuple(self._public.values()), news.why)
        elif isinstance(news, FeedBroken):
            why = f"gatehouse: the market data of {news.symbol} broke off: {news.why}. Connect again and read GET depth."
            self._cut(tuple(self._of_symbol.get(news.symbol, ())), why)
        else:
            for public in self._of_symbol.get(news.symbol, ()):
                if public.work.absorb(news):
                    self._schedule(public)

    def _cut(self, publics: Collection[_Public], why: str) -> None:
        for public in publics:
            for session in tuple(public.listeners):
                session.end(TRY_AGAIN, why)
            self._close(public)

    def _schedule(self, public: _Public) -> None:
        if public.timer is None and public.asking is None:
            loop, period = asyncio.get_running_loop(), public.work.period_ms / 1_000
            # Channels of one period fall due together, so that a stream gets them in one write.
            public.timer = loop.call_at((loop.time() // period + 1) * period, self._fall_due, public)

    def _fall_due(self, public: _Public) -> None:
        public.timer = None
        self._due.append(public)
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """A bounded part of what is due: channels first, then the streams that something was queued for."""
        self._turning = False
        for _ in range(min(AT_ONCE, len(self._due))):
            self._push(self._due.popleft())
        if not self._due:
            for session in tuple(self._unsent)[:AT_ONCE]:
                del self._unsent[session]
                session.flush()
        if self._due or self._unsent:
            self._turn_soon()

    def _send_soon(self, session: Session) -> None:
        self._unsent[session] = None
        self._turn_soon()

    def _push(self, public: _Public) -> None:
        if self._public.get(public.channel.name) is not public:
            return
        work = public.work
        if work.periodic:
            self._schedule(public)
        if isinstance(work, HistoryChannel):
            if public.asking is None:
                public.asking = asyncio.create_task(self._ask(public, work))
        elif (body := work.body()) is not None:
            self._fan_out(public, body)

    async def _ask(self, public: _Public, work: HistoryChannel) -> None:
        # Also an error that nobody expects must end the streams: a channel that never asks again would stay open and say nothing.
        why = "internal error"
        try:
            bodies = await work.bodies()
            why = ""
        except GatehouseError as error:
            why = error.message
            return
        finally:
            public.asking = None
            if why and self._public.get(public.channel.name) is public:
                self._cut((public,), f"gatehouse: {public.channel.name}: {why}")
        if self._public.get(public.channel.name) is public:
            for body in bodies:
                self._fan_out(public, body)
            if work.stale:
                self._schedule(public)

    def _fan_out(self, public: _Public, body: Body) -> None:
        now, name = self._port.now(), public.channel.name
        frame = binary_frame(encode_push(Push(public.channel, body, created_at=now, sent_at=now)))
        active = asyncio.get_running_loop().time()
        for session in tuple(public.listeners):
            session.active = active
            if public.work.sequential:
                session.send(frame)
            else:
                session.send_latest(name, frame)
            self._send_soon(session)

    # The bots

    def _listening(self) -> Collection[str]:
        return {one.owner.bot for one in self._sessions if one.owner is not None and one.channels and not one.ended}

    def _on_bot(self, news: BotNews) -> None:
        match news:
            case OrderNews():
                self._publish(news.bot, ORDERS, news.report, news.extras)
            case FillNews():
                self._publish(news.bot, DEALS, news.fill)
            case BalanceNews():
                for bot in self._listening():
                    self._publish(bot, ACCOUNT, news.update)
            case AccountEnded():
                for session in tuple(self._sessions):
                    if session.owner is not None:
                        session.end(TRY_AGAIN, news.why)

    def _publish(self, bot: str, channel: Channel, body: Body, extras: OrderExtras | None = None) -> None:
        listeners = [
            one for one in self._sessions if one.owner is not None and one.owner.bot == bot and channel.name in one.channels
        ]
        if not listeners:
            return
        now = self._port.now()
        frame = binary_frame(encode_push(Push(channel, body, created_at=now, sent_at=now), extras))
        for session in listeners:
            # Nothing goes to a key that was revoked since it was last looked at.
            if self._may_go_on(session):
                session.active = asyncio.get_running_loop().time()
                session.send(frame)
                self._send_soon(session)

    def _may_go_on(self, session: Session) -> bool:
        why = self.keys.problem(session.owner) if session.owner is not None else ""
        if why:
            session.end(POLICY, why)
        return not why

    def _sweep_later(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweep_later()
        now = asyncio.get_running_loop().time()
        for session in tuple(self._sessions):
            if self._may_go_on(session) and (why := session.overdue(now)):
                session.end(GOING_AWAY, why)
        if any(ACCOUNT.name in one.channels for one in self._sessions):
            self._port.streams.refresh_balances()
