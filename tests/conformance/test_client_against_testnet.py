"""Our own client against our own testnet, with the strictest signatures and the published rate limits in force."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from random import Random

import pytest

from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import VenueEndpoint, open_feed, open_venue
from exchange.mexc.http import Timeouts
from exchange.mexc.market import MexcFeed
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.mexc.socket import StreamTiming
from exchange.model import DataSource, Fill, Millis, OrderIntent, OrderReport, OrderStatus, OrderType, Side
from exchange.ports import Ack, CancelAck, CancelFailed, FeedStatus, Rejected, StreamGap, Unknown, VenueEvent, VenueName
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.config import AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.support.permits import Leaving

KEY, SECRET, BTC = "mx0gatehouse", "a-secret-of-no-value", "BTCUSDT"
SMALL = Decimal("0.0002")


class Clock:
    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class Permit(Leaving):
    epoch = 1

    def is_live(self) -> bool:
        return True


@pytest.fixture
async def own() -> AsyncIterator[RunningTestnet]:
    balances = {"USDT": Decimal(10_000), "BTC": Decimal("0.5")}
    account = AccountConfig("gatehouse", KEY, SECRET, balances)
    async with running_testnet(TestnetConfig(accounts=(account,), port=0, speed=Decimal(5), strict_signatures=True)) as running:
        yield running


def endpoint(own: RunningTestnet) -> VenueEndpoint:
    timing = StreamTiming(ping_every=100, idle_after=2_000, retry_first=10, retry_most=50)
    return VenueEndpoint(own.base_url, own.ws_url, Reach.LOOPBACK, Timeouts(1_000, 1_000, 1_000, 2_000), timing)


@pytest.fixture
async def venue(own: RunningTestnet) -> AsyncIterator[MexcVenue]:
    signer = LocalSigner(KEY, SECRET, SignerLimits(frozenset({BTC}), Decimal(1_000)))
    client = open_venue(VenueName.TESTNET, endpoint(own), signer, Clock(), Random(1))
    yield client
    await client.aclose()


@pytest.fixture
async def feed(own: RunningTestnet) -> AsyncIterator[MexcFeed]:
    running = open_feed([BTC], endpoint(own), Clock(), Random(1), source=DataSource.SYNTHETIC)
    task = asyncio.create_task(running.run())
    yield running
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await running.aclose()


async def until(feed: MexcFeed, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await feed.changed()


def resting(client_id: str) -> OrderIntent:
    return OrderIntent(BTC, Side.BUY, OrderType.LIMIT, client_id, quantity=SMALL, price=Decimal(30_000))


def market_buy(client_id: str) -> OrderIntent:
    return OrderIntent(BTC, Side.BUY, OrderType.MARKET, client_id, quote_quantity=Decimal(20))


async def test_the_rules_balances_and_clock_are_read(venue: MexcVenue) -> None:
    rules = await venue.symbol_rules([BTC, "NOPEUSDT"])
    assert set(rules) == {BTC}
    assert (await venue.balances())["USDT"].free == 10_000
    assert abs(await venue.server_time() - Clock().now()) < 1_000


async def test_an_order_rests_is_found_and_is_cancelled(venue: MexcVenue) -> None:
    placed = await venue.place(resting("gh-1"), Permit())
    assert isinstance(placed, Ack)
    found = await venue.order(BTC, "gh-1")
    assert found is not None
    assert (found.order_id, found.status, found.quantity) == (placed.order_id, OrderStatus.NEW, SMALL)
    assert [one.client_id for one in await venue.open_orders(BTC)] == ["gh-1"]
    assert await venue.cancel(BTC, "gh-1") == CancelAck()
    cancelled = await venue.order(BTC, "gh-1")
    assert cancelled is not None
    assert cancelled.status is OrderStatus.CANCELED
    again = await venue.cancel(BTC, "gh-1")
    assert isinstance(again, CancelFailed)
    assert again.code == -2011


async def test_cancel_all_clears_a_symbol(venue: MexcVenue) -> None:
    for number in range(3):
        await venue.place(resting(f"gh-{number}"), Permit())
    assert await venue.cancel_all([BTC]) == CancelAck()
    assert list(await venue.open_orders(BTC)) == []


async def test_an_order_below_the_minimum_is_rejected_with_mexcs_code(venue: MexcVenue) -> None:
    tiny = OrderIntent(BTC, Side.BUY, OrderType.LIMIT, "gh-1", quantity=Decimal("0.000001"), price=Decimal(30_000))
    outcome = await venue.place(tiny, Permit())
    assert isinstance(outcome, Rejected)
    assert outcome.code == 30002
    assert await venue.order(BTC, "gh-1") is None


async def test_fills_explain_the_balances_to_the_last_digit(venue: MexcVenue) -> None:
    since, before = await venue.server_time(), await venue.balances()
    acks = [await venue.place(market_buy(f"gh-{number}"), Permit()) for number in range(3)]
    fills, after = await venue.fills(BTC, Millis(since - 5)), await venue.balances()
    bought, spent = sum(fill.quantity for fill in fills), sum(fill.quote + fill.fee for fill in fills)
    assert {fill.order_id for fill in fills} == {ack.order_id for ack in acks if isinstance(ack, Ack)}
    assert len({fill.order_id for fill in fills}) == 3
    assert {fill.fee_asset for fill in fills} == {"USDT"}
    assert after["BTC"].total - before["BTC"].total == bought
    assert before["USDT"].total - after["USDT"].total == spent


@pytest.mark.parametrize("kind", [FaultKind.LOST_ACK, FaultKind.ERROR_AFTER_ACCEPT])
async def test_a_lost_acknowledgement_is_unknown_sent_once_and_found_later(
    own: RunningTestnet, venue: MexcVenue, kind: FaultKind
) -> None:
    own.arm(kind)
    assert isinstance(await venue.place(resting("gh-1"), Permit()), Unknown)
    found = await venue.order(BTC, "gh-1")
    assert found is not None
    assert own.received("gatehouse", "gh-1") == 1


@pytest.mark.parametrize("kind", [FaultKind.ERROR_BEFORE_ACCEPT, FaultKind.CONNECTION_RESET])
async def test_an_order_that_never_arrived_is_unknown_too(own: RunningTestnet, venue: MexcVenue, kind: FaultKind) -> None:
    await venue.server_time()
    await venue.balances()
    own.arm(kind, params={"operation": "place"})
    assert isinstance(await venue.place(resting("gh-1"), Permit()), Unknown)
    assert await venue.order(BTC, "gh-1") is None


async def test_a_new_order_may_be_invisible_for_a_while(own: RunningTestnet, venue: MexcVenue) -> None:
    own.arm(FaultKind.NOT_FOUND_LAG, params={"ms": 300})
    assert isinstance(await venue.place(resting("gh-1"), Permit()), Ack)
    assert await venue.order(BTC, "gh-1") is None
    async with asyncio.timeout(5):
        while await venue.order(BTC, "gh-1") is None:
            pass


async def test_the_clock_is_measured_again_after_a_jump(own: RunningTestnet, venue: MexcVenue) -> None:
    await venue.balances()
    own.arm(FaultKind.CLOCK_SKEW, params={"ms": 30_000})
    assert (await venue.balances())["USDT"].free == 10_000
    assert isinstance(await venue.place(resting("gh-1"), Permit()), Ack)


async def test_a_burst_of_orders_stays_within_the_venues_limits(venue: MexcVenue) -> None:
    outcomes = await asyncio.gather(*(venue.place(resting(f"gh-{number}"), Permit()) for number in range(24)))
    assert [outcome for outcome in outcomes if not isinstance(outcome, Ack)] == []


async def test_the_private_stream_reports_an_order_its_fills_and_its_end(venue: MexcVenue) -> None:
    events = venue.events()
    async with asyncio.timeout(10):
        assert isinstance(await anext(events), StreamGap)
        await venue.place(market_buy("gh-1"), Permit())
        received: list[VenueEvent] = []
        while not any(isinstance(event, OrderReport) and event.status is OrderStatus.FILLED for event in received) or not any(
            isinstance(event, Fill) for event in received
        ):
            received.append(await anext(events))
        since = min(event.at for event in received if isinstance(event, Fill))
    assert {event.client_id for event in received if isinstance(event, OrderReport | Fill)} == {"gh-1"}
    assert {fill.trade_id for fill in await venue.fills(BTC, since)} >= {
        event.trade_id for event in received if isinstance(event, Fill)
    }
    await events.aclose()  # type: ignore[attr-defined]


async def test_an_expired_listen_key_causes_a_gap_and_a_new_stream(own: RunningTestnet, venue: MexcVenue) -> None:
    events = venue.events()
    async with asyncio.timeout(10):
        assert isinstance(await anext(events), StreamGap)
        own.arm(FaultKind.LISTENKEY_EXPIRY)
        assert [type(await anext(events)), type(await anext(events))] == [StreamGap, StreamGap]
        await venue.place(resting("gh-1"), Permit())
        assert isinstance(await anext(events), OrderReport)
    await events.aclose()  # type: ignore[attr-defined]


async def test_the_feed_follows_the_market(feed: MexcFeed) -> None:
    await until(feed, lambda: feed.quote(BTC) is not None)
    first = feed.quote(BTC)
    assert first is not None
    await until(feed, lambda: (feed.quote(BTC) or first).version > first.version and len(feed.trades(BTC, 5)) > 0)
    assert feed.source is DataSource.SYNTHETIC


async def test_a_lost_depth_update_is_noticed_and_repaired(own: RunningTestnet, feed: MexcFeed) -> None:
    await until(feed, lambda: feed.quote(BTC) is not None)
    own.arm(FaultKind.VERSION_GAP)
    await until(feed, lambda: feed.status(BTC) is FeedStatus.RESYNCING)
    assert feed.quote(BTC) is None
    await until(feed, lambda: feed.status(BTC) is FeedStatus.LIVE)
