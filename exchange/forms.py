"""The venue's rules for the form of an order, as one table (mexc-spot-v3.md §3.1, §4.1-4.3). Pure.

Four parties read it: ``policies.order_rules`` denies with it before an order is admitted, the gateway's ``order/test`` and the
testnet's engine refuse with it in MEXC's codes (``exchange.wire.order_errors``), and ``exchange.wire.orders`` reads the parameters
that an order type takes. So whatever the testnet refuses for its form, the limits have denied first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from exchange.decimals import decimals
from exchange.model import OrderType, Side, SymbolRules

CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""The client order ids that gatehouse sends to a venue; MEXC documents no form (§4.1)."""

MAX_CLIENT_ID = 32
"""The longest of them."""

DIGITS, DECIMALS = 12, 18
"""The most digits of any number before and after its point."""

COLLAR = Decimal("0.05")
"""How far beyond the opposite best price a MARKET order may trade (§4.3, from four recorded orders)."""

_WIDE = Context(prec=200)


class Field(StrEnum):
    """A field of an order, by its name on the wire. ``WORTH`` is not sent: it is what the order is worth in the quote asset."""

    CLIENT_ID = "newClientOrderId"
    PRICE = "price"
    QUANTITY = "quantity"
    AMOUNT = "quoteOrderQty"
    WORTH = "worth"


class Flaw(StrEnum):
    """What can be wrong with a field."""

    MISSING = "missing"
    NOT_TAKEN = "not taken"
    ILLEGAL = "illegal"
    NOT_POSITIVE = "not positive"
    DECIMALS = "too many decimals"
    BELOW = "below the minimum"
    ABOVE = "above the maximum"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong with an order. ``value`` is what was measured and ``limit`` the bound, or the step for decimals."""

    field: Field
    flaw: Flaw
    value: Decimal | None = None
    limit: Decimal | None = None


class OrderForm(Protocol):
    """The fields of an order that have a form: an ``OrderIntent`` or a ``NewOrder``."""

    @property
    def side(self) -> Side:
        """Which way it trades."""
        ...

    @property
    def type(self) -> OrderType:
        """Its type decides which numbers it takes."""
        ...

    @property
    def client_id(self) -> str | None:
        """The client order id, or ``None`` when the venue names it."""
        ...

    @property
    def price(self) -> Decimal | None:
        """The limit price, in the quote asset."""
        ...

    @property
    def quantity(self) -> Decimal | None:
        """How much of the base asset."""
        ...

    @property
    def quote_quantity(self) -> Decimal | None:
        """How much of the quote asset a MARKET order spends."""
        ...


@dataclass(frozen=True, slots=True)
class NumberRule:
    """The bounds of one number, from the symbol's rules."""

    decimals: Callable[[SymbolRules], int]
    least: Callable[[SymbolRules], Decimal] = lambda _: Decimal(0)


NUMBERS: Mapping[Field, NumberRule] = MappingProxyType(
    {
        Field.PRICE: NumberRule(lambda rules: rules.price_precision),
        Field.QUANTITY: NumberRule(lambda rules: rules.quantity_precision, lambda rules: rules.min_quantity),
        Field.AMOUNT: NumberRule(lambda rules: rules.price_precision),
    }
)
"""Every number of an order. An amount has the decimals of the price, which are those of the quote asset (§3.1)."""

_PRICED = (frozenset({Field.PRICE, Field.QUANTITY}),)

TAKES: Mapping[OrderType, tuple[frozenset[Field], ...]] = MappingProxyType(
    {
        OrderType.LIMIT: _PRICED,
        OrderType.LIMIT_MAKER: _PRICED,
        OrderType.IMMEDIATE_OR_CANCEL: _PRICED,
        OrderType.FILL_OR_KILL: _PRICED,
        OrderType.MARKET: (frozenset({Field.QUANTITY}), frozenset({Field.AMOUNT})),
    }
)
"""The numbers that each order type takes: exactly those of one of the sets (§4.1, §4.2)."""

WORTH: Mapping[bool, tuple[Callable[[SymbolRules], Decimal], Callable[[SymbolRules], Decimal]]] = MappingProxyType(
    {
        False: (lambda rules: rules.min_notional, lambda rules: rules.max_notional),
        True: (lambda rules: rules.min_notional_market, lambda rules: rules.max_notional_market),
    }
)
"""The least and the most an order may be worth in the quote asset; ``True`` is for MARKET orders (§3.1)."""


def fault(order: OrderForm, rules: SymbolRules, best: Decimal | None = None) -> Fault | None:
    """The first thing wrong with the form of an order, or ``None``.

    ``best`` is the best price of the other side, which values a MARKET order; without it that value is not checked.
    """
    numbers = {name: value for name, value in _numbers(order).items() if value is not None}
    return _client_id(order) or misfit(order.type, numbers) or _values(numbers, rules) or _size(order, numbers, rules, best)


def misfit(kind: OrderType, numbers: Collection[Field]) -> Fault | None:
    """What an order type lacks, or takes too many of, when these numbers are given."""
    choices = TAKES[kind]
    if frozenset(numbers) in choices:
        return None
    takeable = frozenset[Field]().union(*choices)
    if extra := next((name for name in NUMBERS if name in numbers and name not in takeable), None):
        return Fault(extra, Flaw.NOT_TAKEN)
    always = frozenset(takeable).intersection(*choices)
    if lacking := next((name for name in (Field.QUANTITY, Field.PRICE) if name in always and name not in numbers), None):
        return Fault(lacking, Flaw.MISSING)
    return Fault(Field.AMOUNT, Flaw.NOT_TAKEN) if numbers else Fault(Field.QUANTITY, Flaw.MISSING)


def collar_price(side: Side, best: Decimal, rules: SymbolRules) -> Decimal:
    """The limit price that the venue gives a MARKET order, on the symbol's grid and never beyond the collar."""
    if side is Side.BUY:
        return (best * (1 + COLLAR)).quantize(rules.tick_size, rounding=ROUND_FLOOR)
    return (best * (1 - COLLAR)).quantize(rules.tick_size, rounding=ROUND_CEILING)


def bought_for(amount: Decimal, best: Decimal, rules: SymbolRules) -> Decimal:
    """The quantity that the venue makes of a MARKET BUY by amount: the amount divided by the collar price, rounded down.

    The collar is divided by before it is rounded to the grid, as two recorded orders show (§4.3).
    """
    return rules.quantise_quantity(_WIDE.divide(amount, _WIDE.multiply(best, 1 + COLLAR)))


def _numbers(order: OrderForm) -> Mapping[Field, Decimal | None]:
    return {Field.PRICE: order.price, Field.QUANTITY: order.quantity, Field.AMOUNT: order.quote_quantity}


def _client_id(order: OrderForm) -> Fault | None:
    unfit = order.client_id and CLIENT_ID.fullmatch(order.client_id) is None
    return Fault(Field.CLIENT_ID, Flaw.ILLEGAL) if unfit else None


def _values(numbers: Mapping[Field, Decimal], rules: SymbolRules) -> Fault | None:
    for name, value in numbers.items():
        precision, needed = NUMBERS[name].decimals(rules), decimals(value)
        if not value.is_finite() or value.adjusted() >= DIGITS or needed > DECIMALS:
            return Fault(name, Flaw.ILLEGAL, value)
        if value <= 0:
            return Fault(name, Flaw.NOT_POSITIVE, value)
        if needed > precision:
            return Fault(name, Flaw.DECIMALS, value, Decimal(1).scaleb(-precision))
    return None


def _size(order: OrderForm, numbers: Mapping[Field, Decimal], rules: SymbolRules, best: Decimal | None) -> Fault | None:
    for name, value in numbers.items():
        least = NUMBERS[name].least(rules)
        if not value >= least:
            return Fault(name, Flaw.BELOW, value, least)
    market = order.type is OrderType.MARKET
    price = best if market else order.price
    worth = order.quote_quantity
    if worth is None and order.quantity is not None and price is not None:
        worth = _WIDE.multiply(order.quantity, price)
    lowest, highest = (bound(rules) for bound in WORTH[market])
    if worth is not None and not worth >= lowest:
        return Fault(Field.WORTH, Flaw.BELOW, worth, lowest)
    if worth is not None and not worth <= highest:
        return Fault(Field.WORTH, Flaw.ABOVE, worth, highest)
    if order.quote_quantity is None or best is None or order.side is Side.SELL:
        return None
    buys, least = bought_for(order.quote_quantity, best, rules), max(rules.min_quantity, rules.quantity_step)
    return Fault(Field.QUANTITY, Flaw.BELOW, buys, least) if buys < least else None
