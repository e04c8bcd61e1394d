"""How a step of an account that is neither gain nor loss changes the state. ``controller.core.fold.apply`` calls it.

The equity before the step and everything that it is compared with move by the value of the step, so that no difference between
two of them changes: not the day's result, not the drawdown in EUR.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from immutables import Map

from controller.core import events as e
from controller.core.compact_map import CompactMap
from controller.core.fold.budget import COST_STEP
from controller.core.our_books import OurBooks
from controller.core.state import Ledger, State
from exchange.model import Millis, round_up
from policies.values import replace

ZERO = Decimal(0)


def rebaselined(state: State, event: e.Rebaselined) -> State:
    """Take the venue's reading as the new balances. The next reading decides whether they are reconciled."""
    ledger = stepped(state.ledgers[event.venue], event.reading, event.shift_eur, quote_of(state))
    known = CompactMap() if event.forgets_ids else ledger.trades
    for key in event.known_trades:
        known = known if key in known else known.put(key, None)
    ledger = replace(
        ledger,
        trades=known,
        cursor=Millis(event.cursor),
        clean=False,
        reconciled_at=None,
        breaks=(),
        suspected=(),
        recent=(),
        gaps=(),
        pending=(),
        baselined_at=state.at,
        books=OurBooks(after=state.order_number),
        statement_at=None,
    )
    if event.forgets_ids:
        ledger = replace(ledger, ids=CompactMap(), strangers=Map(), one_numbering=False)
    return replace(state, ledgers=state.ledgers.set(event.venue, ledger))


def moved(state: State, event: e.CapitalMoved) -> State:
    """Book deposits and withdrawals. What is measured of the account goes on as if the money had been there always."""
    ledger = state.ledgers[event.venue]
    totals = dict(ledger.totals or {})
    for one in event.moves:
        totals[one.asset] = totals.get(one.asset, ZERO) + one.amount
    ledger = stepped(ledger, totals, event.shift_eur, quote_of(state))
    ledger = replace(ledger, moved=ledger.moved.update({one.id: Millis(one.at) for one in event.moves}))
    state = replace(state, ledgers=state.ledgers.set(event.venue, ledger))
    if event.venue is not state.watched or state.tally is None:
        return state
    tally, quote = state.tally.with_shift(event.shift_eur), quote_of(state)
    for asset, amount in event.taken.items():
        tally = tally.with_gone(f"{asset}{quote}", amount)
    return replace(state, tally=tally)


def stepped(ledger: Ledger, totals: Mapping[str, Decimal], shift_eur: Decimal, quote: str) -> Ledger:
    """The ledger with other balances and the same results. What is left of ours is never more than what the account holds.

    ``quote``: the quote asset. What our orders spent and brought of it stays; what is gone of a coin is gone of its cost, too.
    """

    def moved(equity: Decimal | None) -> Decimal | None:
        return None if equity is None else equity + shift_eur

    bought, cost = ledger.bought, ledger.cost
    for asset, ours in ledger.bought.items():
        left = min(ours, max(totals.get(asset, ZERO), ZERO))
        if asset == quote or left == ours:
            continue
        bought = bought.set(asset, left)
        cost = cost.set(asset, round_up(cost.get(asset, ZERO) * left / ours, COST_STEP))
    return replace(
        ledger,
        totals=Map(totals),
        bought=bought,
        cost=cost,
        equity_eur=moved(ledger.equity_eur),
        valued_eur=moved(ledger.valued_eur),
        day_start_eur=moved(ledger.day_start_eur),
        peak_eur=moved(ledger.peak_eur),
    )


def quote_of(state: State) -> str:
    """The quote asset of the policy in force."""
    return state.policy.eur_rate.asset if state.policy is not None else ""
