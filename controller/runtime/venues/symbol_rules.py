"""Keeps the symbol rules of every venue as new as the venue's own answers (execution-safety.md §1.3).

They are read every ``READ_EVERY_S``. A venue that refuses an order because its symbol is closed has said something newer than the
last reading: it counts at once, so the next orders are denied here instead of refused there, and the rules are read again soon.
``controller.runtime.assembly`` makes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from exchange.errors import GatehouseError
from exchange.model import OrderIntent, Side, SymbolRules
from exchange.ports import Venue, VenueName
from exchange.wire.errors import ErrorCode

READ_EVERY_S = 60.0
READ_AGAIN_AFTER_S = 2.0
"""The pause before the reading that follows a refusal. It bounds how often a venue is asked whose refusals contradict its rules."""

_CLOSED = frozenset({ErrorCode.TRADING_SUSPENDED, ErrorCode.TRADING_DISABLED})
_SIDE = frozenset({ErrorCode.SIDE_NOT_ALLOWED, ErrorCode.BUYING_SUSPENDED, ErrorCode.SELLING_SUSPENDED})


def after_refusal(rules: SymbolRules, intent: OrderIntent, code: int) -> SymbolRules:
    """The rules after the venue refused this order with ``code``; the same ones when it says nothing about the symbol."""
    if code in _CLOSED:
        return replace(rules, trading=False)
    if code == ErrorCode.SYMBOL_NOT_SUPPORT_API:
        return replace(rules, api_allowed=False)
    if code in _SIDE:
        return replace(rules, buy_allowed=False) if intent.side is Side.BUY else replace(rules, sell_allowed=False)
    if code == ErrorCode.TYPE_NOT_ALLOWED:
        return replace(rules, order_types=rules.order_types - {intent.type})
    return rules


class RulesReader:
    """Changes ``rules`` in place. A venue that does not answer keeps those that were read last."""

    def __init__(
        self, venues: Mapping[VenueName, Venue], rules: Mapping[VenueName, dict[str, SymbolRules]], symbols: Sequence[str]
    ) -> None:
        self._venues = venues
        self._rules = rules
        self._symbols = tuple(symbols)
        self._refused = asyncio.Event()

    def refused(self, venue: VenueName, intent: OrderIntent, code: int) -> None:
        """A venue refused an order with MEXC's ``code``."""
        rules = self._rules.get(venue, {})
        before = rules.get(intent.symbol)
        if before is not None and (after := after_refusal(before, intent, code)) != before:
            rules[intent.symbol] = after
            self._refused.set()

    async def run(self) -> None:
        """Read the rules again and again."""
        while True:
            try:
                async with asyncio.timeout(READ_EVERY_S):
                    await self._refused.wait()
                await asyncio.sleep(READ_AGAIN_AFTER_S)
            except TimeoutError:
                pass
            self._refused.clear()
            await self.read()

    async def read(self) -> None:
        """Read the rules of every venue once."""
        for name, current in self._rules.items():
            try:
                fresh = await self._venues[name].symbol_rules(self._symbols)
            except GatehouseError:
                continue
            current.clear()
            current.update(fresh)
