"""After any sequence of events every asset adds up and no order is filled out of turn."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange.matching.accounts import STEP, LedgerAccount, MovementReason, fee_on
from exchange.matching.engine import Engine
from exchange.matching.events import Accepted, BalanceChanged, Filled, MarketTraded, OrderChanged
from exchange.matching.fees import Charge, QuoteFees
from exchange.matching.resting import FillModel
from exchange.matching.symbols import BTCUSDT
from exchange.model import MarketTrade, Millis, OrderIntent, OrderStatus, OrderType, Side, SymbolRules
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap, TapeTrade
from tests.support.tries import tries

D = Decimal
START = {"USDT": D(1_000), "BTC": D(10), "MX": D("0.3")}
# A fee with so many digits that the locked and the charged amounts must be rounded.
RULES = dataclasses.replace(BTCUSDT, maker_fee=D("0.0002"), taker_fee=D("0.000777777777"))

accounts = st.sampled_from(["a", "b"])
sides = st.sampled_from(list(Side))
ticks = st.integers(9_990, 10_010).map(lambda cents: D(cents) / 100)
sizes = st.integers(1, 4_000_000).map(lambda steps: D(steps) / 1_000_000)
displayed = st.integers(0, 5_000_000).map(lambda steps: D(steps) / 1_000_000)


class InMx:
    """Fees in MX, 20 % lower, while there is MX."""

    def charge(self, account: LedgerAccount, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
        in_quote = fee_on(notional, rules.maker_fee if maker else rules.taker_fee)
        in_mx = (in_quote * D("0.4")).quantize(STEP, ROUND_DOWN)
        return Charge("MX", in_mx) if in_mx <= account.free("MX") else Charge(rules.quote, in_quote)


class LedgerMachine(RuleBasedStateMachine):
    """Two accounts, any orders, any market."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Millis(1_000)
        self.version = 1
        self.trades = 0
        self.reported_balances = defaultdict(lambda: [D(0), D(0)])
        self.opened = []
        self.last_status = {}

    @initialize(model=st.sampled_from(list(FillModel)), fees=st.sampled_from([QuoteFees(), InMx()]))
    def open(self, model, fees):
        self.engine = Engine({"BTCUSDT": RULES}, model, seed=1, fees=fees)
        for account in ("a", "b"):
            self.take(self.engine.open_account(account, START, self.now))
        self.snapshot([(D("99.99"), D(2))], [(D("100.01"), D(2))])

    def take(self, events):
        for event in events:
            match event:
                case BalanceChanged(account=account, change=change):
                    held = self.reported_balances[account, change.asset]
                    held[0] += change.free_delta
                    held[1] += change.locked_delta
                    assert held == [change.free, change.locked]
                case OrderChanged(order=view):
                    self.check_order(view)
                case Filled(fill=fill, evidence=evidence):
                    assert fill.quantity > 0
                    assert fill.maker or not evidence.trade_ids

    def check_order(self, view):
        report = view.report
        previous = self.last_status.get(report.order_id)
        assert previous in {None, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}, "an ended order changed"
        self.last_status[report.order_id] = report.status
        assert 0 <= report.executed <= report.quantity

    def snapshot(self, bids, asks):
        self.version += 1
        self.take(self.engine.feed(DepthSnapshot("BTCUSDT", self.version, tuple(bids), tuple(asks), self.now, self.now)))

    @rule(bids=st.dictionaries(ticks, displayed, max_size=4), asks=st.dictionaries(ticks, displayed, max_size=4))
    def depth(self, bids, asks):
        self.now = Millis(self.now + 1)
        self.version += 1
        record = DepthDelta("BTCUSDT", self.version, self.version, tuple(bids.items()), tuple(asks.items()), self.now, self.now)
        self.take(self.engine.feed(record))

    @rule(bid=ticks, ask=ticks, size=displayed)
    def fresh_book(self, bid, ask, size):
        self.snapshot([(bid, size)], [(ask, size)])

    @rule()
    def gap(self):
        self.take(self.engine.feed(TapeGap("BTCUSDT", self.now, self.now)))

    @rule(taker=sides, price=ticks, size=sizes)
    def trade(self, taker, price, size):
        self.now = Millis(self.now + 1)
        self.trades += 1
        trade = MarketTrade("BTCUSDT", price, size, taker, self.now, str(self.trades))
        claims = self.claims(taker.opposite)
        events = self.engine.feed(TapeTrade(trade, self.now))
        self.take(events)
        fills = [event.fill for event in events if isinstance(event, Filled)]
        # After a shift the tape's price is not the market's.
        price = next(event.trade.price for event in events if isinstance(event, MarketTraded))
        assert sum(fill.quantity for fill in fills) <= size
        for fill in fills:
            assert fill.price >= price if taker is Side.SELL else fill.price <= price
        self.check_turns(claims, fills, price)

    def claims(self, side):
        """The resting orders of a side, in priority order."""
        views = [view for account in ("a", "b") for view in self.engine.open_orders(account) if view.report.side is side]
        sign = -1 if side is Side.BUY else 1
        return sorted((sign * view.report.price, view.report.order_id) for view in views)

    def check_turns(self, claims, fills, price):
        """Beyond the trade's price no queue counts: an order fills only after those of higher priority are complete."""
        filled = {fill.order_id for fill in fills}
        open_ids = {view.report.order_id for account in ("a", "b") for view in self.engine.open_orders(account)}
        beyond = [order_id for signed, order_id in claims if abs(signed) != price]
        for better, worse in pairwise(beyond):
            assert worse not in filled or better not in open_ids

    @rule(
        account=accounts,
        side=sides,
        price=ticks,
        size=sizes,
        kind=st.sampled_from([t for t in OrderType if t is not OrderType.MARKET]),
    )
    def place(self, account, side, price, size, kind):
        self.submit(account, OrderIntent("BTCUSDT", side, kind, "", size, None, price))

    @rule(account=accounts, side=sides, amount=st.integers(100, 90_000).map(lambda cents: D(cents) / 100), by_quote=st.booleans())
    def market(self, account, side, amount, by_quote):
        size, quote = (None, amount) if by_quote else (amount / 100, None)
        self.submit(account, OrderIntent("BTCUSDT", side, OrderType.MARKET, "", size, quote))

    def submit(self, account, intent):
        self.now = Millis(self.now + 1)
        outcome = self.engine.place(account, intent, self.now)
        if isinstance(outcome, Accepted):
            self.opened.append((account, outcome.order.report.order_id))
            self.take(outcome.events)
            self.check_limit(account, outcome.order)

    def check_limit(self, account, view):
        for fill in self.engine.fills(account, "BTCUSDT", order_id=view.report.order_id):
            limit = view.report.price
            assert fill.price <= limit if fill.side is Side.BUY else fill.price >= limit
        if view.quote_quantity is not None:
            assert view.report.executed_quote <= view.quote_quantity

    @precondition(lambda self: self.opened)
    @rule(data=st.data())
    def cancel(self, data):
        account, order_id = data.draw(st.sampled_from(self.opened))
        outcome = self.engine.cancel(account, "BTCUSDT", self.now, order_id=order_id)
        self.take(getattr(outcome, "events", ()))

    @rule(factor=st.sampled_from([D("0.999"), D("1.001"), D("0.9"), D("1.1")]))
    def shift(self, factor):
        self.take(self.engine.shift_prices("BTCUSDT", factor, self.now))

    @invariant()
    def every_asset_adds_up(self):
        for account in ("a", "b"):
            balances = self.engine.balances(account)
            expected = dict(START)
            for fill in self.engine.fills(account, "BTCUSDT"):
                sign = 1 if fill.side is Side.BUY else -1
                expected["BTC"] += sign * fill.quantity
                expected["USDT"] -= sign * fill.quote
                expected[fill.fee_asset] -= fill.fee
            assert {asset: balance.total for asset, balance in balances.items()} == expected

    @invariant()
    def nothing_is_negative_and_nothing_is_locked_without_an_open_order(self):
        for account in ("a", "b"):
            balances = self.engine.balances(account)
            assert all(balance.free >= 0 and balance.locked >= 0 for balance in balances.values())
            assert balances["MX"].locked == 0
            needed = {"USDT": D(0), "BTC": D(0)}
            for view in self.engine.open_orders(account):
                if view.report.side is Side.SELL:
                    needed["BTC"] += view.remaining_quantity
                else:
                    needed["USDT"] += view.remaining_amount
            assert balances["BTC"].locked == needed["BTC"]
            assert needed["USDT"] <= balances["USDT"].locked <= needed["USDT"] * (1 + RULES.taker_fee) + D("1e-12")


LedgerMachine.TestCase.settings = settings(max_examples=tries(60), stateful_step_count=30, deadline=None)
TestLedger = LedgerMachine.TestCase


def test_movement_reasons_are_names_of_the_account_stream():
    assert {reason.value for reason in MovementReason} == {
        "DEPOSIT",
        "WITHDRAW",
        "ENTRUST_PLACE",
        "ENTRUST_CANCEL",
        "ENTRUST_UNFROZEN",
        "ENTRUST",
        "TRADE_FEE",
    }
