"""Decides whether an order whose client id the bot used before is the same order again. ``core.decisions.orders`` calls it.

A client order id names one order for ever. MEXC documents nothing about an id that is used twice (mexc-spot-v3.md §4.14). If a
different request were answered with the first order, a bot would believe in an order that was never sent.
"""

from __future__ import annotations

from decimal import Decimal

from controller.core.inputs import OrderRequested
from controller.core.order_state import OrderState
from policies.limit_types import Deny
from policies.numbers import text
from policies.stage import Stage

CLIENT_ID = "client-id"
"""The rule that denies an order whose client id names another order of this bot."""

_Terms = tuple[str, str, str, Decimal | None, Decimal | None, Decimal | None, str]


def refusal(first: OrderState, request: OrderRequested, stage: Stage) -> Deny | None:
    """Why the request is not the ``first`` order again; ``None`` when it is that order, which can still trade at this stage."""
    before, now = _terms_of(first), _terms_asked(request, first)
    if before != now:
        why = "the two differ"
    elif not first.working:
        why = f"that order is over ({first.status})"
    elif first.stage is not stage:
        why = f"that order is of stage {first.stage}, and the deployment is at {stage}"
    else:
        return None
    named = f"{first.client_id}: {_shown(before)}, {first.status}, of {first.stage}"
    asked = _shown(now)
    return Deny(
        CLIENT_ID,
        asked,
        named,
        f"newClientOrderId {request.intent.client_id} already names the order {named}. This request is for another order: {asked}. "
        f"It was not sent, because {why}",
        "Give every order a newClientOrderId of its own; ask for the first order with GET order.",
    )


def _terms_of(order: OrderState) -> _Terms:
    conditions = order.conditions or ""
    return (order.symbol, order.side, order.type, order.quantity, order.quote_quantity, order.price, conditions)


def _terms_asked(request: OrderRequested, first: OrderState) -> _Terms:
    asked = request.intent
    # A journal written before conditions were recorded says nothing about them.
    conditions = request.conditions if first.conditions is not None else ""
    return (asked.symbol, asked.side, asked.type, asked.quantity, asked.quote_quantity, asked.price, conditions)


def _shown(terms: _Terms) -> str:
    symbol, side, kind, quantity, quote_quantity, price, conditions = terms
    size = f"{text(quantity)} " if quantity is not None else ""
    spend = f" for {text(quote_quantity)} in the quote asset" if quote_quantity is not None else ""
    at = f" at {text(price)}" if price is not None else ""
    return f"{side} {size}{symbol} {kind}{spend}{at}{f' ({conditions})' if conditions else ''}"
