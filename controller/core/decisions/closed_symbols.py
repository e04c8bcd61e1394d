"""Decides when people hear that a symbol with something at stake is closed at its venue, or that one of the policy is not listed.

``core.decisions.ticks`` calls it.

MEXC can pause a pair, take it offline or delist it within a day (mexc-spot-v3.md §3.1). Its orders can then no longer trade and its
holdings can no longer be sold, and nothing else would say so.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.core import events as e
from controller.core.decisions.account import bought
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.fold.closed_symbols import key_of, title_of
from controller.core.inputs import Market
from controller.core.state import market_of
from exchange.model import SymbolRules
from exchange.ports import VenueName
from policies.schema import Policy

NOT_LISTED = "it is not listed there"


def watch(draft: Draft, policy: Policy, markets: Mapping[VenueName, Market]) -> None:
    """Journal what has closed, and what is open again, on the venue in use and on the live one."""
    for venue in sorted({VenueName.LIVE, draft.after.watched or VenueName.LIVE}):
        market = markets.get(market_of(venue))
        if market is not None:
            for symbol in policy.symbols:
                _judge(draft, policy, venue, symbol, closed_because(market.rules.get(symbol)))


def closed_because(rules: SymbolRules | None) -> str:
    """Why no order can trade under these rules; empty where one can."""
    if rules is None:
        return NOT_LISTED
    if not rules.trading:
        return "it is paused or offline"
    return "" if rules.api_allowed else "it is closed to orders by API"


def _judge(draft: Draft, policy: Policy, venue: VenueName, symbol: str, why: str) -> None:
    state = draft.after
    known = state.closed_symbols.get(key_of(venue, symbol))
    if not why and known is None:
        return
    orders = sum(1 for order in state.open_on(venue) if order.symbol == symbol and order.working)
    held = bought(state, policy, venue, symbol)
    # One that is not listed stops the guard of quotes and the sweeps, so people hear of it even when nothing is at stake in it.
    if why and (orders or held > 0 or why == NOT_LISTED):
        if known is None or known.why != why:
            event = e.SymbolClosed(venue=venue, symbol=symbol, why=why, orders=orders, held=held)
            draft.emit(event)
            draft.do(Alert(AlertKind.SYMBOL, title_of(event), draft.after.closed_symbols[key_of(venue, symbol)].line))
    elif known is not None:
        draft.emit(e.SymbolReopened(venue=venue, symbol=symbol, why=f"nothing of it is left; {why}" if why else "it can be traded"))
