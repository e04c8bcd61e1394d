"""Asks the real venue whether it would take the orders that the testnet took: ``POST /api/v3/order/test`` (ADR 64).

``controller.bootstrap.real_venue`` makes one and gives it the question. It asks at most three times a minute, one at a time, while
the deployment is on the testnet, armed, and nothing else is under way; the writer journals the answers of a few minutes together.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from controller.core import events as e
from controller.core.fold.flatten import SELLER
from controller.core.inputs import OrderTestsAnswered
from controller.core.state import State
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.writer import CommittedBatch
from exchange.model import OrderIntent
from exchange.ports import Clock, VenueName
from policies.stage import ON_THE_TESTNET

EVERY_S = 20.0
"""Three questions a minute at most. The signer signs no more than four (``controller.signer.service``)."""

MANY, THEN_EVERY_S = 300, 300.0
"""After so many answers one question in five minutes: they bound the disagreements at 1 %, and every question is a risk."""

REPORT_EVERY_NS = 300_000_000_000
"""Answers are journalled once in five minutes; the first one, and a refusal, at once."""

WAITING_MOST = 64
OLD_NS = 300_000_000_000
"""An order that waited longer than five minutes is not asked about: its price belongs to another market."""

_LOOK_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question: ``refused`` says what the venue would not have taken, ``unjudged`` why it says nothing."""

    refused: str = ""
    unjudged: str = ""


class OrderTests:
    """The orders that wait to be asked about, and the answers that are not reported yet."""

    def __init__(
        self, *, ask: Callable[[OrderIntent], Awaitable[Answer]], state: Callable[[], State], inbox: Inbox, clock: Clock
    ) -> None:
        self._ask = ask
        self._state = state
        self._inbox = inbox
        self._clock = clock
        self._waiting: deque[tuple[int, OrderIntent]] = deque(maxlen=WAITING_MOST)
        self._accepted = 0
        self._refused: Counter[str] = Counter()
        self._unjudged: Counter[str] = Counter()
        self._reported_ns: int | None = None
        self._wake = asyncio.Event()

    def on_batch(self, batch: CommittedBatch) -> None:
        """Note the orders of bots that the testnet has acknowledged."""
        for _, event in batch.entries:
            if not isinstance(event, e.OrderAcked):
                continue
            order = batch.after.orders[event.client_id]
            if order.venue is VenueName.TESTNET and order.stage in ON_THE_TESTNET and order.bot != SELLER:
                self._waiting.append((self._clock.monotonic_ns(), order.intent))
                self._wake.set()

    async def run(self) -> None:
        """Ask and report, until cancelled."""
        while True:
            if not self._waiting and not self._unreported:
                self._wake.clear()
                await self._wake.wait()
            asked = await self.step()
            often = self._state().order_tests.asked < MANY
            await asyncio.sleep(_LOOK_EVERY_S if not asked else EVERY_S if often else THEN_EVERY_S)

    async def step(self) -> bool:
        """Ask about the newest order that waits, if it may be asked now, and report what is due; returns whether it asked."""
        intent = self._next() if may_ask(self._state()) else None
        if intent is not None:
            answer = await self._ask(intent)
            if answer.refused:
                self._refused[answer.refused] += 1
            elif answer.unjudged:
                self._unjudged[answer.unjudged] += 1
            else:
                self._accepted += 1
        now = self._clock.monotonic_ns()
        due = self._reported_ns is None or now - self._reported_ns >= REPORT_EVERY_NS
        if self._refused or (due and self._unreported):
            self._reported_ns = now
            self._report()
        return intent is not None

    @property
    def _unreported(self) -> bool:
        return bool(self._accepted or self._refused or self._unjudged)

    def _next(self) -> OrderIntent | None:
        horizon = self._clock.monotonic_ns() - OLD_NS
        while self._waiting:
            at, intent = self._waiting.pop()
            if at >= horizon:
                return intent
        return None

    def _report(self) -> None:
        found = OrderTestsAnswered(self._accepted, dict(self._refused), dict(self._unjudged))
        self._accepted = 0
        self._refused.clear()
        self._unjudged.clear()
        self._inbox.fact(found, self._clock.monotonic_ns())


def may_ask(state: State) -> bool:
    """Whether the real venue may be asked now: on the testnet, armed, and with no drill and no flatten under way."""
    return state.position.stage in ON_THE_TESTNET and state.may_send_orders and state.drill is None and state.flatten is None
