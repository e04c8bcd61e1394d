"""Whatever the market, the venue and crashes do: a flatten sells only what gatehouse bought, once, at a price it can trust."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from controller.core import inputs as i
from controller.core.decisions.draft import Decision
from controller.core.effects import PlaceExit
from controller.core.fold.apply import apply
from controller.core.state import State
from exchange.model import Fill, OrderIntent, OrderReport, OrderStatus, Side
from exchange.ports import NOT_SENT, Ack, Rejected, Unknown, VenueName
from policies.stage import Stage
from tests.support.desk import RULES, SYMBOL, Desk
from tests.support.flattening import EVERY_MS, all_of, answer, flatten, hold, sales
from tests.support.tries import tries

D = Decimal
LIVE = VenueName.LIVE
BASELINE = D("0.00002")
_started: list[Desk] = []


def started() -> Desk:
    if not _started:
        _started.append(Desk(btc=str(BASELINE)).walk_to(Stage.LIVE_EUR10))
    return _started[0].fork()


def sold_at_the_venue(desk: Desk) -> Decimal:
    return sum(
        (
            fill.quantity
            for fill in desk.trades[LIVE]
            if fill.side is Side.SELL and fill.client_id in {sale.client_id for sale in sales(desk)}
        ),
        D(0),
    )


@dataclass
class Truth:
    """What the venue really did with a sale: ``filled`` of it, or nothing because it never arrived."""

    intent: OrderIntent
    arrived: bool
    filled: Decimal
    answered: bool = False


class Market(RuleBasedStateMachine):
    """A flatten, a venue that loses answers and fills what it likes, a feed that stops, and a process that crashes."""

    @initialize(amounts=st.lists(st.sampled_from(["0.000021", "0.00003", "0.00005"]), min_size=1, max_size=3), halts=st.booleans())
    def begin(self, amounts: list[str], halts: bool) -> None:
        self.desk = started()
        hold(self.desk, *amounts)
        self.bought = sum(map(D, amounts), D(0))
        if halts:
            self.desk.give(i.HaltAsked("operator", "enough"))
        self.truths: dict[str, Truth] = {}
        self.seen = 0
        self.next: tuple[bool, Decimal] = (True, D(1))
        assert flatten(self.desk).code == ""
        self.watch()

    # What the venue does with the next sale

    @rule(arrives=st.booleans(), share=st.sampled_from(["0", "0.3", "1"]))
    def the_venue_will(self, arrives: bool, share: str) -> None:
        self.next = arrives, D(share)

    @rule(quote=st.sampled_from(["fresh", "fresh", "fresh", "old", "missing", "crossed"]), ms=st.sampled_from([100, 500, 2_000]))
    def tick(self, quote: str, ms: int) -> None:
        self.desk.pass_time(ms)
        market = self.desk.market(age_ms=2_001 if quote == "old" else 0, quoted=quote != "missing")
        if quote == "crossed":
            market = replace(market, quotes={SYMBOL: replace(market.quotes[SYMBOL], bid=market.quotes[SYMBOL].ask + 1)})
        before = self.desk.state
        decision = self.desk.give(i.Tick({LIVE: market, VenueName.TESTNET: market}, dict.fromkeys(VenueName, 3), self.desk.heard()))
        self.check(before, decision, trusted=quote == "fresh")
        self.watch()

    @rule(price=st.sampled_from(["20000", "45000", "60000", "75000"]))
    def the_price_moves(self, price: str) -> None:
        self.desk.price = D(price)

    @rule()
    def sweep(self) -> None:
        self.desk.sweep_all()

    @rule(how=st.sampled_from(["answered", "unknown", "not sent"]))
    def the_answer_comes(self, how: str) -> None:
        for truth in self.truths.values():
            if truth.answered or self.desk.state.orders[truth.intent.client_id].status is not OrderStatus.ADMITTED:
                continue
            truth.answered = True
            client_id = truth.intent.client_id
            if truth.arrived and how == "answered":
                self.desk.give(i.PlacementAnswered(client_id, Ack(f"C02__{client_id}", self.desk.now)))
                self.report(truth)
            elif not truth.arrived and how == "not sent":
                self.desk.give(i.PlacementAnswered(client_id, Rejected(NOT_SENT, "not sent")))
            else:
                self.desk.give(i.PlacementAnswered(client_id, Unknown("no reply")))

    @rule()
    def look_ups_are_answered(self) -> None:
        for order in list(self.desk.state.open_on(LIVE)):
            if order.status is not OrderStatus.UNKNOWN or order.client_id not in self.truths:
                continue
            truth = self.truths[order.client_id]
            report = self.reported(truth) if truth.arrived else None
            self.desk.pass_time(500)
            self.desk.give(i.LookupAnswered(order.client_id, report, absent_everywhere=report is None))

    @rule()
    def crash(self) -> None:
        self.desk.boot()
        for truth in self.truths.values():
            truth.answered = True

    @precondition(lambda self: self.desk.state.flatten is None)
    @rule()
    def sign_another(self) -> None:
        held = self.desk.state.ledger(LIVE).bought.get("BTC", D(0))
        if held > 0 and self.desk.state.position.stage in {Stage.HALTED, Stage.LIVE_EUR10}:
            assert flatten(self.desk).code in {"", "nothing-to-sell"}

    # The venue

    def watch(self) -> None:
        """The venue gets what was sent: it trades at once, and the controller learns of it later, or never."""
        for intent in sales(self.desk)[self.seen :]:
            self.seen += 1
            arrived, share = self.next
            quantity = all_of(intent)
            filled = RULES.quantise_quantity(quantity * share) if arrived else D(0)
            self.truths[intent.client_id] = Truth(intent, arrived, filled)
            if filled:
                assert intent.price is not None
                self.desk.trades[LIVE].append(
                    Fill(
                        trade_id=f"S{intent.client_id}",
                        order_id=f"C02__{intent.client_id}",
                        client_id=intent.client_id,
                        symbol=SYMBOL,
                        side=Side.SELL,
                        price=intent.price,
                        quantity=filled,
                        quote=filled * intent.price,
                        fee=D(0),
                        fee_asset="USDT",
                        maker=False,
                        at=self.desk.now,
                    )
                )

    def reported(self, truth: Truth) -> OrderReport:
        whole = truth.filled == truth.intent.quantity
        status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_CANCELED if truth.filled else OrderStatus.CANCELED
        return self.desk.report(truth.intent.client_id, status, str(truth.filled))

    def report(self, truth: Truth) -> None:
        self.desk.give(i.VenueReported(LIVE, self.reported(truth)))

    # What must hold

    def check(self, before: State, decision: Decision, *, trusted: bool) -> None:
        exits = [effect.intent for effect in decision.effects if isinstance(effect, PlaceExit)]
        assert len(exits) <= 1
        for intent in exits:
            ledger = before.ledger(LIVE)
            assert trusted, "never on a stale, missing or crossed book"
            assert intent.side is Side.SELL
            assert intent.client_id not in self.truths, "never sent twice"
            assert before.open_on(LIVE) == [], "one at a time"
            assert intent.quantity is not None
            assert intent.price is not None
            assert intent.quantity <= ledger.bought["BTC"], "never more than gatehouse bought"
            assert intent.quantity <= (ledger.totals or {}).get("BTC", D(0)), "never more than is held"
            assert intent.quantity * intent.price >= RULES.min_notional
        sold = sum((truth.filled for truth in self.truths.values()), D(0))
        assert sold <= self.bought
        assert self.desk.balances(LIVE)["BTC"].total >= BASELINE, "never what the account held before"

    def teardown(self) -> None:
        if not hasattr(self, "truths"):
            return
        booked = sum(
            (self.desk.state.orders[client_id].booked for client_id in self.truths if client_id in self.desk.state.orders), D(0)
        )
        assert booked + self.desk.state.ledger(LIVE).bought.get("BTC", D(0)) == self.bought, "sold and left are what was bought"


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=tries(100), stateful_step_count=40, deadline=None)


def test_a_crash_at_any_entry_of_the_journal_sells_nothing_twice() -> None:
    """One flatten with partial fills. For every entry since its start: a process that read the journal up to there goes on."""
    original = hold(started(), "0.00008", "0.00005")
    original.give(i.HaltAsked("operator", "enough"))
    flatten(original)
    first = len(original.journal)
    shares = iter(["0", "0.5", "0.3", "1", "1", "1", "1"])
    seen: set[str] = set()
    while original.state.flatten is not None:
        original.pass_time(EVERY_MS)
        original.sweep_all()
        original.tick()
        for intent in sales(original):
            if intent.client_id not in seen:
                seen.add(intent.client_id)
                answer(original, intent, RULES.quantise_quantity(all_of(intent) * D(next(shares))))
    assert len(sales(original)) == 4
    for length in range(first, len(original.journal) + 1):
        resumed = cut(original, length)
        go_on(resumed, original)
        assert resumed.state.flatten is None
        assert sum((fill.quantity for fill in resumed.trades[LIVE] if fill.side is Side.SELL), D(0)) == D("0.00013"), length
        assert resumed.balances(LIVE)["BTC"].total == BASELINE, length


def cut(original: Desk, length: int) -> Desk:
    """A new process on the first entries of a journal. The venue remembers every order that was admitted in them."""
    desk = original.fork()
    desk.journal = desk.journal[:length]
    desk.decisions = []
    state = State()
    for event, at in desk.journal:
        state = apply(state, event, at)
    desk.state = state
    admitted = set(state.orders)
    desk.trades[LIVE] = [fill for fill in original.trades[LIVE] if fill.client_id in admitted]
    desk.boot()
    return desk


def go_on(desk: Desk, original: Desk) -> None:
    answered: set[str] = set()
    for _ in range(60):
        if desk.state.flatten is None:
            return
        desk.pass_time(EVERY_MS)
        # A sweep looks up every order that the venue no longer lists.
        for order in list(desk.state.open_on(LIVE)):
            if order.client_id in original.state.orders and order.client_id not in answered:
                known = original.state.orders[order.client_id]
                report = replace(original.report(order.client_id, known.status, str(known.executed)), order_id=known.order_id)
                desk.give(i.LookupAnswered(order.client_id, report, absent_everywhere=False))
        desk.sweep_all()
        desk.tick()
        for intent in sales(desk):
            if intent.client_id not in answered:
                answered.add(intent.client_id)
                answer(desk, intent, all_of(intent))


@given(
    held=st.decimals(min_value="0.000001", max_value="0.002", places=6),
    slice_eur=st.decimals(min_value="1", max_value="6", places=2),
    price=st.decimals(min_value="1000", max_value="100000", places=2),
)
@settings(max_examples=tries(200))
def test_every_order_is_sellable_and_within_slice_and_holding(held: Decimal, slice_eur: Decimal, price: Decimal) -> None:
    from controller.core.decisions.flatten import _size
    from policies.schema import Flatten
    from tests.support.desk import demo_policy

    slice_most = slice_eur * demo_policy().eur_rate.quote_per_eur
    schedule = Flatten(slice_eur_max=slice_eur, widen_bps=(D(10), D(90)), every_ms=500, give_up_after_ms=60_000)
    quote = replace(Desk().quote(), bid=price, ask=price + 1)
    for widening in range(2):
        size = _size(held, slice_most, schedule, quote, RULES, widening)
        if size is None:
            floor = price * (1 - schedule.widen_bps[widening] / 10_000)
            assert held * floor < RULES.min_notional or slice_most < 2 * RULES.min_notional
            continue
        assert size.quantity <= held
        assert size.quantity == RULES.quantise_quantity(size.quantity)
        assert size.quantity * size.price >= RULES.min_notional
        assert size.quantity * size.price <= slice_most
        assert size.price >= price * (1 - schedule.widen_bps[widening] / 10_000)
