"""The matching engine's replies and events, as values. The testnet's streams turn them into MEXC's pushes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchange.matching.accounts import BalanceChange
from exchange.model import Fill, MarketTrade, Millis, OrderReport, OrderType, Side
from exchange.tape import Levels
from exchange.wire.orders import StpMode

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order at one moment, with the fields of MEXC's order object and order push that ``OrderReport`` lacks.

    ``quote_quantity`` is the amount of a MARKET SELL by quote; ``last_quantity`` is the size of the latest fill and ``maker``
    whether that fill was a maker's. A MARKET order's price is its collar, not a fill price (mexc-spot-v3.md §4.3); a MARKET BUY by
    quote has the quantity that its amount buys there, a MARKET SELL by quote its executed quantity. ``cancel_reason`` is MEXC's
    word for why the venue itself canceled the order.
    """

    report: OrderReport
    quote_quantity: Decimal | None
    last_quantity: Decimal | None
    maker: bool
    stp_mode: StpMode = StpMode.NONE
    cancel_reason: str | None = None

    @property
    def amount(self) -> Decimal:
        """The order's value in the quote asset; 0 for MARKET, as in the recorded pushes (mexc-spot-v3.md §7.6)."""
        return _ZERO if self.report.type is OrderType.MARKET else self.report.price * self.report.quantity

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
        """What can still trade, in the quote asset; for MARKET what its collar would cost beyond what it has cost (§7.6)."""
        if self.report.type is OrderType.MARKET:
            return max(_ZERO, self.report.price * self.report.quantity - self.report.executed_quote)
        return self.report.price * self.remaining_quantity


@dataclass(frozen=True, slots=True)
class FillEvidence:
    """Why a fill happened: the book version, and the public trades, if any, that passed our place in the queue."""

    book_version: int
    trade_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One fill of one account with its evidence: a line of the venue's fill log."""

    account: str
    fill: Fill
    evidence: FillEvidence

    def line(self) -> str:
        """The text that goes into the fills digest: the fields joined by ``|``, numbers without exponent."""
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
    evidence: FillEvidence
    at: Millis


@dataclass(frozen=True, slots=True)
class BalanceChanged:
    """One asset of one account moved."""

    account: str
    change: BalanceChange
    at: Millis


@dataclass(frozen=True, slots=True)
class BookChanged:
    """The public book changed. Versions chain per symbol as long as the engine runs, also across gaps, loops and shifts.

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
    """The order was accepted. ``order`` is its state after matching on arrival; ``events`` are the changes until then."""

    order: OrderView
    events: tuple[EngineEvent, ...]


@dataclass(frozen=True, slots=True)
class Canceled:
    """The order was canceled. ``before`` and ``order`` are its states before and after (mexc-spot-v3.md §4.6: replies differ)."""

    before: OrderView
    order: OrderView
    events: tuple[EngineEvent, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request was refused; nothing changed. ``code`` and ``message`` are MEXC's (mexc-spot-v3.md §1.6)."""

    code: int
    message: str


def is_immediate(kind: OrderType) -> bool:
    """Whether an order of this type never rests."""
    return kind in {OrderType.MARKET, OrderType.IMMEDIATE_OR_CANCEL, OrderType.FILL_OR_KILL}


def crosses(side: Side, price: Decimal, opposite: Decimal) -> bool:
    """Whether an order of ``side`` at ``price`` would trade against ``opposite``, the best of the other side."""
    return price >= opposite if side is Side.BUY else price <= opposite
