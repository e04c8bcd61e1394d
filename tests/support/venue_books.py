"""What an account could hold at worst, by the venue's own books, judged after every change at the venue. For e2e tests."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from exchange.matching.events import BalanceChanged, EngineEvent, Filled, OrderChanged
from exchange.model import Millis, Side
from exchange.testnet.server import RunningTestnet
from tests.support.rig import SYMBOL

ZERO = Decimal(0)


class VenueBooks:
    """The holdings and open buys of one account at one venue, from the venue's engine and never from gatehouse.

    Exposure is in EUR: open buys at their own limit price and the taker fee, and what is held at the lowest ask seen so far. So a
    market that rises under a holding is no breach, and every order that was sent although it had no room is one.
    """

    def __init__(self, testnet: RunningTestnet, account: str, quote_per_eur: Decimal) -> None:
        self.venue, self.account = testnet.venue, account
        self._quote_per_eur = quote_per_eur
        self._lowest_ask = Decimal("Infinity")
        self._publish = self.venue.hub.publish
        self.looks = 0
        self.most = ZERO
        self.most_since = ZERO
        self._look()
        self.venue.hub.publish = self._published  # type: ignore[method-assign]

    def begin(self) -> None:
        """Forget the maximum of ``most_since``."""
        self.most_since = self.exposure_eur()

    def exposure_eur(self) -> Decimal:
        """The worst case now."""
        engine = self.venue.engine
        reports = [view.report for view in engine.open_orders(self.account) if view.report.side is Side.BUY]
        fee = 1 + engine.rules[SYMBOL].taker_fee
        buys = sum(((one.quantity - one.executed) * max(one.price, self._lowest_ask) * fee for one in reports), ZERO)
        held = self.held()
        return (buys + (held * self._lowest_ask if held else ZERO)) / self._quote_per_eur

    def held(self) -> Decimal:
        """How much bitcoin the account has, free and locked."""
        balance = self.venue.engine.balances(self.account).get("BTC")
        return balance.total if balance else ZERO

    def open_orders(self) -> int:
        """How many orders are open."""
        return len(self.venue.engine.open_orders(self.account))

    def orders(self) -> list[str]:
        """The client ids of every order that the venue took, in no order."""
        return [view.report.client_id for view in self.venue.engine.orders(self.account, SYMBOL, limit=1_000_000)]

    def received(self) -> dict[str, int]:
        """How often an order with each client id reached the venue."""
        accounts: Any = self.venue.state()["accounts"]
        return {name: one["received"] for name, one in accounts[self.account]["receipts"].items()}

    def last_order_at(self) -> Millis:
        """When the venue took the newest order, by the venue's clock; 0 when it has none."""
        newest = self.venue.engine.orders(self.account, SYMBOL, limit=1)
        return newest[0].report.created_at if newest else Millis(0)

    def _published(self, events: Iterable[EngineEvent]) -> None:
        happened = list(events)
        self._look(moved=any(isinstance(event, OrderChanged | Filled | BalanceChanged) for event in happened))
        self._publish(happened)

    def _look(self, *, moved: bool = False) -> None:
        quote = self.venue.engine.quote(SYMBOL, self.venue.clock.now())
        if quote is not None:
            self._lowest_ask = min(self._lowest_ask, quote.ask)
        if moved:
            self.looks += 1
            now = self.exposure_eur()
            self.most, self.most_since = max(self.most, now), max(self.most_since, now)
