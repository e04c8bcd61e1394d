"""Which symbols can be traded right now, and how: what the control endpoint switches per symbol (mexc-spot-v3.md §3.1).

A paused (2) or offline (3) symbol answers orders with 30000. ``trade_side_type`` 2 takes buys only and 3 sells only; the other side
is answered 30001, and 4 closes both with 30016. Market orders that are switched off are answered 30019, and a symbol closed to the
API 10007. Resting orders stay and keep filling, and cancels always work, as far as anything documents it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from exchange.model import Millis, OrderType, SymbolRules

_BUYS = frozenset({1, 2})
_SELLS = frozenset({1, 3})


class ListingChange(BaseModel):
    """What to change about one symbol; what is absent stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str
    status: Literal[1, 2, 3] | None = None
    trade_side_type: Literal[1, 2, 3, 4] | None = None
    market_orders: bool | None = None
    api_allowed: bool | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """How one symbol stands. ``since`` is when it last left status 1."""

    symbol: str
    status: int
    trade_side_type: int
    market_orders: bool
    api_allowed: bool
    since: Millis | None = None


class Listings:
    """Every symbol's standing. ``rules`` is the engine's own mapping: a change takes effect on the next order."""

    def __init__(self, rules: dict[str, SymbolRules]) -> None:
        self._rules = rules
        self._listings = {symbol: _standing(one) for symbol, one in rules.items()}

    def __getitem__(self, symbol: str) -> Listing:
        """How a symbol stands."""
        return self._listings[symbol]

    def change(self, change: ListingChange, now: Millis) -> Listing:
        """Apply a change; the new standing. Raises ``KeyError`` for a symbol that is not listed at all."""
        old = self._listings[change.symbol]
        wanted = change.model_dump(exclude={"symbol"}, exclude_none=True)
        new = replace(old, **wanted)
        if new.status == 1:
            new = replace(new, since=None)
        elif new.status != old.status:
            new = replace(new, since=now)
        self.load((new,))
        return new

    def all(self) -> tuple[Listing, ...]:
        """Every symbol, in the order it was listed."""
        return tuple(self._listings.values())

    def load(self, listings: Iterable[Listing]) -> None:
        """Put symbols into a standing."""
        for one in listings:
            self._listings[one.symbol] = one
            self._rules[one.symbol] = _applied(self._rules[one.symbol], one)


def status_json(symbol: Mapping[str, object], listing: Listing) -> dict[str, object]:
    """One element of ``exchangeInfo.symbols`` with its exact status: paused and offline differ."""
    return {**symbol, "status": str(listing.status)}


def offline_json(listings: Iterable[Listing]) -> dict[str, object]:
    """The ``symbol/offline`` reply: 2 are suspended, 3 delisted."""
    return {
        "data": [
            {"symbol": one.symbol, "state": one.status, **({} if one.since is None else {"offlineTime": one.since})}
            for one in listings
            if one.status != 1
        ]
    }


def _standing(rules: SymbolRules) -> Listing:
    sides = {(True, True): 1, (True, False): 2, (False, True): 3, (False, False): 4}[rules.buy_allowed, rules.sell_allowed]
    return Listing(rules.symbol, 1 if rules.trading else 2, sides, OrderType.MARKET in rules.order_types, rules.api_allowed)


def _applied(rules: SymbolRules, listing: Listing) -> SymbolRules:
    market = frozenset({OrderType.MARKET})
    return replace(
        rules,
        trading=listing.status == 1,
        buy_allowed=listing.trade_side_type in _BUYS,
        sell_allowed=listing.trade_side_type in _SELLS,
        order_types=rules.order_types | market if listing.market_orders else rules.order_types - market,
        api_allowed=listing.api_allowed,
    )
