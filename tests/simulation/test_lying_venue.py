"""A venue that lies about orders, in every way at once: what is open there stays below the cap, and no live order is given up."""

from __future__ import annotations

from dataclasses import dataclass
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
LAGS = st.sampled_from((0, 0, 0, 4_000, 12_000, 20_000, 30_000))
"""Up to ``guards.unknown_order.max_age_ms``: where nothing can be admitted, a venue that lags longer is believed."""
index = st.integers(min_value=0, max_value=1_000)


class Lies(RuleBasedStateMachine):
    """One deployment at LIVE_€10, one bot, one venue that lies."""

    @initialize()
    def begin(self) -> None:
        self.venue = LyingVenue(walked(LIVE_EUR10).fork())
        self.desk = self.venue.desk

    @invariant()
    def what_is_open_at_the_venue_never_exceeds_the_cap(self) -> None:
        assert self.venue.books.exposure_eur(LIVE) <= cap_eur(self.desk.policy, Stage.LIVE_EUR10, 0)

    @invariant()
    def no_order_is_given_up_that_lives_at_the_venue(self) -> None:
        assert not [name for name in self.given_up if self.venue.is_alive(name)]

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

    def _a_second(self) -> None:
        self.venue.pass_time(1_000)
        self.venue.look_up()
        self.venue.sweep()
        self.desk.tick()
        self.what_is_open_at_the_venue_never_exceeds_the_cap()
        self.no_order_is_given_up_that_lives_at_the_venue()

    @property
    def given_up(self) -> list[str]:
        """The orders that count as never placed."""
        return [name for name in self.venue.books.orders if self.desk.state.orders[name].reject_code == ErrorCode.NO_SUCH_ORDER]


@pytest.mark.parametrize("examples", sizes(short=50, long=1000))
def test_a_venue_that_lies_never_holds_more_than_the_cap(examples: int, counted: Counted) -> None:
    played(Lies, examples=examples, steps=30)
    counted("lying venues", examples)


# What it takes to give an order up is a long story, and chance alone seldom tells it.


@dataclass(frozen=True)
class Story:
    """An order is lost while the venue lies. After ``seconds`` the bot sends orders for which the cap may have no room."""

    ending: str
    fills: bool
    hidden_ms: int
    lag_ms: int
    seconds: int
    arrives_ms: int = 4_500

    def tell(self) -> Lies:
        one = Lies()
        one.begin()
        one.venue.frozen, one.venue.order_lag, one.venue.account_lag = True, self.lag_ms, self.lag_ms
        one._order(Side.BUY, 7, 0, self.ending, self.arrives_ms * 1_000 // REQUEST_LIVES_MS, self.hidden_ms)
        one._order(Side.BUY, 3, -80, "acknowledged", 0)
        for order in one.venue.books.resting()[:1] if self.fills and self.ending == "lost" else ():
            one.venue.fill(order, 4)
        one.life_goes_on(self.seconds, True, "acknowledged")
        one.life_goes_on(5, True, "acknowledged")
        for size in (7, 7):
            one._order(Side.BUY, size, 0, "acknowledged", 0)
            one._a_second()
        return one


LIES = ((0, 0), (20_000, 0), (35_000, 0), (0, 6_000), (0, 20_000), (0, 30_000), (20_000, 20_000))
"""For how long the lists hide a new order, and how old every answer is."""

STORIES = [
    Story(ending, fills, hidden, lag, seconds)
    for ending, fills in (("lost", False), ("lost", True), ("late", False), ("never", False))
    for hidden, lag in LIES
    for seconds in (3, 7, 9, 14, 25, 45)
]


def test_every_way_to_lose_an_order_keeps_the_venue_below_the_cap(counted: Counted) -> None:
    released = [story for story in STORIES if story.tell().given_up]
    assert {story.ending for story in released} == {"never"}, "an order that lived was given up, or none was"
    counted("lying venues", len(STORIES))
