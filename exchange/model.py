"""The values of a spot venue: symbols, orders, fills and balances. Every other module uses them. Immutable, no I/O.

Money, prices and quantities are ``Decimal``; instants are ``Millis``, milliseconds since the Unix epoch in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import NewType

Millis = NewType("Millis", int)
"""Milliseconds since the Unix epoch, UTC."""


SYMBOL = r"[A-Z0-9]{2,30}"
"""The form of a symbol, wherever one is read: policies, requests, channels, tapes and the signer."""

_SYMBOL, _PART, _SHOWN = re.compile(SYMBOL), re.compile("[A-Z0-9]"), 40


def symbol_fault(text: str) -> str:
    """What is wrong with the form of a symbol, in words; empty for a good one.

    MEXC lists pairs with letters that are not ASCII. gatehouse trades none of them: many look like another symbol's letters.
    """
    if _SYMBOL.fullmatch(text) is not None:
        return ""
    shown = ascii(text[:_SHOWN])
    odd = next((one for one in text if not one.isascii()), "") or next((one for one in text if not _PART.match(one)), "")
    if not odd:
        return f"{shown} has {len(text)} characters, and a symbol has 2 to 30"
    if not odd.isascii():
        printed = f" {odd!r}" if odd.isprintable() else ""
        return f"{shown} contains the character{printed} U+{ord(odd):04X}, and a symbol has only the letters A to Z and digits"
    return f"{shown} contains {odd!r}, and a symbol has only the capital letters A to Z and digits"


class Side(StrEnum):
    """Which way an order trades the base asset."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """The order types MEXC's spot API accepts (mexc-spot-v3.md §4.2)."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    IMMEDIATE_OR_CANCEL = "IMMEDIATE_OR_CANCEL"
    FILL_OR_KILL = "FILL_OR_KILL"
    MARKET = "MARKET"


class DataSource(StrEnum):
    """Where market data comes from. Every metric measured on the data carries it (architecture.md §1.8)."""

    LIVE = "live"
    RECORDED_L2 = "recorded-l2"
    RECONSTRUCTED_BARS = "reconstructed-bars"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """What a venue accepts for one symbol, from ``exchangeInfo`` (mexc-spot-v3.md §3.1).

    ``min_notional`` and the maxima are in the quote asset; fees are fractions (0.0005 = 5 bps).
    """

    symbol: str
    base: str
    quote: str
    quantity_precision: int
    price_precision: int
    min_quantity: Decimal
    min_notional: Decimal
    min_notional_market: Decimal
    max_notional: Decimal
    max_notional_market: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    order_types: frozenset[OrderType]
    trading: bool
    api_allowed: bool
    buy_allowed: bool = True
    sell_allowed: bool = True

    @property
    def tick_size(self) -> Decimal:
        """The smallest price step."""
        return Decimal(1).scaleb(-self.price_precision)

    @property
    def quantity_step(self) -> Decimal:
        """The smallest quantity step."""
        return Decimal(1).scaleb(-self.quantity_precision)

    def quantise_quantity(self, quantity: Decimal) -> Decimal:
        """Round a quantity down onto the grid."""
        return quantity.quantize(self.quantity_step, rounding=ROUND_DOWN)

    def quantise_price(self, price: Decimal) -> Decimal:
        """Round a price to the nearest tick, halves to even."""
        return price.quantize(self.tick_size, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """An order to be placed. ``price`` is absent only for MARKET; exactly one of the two quantities is set for MARKET."""

    symbol: str
    side: Side
    type: OrderType
    client_id: str
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None


class OrderStatus(StrEnum):
    """The states of an order in gatehouse: the five of MEXC, and three that exist only on our side.

    ADMITTED: durable in the journal, not yet sent to the venue. UNKNOWN: sent, outcome not proven.
    REJECTED: the venue refused it, or proved it never existed.
    """

    ADMITTED = "ADMITTED"
    UNKNOWN = "UNKNOWN"
    REJECTED = "REJECTED"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    PARTIALLY_CANCELED = "PARTIALLY_CANCELED"


@dataclass(frozen=True, slots=True)
class OrderReport:
    """A venue's own account of one order, from a query or a private stream; the gateway answers its bots with the same shape.

    A MARKET order has the price and the quantity that the venue made of it (mexc-spot-v3.md §4.3); in the gateway's answers both
    are 0 while the venue has not stated them. ``quote_quantity`` is what an order asked to spend: only the gateway knows it.
    """

    symbol: str
    order_id: str
    client_id: str
    side: Side
    type: OrderType
    status: OrderStatus
    price: Decimal
    quantity: Decimal
    executed: Decimal
    executed_quote: Decimal
    created_at: Millis
    updated_at: Millis | None = None
    quote_quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ForeignOrder:
    """An order of a type that cannot be placed by API, such as a stop order that a person placed. It is never ours.

    ``kind`` is the type as the venue writes it (mexc-spot-v3.md §4.2). No amount of it is read: nothing is booked from it.
    """

    symbol: str
    order_id: str
    client_id: str
    kind: str
    open: bool


ListedOrder = OrderReport | ForeignOrder
"""What a list of orders, or a push about one, can hold."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of one order.

    ``fee`` is in ``fee_asset``, which is empty where the venue names none. MEXC charges the quote asset on both sides, or MX where
    the account pays with it (mexc-spot-v3.md §6).
    """

    trade_id: str
    order_id: str
    client_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    at: Millis


@dataclass(frozen=True, slots=True)
class CapitalMove:
    """A deposit or a withdrawal that is complete, as the venue's own history lists it. The amount of a withdrawal is negative."""

    id: str
    asset: str
    amount: Decimal
    at: Millis


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of an account: ``free`` can be spent, ``locked`` backs open orders."""

    asset: str
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class Quote:
    """The best prices of a book in one feed. ``at`` is the venue's event time, ``received_at`` ours."""

    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    version: int
    at: Millis
    received_at: Millis

    @property
    def mid(self) -> Decimal:
        """Halfway between bid and ask."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """One public trade. ``taker_side`` is the aggressor's."""

    symbol: str
    price: Decimal
    quantity: Decimal
    taker_side: Side
    at: Millis
    trade_id: str


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """Round ``value`` up to a multiple of ``step``; used where rounding down would understate a risk."""
    return (value / step).to_integral_value(rounding=ROUND_CEILING) * step
