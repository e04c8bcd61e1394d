"""What policies need to know of an account, taken from the state: holdings, exposure, equity. Called by orders, ticks and views.

Of an account, gatehouse counts only what it gave the bot: a budget in the quote asset (``fold.budget``), and what its own orders
bought. Everything else is the owner's.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from controller.core.order_state import OrderState
from controller.core.state import Ledger, State
from exchange.model import Millis, OrderStatus, Quote, SymbolRules
from exchange.ports import VenueName
from policies.eur import Rates, centre, lowest, priced
from policies.exposure import EUR_STEP, AccountView, Exposure, MissingInput, OrderRisk, worst_case
from policies.headroom import Room, spendable
from policies.ramp import cap_eur, symbols_at
from policies.schema import Policy

ZERO = Decimal(0)


def assets_of(policy: Policy) -> tuple[str, ...]:
    """The quote asset and the base asset of every symbol."""
    quote = policy.eur_rate.asset
    return (quote, *(symbol.removesuffix(quote) for symbol in policy.symbols))


def risk_of(order: OrderState) -> OrderRisk:
    """The risk of an unsettled order.

    Only booked fills are in the holdings, so only booked fills reduce the reserved amount. An order that is final at the venue, but
    whose fills have not all arrived, still reserves the missing part: it counts as a working order for the executed quantity.
    """
    if order.working:
        status, quantity, quote_quantity = order.status, order.quantity, order.quote_quantity
    else:
        status, quantity, quote_quantity = OrderStatus.PARTIALLY_FILLED, order.executed, None
    return OrderRisk(
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        status=status,
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=order.price,
        executed=order.booked if status is not OrderStatus.UNKNOWN else ZERO,
        executed_quote=order.booked_quote if status is not OrderStatus.UNKNOWN else ZERO,
    )


def account_view(state: State, policy: Policy, venue: VenueName) -> AccountView | None:
    """One venue's account, or ``None`` while it is not reconciled."""
    ledger = state.ledger(venue)
    if ledger.totals is None or ledger.reconciled_at is None or not ledger.clean:
        return None
    holdings = holdings_of_bot(state, policy, venue)
    return AccountView(
        holdings=holdings,
        reconciled_at=ledger.reconciled_at,
        orders=tuple(risk_of(order) for order in state.open_on(venue)),
        kept={asset: ledger.totals.get(asset, ZERO) - held for asset, held in holdings.items()},
    )


def holdings_of_bot(state: State, policy: Policy, venue: VenueName) -> dict[str, Decimal]:
    """The bot's part of a venue's account, by asset: what is left of its budget, and what gatehouse's own orders bought."""
    quote = policy.eur_rate.asset
    left, total = _budget_left(state, policy, venue)
    return {
        quote: max(min(left, total), ZERO),
        **{symbol.removesuffix(quote): bought(state, policy, venue, symbol) for symbol in policy.symbols},
    }


def _budget_left(state: State, policy: Policy, venue: VenueName) -> tuple[Decimal, Decimal]:
    """What is left of the budget, and what the account has, in the quote asset."""
    ledger, quote = state.ledger(venue), policy.eur_rate.asset
    total = ledger.totals.get(quote, ZERO) if ledger.totals is not None else ZERO
    here = state.halted_from or state.position
    spent = ledger.bought.get(quote, ZERO) - ledger.settled
    return cap_eur(policy, here.stage, here.step) * centre(policy.eur_rate, state.rates) + spent, total


def spendable_quote(
    state: State,
    policy: Policy,
    venue: VenueName,
    market: tuple[Mapping[str, Quote], Mapping[str, SymbolRules]],
    locked: Decimal,
    now: Millis,
) -> Decimal:
    """The free quote asset of the bot: what is left of its budget, at most what the cap leaves room for (``policies.headroom``).

    ``market`` are the quotes and the rules of now, ``locked`` what open buys reserve.
    """
    quotes, rules = market
    here = state.halted_from or state.position
    priced_now = priced(policy, state.rates, now)
    counted = exposure(state, policy, venue, quotes, rules, now)
    known = isinstance(counted, Exposure) and isinstance(priced_now, Policy)
    left, total = _budget_left(state, policy, venue)
    rate = priced_now.eur_rate.quote_per_eur if isinstance(priced_now, Policy) else centre(policy.eur_rate, state.rates)
    room = Room(
        left=left,
        total=total,
        locked=locked,
        cap=cap_eur(policy, here.stage, here.step),
        quote_per_eur=rate,
        exposure=counted.eur if known and isinstance(counted, Exposure) else None,
    )
    symbols = symbols_at(policy, here.stage)
    return spendable(
        room,
        [rules[one] for one in symbols if one in rules],
        [quotes[one] for one in symbols if one in quotes],
        Decimal(policy.limits.price_collar_bps),
    )


def baseline(ledger: Ledger) -> dict[str, Decimal]:
    """What an account holds that gatehouse did not buy, and did not earn or lose, by asset."""
    return {asset: total - ledger.bought.get(asset, ZERO) for asset, total in (ledger.totals or {}).items()}


def exposure(
    state: State, policy: Policy, venue: VenueName, quotes: Mapping[str, Quote], rules: Mapping[str, SymbolRules], now: Millis
) -> Exposure | MissingInput:
    """Return the worst-case exposure of one venue's account, or which input is missing."""
    return worst_case(account_view(state, policy, venue), quotes, rules, policy, now, state.rates)


def bought(state: State, policy: Policy, venue: VenueName, symbol: str) -> Decimal:
    """What gatehouse's own orders bought of a symbol on a venue and the account still holds; never what it held before."""
    ledger, asset = state.ledger(venue), symbol.removesuffix(policy.eur_rate.asset)
    if ledger.totals is None:
        return ZERO
    return max(min(ledger.bought.get(asset, ZERO), ledger.totals.get(asset, ZERO)), ZERO)


def equity_eur(ledger: Ledger, policy: Policy, quotes: Mapping[str, Quote], rates: Rates) -> Decimal | None:
    """The value of the account in EUR, rounded down: the quote asset, and at the bid what gatehouse bought of every base asset.

    It is converted at the lowest rate that the policy accepts, so that a loss counts at its largest and a moving rate is none.
    The owner's coins are left out, so that their price is no profit or loss of ours; the owner's quote asset is a constant in it.
    What our orders took of the owner's coins counts as a debt. ``None`` when an asset that was bought has no quote, or the balances
    are not known.
    """
    if ledger.totals is None:
        return None
    quote = policy.eur_rate.asset
    value = ledger.totals.get(quote, ZERO)
    for symbol in policy.symbols:
        asset = symbol.removesuffix(quote)
        held = min(ledger.bought.get(asset, ZERO), ledger.totals.get(asset, ZERO))
        if held:
            market = quotes.get(symbol)
            if market is None:
                return None
            value += held * market.bid
    return (value / lowest(policy.eur_rate, rates)).quantize(EUR_STEP, rounding=ROUND_DOWN)
