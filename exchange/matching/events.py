"""What the matching engine answers and what it reports: plain values, which the testnet's streams turn into MEXC's pushes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchange.matching.accounts import BalanceChange
from exchange.model import Fill, MarketTrade, Millis, OrderReport, OrderStatus, OrderType, Side
from exchange.tape import Levels

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order at one moment, with what MEXC's order object and order push need beyond ``OrderReport``.

    ``quote_quantity`` is what a MARKET order by quote asked to trade; ``last_quantity`` is the size of its latest fill and
    ``maker`` whether that fill was one. A MARKET order's price is its collar, not a fill price (mexc-spot-v3.md §4.3), and
    the quantity of one by quote is what it has executed.
    """

    report: OrderReport
    quote_quantity: Decimal | None
    last_quantity: Decimal | None
    maker: bool

    @property
    def amount(self) -> Decimal:
        """What the order is worth in the quote asset: as asked for by quote, else price times quantity."""
        return self.report.price * self.report.quantity if self.quote_quantity is None else self.quote_quantity

    @property
    def average_price(self) -> Decimal:
        """The mean fill price, 0 before the first fill. Not rounded to the tick."""
        return self.report.executed_quote / self.report.executed if self.report.executed else _ZERO

    @property
    def remaining_quantity(self) -> Decimal:
        """What can still trade, in the base asset."""
        return self.report.quantity - self.report.executed

    @property
    def remaining_amount(self) -> Decimal:
        """What can still trade, in the quote asset."""
        if self.quote_quantity is None:
            return self.report.price * self.remaining_quantity
        return max(_ZERO, self.quote_quantity - self.report.executed_quote)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a fill happened: the book it was argued from and the public trades, if any, that passed our place in the queue."""

    book_version: int
    trade_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One fill of one account and what justifies it: a line of the venue's fill log."""

    account: str
    fill: Fill
    evidence: Evidence

    def line(self) -> str:
        """The text that the venue's fills digest is made of: the fields joined by ``|``, numbers without exponent."""
        fill = self.fill
        return "|".join(
            (
                self.account,
                fill.trade_id,
                fill.order_id,
                fill.client_id,
                fill.symbol,
                fill.side,
                f"{fill.price.normalize():f}",
                f"{fill.quantity.normalize():f}",
                f"{fill.fee.normalize():f}",
                fill.fee_asset,
                "maker" if fill.maker else "taker",
                str(fill.at),
                str(self.evidence.book_version),
                ",".join(self.evidence.trade_ids),
            )
        )


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order is in a new state."""

    account: str
    order: OrderView
    at: Millis


@dataclass(frozen=True, slots=True)
class Filled:
    """An order traded."""

    account: str
    fill: Fill
    evidence: Evidence
    at: Millis


@dataclass(frozen=True, slots=True)
class BalanceChanged:
    """One asset of one account moved."""

    account: str
    change: BalanceChange
    at: Millis


@dataclass(frozen=True, slots=True)
class BookChanged:
    """The public book changed. Versions chain per symbol for as long as the engine lives, also across gaps, loops and shifts.

    The first one of a symbol is its whole book; ``from_version`` is then the version itself.
    """

    symbol: str
    from_version: int
    to_version: int
    bids: Levels
    asks: Levels
    at: Millis


@dataclass(frozen=True, slots=True)
class MarketTraded:
    """A public trade of the tape. Fills of testnet orders are not public trades."""

    trade: MarketTrade


EngineEvent = OrderChanged | Filled | BalanceChanged | BookChanged | MarketTraded


@dataclass(frozen=True, slots=True)
class Accepted:
    """The order was taken. ``order`` is its state after matching on arrival; ``events`` tells how it got there."""

    order: OrderView
    events: tuple[EngineEvent, ...]


@dataclass(frozen=True, slots=True)
class Canceled:
    """The cancel was carried out. ``before`` and ``order`` are the states around it (mexc-spot-v3.md §4.6: replies differ)."""

    before: OrderView
    order: OrderView
    events: tuple[EngineEvent, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was turned down; nothing changed. ``code`` and ``message`` are MEXC's (mexc-spot-v3.md §1.6)."""

    code: int
    message: str


def final_status(executed: Decimal) -> OrderStatus:
    """What an order that ends unfilled becomes (mexc-spot-v3.md §4.12)."""
    return OrderStatus.PARTIALLY_CANCELED if executed else OrderStatus.CANCELED


def is_immediate(kind: OrderType) -> bool:
    """Whether an order of this type never rests."""
    return kind in {OrderType.MARKET, OrderType.IMMEDIATE_OR_CANCEL, OrderType.FILL_OR_KILL}


def crosses(side: Side, price: Decimal, opposite: Decimal) -> bool:
    """Whether an order of ``side`` at ``price`` would trade against ``opposite``, the best of the other side."""
    return price >= opposite if side is Side.BUY else price <= opposite
