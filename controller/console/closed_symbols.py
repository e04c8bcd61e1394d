"""Symbols that are closed at their venue, as the operator API answers them. Part of ``controller.console.schema``."""

from __future__ import annotations

from controller.console.view import View
from exchange.ports import VenueName
from policies.numbers import Amount


class ClosedSymbolView(View):
    """A symbol that cannot be traded at its venue while an order is open in it or the account holds some of it."""

    venue: VenueName
    symbol: str
    why: str
    orders: int
    held: Amount
    since_ms: int
    line: str
