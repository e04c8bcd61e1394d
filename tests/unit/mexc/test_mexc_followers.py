"""What a feed passes on: folded from any moment at which the book is live, it is the book; a break is said once."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from exchange.mexc.depth import SymbolFeed
from exchange.model import MarketTrade, Millis, Side
from exchange.ports import FeedBroken, FeedEvent, FeedStatus
from exchange.wire.market import DepthReply
from exchange.wire.push import DepthUpdate

SYMBOL = "MXUSDT"
D = Decimal
SideOf = dict[Decimal, Decimal]
price = st.integers(min_value=1, max_value=6).map(D)
Levels = list[tuple[Decimal, Decimal]]
levels = st.lists(st.tuples(price, st.sampled_from((D(0), D(1), D(2)))), max_size=3, unique_by=lambda level: level[0])


class Followed(RuleBasedStateMachine):
    """A feed whose stream is cut, gapped, repeated and handed over, and a client that folds what the feed passes on."""

    @initialize()
    def begin(self) -> None:
        self.events: list[FeedEvent] = []
        self.feed = SymbolFeed(SYMBOL, self.events.append)
        self.sent = 10
        self.mine: tuple[int, SideOf, SideOf] | None = None
        self.trades = 0
        self.feed.subscribed()

    def _push(self, first: int, last: int, bids: Levels, asks: Levels) -> None:
        high = tuple((one + 10, quantity) for one, quantity in asks)
        self.feed.on_depth(DepthUpdate(SYMBOL, first, last, tuple(bids), high), Millis(0), Millis(1), 1)

    @rule(width=st.integers(min_value=1, max_value=3), bids=levels, asks=levels, back=st.sampled_from((0, 0, 0, 0, 1, 2)))
    def the_book_moves(self, width: int, bids: Levels, asks: Levels, back: int) -> None:
        self._push(self.sent + 1 - back, self.sent + width, bids, asks)
        self.sent += width

    @rule(missed=st.integers(min_value=1, max_value=3), bids=levels)
    def a_change_is_lost(self, missed: int, bids: Levels) -> None:
        self.sent += missed
        self._push(self.sent + 1, self.sent + 1, bids, [])
        self.sent += 1

    @rule(behind=st.integers(min_value=0, max_value=3))
    @precondition(lambda self: self.feed.status is FeedStatus.RESYNCING)
    def a_snapshot_arrives(self, behind: int) -> None:
        book = ((D(1), D(5)),), ((D(20), D(5)),)
        self.feed.on_snapshot(DepthReply(self.sent - behind, *book), Millis(1), 1)

    @rule(how=st.sampled_from(("lost", "subscribed", "suspect", "handed over")))
    def the_stream_changes(self, how: str) -> None:
        if how == "lost":
            self.feed.lost()
            self.feed.subscribed()
        elif how == "subscribed":
            self.feed.subscribed()
        elif how == "suspect":
            self.feed.suspect()
        else:
            self.feed.handed_over(1)

    @rule(again=st.booleans())
    def a_trade_is_pushed(self, again: bool) -> None:
        self.trades += not again
        trade = MarketTrade(SYMBOL, D(15), D(1), Side.BUY, Millis(1), f"t{self.trades}")
        self.feed.on_trades((trade,), 1)

    @invariant()
    def the_client_has_the_book(self) -> None:
        if not hasattr(self, "feed"):
            return
        events, self.events[:] = list(self.events), []
        for event in events:
            if isinstance(event, FeedBroken):
                self.mine = None
            elif isinstance(event, DepthUpdate) and self.mine is not None:
                version, bids, asks = self.mine
                assert event.from_version == version + 1
                self.mine = (event.to_version, _folded(bids, event.bids), _folded(asks, event.asks))
        view = self.feed.depth(100) if self.feed.status is FeedStatus.LIVE else None
        if self.feed.status is not FeedStatus.LIVE:
            assert self.mine is None
        elif self.mine is None and view is not None:
            # As a client does: it subscribes while the book is live, and reads depth.
            self.mine = (view[0], dict(view[1]), dict(view[2]))
        elif view is not None:
            assert self.mine == (view[0], dict(view[1]), dict(view[2]))


def _folded(side: SideOf, changes: tuple[tuple[Decimal, Decimal], ...]) -> SideOf:
    after = {**side, **dict(changes)}
    return {one: quantity for one, quantity in after.items() if quantity}


def test_a_client_that_folds_what_a_feed_passes_on_has_its_book() -> None:
    size = settings(max_examples=120, stateful_step_count=40, deadline=None, derandomize=True, database=None)
    run_state_machine_as_test(Followed, settings=size)  # type: ignore[no-untyped-call]


def test_every_new_trade_is_passed_on_once() -> None:
    events: list[FeedEvent] = []
    feed = SymbolFeed(SYMBOL, events.append)
    trades = tuple(MarketTrade(SYMBOL, D(15), D(1), Side.BUY, Millis(1), f"t{number}") for number in range(3))
    feed.on_trades(trades, 1)
    feed.on_trades(trades[1:], 2)
    assert tuple(events) == trades
