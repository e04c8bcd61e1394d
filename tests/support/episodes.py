"""Random episodes against deployments with real controller processes, judged by the venue's own books after every step.

An episode sends a burst of orders, lets one thing go wrong in the middle of it, and waits until the controller trades again. The
same seed gives the same choices, but not the same timing of processes. An episode mostly waits, so several deployments play side by
side: each takes the next episode when it has ended one. ``tests/e2e/test_soak_episodes.py`` runs them.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx

from controller.cli.journal.verify import verify_deployment
from exchange.testnet.conditions.faults import FaultKind
from policies.document import load_policy
from policies.ramp import cap_eur
from policies.stage import Stage
from tests.support.loopback import http_at
from tests.support.misbehaving import Bot
from tests.support.rig import Rig, quick_policy, rig
from tests.support.venue_books import VenueBooks

POLICY = load_policy(quick_policy().encode())
CAP = cap_eur(POLICY, Stage.TESTNET_VALIDATING, 0)
STAGE = "TESTNET_VALIDATING"
VENUE_FAULTS: dict[FaultKind, dict[str, Any]] = {
    FaultKind.LOST_ACK: {},
    FaultKind.ERROR_AFTER_ACCEPT: {},
    FaultKind.ERROR_BEFORE_ACCEPT: {"status": 503},
    FaultKind.NOT_FOUND_LAG: {"ms": 800},
    FaultKind.LATE_FILL_AFTER_CANCEL: {"ms": 300},
    FaultKind.SLOW_REPLY: {"ms": 700},
    FaultKind.CONNECTION_RESET: {},
    FaultKind.STREAM_CUT: {},
    FaultKind.STREAM_FREEZE: {"ms": 1_500},
    FaultKind.VERSION_GAP: {},
    FaultKind.DUPLICATE_PRIVATE_EVENTS: {},
    FaultKind.REORDERED_PRIVATE_EVENTS: {},
    FaultKind.RATE_LIMITED: {"retry_after_s": 1},
}


@dataclass
class Episodes:
    """``done`` counts the episodes by what went wrong in them, ``halts`` the halts that nobody asked for, by their reason."""

    deployment: Rig
    bot: Bot
    books: VenueBooks
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    halts: Counter[str] = field(default_factory=Counter)

    async def run(self, numbers: Iterator[int], *, seconds: float) -> None:
        """The episodes of these numbers, or as many as begin in that time; then the journal must verify."""
        end = time.monotonic() + seconds
        while time.monotonic() <= end and (number := next(numbers, None)) is not None:
            await self.play(number)
        await self.deployment.stop()
        self.check("the end")
        assert verify_deployment(self.deployment.directory, [], None).report.ok

    async def play(self, number: int) -> None:
        """One episode. The choices of each depend on the seed and its number only."""
        dice = Random(f"{self.seed} {number}")
        names = ("kill", "pause", "venue", "venue", "halt", "flatten", "burst", "stop")
        name = names[number % len(names)] if number < len(names) else dice.choice(names)
        where = f"episode {number} of seed {self.seed}: {name}"
        try:
            await self._ready()
            self.check(where)
            await getattr(self, f"_{name}")(dice)
            self.check(where)
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}\n{self.deployment.tail()}") from error
        self.done[name] += 1

    def check(self, where: str) -> None:
        """What must always hold, by the venue's own books."""
        assert self.books.most <= CAP, f"{where}: {self.books.most} EUR of {CAP} were open or held"
        twice = [name for name, count in self.books.received().items() if count > 1]
        assert not twice, f"{where}: sent more than once: {twice}"

    # What goes wrong

    async def _kill(self, dice: Random) -> None:
        await self._during_a_burst(dice, self.deployment.kill())
        await self.deployment.start()

    async def _stop(self, dice: Random) -> None:
        await self._during_a_burst(dice, self.deployment.stop())
        assert self.books.open_orders() == 0, "an orderly stop left orders open"
        await self.deployment.start()

    async def _pause(self, dice: Random) -> None:
        async def pause() -> None:
            process = self.deployment.process
            assert process is not None
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(dice.uniform(0.1, 1.5))
            process.send_signal(signal.SIGCONT)

        await self._during_a_burst(dice, pause())

    async def _venue(self, dice: Random) -> None:
        for kind in dice.sample(sorted(VENUE_FAULTS), 2):
            self.deployment.testnet.arm(kind, count=dice.randint(1, 2), params=VENUE_FAULTS[kind])
        await self._burst(dice)
        self.books.venue.faults.clear()

    async def _burst(self, dice: Random) -> None:
        await asyncio.gather(*(self._order(dice, dice.uniform(0, 0.4)) for _ in range(12)))

    async def _halt(self, dice: Random) -> None:
        await self._during_a_burst(dice, self._halted())

    async def _flatten(self, dice: Random) -> None:
        await self.bot.raw(type="MARKET", quantity=None, price=None, quoteOrderQty="4")
        await self._during_a_burst(dice, self._halted())
        if not self.books.held():
            return
        answer = await self.deployment.command("flatten", "alice", subject="all")
        assert answer.status_code == 200, answer.text
        ended = await self.deployment.until(lambda status: status["flatten"] and status["flatten"]["ended_at_ms"])
        assert self.books.held() * self.bot.price < 2 or not ended["flatten"]["complete"], ended["flatten"]

    # Its parts

    async def _during_a_burst(self, dice: Random, event: Awaitable[None]) -> None:
        async def later() -> None:
            await asyncio.sleep(delay)
            await event

        delay = dice.uniform(0, 0.4)
        await asyncio.gather(self._burst(dice), later())

    async def _order(self, dice: Random, delay: float) -> None:
        """One order of a random kind; its answer does not matter."""
        eur, below, kind = (
            f"{dice.uniform(1.3, 6):.2f}",
            dice.randint(20, 60),
            dice.choice(("rest", "rest", "take", "sell", "cancel")),
        )
        amount = self.bot.amount(eur)
        await asyncio.sleep(delay)
        try:
            if kind == "rest":
                await self.bot.raw(quantity=amount, price=self.bot.resting(below))
            elif kind == "take":
                await self.bot.raw(type="MARKET", quantity=amount, price=None)
            elif kind == "sell":
                await self.bot.raw(side="SELL", type="MARKET", quantity=amount, price=None)
            else:
                await self.bot.send(self.bot.query([]), "/api/v3/order/all", "DELETE")
        except httpx.HTTPError:
            return

    async def _halted(self) -> None:
        """Halt. After the answer the venue takes no order, and soon it has none."""
        answer = await self.deployment.ask("POST", "/v1/halt", json={"reason": "an episode"})
        latched = self.books.venue.clock.now()
        assert answer.status_code == 200, answer.text
        await self._empty(latched)

    async def _empty(self, latched: int) -> None:
        await self.deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"] is not None)
        assert self.books.open_orders() == 0, "halted, and orders are open at the venue"
        assert self.books.last_order_at() <= latched, "the venue took an order after the latch"

    async def _keep_trading(self) -> None:
        """An order with an unknown outcome is given up only when other orders show that a reading of the account is new."""
        while True:
            await asyncio.sleep(1)
            with suppress(httpx.HTTPError):
                await self.bot.raw(quantity=self.bot.amount("1.5"), price=self.bot.resting())
                await asyncio.sleep(0.5)
                await self.bot.send(self.bot.query([]), "/api/v3/order/all", "DELETE")

    async def _ready(self) -> None:
        """The controller trades and the account is empty. A halt that nobody asked for is counted, and reset like any other."""
        trading = asyncio.create_task(self._keep_trading())
        try:
            status = await self.deployment.until(
                lambda status: status["stage"] == "HALTED" or (status["armed"] and not status["unknown_orders"]), within=60
            )
        finally:
            trading.cancel()
        if status["stage"] == "HALTED":
            if "an episode" not in status["halt_reason"]:
                self.halts[status["halt_reason"]] += 1
            await self._empty(self.books.venue.clock.now())
            answer = await self.deployment.command("reset", "alice")
            assert answer.status_code == 200, answer.text
        await self.deployment.climb(STAGE)
        await self.bot.begin()


@asynccontextmanager
async def episodes(directory: Path, seed: int) -> AsyncIterator[Episodes]:
    """A deployment with its bot, started and at the testnet."""
    async with rig(directory) as deployment:
        await deployment.start()
        await deployment.climb(STAGE)
        books = VenueBooks(deployment.testnet, "testnet", POLICY.eur_rate.quote_per_eur)
        async with http_at(deployment.gateway, timeout=30) as http:
            yield Episodes(deployment, Bot(deployment, books, None, http, Decimal(1)), books, seed)


@dataclass
class SideBySide:
    """Several deployments that share the episodes of one seed."""

    members: list[Episodes]

    async def run(self, episodes: int, *, seconds: float) -> None:
        """So many episodes, or as many as begin in that time. The first that fails ends all."""
        numbers = iter(range(episodes))
        async with asyncio.TaskGroup() as group:
            for member in self.members:
                group.create_task(member.run(numbers, seconds=seconds))

    @property
    def done(self) -> Counter[str]:
        """The episodes by what went wrong in them."""
        return sum((member.done for member in self.members), Counter[str]())

    @property
    def halts(self) -> Counter[str]:
        """The halts that nobody asked for, by their reason."""
        return sum((member.halts for member in self.members), Counter[str]())

    @property
    def most(self) -> Decimal:
        """The largest worst case at any of the venues."""
        return max(member.books.most for member in self.members)


@asynccontextmanager
async def side_by_side(directory: Path, seed: int, deployments: int) -> AsyncIterator[SideBySide]:
    """So many deployments, started and at the testnet."""
    async with AsyncExitStack() as stack:
        places = [directory / f"deployment-{number}" for number in range(deployments)]
        yield SideBySide([await stack.enter_async_context(episodes(place, seed)) for place in places])
