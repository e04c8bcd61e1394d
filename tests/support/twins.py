"""A real venue and its simulation on one market in virtual time: the matching engine as the venue, a recorded tape as the market.

``Shadows`` is the product's; the batches it follows are made here from what the venue does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from controller.core import events as e
from controller.core.effects import Alert
from controller.core.inputs import ShadowEnded
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.writer import CommittedBatch
from controller.runtime.venues.shadows import Latency, Shadows
from exchange.book import Book
from exchange.matching.engine import Engine
from exchange.matching.events import Accepted, Filled, OrderChanged
from exchange.matching.resting import FillModel
from exchange.matching.symbols import DEFAULT_RULES
from exchange.model import DataSource, MarketTrade, Millis, OrderIntent, OrderStatus, OrderType, Quote, Side
from exchange.orders import WORKING
from exchange.ports import FeedBroken, FeedEvent, FeedStatus, VenueName
from exchange.tape import DepthDelta, DepthSnapshot, TapeRecord, TapeTrade, read
from exchange.testnet.conditions.latency import DEFAULT_QUANTILES, LatencyModel
from exchange.wire.push import DepthUpdate
from policies.stage import Stage
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

TAPE = Path(__file__).parents[2] / "exchange" / "testnet" / "tapes" / "btcusdt-20240808.tape.gz"
SYMBOL = "BTCUSDT"
_ACCOUNT = "real"


class TapeFeed:
    """A followed feed whose market is a tape, one record at a time."""

    def __init__(self) -> None:
        self._book = Book(SYMBOL)
        self._listeners: list[Callable[[FeedEvent], None]] = []
        self.source = DataSource.RECORDED_L2

    def follow(self, listener: Callable[[FeedEvent], None]) -> None:
        self._listeners.append(listener)

    def depth(self, _: str, limit: int) -> tuple[int, list[Any], list[Any]] | None:
        return (self._book.version, *self._book.depth(limit)) if self._book.is_tradable else None

    def quote(self, _: str) -> Quote | None:
        return self._book.quote(Millis(0))

    def trades(self, _: str, limit: int) -> Sequence[MarketTrade]:
        return ()[:limit]

    def status(self, _: str) -> FeedStatus:
        return FeedStatus.LIVE

    async def run(self) -> None:
        """The test plays it."""

    async def changed(self) -> None:
        """The test plays it."""

    def play(self, record: TapeRecord) -> None:
        """Apply the next record, and tell the listeners."""
        if isinstance(record, DepthSnapshot):
            self._book.snapshot(record.version, record.bids, record.asks, record.at)
        elif isinstance(record, DepthDelta):
            before = self._book.version
            self._book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at)
            self._say(DepthUpdate(SYMBOL, before + 1, record.to_version, record.bids, record.asks))
        elif isinstance(record, TapeTrade):
            self._say(record.trade)

    def break_down(self) -> None:
        """Something is missing from here on."""
        self._say(FeedBroken(SYMBOL, "its stream was lost"))

    def _say(self, event: FeedEvent) -> None:
        for listener in self._listeners:
            listener(event)


@dataclass
class Twins:
    """Places orders at the real venue and lets ``Shadows`` copy them. ``extra_ms`` makes the real venue slower than its model."""

    loop: VirtualTimeLoop
    extra_ms: int = 0
    model: FillModel = FillModel.PESSIMISTIC
    alerts: list[Alert] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = VirtualClock(self.loop)
        self.feed, self.inbox = TapeFeed(), Inbox()
        self.engine = Engine({SYMBOL: DEFAULT_RULES[SYMBOL]})
        rules = DEFAULT_RULES[SYMBOL]
        self.engine.open_account(_ACCOUNT, {rules.base: Decimal(10**6), rules.quote: Decimal(10**9)}, self.clock.now())
        ours, theirs = LatencyModel("ours", DEFAULT_QUANTILES), LatencyModel("theirs", DEFAULT_QUANTILES)
        self.real_delay = theirs.sample
        self.shadows = Shadows(
            self.feed,
            {SYMBOL: rules},
            model=self.model,
            latency=Latency(ours.sample, lambda: 0, ours.sample),
            inbox=self.inbox,
            clock=self.clock,
            notify=self.alerts.append,
        )
        self.number = 0
        self.open: dict[str, Any] = {}
        self.orders: dict[str, Any] = {}

    # The market

    async def play(self, records: Sequence[TapeRecord]) -> None:
        """Play records at their own pace, to the real venue and to the feed."""
        started, first = self.loop.time(), records[0].at
        for record in records:
            due = started + (record.at - first) / 1000
            if due > self.loop.time():
                await asyncio.sleep(due - self.loop.time())
            self.happens(self.engine.feed(record))
            self.feed.play(record)

    # The bot

    def order(self, side: Side, kind: OrderType, price: Decimal, quantity: str = "0.01") -> str:
        """Decide an order now; it reaches the real venue after its latency."""
        self.number += 1
        name, quote = f"gh-{self.number}", self.feed.quote(SYMBOL)
        assert quote is not None
        intent = OrderIntent(SYMBOL, side, kind, name, quantity=Decimal(quantity), price=price)
        self.orders[name] = self.open[name] = SimpleNamespace(status=OrderStatus.ADMITTED, reject_code=None)
        self.batch(
            e.OrderAdmitted(
                client_id=name,
                bot="bot",
                bot_client_id="",
                venue=VenueName.LIVE,
                stage=Stage.LIVE_EUR10,
                step=0,
                symbol=SYMBOL,
                side=side,
                type=kind,
                quantity=intent.quantity,
                quote_quantity=None,
                price=price,
                exposure_eur=Decimal(1),
                cap_eur=Decimal(10),
                bid=quote.bid,
                ask=quote.ask,
            )
        )
        self.loop.call_later((self.real_delay() + self.extra_ms) / 1000, self._arrive, intent)
        return name

    def cancel(self, name: str) -> None:
        """Ask for a cancel now; it reaches the real venue after its latency."""
        if name in self.open:
            self.batch(e.CancelRequested(client_id=name, requested_by="bot"))
            self.loop.call_later((self.real_delay() + self.extra_ms) / 1000, self._cancelled, name)

    # The journal

    def batch(self, event: e.Event) -> None:
        """One durable batch, as the writer would publish it."""
        now = self.clock.monotonic_ns()
        entry = SimpleNamespace(at=self.clock.now())
        after = SimpleNamespace(open=dict(self.open), orders=self.orders)
        self.shadows.on_batch(CommittedBatch(cast("Any", ((entry, event),)), cast("Any", after), now, now, now))

    async def reports(self) -> list[ShadowEnded]:
        """What the writer was told so far."""
        self.inbox.fact(ShadowEnded("", Decimal(0), False, None, None, None, None, None), 0)
        found: list[ShadowEnded] = []
        for _ in range(100):
            taken = [queued.input for queued in await self.inbox.take(64)]
            found += [one for one in taken if isinstance(one, ShadowEnded)]
            if found and not found[-1].client_id:
                break
        return [one for one in found if one.client_id]

    def _arrive(self, intent: OrderIntent) -> None:
        outcome = self.engine.place(_ACCOUNT, intent, self.clock.now())
        assert isinstance(outcome, Accepted)
        self.batch(e.OrderAcked(client_id=intent.client_id, order_id=outcome.order.report.order_id))
        self.happens(outcome.events)

    def _cancelled(self, name: str) -> None:
        outcome = self.engine.cancel(_ACCOUNT, SYMBOL, self.clock.now(), client_id=name)
        self.happens(getattr(outcome, "events", ()))

    def happens(self, events: Sequence[object]) -> None:
        """Journal what the real venue did."""
        for event in events:
            if isinstance(event, Filled):
                one = event.fill
                self.batch(
                    e.FillBooked(
                        venue=VenueName.LIVE,
                        trade_id=one.trade_id,
                        order_id=one.order_id,
                        client_id=one.client_id,
                        symbol=SYMBOL,
                        side=one.side,
                        price=one.price,
                        quantity=one.quantity,
                        quote=one.quote,
                        fee=one.fee,
                        fee_asset=one.fee_asset,
                        maker=one.maker,
                        traded_at=one.at,
                    )
                )
            elif isinstance(event, OrderChanged) and event.account == _ACCOUNT:
                report = event.order.report
                self.orders[report.client_id].status = report.status
                self.orders[report.client_id].report = report
                if report.status not in WORKING:
                    self.open.pop(report.client_id, None)
                    self.batch(
                        e.OrderReported(
                            client_id=report.client_id,
                            order_id=report.order_id,
                            status=report.status,
                            executed=report.executed,
                            executed_quote=report.executed_quote,
                        )
                    )


def tape(seconds: int) -> list[TapeRecord]:
    """The first so many seconds of the tape."""
    found: list[TapeRecord] = []
    for record in read(TAPE):
        if found and record.at - found[0].at > seconds * 1000:
            break
        found.append(record)
    return found


def with_twins(work: Callable[[Twins], Any], **settings: Any) -> Any:
    """Run ``work`` with the simulation running beside it, in virtual time."""
    loop = VirtualTimeLoop()

    async def run() -> Any:
        twins = Twins(loop, **settings)
        asyncio.create_task(twins.shadows.run())  # noqa: RUF006 - ends with the loop
        return await work(twins)

    return run_in_virtual_time(run(), loop)
