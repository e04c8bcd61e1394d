"""A desk whose journal is streamed: the port, the hub and two bots that listen; without sockets and without a writer's thread."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from controller.core import event_codec
from controller.core.decisions.draft import Decision
from controller.gateway.port import BotKey
from controller.gateway.requests import Call
from controller.gateway.stream_limits import StreamLimits
from controller.gateway.streams.hub import Hub
from controller.gateway.streams.keys import StreamKeys
from controller.gateway.streams.session import Session
from controller.runtime.api.bots import Bots
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.loop.writer import CommittedBatch
from controller.runtime.venues.markets import Markets
from controller.serving.throttle import Rate, Throttle
from exchange.model import Fill, Millis, Quote
from exchange.ports import VenueName
from exchange.wire.stream import PRIVATE_CHANNELS
from tests.support.desk import BOT_KEYS, RULES, SYMBOL, Desk
from tests.support.fixed_keys import FixedKeys
from tests.support.stream_reader import Belief, ReaderSocket

BOT, OTHER = "demo-bot", "other-bot"
KEYS = FixedKeys(*(BotKey(name, key, "secret") for name, key in BOT_KEYS.items()))
LIMITS = StreamLimits(messages=6)
"""A paused reader is cut within a few steps."""


class DeskClock:
    """The desk's time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def now(self) -> Millis:
        return self._desk.now

    def monotonic_ns(self) -> int:
        return self._desk.now * 1_000_000


class DeskFeed:
    """The desk's market."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def quote(self, _: str) -> Quote:
        return self._desk.quote()


class Controller:
    """One process: what the writer has committed, the port, the hub, and a bot that listens."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        self.desk, self.loop = desk, loop
        self.followers: list[Any] = []
        writer: Any = SimpleNamespace(add_follower=self.followers.append, count_early=lambda _: None)
        self._writer = writer
        writer.state = desk.state
        feed: Any = DeskFeed(desk)
        clock, nobody = DeskClock(desk), Any
        self.history = RecentHistory()
        rules = {name: {SYMBOL: RULES} for name in VenueName}
        markets = Markets(
            feeds={VenueName.LIVE: feed, VenueName.TESTNET: feed},
            rules=rules,
            accelerated=dict.fromkeys(VenueName, False),
            symbols=(SYMBOL,),
            clock=clock,
            inbox=nobody,  # type: ignore[arg-type]
            clocks={},
        )
        self.port = Bots(
            writer=writer,
            inbox=nobody,  # type: ignore[arg-type]
            markets=markets,
            candles=nobody,  # type: ignore[arg-type]
            history=self.history,
            clock=clock,
        )
        self.keys = StreamKeys(self.port, KEYS)
        self.hub = Hub(self.port, self.keys, LIMITS, Throttle(Rate(1, 1)))
        self.sockets: dict[str, ReaderSocket] = {}
        self.sessions: dict[str, Session] = {}
        self.beliefs: dict[str, Belief] = {}
        for bot in (BOT, OTHER):
            self.run(self.connect(bot))

    def run(self, work: Any) -> None:
        self.loop.run_until_complete(work)

    async def connect(self, bot: str) -> None:
        """As a bot does: a listen key, a stream, its channels, and then REST."""
        call = Call({}, bot, "", Millis(0), BOT_KEYS[bot])
        made: Any = await self.keys.create(call)
        owner = self.keys.owner(made["listenKey"])
        assert owner is not None
        if (old := self.sessions.get(bot)) is not None:
            self.hub.leave(old)
        self.sockets[bot] = ReaderSocket()
        self.sessions[bot] = self.hub.join(self.sockets[bot], owner)
        for channel in PRIVATE_CHANNELS:
            assert await self.hub.subscribe(self.sessions[bot], channel) == ""
        self.beliefs[bot] = Belief.of_rest(bot, self.port, SYMBOL)
        self.sockets[bot].binary()

    async def commit(self, decision: Decision) -> None:
        """The decision has become durable."""
        self._writer.state = decision.after
        at = decision.after.at
        entries: Any = tuple((SimpleNamespace(at=at, body=event_codec.encode(event)), event) for event in decision.events)
        batch = CommittedBatch(entries, decision.after, 0, 0, 0)
        self.history.on_batch(batch)
        for follower in self.followers:
            follower(batch)

    async def settle(self) -> None:
        """Let the event loop come to rest, and a second pass."""
        await self._rest()
        self.port.streams.refresh_balances()
        await self._rest()

    async def _rest(self) -> None:
        for _ in range(10_000):
            await asyncio.sleep(0)
            if not (self.port.streams.behind or self.hub.unsent):
                return
        raise AssertionError("the streams do not come to rest")

    async def check(self) -> None:
        """Every stream that is open says what REST says; a bot whose stream has ended connects again."""
        await self.settle()
        for bot, socket in list(self.sockets.items()):
            if socket.ended is not None:
                await self.connect(bot)
            elif not socket.unread:
                self.beliefs[bot].fold(socket.binary())
                self.beliefs[bot].check(self.port, SYMBOL, self._is_elsewhere)

    def _is_elsewhere(self, fill: Fill) -> bool:
        """Whether a trade is of an order that the bot placed before a change of stage took it to another account."""
        state = self.desk.state
        return state.orders[fill.order_id].venue is not state.watched
