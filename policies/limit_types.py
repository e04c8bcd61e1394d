"""The inputs and results of a pre-trade check. ``policies.limits`` and its callers use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from exchange.model import Millis, Quote, SymbolRules
from policies.eur import NO_RATES, Rates
from policies.exposure import AccountView, Exposure
from policies.guards import Level


class LimitRule(StrEnum):
    """The rules that can deny an order."""

    STAGE = "stage"
    SYMBOL = "symbol"
    GUARD = "guard"
    SYMBOL_RULES = "symbol-rules"
    EUR_RATE = "eur-rate"
    EUR_RATE_BAND = "eur-rate-band"
    QUOTE = "quote"
    HOLDINGS = "holdings"
    CLIENT_ID = "client-id-form"
    PRICE = "price"
    QUANTITY = "quantity"
    MIN_NOTIONAL = "min-notional"
    VENUE_MAXIMUM = "venue-maximum"
    ORDER_NOTIONAL = "order-notional"
    PRICE_COLLAR = "price-collar"
    ORDER_RATE = "order-rate"
    OPEN_ORDERS = "open-orders"
    BALANCE = "balance"
    EXPOSURE = "exposure"


@dataclass(frozen=True, slots=True)
class LimitContext:
    """The inputs of a check besides the order.

    ``admitted_at``: the times of the latest admitted orders, oldest first: all of the last ``limits.order_rate.per_ms``, or at
    least the last ``count``. ``restriction``: the most severe guard level in force, ``None`` when there is none. Orders admitted
    earlier in the same batch are already in ``account.orders`` and ``admitted_at``. ``rates``: what is known of the EUR rate
    besides the policy; a policy that follows a source denies without it.
    """

    account: AccountView | None
    rules: Mapping[str, SymbolRules]
    quotes: Mapping[str, Quote]
    admitted_at: Sequence[Millis]
    restriction: Level | None = None
    rates: Rates = NO_RATES


@dataclass(frozen=True, slots=True)
class Admit:
    """The order may be placed. ``exposure`` is that of the account with the order, ``quote`` the market it was judged on."""

    exposure: Exposure
    cap_eur: Decimal
    quote: Quote


@dataclass(frozen=True, slots=True)
class Deny:
    """The order may not be placed: the rule, the measured value, the threshold, and what to do.

    ``rule`` is a ``LimitRule``, or the name of a rule of the controller itself (``controller.core.decisions.orders``).
    """

    rule: str
    measured: str
    threshold: str
    message: str
    remedy: str
