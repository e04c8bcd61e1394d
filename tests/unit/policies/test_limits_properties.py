"""Whatever a bot sends and whatever fills, the account never exceeds the stage's cap; whatever an intent holds, nothing raises."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side
from exchange.orders import WORKING
from policies.exposure import AccountView, Exposure, OrderRisk, worst_case
from policies.limits import Admit, Deny, LimitContext, check
from policies.ramp import cap_eur
from policies.stage import Stage
from tests.support.tries import tries
from tests.unit.policies.policy_kit import BTC, NOW, QUOTE, REHEARSAL, RULES, context

FEE = 1 + RULES.taker_fee


class Bot(RuleBasedStateMachine):
    """A bot without manners at LIVE_€10, against a venue that fills what it likes, when it likes, at the limit or better."""

    @initialize(usdt=st.sampled_from(["1000000", "11", "3"]))
    def start(self, usdt: str) -> None:
        self.usdt, self.btc = Decimal(usdt), Decimal(0)
        self.orders: dict[str, OrderRisk] = {}
        self.now = NOW
        self.times: list[Millis] = []

    def view(self) -> AccountView:
        return AccountView({"USDT": self.usdt, "BTC": self.btc}, self.now, tuple(self.orders.values()))

    @rule(
        side=st.sampled_from(Side),
        kind=st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.IMMEDIATE_OR_CANCEL, OrderType.MARKET]),
        quantity=st.integers(min_value=15, max_value=115).map(lambda millionths: Decimal(millionths).scaleb(-6)),
        price=st.sampled_from(range(59_300, 60_701, 100)).map(Decimal),
        by_amount=st.booleans(),
        after=st.integers(min_value=0, max_value=300),
    )
    def send(self, side: Side, kind: OrderType, quantity: Decimal, price: Decimal, by_amount: bool, after: int) -> None:
        self.now = Millis(self.now + after)
        intent = OrderIntent(BTC, side, kind, str(len(self.orders)), quantity=quantity, price=price)
        if kind is OrderType.MARKET:
            amount = (quantity * price).quantize(Decimal("0.01"))
            intent = replace(
                intent, price=None, quantity=None if by_amount else quantity, quote_quantity=amount if by_amount else None
            )
        self.place(intent)

    @rule(price=st.sampled_from(range(59_400, 60_601, 100)).map(Decimal))
    def squeeze(self, price: Decimal) -> None:
        """Buy as much as is admitted, to the last step of the grid."""
        low, high = 0, 12_000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if isinstance(self.ask_for(self.biggest(price, middle)), Admit) else (low, middle)
        self.place(self.biggest(price, low))

    def biggest(self, price: Decimal, steps: int) -> OrderIntent:
        # Starting from the smallest order that passes, so that what is admitted has one upper end.
        quantity = Decimal(2_100 + steps).scaleb(-8)
        return OrderIntent(BTC, Side.BUY, OrderType.LIMIT, str(len(self.orders)), quantity=quantity, price=price)

    def ask_for(self, intent: OrderIntent) -> Admit | Deny:
        inputs = LimitContext(self.view(), {BTC: RULES}, {BTC: replace(QUOTE, received_at=self.now)}, self.times)
        return check(intent, inputs, REHEARSAL, Stage.LIVE_EUR10, 0, self.now)

    def place(self, intent: OrderIntent) -> None:
        verdict = self.ask_for(intent)
        if isinstance(verdict, Admit):
            self.orders[intent.client_id] = OrderRisk.of(intent)
            self.times.append(self.now)
            assert intent.side is Side.SELL or verdict.exposure.eur <= verdict.cap_eur

    @rule(data=st.data(), part=st.integers(min_value=1, max_value=4), improvement=st.sampled_from([0, 100, 500]))
    def fill(self, data: st.DataObject, part: int, improvement: int) -> None:
        open_ids = [key for key, order in self.orders.items() if order.status in WORKING]
        if not open_ids:
            return
        key = data.draw(st.sampled_from(open_ids))
        order = self.orders[key]
        limit = order.price or (QUOTE.ask if order.side is Side.BUY else QUOTE.bid)
        better = Decimal(improvement) if order.price else Decimal(0)
        # A market buy by amount takes the ask at best; everything else may be filled better than its limit.
        price = limit - better if order.side is Side.BUY else limit + better
        if order.quantity is not None:
            whole = order.quantity - order.executed
        else:
            assert order.quote_quantity is not None
            whole = ((order.quote_quantity - order.executed_quote) / price).quantize(Decimal("1e-8"), rounding="ROUND_DOWN")
        filled = whole if part == 4 else (whole * part / 4).quantize(Decimal("1e-8"), rounding="ROUND_DOWN")
        sign = 1 if order.side is Side.BUY else -1
        self.btc += sign * filled
        self.usdt -= sign * filled * price + filled * price * RULES.taker_fee
        self.orders[key] = replace(
            order,
            status=OrderStatus.FILLED if part == 4 else OrderStatus.PARTIALLY_FILLED,
            executed=order.executed + filled,
            executed_quote=order.executed_quote + filled * price,
        )

    @rule(
        data=st.data(), status=st.sampled_from([OrderStatus.UNKNOWN, OrderStatus.NEW, OrderStatus.CANCELED, OrderStatus.REJECTED])
    )
    def report(self, data: st.DataObject, status: OrderStatus) -> None:
        untouched = [key for key, order in self.orders.items() if order.status in WORKING and not order.executed]
        if untouched:
            key = data.draw(st.sampled_from(untouched))
            self.orders[key] = replace(self.orders[key], status=status)

    @invariant()
    def the_cap_holds(self) -> None:
        found = worst_case(self.view(), {BTC: replace(QUOTE, received_at=self.now)}, {BTC: RULES}, REHEARSAL, self.now)
        assert isinstance(found, Exposure), found
        assert found.eur <= cap_eur(REHEARSAL, Stage.LIVE_EUR10, 0)

    @invariant()
    def nothing_is_sold_or_spent_that_is_not_there(self) -> None:
        assert self.btc >= 0
        assert self.usdt >= 0


TestABotWithoutMannersNeverExceedsTheCap = Bot.TestCase
TestABotWithoutMannersNeverExceedsTheCap.settings = settings(max_examples=tries(150), stateful_step_count=30, deadline=None)

ANY_DECIMAL = st.one_of(st.none(), st.decimals(), st.sampled_from([Decimal("sNaN"), Decimal("1e999999"), Decimal("1e-999999")]))


@settings(deadline=None, max_examples=tries(200))
@given(
    intent=st.builds(
        OrderIntent,
        symbol=st.sampled_from([BTC, "", "ETHUSDT"]),
        side=st.sampled_from(Side),
        type=st.sampled_from(OrderType),
        client_id=st.text(max_size=5),
        quantity=ANY_DECIMAL,
        quote_quantity=ANY_DECIMAL,
        price=ANY_DECIMAL,
    ),
    stage=st.sampled_from(Stage),
    bid=st.one_of(st.just(QUOTE.bid), ANY_DECIMAL),
)
def test_nothing_an_intent_or_a_quote_contains_makes_the_check_raise(intent: OrderIntent, stage: Stage, bid: Any) -> None:
    given_context = context(btc="1", quotes={BTC: replace(QUOTE, bid=bid if bid is not None else Decimal(1))})
    verdict = check(intent, given_context, REHEARSAL, stage, 1, NOW)
    assert isinstance(verdict, Admit | Deny)
    assert isinstance(verdict, Deny) or all(
        value is None or (value.is_finite() and value > 0) for value in (intent.quantity, intent.quote_quantity, intent.price)
    )
