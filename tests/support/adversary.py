"""A venue for a ``Desk`` that is correct but inconvenient: it loses answers and cancels, and it reports late and out of order.

It keeps its own record of every order, which tests compare with the state of the controller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_DOWN

from controller.core import inputs as i
from controller.core.decisions.draft import Decision
from controller.core.effects import Cancel, CancelAll, Place
from exchange.model import Balance, Fill, Millis, OrderIntent, OrderReport, OrderStatus, OrderType, Side
from exchange.ports import VenueName
from tests.support.desk import RULES, SYMBOL, D, Desk

ZERO = D(0)
STEP = D("0.000001")


@dataclass(slots=True)
class Truth:
    """One order at the venue. ``accepted`` is ``None`` until the venue has decided; ``answered``: the controller has the answer."""

    venue: VenueName
    intent: OrderIntent
    quantity: D  # type: ignore[valid-type]
    accepted: bool | None = None
    answered: bool = False
    executed: D = ZERO  # type: ignore[valid-type]
    executed_quote: D = ZERO  # type: ignore[valid-type]
    dead: bool = False

    @property
    def resting(self) -> bool:
        return bool(self.accepted) and not self.dead and self.executed < self.quantity

    @property
    def status(self) -> OrderStatus:
        if self.executed >= self.quantity:
            return OrderStatus.FILLED
        if self.dead:
            return OrderStatus.PARTIALLY_CANCELED if self.executed else OrderStatus.CANCELED
        return OrderStatus.PARTIALLY_FILLED if self.executed else OrderStatus.NEW

    def worst_quote(self, ask: D) -> D:  # type: ignore[valid-type]
        """The largest amount a buy can still cost, fee included; 0 for a sell or a finished order."""
        intent = self.intent
        if intent.side is Side.SELL or self.dead or self.accepted is False:
            return ZERO
        price = ask if intent.type is OrderType.MARKET else max(intent.price or ZERO, ask)
        left = (self.quantity - self.executed) * price
        return max(left, ZERO) * (1 + RULES.taker_fee)


@dataclass(slots=True)
class Adversary:
    """The venues of one desk. ``unreported`` are trades that the controller learns of only from a sweep or a late event."""

    desk: Desk
    orders: dict[str, Truth] = field(default_factory=dict)
    unreported: list[tuple[VenueName, Fill]] = field(default_factory=list)
    reported: list[tuple[VenueName, Fill]] = field(default_factory=list)
    stale: list[tuple[VenueName, OrderReport]] = field(default_factory=list)
    cancels: list[Cancel | CancelAll] = field(default_factory=list)

    def apply_effects(self, decision: Decision) -> None:
        """Carry out the effects of a decision."""
        for effect in decision.effects:
            if isinstance(effect, Place):
                intent = effect.intent
                quantity = intent.quantity
                if quantity is None:
                    assert intent.quote_quantity is not None
                    quantity = (intent.quote_quantity / (self.desk.price * D("1.2"))).quantize(STEP, rounding=ROUND_DOWN)
                self.orders[intent.client_id] = Truth(effect.venue, intent, quantity)
            elif isinstance(effect, Cancel | CancelAll):
                self.cancels.append(effect)

    def in_flight(self) -> list[Truth]:
        return [order for order in self.orders.values() if not order.answered]

    def resting(self) -> list[Truth]:
        return [order for order in self.orders.values() if order.resting]

    def base(self, venue: VenueName) -> D:  # type: ignore[valid-type]
        return sum((fill.quantity if fill.side is Side.BUY else -fill.quantity for fill in self.desk.trades[venue]), ZERO)

    def exposure_eur(self, venue: VenueName) -> D:  # type: ignore[valid-type]
        """The real worst-case exposure of one account."""
        ask = self.desk.quote().ask
        open_buys = sum((order.worst_quote(ask) for order in self.orders.values() if order.venue is venue), ZERO)
        return (self.base(venue) * ask + open_buys) / self.desk.policy.eur_rate.quote_per_eur

    def trade(self, order: Truth, part: int) -> Fill:
        """Fill a quarter of ``part`` of what is left."""
        left = order.quantity - order.executed
        amount = max((left * part / 4).quantize(STEP, rounding=ROUND_DOWN), min(STEP, left))
        intent, quote = order.intent, self.desk.quote()
        price = intent.price if intent.price is not None else (quote.ask if intent.side is Side.BUY else quote.bid)
        number = sum(len(trades) for trades in self.desk.trades.values())
        fill = Fill(
            trade_id=f"N{self.desk.epoch}-{number}-{len(self.reported) + len(self.unreported)}",
            order_id=f"C02__{intent.client_id}",
            client_id=intent.client_id,
            symbol=intent.symbol,
            side=intent.side,
            price=price,
            quantity=amount,
            quote=amount * price,
            fee=ZERO,
            fee_asset="USDT",
            maker=False,
            at=self.desk.now,
        )
        order.executed += amount
        order.executed_quote += fill.quote
        self.desk.trades[order.venue].append(fill)
        return fill

    def report(self, order: Truth) -> OrderReport:
        intent = order.intent
        return OrderReport(
            symbol=intent.symbol,
            order_id=f"C02__{intent.client_id}",
            client_id=intent.client_id,
            side=intent.side,
            type=intent.type,
            status=order.status,
            price=intent.price or ZERO,
            quantity=order.quantity,
            executed=order.executed,
            executed_quote=order.executed_quote,
            created_at=self.desk.now,
        )

    def cancel(self, effect: Cancel | CancelAll) -> None:
        for name, order in self.orders.items():
            hit = name == effect.client_id if isinstance(effect, Cancel) else order.venue is effect.venue
            if hit and order.resting:
                order.dead = True

    def sweep(self, venue: VenueName) -> i.AccountRead:
        """A correct reading of one account at one moment."""
        desk = self.desk
        reports = tuple(self.report(order) for order in self.orders.values() if order.venue is venue and order.resting)
        snapshot = i.AccountSnapshot(reports, tuple(desk.trades[venue]), self.balances(venue))
        return i.AccountRead(
            venue,
            snapshot,
            fills_before=desk.state.ledger(venue).fills_booked,
            started_at=Millis(desk.now),
            fees={SYMBOL: RULES.taker_fee},
        )

    def balances(self, venue: VenueName) -> dict[str, Balance]:
        """The balances, with what the resting orders lock: a sell its rest, a buy its rest and the fee."""
        locked = {"USDT": ZERO, "BTC": ZERO}
        for order in self.orders.values():
            if order.venue is venue and order.resting:
                left = order.quantity - order.executed
                if order.intent.side is Side.SELL:
                    locked["BTC"] += left
                else:
                    price = order.intent.price or self.desk.price
                    locked["USDT"] += left * price * (1 + RULES.taker_fee)
        held = self.desk.balances(venue)
        return {name: Balance(name, one.total - locked[name], locked[name]) for name, one in held.items()}

    def restart(self, accepted: int) -> None:
        """The process ended: the answers to its placements are lost, and its mock executor is gone."""
        for number, order in enumerate(self.in_flight()):
            if order.accepted is None:
                order.accepted = bool(accepted >> (number % 8) & 1)
            order.answered = True
        for order in self.orders.values():
            if order.venue is VenueName.MOCK:
                order.dead = True
        self.unreported = [(venue, fill) for venue, fill in self.unreported if venue is not VenueName.MOCK]
        self.reported = [(venue, fill) for venue, fill in self.reported if venue is not VenueName.MOCK]
        self.stale = [(venue, report) for venue, report in self.stale if venue is not VenueName.MOCK]
        self.cancels.clear()
