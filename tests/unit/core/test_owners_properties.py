"""Whatever a bot asks for and the venue does, the owner's coins are never sold and the owner's money is never spent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controller.core import inputs as i
from controller.core.decisions.account import holdings_of_bot
from controller.core.decisions.draft import Admitted
from controller.core.effects import Place, PlaceExit
from exchange.model import Fill, OrderIntent, OrderReport, OrderStatus, OrderType, Side
from exchange.ports import NOT_SENT, Ack, Rejected, Unknown, VenueName
from policies.stage import Stage
from tests.support.desk import RULES, SYMBOL, D, Desk
from tests.support.flattening import flatten, hold
from tests.support.tries import tries

LIVE = VenueName.LIVE
OWNED, MONEY, BUDGET = D("0.3"), D(100), D("10.9")
FEE = D("0.0005")
_started: list[Desk] = []


def started() -> Desk:
    """LIVE_€10 in an account with coins and money of its owner; nothing was traded there yet."""
    if not _started:
        _started.append(Desk(btc=str(OWNED), usdt=str(MONEY)).walk_to(Stage.LIVE_EUR10))
    return _started[0].fork()


@dataclass
class Truth:
    """What the venue has of an order: it arrived or not, and so much of it is executed. ``ended``: it trades no more."""

    intent: OrderIntent
    arrived: bool
    executed: Decimal = D(0)
    ended: bool = False
    answered: bool = False

    @property
    def left(self) -> Decimal:
        """What may still trade."""
        assert self.intent.quantity is not None
        return D(0) if self.ended or not self.arrived else self.intent.quantity - self.executed


class Account(RuleBasedStateMachine):
    """A bot that asks for anything, a venue that fills in parts and loses answers, prices that move, halts and crashes."""

    @initialize(bought=st.lists(st.sampled_from(["0.00003", "0.00005", "0.00008"]), min_size=1, max_size=2))
    def begin(self, bought: list[str]) -> None:
        self.desk = hold(started(), *bought)
        self.truths: dict[str, Truth] = {}
        self.untold: list[Fill] = []
        self.seen = len(self.desk.decisions)
        self.trades = 0

    @rule(
        side=st.sampled_from(Side),
        quantity=st.sampled_from(["0.00002", "0.00003", "0.00005", "0.00008", "0.3"]),
        kind=st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET]),
        arrives=st.booleans(),
    )
    def the_bot_asks(self, side: Side, quantity: str, kind: OrderType, arrives: bool) -> None:
        self.desk.pass_time(100)
        self.desk.order(quantity, side=side, type_=kind)
        self.watch(arrives)

    @rule(arrives=st.booleans(), times=st.integers(1, 3))
    def the_bot_sells_what_it_sees(self, arrives: bool, times: int) -> None:
        """Most of what its account shows, again and again while it gets no answer."""
        for _ in range(times):
            self.desk.pass_time(100)
            held = holdings_of_bot(self.desk.state, self.desk.policy, LIVE)["BTC"]
            if quantity := RULES.quantise_quantity(min(held, D("0.0001"))):
                self.desk.order(str(quantity), side=Side.SELL)
            self.watch(arrives)
            self.the_answer_comes("unknown")

    @rule(share=st.sampled_from(["0.3", "0.5", "1"]), tells=st.booleans())
    def the_venue_fills(self, share: str, tells: bool) -> None:
        for truth in self.truths.values():
            if quantity := RULES.quantise_quantity(truth.left * D(share)):
                self.fill(truth, quantity)
        if tells:
            self.the_venue_tells()

    @rule()
    def the_venue_tells(self) -> None:
        for fill in self.untold:
            self.desk.give(i.VenueReported(LIVE, fill))
        self.untold.clear()

    @rule()
    def the_venue_ends_everything(self) -> None:
        for truth in self.truths.values():
            truth.ended = True

    @rule(how=st.sampled_from(["answered", "unknown"]))
    def the_answer_comes(self, how: str) -> None:
        for client_id, truth in self.truths.items():
            if truth.answered or self.desk.state.orders[client_id].status is not OrderStatus.ADMITTED:
                continue
            truth.answered = True
            if how == "unknown":
                self.desk.give(i.PlacementAnswered(client_id, Unknown("no reply")))
            elif truth.arrived:
                self.desk.give(i.PlacementAnswered(client_id, Ack(f"C02__{client_id}", self.desk.now)))
            else:
                self.desk.give(i.PlacementAnswered(client_id, Rejected(NOT_SENT, "not sent")))

    @rule()
    def the_venue_reports(self) -> None:
        for client_id, truth in self.truths.items():
            if truth.arrived and self.desk.state.orders[client_id].status is not OrderStatus.ADMITTED:
                self.desk.give(i.VenueReported(LIVE, self.report(truth)))

    @rule(price=st.sampled_from(["58000", "59500", "60000", "61000", "63000"]))
    def the_price_moves(self, price: str) -> None:
        self.desk.price = D(price)

    @rule(ms=st.sampled_from([200, 1_000, 3_000]))
    def time_passes(self, ms: int) -> None:
        self.desk.pass_time(ms)
        self.desk.tick()
        self.watch(arrives=True)

    @rule()
    def sweep(self) -> None:
        self.untold.clear()
        listed = tuple(self.report(truth) for truth in self.truths.values() if truth.left)
        self.desk.sweep(LIVE, orders=listed)

    @rule()
    def crash(self) -> None:
        self.desk.boot()
        for truth in self.truths.values():
            truth.answered = True

    @rule()
    def sell_everything(self) -> None:
        if self.desk.state.flatten is None and self.desk.state.ledger(LIVE).bought.get("BTC", D(0)) > 0:
            flatten(self.desk)

    # The venue

    def watch(self, arrives: bool) -> None:
        for decision in self.desk.decisions[self.seen :]:
            for effect in decision.effects:
                if isinstance(effect, Place | PlaceExit):
                    self.truths[effect.intent.client_id] = Truth(effect.intent, arrives)
        self.seen = len(self.desk.decisions)

    def fill(self, truth: Truth, quantity: Decimal) -> None:
        self.trades += 1
        intent, price = truth.intent, truth.intent.price or self.desk.price
        truth.executed += quantity
        truth.ended = truth.ended or truth.left == 0
        fill = Fill(
            trade_id=f"T{self.trades}",
            order_id=f"C02__{intent.client_id}",
            client_id=intent.client_id,
            symbol=SYMBOL,
            side=intent.side,
            price=price,
            quantity=quantity,
            quote=quantity * price,
            fee=quantity * price * FEE,
            fee_asset="USDT",
            maker=False,
            at=self.desk.now,
        )
        self.desk.trades[LIVE].append(fill)
        self.untold.append(fill)

    def report(self, truth: Truth) -> OrderReport:
        whole = truth.executed == truth.intent.quantity
        ended = OrderStatus.PARTIALLY_CANCELED if truth.executed else OrderStatus.CANCELED
        open_ = OrderStatus.PARTIALLY_FILLED if truth.executed else OrderStatus.NEW
        status = OrderStatus.FILLED if whole else ended if truth.ended else open_
        return self.desk.report(truth.intent.client_id, status, str(truth.executed))

    # What must hold

    @invariant()
    def the_owners_coins_stay_whatever_still_trades(self) -> None:
        if not hasattr(self, "truths"):
            return
        selling = sum((truth.left for truth in self.truths.values() if truth.intent.side is Side.SELL), D(0))
        assert self.desk.balances(LIVE)["BTC"].total - selling >= OWNED

    @invariant()
    def the_owners_money_stays_whatever_still_trades(self) -> None:
        if not hasattr(self, "truths"):
            return
        buying = sum(
            (
                truth.left * (truth.intent.price or self.desk.price) * (1 + FEE)
                for truth in self.truths.values()
                if truth.intent.side is Side.BUY
            ),
            D(0),
        )
        assert self.desk.balances(LIVE)["USDT"].total - buying >= MONEY - BUDGET

    @invariant()
    def the_bot_is_shown_no_more_than_was_traded(self) -> None:
        if not hasattr(self, "truths"):
            return
        shown = holdings_of_bot(self.desk.state, self.desk.policy, LIVE)
        assert shown["USDT"] <= BUDGET + sum((fill.quote for fill in self.desk.trades[LIVE] if fill.side is Side.SELL), D(0))
        assert shown["BTC"] <= sum((fill.quantity for fill in self.desk.trades[LIVE] if fill.side is Side.BUY), D(0))


TestAccount = Account.TestCase
TestAccount.settings = settings(max_examples=tries(100), stateful_step_count=40, deadline=None)


def test_the_machine_reaches_sales_that_are_refused_and_sales_that_trade() -> None:
    """The invariants mean something only where the bot holds something and asks for more."""
    one = Account()
    one.begin([])
    one.the_bot_asks(Side.BUY, "0.00008", OrderType.LIMIT, arrives=True)
    one.the_answer_comes("answered")
    one.the_venue_fills("0.5", tells=True)
    replies = [one.desk.order(quantity, side=Side.SELL).reply for quantity in ("0.00005", "0.00004", "0.00004")]
    assert [isinstance(reply, Admitted) for reply in replies] == [False, True, False]
