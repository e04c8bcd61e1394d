"""Worst-case exposure: what one venue account could hold, in EUR, if every open order fills.

Limits and ``decisions.account`` use it.

    exposure = Σ holdings(base) · ask  +  Σ remaining(working buys) · max(limit price, ask) · (1 + taker fee)

in the quote asset, divided by the EUR rate that counts now (``policies.eur``), rounded up. Sells add nothing: until they fill, the
base asset is a holding. A working buy is valued at the ask or higher, because the filled holding is valued at the ask; so a fill
never raises the total. UNKNOWN and ADMITTED orders count in full (architecture.md §1.3). Source: execution-safety.md §6.

A missing, stale or implausible input gives ``MissingInput`` and no number (architecture.md §1.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from enum import StrEnum

from exchange.decimals import exponent
from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Quote, Side, SymbolRules, round_up
from exchange.orders import WORKING
from policies.eur import NO_RATES, Rates, priced
from policies.numbers import WIDE
from policies.schema import Policy

MARKET_BUFFER = Decimal("1.05")
"""A market buy by quantity is reserved at 5 % above the ask, because it has no price limit."""

EUR_STEP = Decimal("0.00000001")
"""Every item is rounded up to this step."""

_ZERO = Decimal(0)
_LARGEST_EXPONENT = 15
_SMALLEST_EXPONENT = -24


class InputName(StrEnum):
    """The inputs of an exposure."""

    HOLDINGS = "holdings"
    QUOTE = "quote"
    EUR_RATE = "eur-rate"
    EUR_RATE_BAND = "eur-rate-band"
    SYMBOL_RULES = "symbol-rules"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class MissingInput:
    """Why there is no exposure: which input is missing, of what (asset, symbol or client id), and a message for people."""

    input: InputName
    subject: str
    message: str


_COMPUTABLE: dict[str, SymbolRules] = {}
"""Symbol rules that passed ``missing_rules``, by symbol: a cache, because each order checks them three times."""


@dataclass(frozen=True, slots=True)
class OrderRisk:
    """The risk of a working order. ``executed`` (base) and ``executed_quote`` (quote) are already in the holdings."""

    client_id: str
    symbol: str
    side: Side
    type: OrderType
    status: OrderStatus
    quantity: Decimal | None
    quote_quantity: Decimal | None
    price: Decimal | None
    executed: Decimal = _ZERO
    executed_quote: Decimal = _ZERO

    @classmethod
    def of(cls, intent: OrderIntent) -> OrderRisk:
        """Return the risk of a new order."""
        return cls(
            client_id=intent.client_id,
            symbol=intent.symbol,
            side=intent.side,
            type=intent.type,
            status=OrderStatus.ADMITTED,
            quantity=intent.quantity,
            quote_quantity=intent.quote_quantity,
            price=intent.price,
        )


@dataclass(frozen=True, slots=True)
class AccountView:
    """The bot's part of one venue account, as the controller knows it.

    ``holdings`` are totals (free and locked) by asset and must name every base asset and the quote asset, zeros included.
    ``reconciled_at`` is when they were last seen to agree with the venue. ``orders`` are the orders that can still trade; terminal
    ones are ignored. ``kept`` is what the account holds besides: its owner's, and in no limit.
    """

    holdings: Mapping[str, Decimal]
    reconciled_at: Millis
    orders: tuple[OrderRisk, ...] = ()
    kept: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExposureItem:
    """One part of an exposure: a holding (``subject`` is the asset) or an order (``subject`` is its client id)."""

    subject: str
    symbol: str
    status: OrderStatus | None
    quote: Decimal
    eur: Decimal


@dataclass(frozen=True, slots=True)
class Exposure:
    """Worst-case exposure in EUR and its items, which add up to it exactly."""

    eur: Decimal
    items: tuple[ExposureItem, ...]


def worst_case(
    account: AccountView | None,
    quotes: Mapping[str, Quote],
    rules: Mapping[str, SymbolRules],
    policy: Policy,
    now: Millis,
    rates: Rates = NO_RATES,
) -> Exposure | MissingInput:
    """Return the worst-case exposure of ``account``. A symbol with neither holdings nor working buys needs no quote."""
    policy_now = at_rate(policy, rates, now)
    if isinstance(policy_now, MissingInput):
        return policy_now
    policy = policy_now
    missing = missing_rate(policy, now) or missing_account(account, policy, now)
    if missing or account is None:
        return missing or _unknown_holding("account")
    with localcontext(WIDE):
        items: list[ExposureItem] = []
        for symbol in _symbols(policy, account):
            part = _of_symbol(symbol, account, quotes, rules.get(symbol), (policy, now))
            if isinstance(part, MissingInput):
                return part
            items.extend(part)
        return Exposure(sum((item.eur for item in items), _ZERO), tuple(items))


def in_eur(quote_amount: Decimal, policy: Policy) -> Decimal:
    """Convert an amount of the quote asset to EUR at the pinned rate, rounded up."""
    with localcontext(WIDE):
        return _eur(quote_amount, policy)


def working_buy_quote(order: OrderRisk, ask: Decimal, taker_fee: Decimal) -> Decimal | MissingInput:
    """The largest amount of the quote asset that a buy can still spend, fee included."""
    with localcontext(WIDE):
        return _buy_quote(order, ask, taker_fee)


def sane(value: Decimal) -> bool:
    """Whether an amount is positive, finite, and of a size that arithmetic here handles exactly."""
    if not value.is_finite() or value <= 0 or value.adjusted() > _LARGEST_EXPONENT:
        return False
    last = exponent(value)
    return last is not None and last >= _SMALLEST_EXPONENT


def at_rate(policy: Policy, rates: Rates, now: Millis) -> Policy | MissingInput:
    """Return the policy with the rate that counts now, or why none does."""
    found = priced(policy, rates, now)
    if isinstance(found, Policy):
        return found
    return MissingInput(InputName.EUR_RATE_BAND if found.outside else InputName.EUR_RATE, policy.eur_rate.asset, found.message)


def missing_rate(policy: Policy, now: Millis) -> MissingInput | None:
    """Return what is wrong with the pinned EUR rate now, if anything."""
    rate = policy.eur_rate
    if rate.valid_until is not None and rate.as_of <= now < rate.valid_until:
        return None
    when = "is from the future" if now < rate.as_of else "has expired"
    return MissingInput(InputName.EUR_RATE, rate.asset, f"the pinned {rate.asset} rate {when}")


def missing_quote(symbol: str, quote: Quote | None, policy: Policy, now: Millis) -> MissingInput | None:
    """Return what is wrong with a quote: absent, for another symbol, not a number, crossed, from the future, or too old."""
    limit = policy.limits.quote_max_age_ms
    if quote is None or quote.symbol != symbol:
        return MissingInput(InputName.QUOTE, symbol, f"there is no quote for {symbol}")
    if not (sane(quote.bid) and sane(quote.ask) and quote.bid <= quote.ask):
        return MissingInput(InputName.QUOTE, symbol, f"the quote for {symbol} has no bid below its ask")
    age = now - quote.received_at
    if age < 0:
        return MissingInput(InputName.QUOTE, symbol, f"the quote for {symbol} is from the future")
    if age > limit:
        return MissingInput(InputName.QUOTE, symbol, f"the quote for {symbol} is {age} ms old; at most {limit} ms are accepted")
    return None


def missing_account(account: AccountView | None, policy: Policy, now: Millis) -> MissingInput | None:
    """Return what is wrong with the holdings: absent, not reconciled recently, or not amounts."""
    if account is None:
        return _unknown_holding("account")
    age = now - account.reconciled_at
    limit = policy.guards.reconciliation.max_age_ms
    if not 0 <= age <= limit:
        return MissingInput(
            InputName.HOLDINGS,
            "account",
            f"the holdings were last reconciled with the venue {age} ms ago; at most {limit} ms are accepted",
        )
    for asset, amount in account.holdings.items():
        if not _amount(amount):
            return MissingInput(InputName.HOLDINGS, asset, f"the holding of {asset} is {amount}, which is not an amount")
    return None


def missing_rules(symbol: str, rules: SymbolRules | None) -> MissingInput | None:
    """Return what is wrong with the venue's rules for a symbol: absent, for another symbol, or not valid numbers."""
    if rules is not None and _COMPUTABLE.get(symbol) is rules:
        return None
    if rules is None or rules.symbol != symbol:
        return MissingInput(InputName.SYMBOL_RULES, symbol, f"the venue's rules for {symbol} are not known")
    amounts = (
        rules.min_quantity,
        rules.min_notional,
        rules.min_notional_market,
        rules.max_notional,
        rules.max_notional_market,
        rules.taker_fee,
    )
    precisions = (rules.price_precision, rules.quantity_precision)
    if all(_amount(amount) for amount in amounts) and rules.taker_fee < 1 and all(0 <= digits <= 18 for digits in precisions):
        _COMPUTABLE[symbol] = rules
        return None
    return MissingInput(InputName.SYMBOL_RULES, symbol, f"the venue's rules for {symbol} are not valid numbers")


def _eur(quote_amount: Decimal, policy: Policy) -> Decimal:
    """``in_eur`` for callers whose context is ``WIDE``: making a context takes longer than the division."""
    return round_up(quote_amount / policy.eur_rate.quote_per_eur, EUR_STEP)


def _buy_quote(order: OrderRisk, ask: Decimal, taker_fee: Decimal) -> Decimal | MissingInput:
    """``working_buy_quote`` for callers whose context is ``WIDE``."""
    amounts = (order.quantity, order.quote_quantity, order.price, order.executed, order.executed_quote)
    if not all(amount is None or _amount(amount) for amount in amounts):
        return _invalid_order(order)
    whole = order.status in {OrderStatus.ADMITTED, OrderStatus.UNKNOWN}
    if order.quantity is not None:
        remaining = order.quantity - (_ZERO if whole else order.executed)
        if order.type is OrderType.MARKET:
            price = ask * MARKET_BUFFER
        elif order.price is not None:
            price = max(order.price, ask)
        else:
            return _invalid_order(order)
        cost = remaining * price
    elif order.quote_quantity is not None:
        cost = order.quote_quantity - (_ZERO if whole else order.executed_quote)
    else:
        return _invalid_order(order)
    return max(cost, _ZERO) * (1 + taker_fee)


def _of_symbol(
    symbol: str, account: AccountView, quotes: Mapping[str, Quote], rules: SymbolRules | None, at: tuple[Policy, Millis]
) -> list[ExposureItem] | MissingInput:
    policy, now = at
    missing = missing_rules(symbol, rules)
    if missing or rules is None:
        return missing or _unknown_holding(symbol)
    if rules.quote != policy.eur_rate.asset:
        return MissingInput(InputName.EUR_RATE, rules.quote, f"{symbol} is quoted in {rules.quote}, which has no EUR rate")
    held = account.holdings.get(rules.base)
    if held is None:
        return _unknown_holding(rules.base)
    buys = [order for order in account.orders if order.symbol == symbol and order.side is Side.BUY and order.status in WORKING]
    if not held and not buys:
        return []
    quote = quotes.get(symbol)
    missing = missing_quote(symbol, quote, policy, now)
    if missing or quote is None:
        return missing or _unknown_holding(symbol)
    return _items(rules, held, buys, quote.ask, policy)


def _items(
    rules: SymbolRules, held: Decimal, buys: list[OrderRisk], ask: Decimal, policy: Policy
) -> list[ExposureItem] | MissingInput:
    items: list[ExposureItem] = []
    if held:
        value = held * ask
        items.append(ExposureItem(rules.base, rules.symbol, None, value, _eur(value, policy)))
    for order in buys:
        cost = _buy_quote(order, ask, rules.taker_fee)
        if isinstance(cost, MissingInput):
            return cost
        items.append(ExposureItem(order.client_id, rules.symbol, order.status, cost, _eur(cost, policy)))
    return items


def _symbols(policy: Policy, account: AccountView) -> tuple[str, ...]:
    """The symbols of the policy, then the other symbols of working orders."""
    others = (order.symbol for order in account.orders if order.status in WORKING)
    return tuple(dict.fromkeys((*policy.symbols, *others)))


def _amount(value: Decimal) -> bool:
    return value.is_finite() and (value.is_zero() or sane(value))


def _unknown_holding(subject: str) -> MissingInput:
    return MissingInput(InputName.HOLDINGS, subject, f"the holding of {subject} is not known")


def _invalid_order(order: OrderRisk) -> MissingInput:
    return MissingInput(InputName.ORDER, order.client_id, f"order {order.client_id} has no valid amounts")
