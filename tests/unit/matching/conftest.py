"""A driver of the matching engine: two accounts, one market, and short methods for records and orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from exchange.book import Level
from exchange.matching.engine import Engine
from exchange.matching.events import Accepted, EngineEvent, Refusal
from exchange.matching.resting import FillModel
from exchange.matching.symbols import DEFAULT_RULES
from exchange.model import Fill, MarketTrade, Millis, OrderIntent, OrderStatus, OrderType, Side, SymbolRules
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap, TapeTrade

BIDS = [("100", "5"), ("99", "7")]
ASKS = [("101", "5"), ("102", "7")]


def levels(pairs: list[tuple[str, str]]) -> tuple[Level, ...]:
    return tuple((Decimal(price), Decimal(quantity)) for price, quantity in pairs)


@dataclass
class EngineDriver:
    engine: Engine
    symbol: str = "BTCUSDT"
    now: Millis = Millis(1_000)
    version: int = 0
    trades: int = 0
    log: list[EngineEvent] = field(default_factory=list)

    def book(self, bids: list[tuple[str, str]] = BIDS, asks: list[tuple[str, str]] = ASKS) -> list[EngineEvent]:
        self.version += 1
        return self._fed(
            self.engine.feed(DepthSnapshot(self.symbol, self.version, levels(bids), levels(asks), self._tick(), self.now))
        )

    def delta(self, bids: list[tuple[str, str]] | None = None, asks: list[tuple[str, str]] | None = None) -> list[EngineEvent]:
        self.version += 1
        record = DepthDelta(self.symbol, self.version, self.version, levels(bids or []), levels(asks or []), self._tick(), self.now)
        return self._fed(self.engine.feed(record))

    def gap(self) -> list[EngineEvent]:
        return self._fed(self.engine.feed(TapeGap(self.symbol, self._tick(), self.now)))

    def trade(self, taker: Side, price: str, quantity: str) -> list[EngineEvent]:
        self.trades += 1
        market = MarketTrade(self.symbol, Decimal(price), Decimal(quantity), taker, self._tick(), str(self.trades))
        return self._fed(self.engine.feed(TapeTrade(market, self.now)))

    def sold(self, price: str, quantity: str) -> list[EngineEvent]:
        """A public trade whose taker sold: it meets resting buys."""
        return self.trade(Side.SELL, price, quantity)

    def bought(self, price: str, quantity: str) -> list[EngineEvent]:
        return self.trade(Side.BUY, price, quantity)

    def place(
        self,
        side: Side,
        price: str | None,
        quantity: str | None,
        kind: OrderType = OrderType.LIMIT,
        *,
        client_id: str = "",
        quote: str | None = None,
        account: str = "ours",
    ) -> Accepted | Refusal:
        numbers = [None if text is None else Decimal(text) for text in (quantity, quote, price)]
        outcome = self.engine.place(account, OrderIntent(self.symbol, side, kind, client_id, *numbers), self._tick())
        if isinstance(outcome, Accepted):
            self.log.extend(outcome.events)
        return outcome

    def order(
        self,
        side: Side,
        price: str | None,
        quantity: str | None,
        kind: OrderType = OrderType.LIMIT,
        *,
        quote: str | None = None,
        account: str = "ours",
    ) -> str:
        """Place an order that must be accepted; returns its id."""
        outcome = self.place(side, price, quantity, kind, quote=quote, account=account)
        assert isinstance(outcome, Accepted), outcome
        return outcome.order.report.order_id

    def status(self, order_id: str, account: str = "ours") -> OrderStatus:
        view = self.engine.order(account, self.symbol, order_id=order_id)
        assert view is not None
        return view.report.status

    def filled(self, order_id: str | None = None, account: str = "ours") -> list[tuple[Decimal, Decimal]]:
        """Price and quantity of each fill, oldest first."""
        return [(fill.price, fill.quantity) for fill in self.fills(order_id, account)]

    def fills(self, order_id: str | None = None, account: str = "ours") -> list[Fill]:
        return self.engine.fills(account, self.symbol, order_id=order_id)[::-1]

    def executed(self, order_id: str) -> Decimal:
        return sum((quantity for _, quantity in self.filled(order_id)), Decimal(0))

    def money(self, asset: str, account: str = "ours") -> tuple[Decimal, Decimal]:
        balance = self.engine.balances(account)[asset]
        return balance.free, balance.locked

    def _tick(self) -> Millis:
        self.now = Millis(self.now + 1)
        return self.now

    def _fed(self, events: list[EngineEvent]) -> list[EngineEvent]:
        self.log.extend(events)
        return events


@pytest.fixture
def make_driver() -> Callable[..., EngineDriver]:
    def make(model: FillModel = FillModel.PESSIMISTIC, rules: SymbolRules | None = None, **options: object) -> EngineDriver:
        chosen = DEFAULT_RULES if rules is None else {rules.symbol: rules}
        driver = EngineDriver(Engine(chosen, model, seed=7, **options))  # type: ignore[arg-type]
        for account in ("ours", "theirs"):
            driver.engine.open_account(account, {"USDT": Decimal(100_000), "BTC": Decimal(100)}, driver.now)
        return driver

    return make


@pytest.fixture
def driver(make_driver: Callable[..., EngineDriver]) -> EngineDriver:
    """A driver with a book of 5 at 100 and 7 at 99 against 5 at 101 and 7 at 102."""
    driver = make_driver()
    driver.book()
    return driver
