"""The in-process venue of MOCK."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from exchange.errors import Refused
from exchange.matching.symbols import BTCUSDT
from exchange.mock import MockVenue
from exchange.model import (
    DataSource,
    Fill,
    MarketTrade,
    Millis,
    OrderIntent,
    OrderReport,
    OrderStatus,
    OrderType,
    Quote,
    Side,
    SymbolRules,
)
from exchange.ports import Ack, CancelAck, CancelFailed, FeedStatus, Rejected, Venue, VenueName
from tests.support.permits import Leaving

D = Decimal
Levels = list[tuple[Decimal, Decimal]]


class Feed:
    """A market feed that the test moves."""

    source = DataSource.SYNTHETIC

    def __init__(self) -> None:
        self.version = 0
        self.book: tuple[Levels, Levels] | None = None
        self.public: list[MarketTrade] = []
        self.moved = asyncio.Event()

    def show(self, bids: Levels, asks: Levels) -> None:
        self.version += 1
        self.book = (bids, asks)
        self.moved.set()

    def lose(self) -> None:
        self.book = None
        self.moved.set()

    def trade(self, taker: Side, price: str, quantity: str) -> None:
        number = len(self.public) + 1
        self.public.insert(0, MarketTrade("BTCUSDT", D(price), D(quantity), taker, Millis(1_000 + number), str(number)))
        self.moved.set()

    def quote(self, symbol: str) -> Quote | None:
        if self.book is None:
            return None
        (bid, bid_quantity), (ask, ask_quantity) = self.book[0][0], self.book[1][0]
        return Quote(symbol, bid, bid_quantity, ask, ask_quantity, self.version, Millis(0), Millis(0))

    def depth(self, symbol: str, limit: int) -> tuple[int, Levels, Levels] | None:
        return None if self.book is None else (self.version, self.book[0][:limit], self.book[1][:limit])

    def trades(self, symbol: str, limit: int) -> list[MarketTrade]:
        return self.public[:limit]

    def status(self, symbol: str) -> FeedStatus:
        return FeedStatus.STALE if self.book is None else FeedStatus.LIVE

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def changed(self) -> None:
        await self.moved.wait()
        self.moved.clear()


class Clock:
    def now(self) -> Millis:
        return Millis(5_000)

    def monotonic_ns(self) -> int:
        return 0


class Permit(Leaving):
    epoch = 1

    def __init__(self, *, live: bool) -> None:
        self._live = live

    def is_live(self) -> bool:
        return self._live


LIVE = Permit(live=True)


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    feed.show([(D(100), D(5))], [(D(101), D(5))])
    return feed


@pytest.fixture
def venue(feed: Feed) -> MockVenue:
    return MockVenue(feed, {"BTCUSDT": BTCUSDT}, {"USDT": D(1_000), "BTC": D(1)}, Clock(), seed=1)


def intent(side: Side, price: str, quantity: str = "1", client_id: str = "a") -> OrderIntent:
    return OrderIntent("BTCUSDT", side, OrderType.LIMIT, client_id, D(quantity), None, D(price))


async def test_it_is_a_venue_named_mock(venue: MockVenue) -> None:
    port: Venue = venue
    assert port.name is VenueName.MOCK
    assert await port.server_time() == 5_000
    assert await port.symbol_rules(["BTCUSDT", "NOPE"]) == {"BTCUSDT": BTCUSDT}


async def test_without_a_live_permit_nothing_is_placed(venue: MockVenue) -> None:
    with pytest.raises(Refused) as caught:
        await venue.place(intent(Side.BUY, "101"), Permit(live=False))
    assert caught.value.code == "permit-not-live"
    assert await venue.order("BTCUSDT", "a") is None


class ExitPermit(Permit):
    client_id = "a"


async def test_a_permit_for_one_sale_places_that_sale_and_no_other_order(venue: MockVenue) -> None:
    for other in (intent(Side.BUY, "101"), intent(Side.SELL, "100", client_id="b")):
        with pytest.raises(Refused):
            await venue.place(other, ExitPermit(live=True))
    assert isinstance(await venue.place(intent(Side.SELL, "100"), ExitPermit(live=True)), Ack)


async def test_without_a_quote_an_order_is_rejected(venue: MockVenue, feed: Feed) -> None:
    feed.lose()
    outcome = await venue.place(intent(Side.BUY, "101"), LIVE)
    assert isinstance(outcome, Rejected)
    assert outcome.code == 30010


async def test_a_crossing_order_fills_against_the_feeds_book(venue: MockVenue) -> None:
    assert isinstance(await venue.place(intent(Side.BUY, "101"), LIVE), Ack)
    report = await venue.order("BTCUSDT", "a")
    assert report is not None
    assert report.status is OrderStatus.FILLED
    (fill,) = await venue.fills("BTCUSDT", Millis(0))
    assert (fill.price, fill.quantity, fill.maker) == (D(101), D(1), False)
    assert (await venue.balances())["BTC"].free == 2


async def test_an_order_the_engine_refuses_is_rejected_with_its_code(venue: MockVenue) -> None:
    outcome = await venue.place(intent(Side.SELL, "101", "2"), LIVE)
    assert outcome == Rejected(30005, "Oversold")


async def test_a_resting_order_fills_when_the_feed_trades_through_it(venue: MockVenue, feed: Feed) -> None:
    feed.trade(Side.SELL, "99", "50")
    running = asyncio.create_task(venue.run())
    events = venue.events()
    await venue.place(intent(Side.BUY, "100"), LIVE)
    assert (await anext(events)).status is OrderStatus.NEW
    feed.trade(Side.SELL, "99.5", "1")
    report, fill = await anext(events), await anext(events)
    assert isinstance(report, OrderReport)
    assert report.status is OrderStatus.FILLED
    assert isinstance(fill, Fill)
    assert (fill.price, fill.maker) == (D(100), True)
    running.cancel()


async def test_trades_from_before_an_order_do_not_fill_it(venue: MockVenue, feed: Feed) -> None:
    venue.follow()
    feed.trade(Side.SELL, "99", "50")
    await venue.place(intent(Side.BUY, "100"), LIVE)
    venue.follow()
    assert await venue.fills("BTCUSDT", Millis(0)) == []


async def test_an_unchanged_book_does_not_restore_consumption(venue: MockVenue, feed: Feed) -> None:
    feed.show([(D(100), D(5))], [(D(101), D(1))])
    await venue.place(intent(Side.BUY, "101", "1", "a"), LIVE)
    feed.show([(D(100), D(6))], [(D(101), D(1))])
    await venue.place(intent(Side.BUY, "101", "1", "b"), LIVE)
    assert [report.client_id for report in await venue.open_orders("BTCUSDT")] == ["b"]


async def test_cancelling_frees_the_balance_and_a_second_cancel_fails(venue: MockVenue) -> None:
    await venue.place(intent(Side.BUY, "99"), LIVE)
    assert isinstance(await venue.cancel("BTCUSDT", "a"), CancelAck)
    assert await venue.cancel("BTCUSDT", "a") == CancelFailed(-2011, "Unknown order sent.")
    assert (await venue.balances())["USDT"].free == 1_000


async def test_cancelling_all_leaves_nothing_open_and_reports_it(venue: MockVenue) -> None:
    for client_id in ("a", "b"):
        await venue.place(intent(Side.BUY, "99", client_id=client_id), LIVE)
    events = venue.events()
    await venue.cancel_all(["BTCUSDT"])
    assert [(await anext(events)).status for _ in range(2)] == [OrderStatus.CANCELED] * 2
    assert await venue.open_orders("BTCUSDT") == []


async def test_closing_ends_the_event_streams(venue: MockVenue) -> None:
    events = venue.events()
    await venue.aclose()
    assert [event async for event in events] == []


async def test_a_named_mock_gives_trade_ids_of_its_own(feed: Feed) -> None:
    trades: list[str] = []
    for ids in ("one", "another"):
        venue = MockVenue(feed, {"BTCUSDT": BTCUSDT}, {"USDT": D(1_000)}, Clock(), seed=1, ids=ids)
        await venue.place(intent(Side.BUY, "101"), LIVE)
        trades += [fill.trade_id for fill in await venue.fills("BTCUSDT", Millis(0))]
    assert len(trades) == len(set(trades)) >= 2


async def test_a_symbol_whose_rules_come_later_is_traded_from_then_on(feed: Feed) -> None:
    rules: dict[str, SymbolRules] = {}
    venue = MockVenue(feed, rules, {"USDT": D(1_000)}, Clock(), seed=1)
    assert isinstance(await venue.place(intent(Side.BUY, "99"), LIVE), Rejected)
    assert (await venue.open_orders("BTCUSDT"), await venue.fills("BTCUSDT", Millis(0))) == ([], [])
    rules["BTCUSDT"] = BTCUSDT
    assert isinstance(await venue.place(intent(Side.BUY, "99", client_id="b"), LIVE), Ack)
    assert await venue.symbol_rules(["BTCUSDT"]) == {"BTCUSDT": BTCUSDT}
