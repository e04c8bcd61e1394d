"""A bot that never pauses, its venue and the real sweeper, in virtual time: each answer takes a while, and trades go on meanwhile.

The venue's own books are exact. Its lists cut times to seconds and leave our ids out, as MEXC's do; its stream is one connection,
so what it tells arrives in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256
from random import Random
from typing import Any, cast

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted
from controller.core.effects import Cancel, CancelAll, LookUp, Place, ReadAccount
from controller.core.order_state import AT_THE_VENUE
from controller.runtime.loop.schedule import TICK_EVERY_S
from controller.runtime.venues.reconcile import Sweeper
from controller.runtime.venues.strangers import Strangers
from exchange.model import Balance, Fill, Millis, OrderIntent, OrderReport, OrderStatus, Side
from exchange.ports import Ack, Unknown, VenueName
from exchange.wire.numbers import whole_second
from policies.schema import UnknownOrder
from tests.support.desk import SYMBOL, D, Desk, demo_policy
from tests.support.desk_parts import RULES
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

MOCK = VenueName.MOCK
EVERY_S = 3.0
LOST_AFTER_S = 5
STEP = D("0.000001")


@dataclass(frozen=True)
class Pace:
    """How fast things are, in seconds: a way to or from the venue for a query, for an order, and for the stream."""

    query: tuple[float, float] = (0.025, 0.15)
    order: tuple[float, float] = (0.025, 0.15)
    stream: tuple[float, float] = (0.05, 0.2)
    whole_seconds: bool = True
    nameless: bool = True
    orders_a_second: int = 10


@dataclass
class _Order:
    intent: OrderIntent
    order_id: str
    executed: Decimal = D(0)
    executed_quote: Decimal = D(0)
    dead: bool = False

    @property
    def left(self) -> Decimal:
        assert self.intent.quantity is not None
        return D(0) if self.dead else self.intent.quantity - self.executed


def busy_desk(unknown: UnknownOrder | None = None) -> Desk:
    """A deployment at MOCK with room for a bot that sends ten orders a second to a slow venue."""
    policy = demo_policy()
    guards = policy.guards if unknown is None else policy.guards.model_copy(update={"unknown_order": unknown})
    limits = policy.limits.model_copy(update={"open_orders_max": 200})
    caps = policy.caps.model_copy(update={"testnet": D(1_000)})
    return Desk(policy.model_copy(update={"limits": limits, "caps": caps, "guards": guards}), usdt="10000", btc="0.01").arm()


@dataclass
class BusyVenue:
    """``run`` lets the bot trade. ``compared`` are what the sweeper delivered, with the verdict on each."""

    seed: int
    pace: Pace = field(default_factory=Pace)
    desk: Desk = field(default_factory=busy_desk)
    name: VenueName = MOCK
    compared: list[tuple[i.AccountRead, e.Reconciled | None]] = field(default_factory=list)
    asked: int = 0
    admitted: int = 0
    reports_a_list: Callable[[OrderReport], bool] = lambda _: True
    """Which orders the lists show."""
    on_trade: Callable[[Fill], bool] = lambda _: True
    """Which trades the venue tells of. What it does not tell of is in its balances all the same."""
    loses: Callable[[OrderIntent], bool] = lambda _: False
    """Which orders never arrive, while nobody learns of it."""

    def __post_init__(self) -> None:
        self.loop = VirtualTimeLoop()
        self.clock = VirtualClock(self.loop)
        self.dice = Random(self.seed)
        self.orders: dict[str, _Order] = {}
        self.trades: list[Fill] = []
        self.totals = {asset: one.total for asset, one in self.desk.balances(MOCK).items()}
        self._stream_at = 0.0
        self.sweep_soon: Callable[[], None] = lambda: None

    # What the venue answers

    async def balances(self) -> Mapping[str, Balance]:
        return await self._answer(self._balances)

    async def open_orders(self, _symbol: str) -> Sequence[OrderReport]:
        return await self._answer(lambda: [report for report in map(self._listed, self._resting()) if self.reports_a_list(report)])

    async def fills(self, _symbol: str, since: Millis) -> Sequence[Fill]:
        def listed() -> list[Fill]:
            found = [self._as_listed(fill) for fill in self.trades if fill.at >= whole_second(since)]
            # MEXC's ids of trades are no numbers that grow, so the order within a second says nothing.
            return sorted(found, key=lambda fill: (fill.at, sha256(fill.trade_id.encode()).digest()))

        return await self._answer(listed)

    async def _answer(self, answer: Callable[[], Any]) -> Any:
        await asyncio.sleep(self.dice.uniform(*self.pace.query))
        found = answer()
        await asyncio.sleep(self.dice.uniform(*self.pace.query))
        return found

    def _balances(self) -> dict[str, Balance]:
        locked = {"USDT": D(0), "BTC": D(0)}
        for order in self._resting():
            assert order.intent.price is not None
            if order.intent.side is Side.SELL:
                locked["BTC"] += order.left
            else:
                locked["USDT"] += order.left * order.intent.price
        return {
            asset: Balance(asset, total - locked.get(asset, D(0)), locked.get(asset, D(0))) for asset, total in self.totals.items()
        }

    def _resting(self) -> list[_Order]:
        return [order for order in self.orders.values() if order.left]

    def _as_listed(self, fill: Fill) -> Fill:
        at = whole_second(fill.at) if self.pace.whole_seconds else fill.at
        return replace(fill, at=at, client_id="" if self.pace.nameless else fill.client_id)

    def _listed(self, order: _Order) -> OrderReport:
        report = self._report(order)
        return replace(report, client_id="") if self.pace.nameless else report

    def _report(self, order: _Order) -> OrderReport:
        intent = order.intent
        assert intent.quantity is not None
        assert intent.price is not None
        if order.executed >= intent.quantity:
            status = OrderStatus.FILLED
        elif order.dead:
            status = OrderStatus.PARTIALLY_CANCELED if order.executed else OrderStatus.CANCELED
        else:
            status = OrderStatus.PARTIALLY_FILLED if order.executed else OrderStatus.NEW
        return OrderReport(
            symbol=SYMBOL,
            order_id=order.order_id,
            client_id=intent.client_id,
            side=intent.side,
            type=intent.type,
            status=status,
            price=intent.price,
            quantity=intent.quantity,
            executed=order.executed,
            executed_quote=order.executed_quote,
            created_at=self.clock.now(),
        )

    # What happens at the venue

    def _arrive(self, intent: OrderIntent) -> None:
        order = _Order(intent, f"C02__{len(self.orders)}")
        self.orders[intent.client_id] = order
        self._stream(self._report(order))
        answer = i.PlacementAnswered(intent.client_id, Ack(order.order_id, self.clock.now()))
        self.loop.call_later(self.dice.uniform(*self.pace.order), self._give, answer)
        if self.dice.random() < 0.5:
            self.trade(order)

    def trade(self, order: _Order) -> None:
        """Fill the order, or a part of it."""
        intent, part = order.intent, self.dice.choice((D("0.3"), D("0.5"), D(1)))
        amount = max((order.left * part).quantize(STEP), min(STEP, order.left))
        assert intent.price is not None
        quote = amount * intent.price
        fee = (quote * RULES.taker_fee).quantize(D("0.00000001"))
        order.executed += amount
        order.executed_quote += quote
        number = len(self.trades)
        fill = Fill(
            f"{505_000 + number}X1",
            order.order_id,
            intent.client_id,
            SYMBOL,
            intent.side,
            intent.price,
            amount,
            quote,
            fee,
            "USDT",
            maker=False,
            at=self.clock.now(),
        )
        sign = 1 if intent.side is Side.BUY else -1
        self.totals["BTC"] += sign * amount
        self.totals["USDT"] -= sign * quote + fee
        if self.on_trade(fill):
            self.trades.append(fill)
            self._stream(self._report(order), fill)

    def _cancel(self, client_id: str) -> None:
        order = self.orders.get(client_id)
        if order is not None and order.left:
            order.dead = True
            self._stream(self._report(order))

    def _stream(self, *events: OrderReport | Fill) -> None:
        self._stream_at = max(self._stream_at, self.loop.time() + self.dice.uniform(*self.pace.stream))
        for event in events:
            self.loop.call_at(self._stream_at, self._give, i.VenueReported(MOCK, event))

    # The controller

    def _give(self, input_: i.Input) -> Any:
        self.desk.now = self.clock.now()
        decision = self.desk.give(input_)
        for effect in decision.effects:
            way = self.dice.uniform(*self.pace.order)
            match effect:
                case Place() if self.loses(effect.intent):
                    lost = i.PlacementAnswered(effect.intent.client_id, Unknown("no answer"))
                    self.loop.call_later(LOST_AFTER_S, self._give, lost)
                case Place():
                    self.loop.call_later(way, self._arrive, effect.intent)
                case ReadAccount():
                    self.sweep_soon()
                case Cancel():
                    self.loop.call_later(way, self._cancel, effect.client_id)
                case CancelAll():
                    for client_id in self.orders:
                        self.loop.call_later(way, self._cancel, client_id)
                case LookUp():
                    self.loop.call_later(2 * way, self._looked_up, effect.client_id)
                case _:
                    pass
        return decision

    def _looked_up(self, client_id: str) -> None:
        order = self.orders.get(client_id)
        report = None if order is None else self._report(order)
        self._give(i.LookupAnswered(client_id, report, absent_everywhere=order is None, asked_at=self.clock.now()))

    def fact(self, reading: i.AccountRead, _known_ns: int) -> None:
        """Take the place of the inbox."""
        decision = self._give(reading)
        found = [event for event in decision.events if isinstance(event, e.Reconciled)]
        self.compared.append((reading, found[0] if found else None))

    # The bot

    async def _bot(self, seconds: float) -> None:
        for number in range(int(seconds * self.pace.orders_a_second)):
            await asyncio.sleep(1 / self.pace.orders_a_second)
            price = self.desk.price + D(self.dice.randrange(-500, 500)) / 100
            size = D(self.dice.choice((20, 25, 30))) / 1_000_000
            side = Side.SELL if self.dice.random() < 0.5 and self._for_sale() >= size else Side.BUY
            self.desk.now = self.clock.now()
            self.asked += 1
            self.admitted += isinstance(self._give(self.desk.requested(str(size), str(price), side=side)).reply, Admitted)
            self._market(number)

    def _for_sale(self) -> Decimal:
        """What the bot bought and no order of it may still sell: nothing else of the account is its own."""
        state = self.desk.state
        selling = (order.quantity - order.booked for order in state.open_on(MOCK) if order.side is Side.SELL and order.quantity)
        return state.ledger(MOCK).bought.get("BTC", D(0)) - sum(selling, D(0))

    def _market(self, number: int) -> None:
        resting = self._resting()
        for order in resting[:1] if number % 2 else ():
            self.trade(order)
        ours = [order for order in self.desk.state.open_on(MOCK) if order.status in AT_THE_VENUE and not order.cancel_requested]
        for old in ours[:-8] or (ours[:1] if number % 5 == 0 else ()):
            self._give(i.CancelAsked("demo-bot", old.client_id))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_EVERY_S)
            self.desk.now = self.clock.now()
            self._give(self.desk.seen())

    def run(self, seconds: float, *, then: Callable[[], None] = lambda: None, at_s: float = 0, ticks: bool = False) -> None:
        """Trade for so long without a pause, and sweep as the controller does. Do ``then`` after ``at_s``.

        With ``ticks`` unknown orders are looked up and guards judge, as in the controller.
        """
        sweeper = Sweeper(
            cast("Any", self),
            symbols=(SYMBOL,),
            ledger=lambda: self.desk.state.ledger(MOCK),
            inbox=cast("Any", self),
            clock=self.clock,
            every_s=EVERY_S,
            rules=lambda: {SYMBOL: RULES},
            strangers=Strangers(lambda: self.desk.state),
        )

        self.sweep_soon = sweeper.sweep_soon

        async def work() -> None:
            self.loop.call_later(at_s, then)
            beside = [asyncio.create_task(sweeper.run())]
            beside += [asyncio.create_task(self._tick())] if ticks else []
            await self._bot(seconds)
            for task in beside:
                task.cancel()

        run_in_virtual_time(work(), self.loop)
