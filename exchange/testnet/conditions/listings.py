"""Which symbols can be traded now, and how (mexc-spot-v3.md §3.1). The control endpoint switches them.

A paused (2) or offline (3) symbol refuses orders with 30000. ``trade_side_type`` 2 accepts buys only and 3 sells only; the other
side is refused with 30001, and 4 refuses both with 30016. Market orders that are switched off are refused with 30019, and orders on
a symbol closed to the API with 10007. Resting orders stay and can fill, and cancels always work; MEXC documents nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from exchange.model import Millis, OrderType, SymbolRules, symbol_fault

_BUYS = frozenset({1, 2})
_SELLS = frozenset({1, 3})


def _symbol(text: str) -> str:
    if fault := symbol_fault(text):
        raise ValueError(fault)
    return text


SymbolName = Annotated[str, AfterValidator(_symbol)]
"""A symbol in a request to the control endpoint or in a file of accounts."""


class ListingChange(BaseModel):
    """A change of one symbol; absent fields stay unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: SymbolName
    status: Literal[1, 2, 3] | None = None
    trade_side_type: Literal[1, 2, 3, 4] | None = None
    market_orders: bool | None = None
    api_allowed: bool | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The listing state of one symbol. ``since`` is when it last left status 1."""

    symbol: str
    status: int
    trade_side_type: int
    market_orders: bool
    api_allowed: bool
    since: Millis | None = None


class Listings:
    """Every symbol's listing state. ``rules`` is the engine's own mapping: a change applies to the next order."""

    def __init__(self, rules: dict[str, SymbolRules]) -> None:
        self._rules = rules
        self._listings = {symbol: _state_of(one) for symbol, one in rules.items()}

    def __getitem__(self, symbol: str) -> Listing:
        """A symbol's listing state."""
        return self._listings[symbol]

    def change(self, change: ListingChange, now: Millis) -> Listing:
        """Apply a change; returns the new state. Raises ``KeyError`` for a symbol that is not listed."""
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
        """Set the listing state of symbols."""
        for one in listings:
            self._listings[one.symbol] = one
            self._rules[one.symbol] = _applied(self._rules[one.symbol], one)


def status_json(symbol: Mapping[str, object], listing: Listing) -> dict[str, object]:
    """One element of ``exchangeInfo.symbols`` with its exact status, which distinguishes paused and offline."""
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


def _state_of(rules: SymbolRules) -> Listing:
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
