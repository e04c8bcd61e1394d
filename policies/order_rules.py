"""The rules that judge one order once all its inputs are present. ``policies.limits`` runs them in the order of ``RULES``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from exchange.forms import CLIENT_ID, DECIMALS, DIGITS, Field, Flaw, fault
from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Quote, Side, SymbolRules
from exchange.orders import WORKING
from policies.exposure import (
    MARKET_BUFFER,
    AccountView,
    InputName,
    MissingInput,
    OrderRisk,
    in_eur,
    missing_quote,
    sane,
    working_buy_quote,
)
from policies.limit_types import Deny, LimitContext, LimitRule
from policies.numbers import rounded_down, rounded_up, text
from policies.schema import Policy

_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Case:
    """One order with all its inputs."""

    intent: OrderIntent
    context: LimitContext
    policy: Policy
    account: AccountView
    rules: SymbolRules
    quote: Quote
    now: Millis

    @property
    def buying(self) -> bool:
        """Whether the order is a buy, which adds risk."""
        return self.intent.side is Side.BUY

    @property
    def market(self) -> bool:
        """Whether the order has no price limit."""
        return self.intent.type is OrderType.MARKET

    @property
    def amount(self) -> Decimal:
        """What an order without a quantity may trade, in the quote asset."""
        return self.intent.quote_quantity or Decimal(0)

    @property
    def notional(self) -> Decimal:
        """The order's value in the quote asset; a market buy by quantity includes its price buffer."""
        if self.intent.quantity is None:
            return self.amount
        if not self.market:
            return self.intent.quantity * (self.intent.price or Decimal(0))
        return self.intent.quantity * (self.quote.ask * MARKET_BUFFER if self.buying else self.quote.ask)


_INPUT_RULES: Mapping[InputName, tuple[LimitRule, str]] = {
    InputName.HOLDINGS: (LimitRule.HOLDINGS, "Wait for the next reconciliation with the venue."),
    InputName.QUOTE: (LimitRule.QUOTE, "Wait for fresh market data; `gatehouse status` shows the feed."),
    InputName.EUR_RATE: (LimitRule.EUR_RATE, "Wait for a fresh rate, or adopt a policy with a current eur_rate."),
    InputName.EUR_RATE_BAND: (
        LimitRule.EUR_RATE_BAND,
        "Check the rate, then sign `gatehouse set-rate RATE --key KEY --reason WHY`.",
    ),
    InputName.SYMBOL_RULES: (LimitRule.SYMBOL_RULES, "Wait until the venue's symbol rules are read again."),
    InputName.ORDER: (LimitRule.EXPOSURE, "Wait until the order named in the message is settled."),
}

_FORM_RULES: Mapping[Field, tuple[LimitRule, str]] = {
    Field.CLIENT_ID: (LimitRule.CLIENT_ID, "client order id"),
    Field.PRICE: (LimitRule.PRICE, "price"),
    Field.QUANTITY: (LimitRule.QUANTITY, "quantity"),
    Field.AMOUNT: (LimitRule.QUANTITY, "amount"),
}
_STEPS: Mapping[Field, str] = {Field.PRICE: "tick size", Field.QUANTITY: "step", Field.AMOUNT: "quote asset's step"}


def missing_input(missing: MissingInput) -> Deny:
    """Return the denial for an input that is missing, stale or implausible."""
    return _missing(missing.input, missing.message)


def _missing(name: InputName, message: str) -> Deny:
    rule, remedy = _INPUT_RULES[name]
    return Deny(rule, "missing", "present and fresh", message, remedy)


def _symbol_rules(case: Case) -> Deny | None:
    rules = case.rules
    side_allowed = rules.buy_allowed if case.buying else rules.sell_allowed
    # A symbol that cannot be sold again must not be bought (execution-safety.md §1.3).
    objections = (
        (not rules.trading, "is not trading"),
        (not rules.api_allowed, "cannot be traded through the API"),
        (not side_allowed, f"does not accept {case.intent.side.value} orders"),
        (case.buying and not rules.sell_allowed, "could not be sold again"),
        (case.intent.type not in rules.order_types, f"does not accept {case.intent.type.value} orders"),
        (rules.quote != case.policy.eur_rate.asset, f"is quoted in {rules.quote}, which has no EUR rate"),
    )
    for objection, what in objections:
        if objection:
            return Deny(
                LimitRule.SYMBOL_RULES,
                what,
                "accepted by the venue",
                f"{rules.symbol} {what}",
                "Wait until the venue allows it, or send an order that it allows.",
            )
    return None


def _form(case: Case) -> Deny | None:
    """What the venue would refuse for its form is denied here, before it is sent."""
    best = case.quote.ask if case.buying else case.quote.bid
    found = fault(case.intent, case.rules, best)
    if found is None:
        return None
    if found.field is Field.WORTH:
        return _worthless(case, found.flaw, found.value or Decimal(0), found.limit or Decimal(0))
    rule, name = _FORM_RULES[found.field]
    value = "missing" if found.value is None else text(found.value) if sane(found.value) else str(found.value)[:40]
    limit = "" if found.limit is None else text(found.limit)
    match found.flaw:
        case Flaw.MISSING | Flaw.NOT_TAKEN if found.field is Field.PRICE:
            wanted = "no price" if case.market else "a positive price"
            finding = ("a price" if case.market else value), wanted, f"a {case.intent.type.value} order has {wanted}"
        case Flaw.MISSING | Flaw.NOT_TAKEN:
            message = "an order has one quantity; only a MARKET order may give it in the quote asset"
            finding = "none or both", "one quantity", message
        case Flaw.ILLEGAL if found.field is Field.CLIENT_ID:
            finding = case.intent.client_id[:40], CLIENT_ID.pattern, f"the venue refuses a {name} of this form"
        case Flaw.ILLEGAL | Flaw.NOT_POSITIVE:
            wanted = f"a positive number of at most {DIGITS} digits before and {DECIMALS} after the point"
            finding = value, wanted, f"the {name} must be {wanted}"
        case Flaw.DECIMALS:
            finding = value, limit, f"{name} {value} is not a multiple of the {_STEPS[found.field]} {limit}"
        case _:
            finding = value, limit, f"{name} {value} is below the venue's minimum {limit}"
    return _malformed(rule, *finding)


def _worthless(case: Case, flaw: Flaw, measured: Decimal, bound: Decimal) -> Deny:
    """A denial for what the order is worth."""
    quote, worth, limit = case.rules.quote, text(measured), text(bound)
    if flaw is Flaw.ABOVE:
        rule, wanted, needed = LimitRule.VENUE_MAXIMUM, "at most", f"the venue accepts at most {limit}"
    else:
        rule, wanted, needed = LimitRule.MIN_NOTIONAL, "at least", f"at least {limit} are needed"
    return Deny(
        rule,
        f"{worth} {quote}",
        f"{limit} {quote}",
        f"the order is worth {worth} {quote}; {needed}",
        f"Send an order of {wanted} {limit} {quote}.",
    )


def _notional(case: Case) -> Deny | None:
    rules, notional = case.rules, case.notional
    if case.buying and (denial := _exit(case)) is not None:
        return denial
    # A market buy by quantity counts with its price buffer, so that a rising price does not lift it over the venue's maximum.
    maximum = rules.max_notional_market if case.market else rules.max_notional
    if not notional <= maximum:
        return _worthless(case, Flaw.ABOVE, notional, maximum)
    eur, limit = in_eur(notional, case.policy), case.policy.limits.order_notional_max_eur
    if eur > limit:
        return Deny(
            LimitRule.ORDER_NOTIONAL,
            f"{text(eur)} EUR",
            f"{text(limit)} EUR",
            f"the order is worth {text(eur)} EUR; one order may be worth at most {text(limit)} EUR",
            f"Send an order of at most {text(limit)} EUR (limits.order_notional_max_eur).",
        )
    return None


def _exit(case: Case) -> Deny | None:
    """Whether what a buy leads to can be sold again: after the fee, and after the fall of the price that the policy allows for."""
    rules, limits = case.rules, case.policy.limits
    left = (1 - (limits.exit_stop_fraction or Decimal(0))) * (1 - rules.taker_fee)
    minimum = max(rules.min_notional, rules.min_notional_market) * limits.min_order_factor
    # A market buy is valued at the bid, without the buffer that its reservation adds.
    price = case.quote.bid if case.intent.price is None else min(case.intent.price, case.quote.bid)
    if case.intent.quantity is None:
        worth = case.amount * left
        quantity = case.amount / case.quote.ask * (1 - rules.taker_fee)
    else:
        worth = case.intent.quantity * price * left
        quantity = case.intent.quantity * (1 - rules.taker_fee)
    if not worth >= minimum:
        needed = rounded_up(minimum / left)
        return Deny(
            LimitRule.MIN_NOTIONAL,
            f"{text(rounded_down(worth))} {rules.quote}",
            f"{text(minimum)} {rules.quote}",
            f"after the fee and a fall of {text(limits.exit_stop_fraction or Decimal(0))} the holding would be worth "
            f"{text(rounded_down(worth))} {rules.quote}; at least {text(minimum)} are needed so that it can be sold again",
            f"Send an order of at least {text(needed)} {rules.quote} at the bid.",
        )
    if not rules.quantise_quantity(quantity) >= rules.min_quantity:
        least = text(rules.min_quantity)
        return Deny(
            LimitRule.QUANTITY,
            text(rounded_down(quantity)),
            least,
            f"after the fee {text(rounded_down(quantity))} {rules.base} would be left; selling it again takes at least {least}",
            f"Buy more than {least} {rules.base}.",
        )
    return None


def _collar(case: Case) -> Deny | None:
    price = case.intent.price
    if price is None:
        return None
    mid, limit = case.quote.mid, case.policy.limits.price_collar_bps
    distance = abs(price - mid) * _BPS / mid
    if distance <= limit:
        return None
    return Deny(
        LimitRule.PRICE_COLLAR,
        f"{text(rounded_up(distance))} bps",
        f"{text(limit)} bps",
        f"price {text(price)} is {text(rounded_up(distance))} bps from the mid {text(mid)}; at most {text(limit)} bps are allowed",
        "Send an order with a price closer to the market.",
    )


def _order_rate(case: Case) -> Deny | None:
    rate = case.policy.limits.order_rate
    times = case.context.admitted_at
    recent = len(times) - bisect_right(times, case.now - rate.per_ms)
    if recent < rate.count:
        return None
    return Deny(
        LimitRule.ORDER_RATE,
        f"{recent + 1} orders",
        f"{rate.count} orders in {rate.per_ms} ms",
        f"this would be order {recent + 1} within {rate.per_ms} ms; {rate.count} are allowed",
        "Send orders more slowly.",
    )


def _open_orders(case: Case) -> Deny | None:
    limit = case.policy.limits.open_orders_max
    working = sum(1 for order in case.account.orders if order.status in WORKING)
    if working < limit:
        return None
    return Deny(
        LimitRule.OPEN_ORDERS,
        f"{working} open orders",
        f"{limit} open orders",
        f"{working} orders are already open; at most {limit} are allowed",
        "Cancel an order, or wait until one is filled.",
    )


def balance(case: Case) -> Deny | None:
    """Whether the bot's part of the account has what the order needs, with everything that other orders may still take of it."""
    asset = case.rules.quote if case.buying else case.rules.base
    kept = case.account.kept.get(asset, Decimal(0))
    if kept and not case.buying and case.intent.quantity is None:
        return _by_amount(asset)
    held = case.account.holdings.get(asset)
    if held is None:
        return _missing(InputName.HOLDINGS, f"the holding of {asset} is not known")
    needed = _needed(case)
    for order in case.account.orders:
        if order.status not in WORKING:
            continue
        reserved = _reserved(case, order)
        if isinstance(reserved, Deny):
            return reserved
        held -= reserved
    if needed <= held:
        return None
    left = text(max(held, Decimal(0)))
    owners = f"; {text(kept)} {asset} in the account are its owner's" if kept > 0 else ""
    return Deny(
        LimitRule.BALANCE,
        f"{text(rounded_up(needed))} {asset}",
        f"{left} {asset}",
        f"the order needs {text(rounded_up(needed))} {asset}; {left} are not reserved by other orders{owners}",
        f"Send a smaller order, or cancel orders that reserve {asset}.",
    )


def _by_amount(asset: str) -> Deny:
    """A sale by amount sells as many coins as the price asks for, so a falling price could reach the owner's."""
    return Deny(
        LimitRule.QUANTITY,
        "an amount",
        f"a quantity of {asset}",
        f"a sale by amount could sell {asset} that is the account's owner's",
        f"Send the sale with its quantity of {asset}.",
    )


def _needed(case: Case) -> Decimal:
    if case.buying:
        return case.notional * (1 + case.rules.taker_fee)
    if case.intent.quantity is not None:
        return case.intent.quantity
    return case.amount / case.quote.bid


def _reserved(case: Case, order: OrderRisk) -> Decimal | Deny:
    """How much a working order reserves of the asset that the new order needs."""
    rules = case.context.rules.get(order.symbol)
    if rules is None:
        return _missing(InputName.SYMBOL_RULES, f"the venue's rules for {order.symbol} are not known")
    if order.side is not case.intent.side or (not case.buying and rules.base != case.rules.base):
        return Decimal(0)
    if case.buying:
        quotes = case.context.quotes
        if missing := missing_quote(order.symbol, quotes.get(order.symbol), case.policy, case.now):
            return missing_input(missing)
        cost = working_buy_quote(order, quotes[order.symbol].ask, rules.taker_fee)
        return missing_input(cost) if isinstance(cost, MissingInput) else cost
    whole = order.status in {OrderStatus.ADMITTED, OrderStatus.UNKNOWN}
    if order.quantity is not None:
        remaining = order.quantity if whole else order.quantity - order.executed
    elif order.quote_quantity is not None:
        remaining = (order.quote_quantity - (Decimal(0) if whole else order.executed_quote)) / case.quote.bid
    else:
        return _missing(InputName.ORDER, f"order {order.client_id} has no valid amounts")
    return max(remaining, Decimal(0))


def _malformed(rule: LimitRule, measured: str, threshold: str, message: str) -> Deny:
    return Deny(rule, measured, threshold, message, "Correct the order; `exchangeInfo` shows the symbol's rules.")


RULES: tuple[Callable[[Case], Deny | None], ...] = (
    _symbol_rules,
    _form,
    _notional,
    _collar,
    _order_rate,
    _open_orders,
)
"""What is judged before the stage's cap; ``balance`` is judged after it."""
