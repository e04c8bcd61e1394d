"""What we know of our orders at the testnet, added up as the testnet adds it up itself (``exchange.statement.Books``, ADR 47).

The fold keeps it in the testnet's ledger; ``controller.core.decisions.attestation`` compares it with the testnet's statements.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from controller.core import events as e
from controller.core.order_state import OrderState
from exchange.model import Millis
from exchange.statement import Books
from policies.values import replace

KEPT = 256
"""How many past states of the books are known by their digest. A statement is a second old, and a bot places a few orders in it."""


@dataclass(frozen=True)
class Mark:
    """The books from ``at`` on: how many orders and trades they have, and their digest."""

    at: Millis
    count: int
    digest: str


@dataclass(frozen=True)
class OurBooks:
    """The books of the orders with a number above ``after``, and the last states of them, oldest first.

    The fields of ``value`` are here one by one: how many ``orders`` and ``fills``, and the ``sum`` of them.
    """

    after: int = 0
    orders: int = 0
    fills: int = 0
    sum: str = ""
    marks: tuple[Mark, ...] = ()

    @property
    def value(self) -> Books:
        """The books as a value of both sides."""
        return Books(self.orders, self.fills, self.sum)

    def with_order(self, order: OrderState, at: Millis) -> OurBooks:
        """Add an order whose id at the testnet became known."""
        if order.number <= self.after:
            return self
        return self._grown(
            self.value.with_order(
                order.client_id, order.order_id, order.symbol, order.side, order.type, order.price, order.quantity
            ),
            at,
        )

    def with_fill(self, event: e.FillBooked, order: OrderState, at: Millis) -> OurBooks:
        """Add a trade that was booked."""
        if order.number <= self.after:
            return self
        price, quantity, quote = (Decimal(one) for one in (event.price, event.quantity, event.quote))
        return self._grown(self.value.with_fill(event.client_id, event.order_id, event.side, price, quantity, quote), at)

    def _grown(self, books: Books, at: Millis) -> OurBooks:
        mark = Mark(at, books.count, books.digest)
        return replace(self, orders=books.orders, fills=books.fills, sum=books.sum, marks=(*self.marks[1 - KEPT :], mark))

    def agrees(self, digest: str, asked_at: Millis) -> bool:
        """Whether the books had this digest at ``asked_at`` or later.

        What we knew when we asked, the testnet did before, so an older state of the books is not what it has to sign.
        """
        if digest == (self.marks[-1].digest if self.marks else Books().digest):
            return True
        states = (Mark(Millis(0), 0, Books().digest), *self.marks) if len(self.marks) < KEPT else self.marks
        ends = (*(one.at for one in states[1:]), None)
        return any(one.digest == digest and (end is None or end >= asked_at) for one, end in zip(states, ends, strict=True))

    def known_at(self, at: Millis) -> int:
        """How many orders and trades were known before ``at``, at least: none where every state that is kept is younger."""
        before = [one.count for one in self.marks if one.at < at]
        if before:
            return before[-1]
        return max(0, self.value.count - len(self.marks)) if len(self.marks) < KEPT else 0
