"""Orders in the state: open ones as values, settled ones as JSON lines in a ``CompactMap``. The fold and the decisions use it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from immutables import Map

from controller.core import state_codec
from controller.core.bookings import Booking
from controller.core.compact_map import CompactMap
from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side
from exchange.orders import WORKING
from exchange.ports import VenueName
from gates.collecting import Watched
from policies.stage import Stage

ZERO = Decimal(0)
IN_FLIGHT = frozenset({OrderStatus.ADMITTED, OrderStatus.UNKNOWN})
"""Statuses in which it is not known whether the venue holds the order."""
AT_THE_VENUE = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
"""Statuses in which the venue holds the order."""


@dataclass(frozen=True)
class OrderState:
    """One admitted order.

    ``executed`` is what the venue reports, ``booked`` the sum of the fills we have booked; ``executed`` may be ahead of ``booked``.
    ``unknown_reason`` is set while ``unknown_since`` is, ``reject_code`` and ``reject_message`` once the status is REJECTED.
    ``misses`` counts the look-ups that did not find the order; the last of them began at ``missed_at``. ``reported`` is what the
    venue's own reports of the order say was executed, and ``bookings`` are its trades. ``conditions`` as in ``OrderAdmitted``.
    ``venue_price`` and ``venue_quantity`` are what the venue made of a MARKET order, once it has said so. ``watched`` is what is
    kept for the statistics of the run until it is settled; it is absent for an order that is no evidence.
    """

    number: int
    client_id: str
    bot: str
    bot_client_id: str
    venue: VenueName
    stage: Stage
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    admitted_at: Millis
    updated_at: Millis
    epoch: int
    conditions: str | None = None
    status: OrderStatus = OrderStatus.ADMITTED
    order_id: str = ""
    executed: Decimal = ZERO
    executed_quote: Decimal = ZERO
    booked: Decimal = ZERO
    booked_quote: Decimal = ZERO
    misses: int = 0
    unknown_since: Millis | None = None
    unknown_reason: str = ""
    cancel_requested: bool = False
    reject_code: int | None = None
    reject_message: str = ""
    missed_at: Millis = Millis(0)
    reported: Decimal = ZERO
    bookings: tuple[Booking, ...] = ()
    venue_price: Decimal | None = None
    venue_quantity: Decimal | None = None
    watched: Watched | None = None

    @property
    def working(self) -> bool:
        """Whether the order can, or might, still trade."""
        return self.status in WORKING

    @property
    def settled(self) -> bool:
        """Whether the order can no longer change our holdings: it is final at the venue, and every fill is booked."""
        return not self.working and self.booked >= self.executed

    @property
    def intent(self) -> OrderIntent:
        """The order as it is sent to the venue."""
        return OrderIntent(self.symbol, self.side, self.type, self.client_id, self.quantity, self.quote_quantity, self.price)


def bot_key(bot: str, bot_client_id: str) -> str:
    """The key of a bot's own order id in ``State.by_bot_id``."""
    return f"{len(bot)} {bot} {bot_client_id}"


def settled_line(order: OrderState) -> list[object]:
    """An order as ``State.settled`` stores it."""
    written: list[object] = state_codec.write(OrderState, order)
    return written


@lru_cache(maxsize=1 << 8)
def _parse_settled(line: bytes) -> OrderState:
    order: OrderState = state_codec.read(OrderState, json.loads(line.decode()))
    return order


class Orders(Mapping[str, OrderState]):
    """Orders by client id: open ones from the state, settled ones parsed from the compact map when they are asked for."""

    __slots__ = ("_open", "_settled")

    def __init__(self, open_: Map[str, OrderState], settled: CompactMap) -> None:
        self._open = open_
        self._settled = settled

    def __getitem__(self, client_id: str) -> OrderState:
        """Return one order. Raises ``KeyError`` when there is none with this client id."""
        if (order := self._open.get(client_id)) is not None:
            return order
        if (line := self._settled.line(client_id)) is None:
            raise KeyError(client_id)
        return _parse_settled(line)

    def __contains__(self, client_id: object) -> bool:
        """Return whether there is such an order. None is parsed for it."""
        return isinstance(client_id, str) and (client_id in self._open or client_id in self._settled)

    def __iter__(self) -> Iterator[str]:
        """Iterate over every client id, the settled ones last."""
        yield from self._open
        yield from (client_id for client_id, _ in self._settled.items())

    def __len__(self) -> int:
        """Return how many orders there are."""
        return len(self._open) + len(self._settled)
