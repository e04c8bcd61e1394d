"""The engine against a reference model of its rules: every order type, every fill model, any market."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange.matching.engine import Engine
from exchange.matching.events import Accepted, EngineEvent, Filled
from exchange.matching.resting import FillModel
from exchange.matching.symbols import DEFAULT_RULES
from exchange.model import MarketTrade, Millis, OrderIntent, OrderStatus, OrderType, Side
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap, TapeTrade
from tests.support.reference_market import Expected, Order, ReferenceMarket
from tests.support.tries import tries

D = Decimal
OPEN = {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}

accounts = st.sampled_from(["a", "b"])
sides = st.sampled_from(list(Side))
prices = st.integers(9_997, 10_003).map(lambda cents: D(cents) / 100)
sizes = st.integers(1, 12).map(lambda quarters: D(quarters) / 4)
levels = st.dictionaries(prices, st.integers(0, 8).map(lambda quarters: D(quarters) / 4), max_size=4)
books = st.tuples(levels, levels)


class MatchingMachine(RuleBasedStateMachine):
    """Gives the engine and the reference model the same input and compares every fill."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Millis(1_000)
        self.version = 0
        self.trades = 0
        self.orders: dict[str, tuple[str, Order]] = {}

    @initialize(model=st.sampled_from(list(FillModel)), bid=st.integers(9_996, 10_003), size=sizes)
    def open(self, model, bid, size):
        self.reference = ReferenceMarket(model)
        self.engine = Engine(DEFAULT_RULES, model, seed=1)
        for account in ("a", "b"):
            self.engine.open_account(account, {"USDT": D(10_000_000), "BTC": D(100_000)}, self.now)
        self.snapshot({D(bid) / 100: size}, {D(bid + 1) / 100: size})

    def agree(self, events: list[EngineEvent], expected: list[Expected]) -> None:
        version = self.engine.depth("BTCUSDT", 1)[0]
        fills = [event for event in events if isinstance(event, Filled)]
        assert [
            Expected(one.fill.order_id, one.fill.price, one.fill.quantity, one.fill.maker, one.evidence.trade_ids) for one in fills
        ] == expected
        assert all(one.evidence.book_version == version for one in fills)
        assert not fills or self.reference.tradable

    def snapshot(self, bids, asks):
        self.version += 1
        record = DepthSnapshot("BTCUSDT", self.version, tuple(bids.items()), tuple(asks.items()), self.now, self.now)
        self.agree(self.engine.feed(record), self.reference.snapshot(bids, asks))

    @rule(book=books)
    def fresh_book(self, book):
        self.snapshot(*book)

    @rule(book=books)
    def depth(self, book):
        self.delta(*book)

    @precondition(lambda self: self.reference.tradable and any(self.reference.book.values()))
    @rule(data=st.data(), left=st.integers(1, 8).map(lambda quarters: D(quarters) / 4))
    def one_level_changes(self, data, left):
        """The case of the queue rules: one level that grew or shrank, in a book that stays live."""
        side, price = data.draw(st.sampled_from([(side, price) for side, book in self.reference.book.items() for price in book]))
        self.delta(*({price: left}, {}) if side is Side.BUY else ({}, {price: left}))

    @precondition(lambda self: self.reference.tradable and self.reference.best(Side.BUY) is not None)
    @rule(account=accounts, size=sizes, market_size=sizes)
    def join_the_best_bid(self, account, size, market_size):
        """Rest where there is a queue, and let some of it trade."""
        best = self.reference.best(Side.BUY)
        self.place_order(account, Side.BUY, best, size, OrderType.LIMIT_MAKER)
        self.trade_at(Side.SELL, best, market_size)

    def delta(self, bids, asks):
        self.version += 1
        record = DepthDelta("BTCUSDT", self.version, self.version, tuple(bids.items()), tuple(asks.items()), self.now, self.now)
        self.agree(self.engine.feed(record), self.reference.delta(bids, asks))

    @rule(price=prices, bid_size=sizes, ask_size=sizes)
    def tidy_book(self, price, bid_size, ask_size):
        """An uncrossed book of one level a side: most random ones are crossed."""
        self.snapshot({price: bid_size}, {price + D("0.01"): ask_size})

    @rule()
    def gap(self):
        self.reference.gap()
        self.agree(self.engine.feed(TapeGap("BTCUSDT", self.now, self.now)), [])

    @rule(taker=sides, price=prices, size=sizes)
    def trade(self, taker, price, size):
        self.trade_at(taker, price, size)

    def trade_at(self, taker, price, size):
        self.trades += 1
        trade = MarketTrade("BTCUSDT", price, size, taker, self.now, str(self.trades))
        self.agree(self.engine.feed(TapeTrade(trade, self.now)), self.reference.trade(taker, price, size, trade.trade_id))

    @rule(
        account=accounts,
        side=sides,
        price=prices,
        size=sizes,
        kind=st.sampled_from([one for one in OrderType if one is not OrderType.MARKET]),
    )
    def place(self, account, side, price, size, kind):
        self.place_order(account, side, price, size, kind)

    def place_order(self, account, side, price, size, kind):
        outcome = self.engine.place(account, OrderIntent("BTCUSDT", side, kind, "", size, None, price), self.now)
        self.accepted(account, outcome, Order("", side, kind, price, size))

    @rule(account=accounts, side=sides, size=sizes, by_quote=st.booleans())
    def market(self, account, side, size, by_quote):
        quantity, quote = (None, size * 100) if by_quote else (size, None)
        collar = self.reference.collar(side)
        outcome = self.engine.place(account, OrderIntent("BTCUSDT", side, OrderType.MARKET, "", quantity, quote), self.now)
        if collar is None:
            assert not isinstance(outcome, Accepted)
            return
        if by_quote and side is Side.BUY:
            quantity, quote = self.reference.bought(quote), None
        self.accepted(account, outcome, Order("", side, OrderType.MARKET, collar, quantity, quote))

    def accepted(self, account, outcome, order):
        assert isinstance(outcome, Accepted), outcome
        report = outcome.order.report
        order.name = report.order_id
        self.orders[order.name] = (account, order)
        assert report.price == order.price
        self.agree(list(outcome.events), self.reference.place(order))

    @precondition(lambda self: self.reference.resting)
    @rule(data=st.data())
    def cancel(self, data):
        order = data.draw(st.sampled_from(self.reference.resting))
        account, _ = self.orders[order.name]
        self.engine.cancel(account, "BTCUSDT", self.now, order_id=order.name)
        self.reference.cancel(order.name)
        order.status = OrderStatus.PARTIALLY_CANCELED if order.executed else OrderStatus.CANCELED

    @invariant()
    def every_order_is_where_the_rules_put_it(self):
        for name, (account, order) in self.orders.items():
            report = self.engine.order(account, "BTCUSDT", order_id=name).report
            assert (report.status, report.executed) == (order.status, order.executed)
        if self.orders:
            resting = {order.name for order in self.reference.resting}
            assert resting == {name for name, (_, order) in self.orders.items() if order.status in OPEN}

    @invariant()
    def every_order_waits_behind_the_queue_of_the_rules(self):
        for order in self.reference.resting if hasattr(self, "reference") else ():
            account, _ = self.orders[order.name]
            assert self.engine._registry.find(account, "BTCUSDT", order_id=order.name).ahead == order.ahead

    @invariant()
    def no_taker_takes_more_than_was_displayed(self):
        for side, taken in self.reference.taken.items() if hasattr(self, "reference") else ():
            assert all(quantity <= self.reference.book[side].get(price, 0) for price, quantity in taken.items() if quantity)


MatchingMachine.TestCase.settings = settings(max_examples=tries(100), stateful_step_count=40, deadline=None)
TestMatching = MatchingMachine.TestCase
