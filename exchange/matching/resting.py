"""Orders with their place in the tape's queue, and the resting ones in price-time priority. ``VenueMarket`` uses them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from exchange.matching.events import OrderView
from exchange.model import Millis, OrderReport, OrderStatus, OrderType, Side, SymbolRules
from exchange.wire.orders import StpMode

_ZERO = Decimal(0)
OPEN_STATUSES = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
"""The states of an order that can still trade."""


class FillModel(StrEnum):
    """How much of a level's decrease without trades is credited to the queue ahead of us (execution-safety.md §5, requirement 4).

    PESSIMISTIC: nothing; only trades move us forward. Gates use this model. BASE: our share of the level. OPTIMISTIC: all of
    it, and the queue ahead is never larger than the displayed quantity.
    """

    PESSIMISTIC = "pessimistic"
    BASE = "base"
    OPTIMISTIC = "optimistic"


@dataclass(slots=True, eq=False)
class LiveOrder:
    """One order, mutable. ``reserved`` is its locked amount: quote for a BUY, base for a SELL.

    ``ahead`` is the displayed quantity that must trade at our price before this order, or ``None`` if the book was not tradable
    when it arrived. ``passed`` are the public trades that moved it forward since its last fill. ``cancel_reason`` is set when the
    venue itself canceled the order for a reason that MEXC names.
    """

    account: str
    rules: SymbolRules
    order_id: str
    client_id: str
    side: Side
    type: OrderType
    price: Decimal
    quantity: Decimal | None
    quote_quantity: Decimal | None
    reserved: Decimal
    sequence: int
    created_at: Millis
    updated_at: Millis
    status: OrderStatus = OrderStatus.NEW
    executed: Decimal = _ZERO
    executed_quote: Decimal = _ZERO
    fills: int = 0
    last_quantity: Decimal | None = None
    maker: bool = False
    ahead: Decimal | None = None
    stp_mode: StpMode = StpMode.NONE
    cancel_reason: str | None = None
    passed: list[str] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it can still trade."""
        return self.status in OPEN_STATUSES

    def wanted(self, price: Decimal) -> Decimal:
        """How much it would still trade at ``price``, in the base asset, on the symbol's grid."""
        if self.quantity is not None:
            return self.quantity - self.executed
        return self.rules.quantise_quantity(((self.quote_quantity or _ZERO) - self.executed_quote) / price)

    def view(self) -> OrderView:
        """The order as a value."""
        report = OrderReport(
            symbol=self.rules.symbol,
            order_id=self.order_id,
            client_id=self.client_id,
            side=self.side,
            type=self.type,
            status=self.status,
            price=self.price,
            quantity=self.executed if self.quantity is None else self.quantity,
            executed=self.executed,
            executed_quote=self.executed_quote,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )
        return OrderView(report, self.quote_quantity, self.last_quantity, self.maker, self.stp_mode, self.cancel_reason)


_Place = tuple[Decimal, int]


class RestingSide:
    """The resting orders of one side of one symbol, best price first, then first come first served."""

    __slots__ = ("_orders", "_places", "_side")

    def __init__(self, side: Side) -> None:
        self._side = side
        self._orders: list[LiveOrder] = []
        # The priority of each order, in their order: made once, and not anew for every order that a search looks at.
        self._places: list[_Place] = []

    def __iter__(self) -> Iterator[LiveOrder]:
        return iter(tuple(self._orders))

    def __bool__(self) -> bool:
        return bool(self._orders)

    def first(self) -> LiveOrder | None:
        """The order with the highest priority."""
        return self._orders[0] if self._orders else None

    def add(self, order: LiveOrder) -> None:
        """Add an order."""
        place = self._place(order)
        at = bisect_left(self._places, place)
        self._places.insert(at, place)
        self._orders.insert(at, order)

    def discard(self, order: LiveOrder) -> None:
        """Remove an order that no longer rests."""
        at = bisect_left(self._places, self._place(order))
        if at < len(self._orders) and self._orders[at] is order:
            del self._places[at], self._orders[at]

    def _place(self, order: LiveOrder) -> _Place:
        return (-order.price if self._side is Side.BUY else order.price), order.sequence
