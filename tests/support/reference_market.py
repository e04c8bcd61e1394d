"""A simple reference model of the matching rules for one symbol, to compare the engine with. Slow by design.

Every method returns the fills it expects, in order. The rules are those in the docstring of ``exchange.matching.engine``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

from exchange.matching.resting import FillModel
from exchange.model import OrderStatus, OrderType, Side

ZERO = Decimal(0)
TICK, STEP = Decimal("0.01"), Decimal("0.000001")
IMMEDIATE = {OrderType.IMMEDIATE_OR_CANCEL, OrderType.FILL_OR_KILL, OrderType.MARKET}
Levels = dict[Decimal, Decimal]


@dataclass(frozen=True)
class Expected:
    """One fill: order, price, quantity, maker or taker, and the public trades it must cite."""

    order: str
    price: Decimal
    quantity: Decimal
    maker: bool
    trades: tuple[str, ...]


@dataclass
class Order:
    """One order; ``quote`` is set for a MARKET SELL by quote and ``quantity`` for every other."""

    name: str
    side: Side
    type: OrderType
    price: Decimal
    quantity: Decimal | None
    quote: Decimal | None = None
    executed: Decimal = ZERO
    spent: Decimal = ZERO
    ahead: Decimal | None = None
    passed: list[str] = field(default_factory=list)
    status: OrderStatus = OrderStatus.NEW

    def wants(self, price: Decimal) -> Decimal:
        if self.quantity is not None:
            return self.quantity - self.executed
        assert self.quote is not None
        return ((self.quote - self.spent) / price).quantize(STEP, ROUND_DOWN)

    def reaches(self, price: Decimal) -> bool:
        return self.price >= price if self.side is Side.BUY else self.price <= price


class ReferenceMarket:
    def __init__(self, model: FillModel) -> None:
        self.model = model
        self.live = False
        self.book: dict[Side, Levels] = {Side.BUY: {}, Side.SELL: {}}
        self.taken: dict[Side, Levels] = {Side.BUY: {}, Side.SELL: {}}
        self.traded: dict[tuple[Side, Decimal], Decimal] = {}
        self.resting: list[Order] = []

    def best(self, side: Side) -> Decimal | None:
        prices = self.book[side]
        if not prices:
            return None
        return max(prices) if side is Side.BUY else min(prices)

    @property
    def tradable(self) -> bool:
        bid, ask = self.best(Side.BUY), self.best(Side.SELL)
        return self.live and not (bid is not None and ask is not None and bid >= ask)

    def collar(self, side: Side) -> Decimal | None:
        """The limit price of a MARKET order, or ``None`` if it must be refused."""
        best = self.best(side.opposite) if self.tradable else None
        if best is None:
            return None
        if side is Side.BUY:
            return (best * Decimal("1.05")).quantize(TICK, ROUND_FLOOR)
        return (best * Decimal("0.95")).quantize(TICK, ROUND_CEILING)

    def bought(self, quote: Decimal) -> Decimal:
        """The quantity of a MARKET BUY by quote: what its amount buys at the collar."""
        best = self.best(Side.SELL)
        assert best is not None
        return (quote / (best * Decimal("1.05"))).quantize(STEP, ROUND_DOWN)

    def snapshot(self, bids: Levels, asks: Levels) -> list[Expected]:
        before = self._displayed()
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            new = {price: quantity for price, quantity in levels.items() if quantity}
            for price in {*new, *self.book[side]}:
                if new.get(price) != self.book[side].get(price):
                    self.taken[side].pop(price, None)
            self.book[side] = new
        self.live = True
        return self._moved(before)

    def delta(self, bids: Levels, asks: Levels) -> list[Expected]:
        if not self.live:
            return []
        before = self._displayed()
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            for price, quantity in levels.items():
                self.taken[side].pop(price, None)
                if quantity:
                    self.book[side][price] = quantity
                else:
                    self.book[side].pop(price, None)
        return self._moved(before)

    def gap(self) -> None:
        self.live = False

    def trade(self, taker: Side, price: Decimal, quantity: Decimal, name: str) -> list[Expected]:
        side = taker.opposite
        queue = self._queue(side)
        if not self.tradable or not queue:
            return []
        self.traded[side, price] = self.traded.get((side, price), ZERO) + quantity
        fills = []
        for order in queue:
            if not quantity or not order.reaches(price) or (order.price == price and order.ahead is None):
                continue
            at_our_price = order.price == price
            passing = min(order.ahead or ZERO, quantity) if at_our_price else ZERO
            order.ahead = (order.ahead or ZERO) - passing if at_our_price else ZERO
            order.passed.append(name)
            amount = min(quantity - passing, order.wants(order.price))
            if amount:
                fills.append(self._fill(order, order.price, amount, maker=True))
                quantity -= amount
        return fills

    def place(self, order: Order) -> list[Expected]:
        fills: list[Expected] = []
        if self.tradable:
            opposite = self.best(order.side.opposite)
            if order.type is OrderType.LIMIT_MAKER:
                if opposite is not None and order.reaches(opposite):
                    order.status = OrderStatus.CANCELED
                    return []
            else:
                fills = self._walk(order)
        if order.status is OrderStatus.FILLED:
            return fills
        if order.type in IMMEDIATE:
            order.status = OrderStatus.PARTIALLY_CANCELED if order.executed else OrderStatus.CANCELED
            return fills
        if self.tradable:
            order.ahead = self.book[order.side].get(order.price, ZERO)
        self.resting.append(order)
        return fills

    def cancel(self, name: str) -> None:
        self.resting = [order for order in self.resting if order.name != name]

    def _walk(self, order: Order) -> list[Expected]:
        side = order.side.opposite
        within = [(price, left) for price, left in self._left(side) if order.reaches(price)]
        if order.type is OrderType.FILL_OR_KILL and sum(left for _, left in within) < order.wants(order.price):
            return []
        fills = []
        for price, left in within:
            amount = min(left, order.wants(price))
            if not amount:
                break
            self.taken[side][price] = self.taken[side].get(price, ZERO) + amount
            fills.append(self._fill(order, price, amount, maker=False))
        return fills

    def _left(self, side: Side) -> list[tuple[Decimal, Decimal]]:
        ordered = sorted(self.book[side].items(), reverse=side is Side.BUY)
        left = [(price, quantity - self.taken[side].get(price, ZERO)) for price, quantity in ordered]
        return [(price, quantity) for price, quantity in left if quantity > 0]

    def _queue(self, side: Side) -> list[Order]:
        mine = [order for order in self.resting if order.side is side]
        return sorted(mine, key=lambda order: order.price, reverse=side is Side.BUY)

    def _displayed(self) -> dict[str, Decimal]:
        return {order.name: self.book[order.side].get(order.price, ZERO) for order in self.resting}

    def _moved(self, before: dict[str, Decimal]) -> list[Expected]:
        if not self.tradable:
            return []
        fills = []
        for side in Side:
            for order in self._queue(side):
                self._requeue(order, before[order.name])
            fills += self._through(side)
        self.traded.clear()
        return fills

    def _requeue(self, order: Order, before: Decimal) -> None:
        now = self.book[order.side].get(order.price, ZERO)
        if order.ahead is None:
            order.ahead = now
        elif self.model is not FillModel.PESSIMISTIC and order.ahead:
            canceled = max(ZERO, before - now - self.traded.get((order.side, order.price), ZERO))
            if self.model is FillModel.OPTIMISTIC:
                order.ahead = max(ZERO, min(order.ahead - canceled, now))
            elif canceled:
                order.ahead = max(ZERO, order.ahead - canceled * min(Decimal(1), order.ahead / before))

    def _through(self, side: Side) -> list[Expected]:
        fills = []
        for order in self._queue(side):
            opposite = self.best(side.opposite)
            if opposite is None or not order.reaches(opposite):
                break
            total = ZERO
            for price, left in self._left(side.opposite):
                amount = min(left, order.wants(order.price) - total)
                if price == order.price or not order.reaches(price) or not amount:
                    break
                self.taken[side.opposite][price] = self.taken[side.opposite].get(price, ZERO) + amount
                total += amount
            if total:
                fills.append(self._fill(order, order.price, total, maker=True))
            if order.status is not OrderStatus.FILLED:
                break
        return fills

    def _fill(self, order: Order, price: Decimal, quantity: Decimal, *, maker: bool) -> Expected:
        order.executed += quantity
        order.spent += quantity * price
        done = not order.wants(price)
        order.status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        cited, order.passed = tuple(order.passed), []
        if done:
            self.cancel(order.name)
        return Expected(order.name, price, quantity, maker, cited)
