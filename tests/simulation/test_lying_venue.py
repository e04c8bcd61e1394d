"""A venue that lies about orders, in every way at once: what is open there stays below the cap, and no live order is given up."""

from __future__ import annotations

from decimal import ROUND_DOWN

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.core import inputs as i
from controller.core.effects import Place
from controller.core.lifecycle import Position
from exchange.model import OrderIntent, OrderType, Side
from exchange.wire.errors import ErrorCode
from policies.ramp import cap_eur
from policies.stage import Stage
from tests.simulation.test_core_invariants import played, walked
from tests.support.counting import Counted
from tests.support.desk import BOT_KEYS, RULES, SYMBOL, D
from tests.support.lying_venue import LIVE, REQUEST_LIVES_MS, LyingVenue
from tests.support.proofs import sizes

LIVE_EUR10 = Position(Stage.LIVE_EUR10)
ENDINGS = st.sampled_from(("acknowledged", "lost", "late", "never"))
LAGS = st.sampled_from((0, 0, 0, 4_000, 12_000, 20_000, 35_000))
"""Up to the time after which a halted deployment takes the account's word for it."""
index = st.integers(min_value=0, max_value=1_000)


class Lies(RuleBasedStateMachine):
    """One deployment at LIVE_€10, one bot, one venue that lies. ``released`` counts the orders that were given up."""

    released = 0

    @initialize()
    def begin(self) -> None:
        self.venue = LyingVenue(walked(LIVE_EUR10).fork())
        self.desk = self.venue.desk

    @invariant()
    def what_is_open_at_the_venue_never_exceeds_the_cap(self) -> None:
        assert self.venue.books.exposure_eur(LIVE) <= cap_eur(self.desk.policy, Stage.LIVE_EUR10, 0)

    @invariant()
    def no_order_is_given_up_that_lives_at_the_venue(self) -> None:
        given_up = [name for name in self.venue.books.orders if self.desk.state.orders[name].reject_code == ErrorCode.NO_SUCH_ORDER]
        assert not [name for name in given_up if self.venue.is_alive(name)]

    @rule(size=st.integers(min_value=3, max_value=9), bps=st.sampled_from((-80, -20, 0)), ending=ENDINGS, late=index, hidden=LAGS)
    def bot_buys(self, size: int, bps: int, ending: str, late: int, hidden: int) -> None:
        self._order(Side.BUY, size, bps, ending, late, hidden)

    @rule(size=st.integers(min_value=2, max_value=9), ending=ENDINGS, late=index)
    @precondition(lambda self: self.venue.books.base(LIVE) > 0)
    def bot_sells(self, size: int, ending: str, late: int) -> None:
        self._order(Side.SELL, size, 20, ending, late)

    def _order(self, side: Side, size: int, bps: int, ending: str, late: int, hidden: int = 0) -> None:
        price = (self.desk.price * (10_000 + bps) / 10_000).quantize(D("0.01"), rounding=ROUND_DOWN)
        intent = OrderIntent(SYMBOL, side, OrderType.LIMIT, "", D(size) / 100_000, None, price)
        request = i.OrderRequested("demo-bot", intent, {SYMBOL: self.desk.quote()}, {SYMBOL: RULES}, LIVE, BOT_KEYS["demo-bot"])
        for effect in self.desk.give(request).effects:
            if isinstance(effect, Place):
                self.venue.place(effect, ending, late * REQUEST_LIVES_MS // 1_000, hidden)

    @rule(which=index)
    @precondition(lambda self: bool(self.desk.state.open_on(LIVE)))
    def bot_cancels(self, which: int) -> None:
        mine = self.desk.state.open_on(LIVE)
        self.venue.cancel(mine[which % len(mine)].client_id)

    @rule(which=index, part=st.integers(min_value=1, max_value=4))
    @precondition(lambda self: bool(self.venue.books.resting()))
    def the_market_fills(self, which: int, part: int) -> None:
        resting = self.venue.books.resting()
        self.venue.fill(resting[which % len(resting)], part)

    @rule(frozen=st.booleans(), order_lag=LAGS, account_lag=LAGS)
    def the_venue_lies_otherwise(self, frozen: bool, order_lag: int, account_lag: int) -> None:
        self.venue.frozen, self.venue.order_lag, self.venue.account_lag = frozen, order_lag, account_lag

    @rule(seconds=st.sampled_from((1, 3, 9, 20)), buys=st.booleans(), ending=ENDINGS)
    def life_goes_on(self, seconds: int, buys: bool, ending: str) -> None:
        """A look-up, a reading and a tick each second; then perhaps another order, and a reading that may show it."""
        for _ in range(seconds):
            self._a_second()
        if buys:
            self._order(Side.BUY, 3, -20, ending, 500)
            self._a_second()

    @rule(
        ending=ENDINGS,
        hidden=LAGS,
        fills=st.booleans(),
        frozen=st.booleans(),
        lags=st.tuples(LAGS, LAGS),
        seconds=st.sampled_from((3, 6, 9, 14, 25, 45)),
    )
    def an_order_is_lost_and_the_bot_goes_on(
        self, ending: str, hidden: int, fills: bool, frozen: bool, lags: tuple[int, int], seconds: int
    ) -> None:
        """What it takes to give an order up, in one rule: chance alone seldom puts it together."""
        self.the_venue_lies_otherwise(frozen, *lags)
        self._order(Side.BUY, 6, 0, ending, 900, hidden)
        for order in self.venue.books.resting()[-1:] if fills else ():
            self.venue.fill(order, 4)
        self.life_goes_on(seconds, True, "acknowledged")
        self._order(Side.BUY, 6, 0, "acknowledged", 0)

    def _a_second(self) -> None:
        before = self._given_up()
        self.venue.pass_time(1_000)
        self.venue.look_up()
        self.venue.sweep()
        self.desk.tick()
        type(self).released += self._given_up() - before

    def _given_up(self) -> int:
        return sum(1 for name in self.venue.books.orders if self.desk.state.orders[name].reject_code == ErrorCode.NO_SUCH_ORDER)


@pytest.mark.parametrize("examples", sizes(short=120, long=2000))
def test_a_venue_that_lies_never_holds_more_than_the_cap(examples: int, counted: Counted) -> None:
    Lies.released = 0
    played(Lies, examples=examples, steps=10)
    assert Lies.released, "no order was ever released: nothing was tried"
    counted("lying venues", examples)
