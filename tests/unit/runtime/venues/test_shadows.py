"""Every real order is simulated beside the real one: the testnet against itself has no bias, and another one has."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from controller.core import events as e
from controller.core.inputs import ShadowEnded
from controller.runtime.venues.shadows import MISSED_MOST
from exchange.matching.engine import Engine
from exchange.matching.resting import FillModel
from exchange.model import OrderStatus, OrderType, Side
from exchange.ports import NOT_SENT
from gates.bias import Pair, ShadowTally, price_advantage_bps
from tests.support.twins import SYMBOL, Twins, tape, with_twins

D = Decimal
RECORDS = tape(330)


async def _trading(twins: Twins, every_s: float, stop_s: float) -> None:
    """A bot that takes, rests at the best price and rests behind it, and cancels what rests for twenty seconds."""
    number = 0
    while twins.loop.time() < stop_s:
        await asyncio.sleep(every_s)
        number += 1
        quote = twins.feed.quote(SYMBOL)
        assert quote is not None
        side = Side.BUY if number % 2 else Side.SELL
        near, far = (quote.bid, quote.ask) if side is Side.BUY else (quote.ask, quote.bid)
        away = D(3) if side is Side.SELL else D(-3)
        kind, price = [
            (OrderType.IMMEDIATE_OR_CANCEL, far),
            (OrderType.LIMIT, near),
            (OrderType.LIMIT, near + away),
            (OrderType.LIMIT, far - 3 * away),
        ][number % 4]
        name = twins.order(side, kind, price)
        if kind is OrderType.LIMIT:
            twins.loop.call_later(20, twins.cancel, name)


def _run(**settings: Any) -> tuple[list[ShadowEnded], Twins]:
    async def work(twins: Twins) -> tuple[list[ShadowEnded], Twins]:
        trading = asyncio.create_task(_trading(twins, 1.0, 290))
        await twins.play(RECORDS)
        await trading
        return await twins.reports(), twins

    found: tuple[list[ShadowEnded], Twins] = with_twins(work, **settings)
    return found


def _tally(reports: list[ShadowEnded], twins: Twins) -> ShadowTally:
    tally = ShadowTally()
    for one in reports:
        real = twins.orders[one.client_id]
        price = real.report.executed_quote / real.report.executed if real.report.executed else None
        tally = tally.with_pair(
            Pair(
                one.filled,
                real.status is OrderStatus.FILLED,
                price_advantage_bps(one.price, price, one.mid, buys=real.report.side is Side.BUY),
                None if one.ack_ms is None or one.real_ack_ms is None else one.ack_ms - one.real_ack_ms,
                None if one.fill_ms is None or one.real_fill_ms is None else one.fill_ms - one.real_fill_ms,
            )
        )
    return tally


@pytest.fixture(scope="module")
def itself() -> ShadowTally:
    """The testnet against itself: the same model, other draws of the latency."""
    return _tally(*_run())


def test_the_testnet_against_itself_has_no_bias(itself: ShadowTally) -> None:
    fills, prices, acks = itself.fill_bias(), itself.prices.bound(), itself.acks.bound()
    assert fills is not None
    assert prices is not None
    assert acks is not None
    for name, one in (("fills", fills), ("price bps", prices), ("ack ms", acks)):
        print(f"{name}: {one.estimate:.4f} in {one.low:.4f} to {one.high:.4f} from {one.count}")
    assert itself.orders >= 250
    assert 50 < itself.filled < itself.orders
    assert abs(fills.estimate) < D("0.03")
    assert fills.low < 0 < fills.high
    assert abs(prices.estimate) < D("0.1")
    assert prices.low <= 0 <= prices.high
    assert acks.low < 0 < acks.high


def test_an_optimistic_simulation_fills_too_often(itself: ShadowTally) -> None:
    optimistic = _tally(*_run(model=FillModel.OPTIMISTIC))
    assert optimistic.only_simulated - optimistic.only_real > itself.only_simulated - itself.only_real


def test_a_slower_real_venue_is_measured() -> None:
    late = _tally(*_run(extra_ms=400)).acks.bound()
    assert late is not None
    assert late.low < -400 < late.high


def test_a_copy_of_a_filled_order_is_waited_for_a_minute() -> None:
    # The prices fall at the real venue alone, so only the real order fills.
    async def work(twins: Twins) -> list[list[ShadowEnded]]:
        playing = asyncio.create_task(twins.play(RECORDS))
        await asyncio.sleep(2)
        quote = twins.feed.quote(SYMBOL)
        assert quote is not None
        name = twins.order(Side.BUY, OrderType.LIMIT, quote.bid - 200)
        await asyncio.sleep(1)
        twins.happens(twins.engine.shift_prices(SYMBOL, D("0.98"), twins.clock.now()))
        assert twins.orders[name].status is OrderStatus.FILLED
        await asyncio.sleep(50)
        early = await twins.reports()
        await asyncio.sleep(20)
        found = [early, await twins.reports()]
        playing.cancel()
        return found

    early, (late,) = with_twins(work)
    assert early == []
    assert (late.filled, late.price, late.fill_ms) == (False, None, None)
    assert late.real_fill_ms is not None


def test_the_copy_of_a_taker_takes_as_well() -> None:
    async def work(twins: Twins) -> list[ShadowEnded]:
        playing = asyncio.create_task(twins.play(RECORDS))
        await asyncio.sleep(2)
        quote = twins.feed.quote(SYMBOL)
        assert quote is not None
        twins.order(Side.BUY, OrderType.LIMIT, quote.ask)
        await asyncio.sleep(1)
        found = await twins.reports()
        playing.cancel()
        return found

    (report,) = with_twins(work)
    assert report.filled
    assert report.price is not None
    assert report.ack_ms is not None
    assert 8 <= report.ack_ms <= 180


def test_a_broken_feed_loses_what_rests_and_tells_people() -> None:
    async def work(twins: Twins) -> Twins:
        playing = asyncio.create_task(twins.play(RECORDS))
        await asyncio.sleep(2)
        quote = twins.feed.quote(SYMBOL)
        assert quote is not None
        for _ in range(MISSED_MOST):
            twins.order(Side.BUY, OrderType.LIMIT, quote.bid - 500)
        await asyncio.sleep(1)
        twins.feed.break_down()
        for name in tuple(twins.open):
            twins.cancel(name)
        await asyncio.sleep(2)
        assert await twins.reports() == []
        playing.cancel()
        return twins

    twins = with_twins(work)
    (alert,) = twins.alerts
    assert "could not be compared" in alert.title
    assert "its stream was lost" in alert.detail
    assert all(one.status is OrderStatus.CANCELED for one in twins.orders.values())


@pytest.mark.parametrize("broken", ["place", "feed"])
def test_a_simulation_that_fails_touches_nothing_else(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(twins: Twins) -> Twins:
        playing = asyncio.create_task(twins.play(RECORDS))
        await asyncio.sleep(2)
        quote = twins.feed.quote(SYMBOL)
        assert quote is not None
        for _ in range(MISSED_MOST):
            twins.order(Side.BUY, OrderType.LIMIT, quote.bid - 500)
        if broken == "feed":
            await asyncio.sleep(1)
        monkeypatch.setattr(Engine, broken, _fails)
        await asyncio.sleep(0.2)
        monkeypatch.undo()
        await asyncio.sleep(3)
        assert not playing.done()
        for name in tuple(twins.open):
            twins.cancel(name)
        await asyncio.sleep(1)
        assert await twins.reports() == []
        playing.cancel()
        return twins

    real = {name: getattr(Engine, name) for name in ("place", "feed")}

    def _fails(engine: Engine, *arguments: Any, **named: Any) -> Any:
        if engine is twins_engine[0]:
            return real[broken](engine, *arguments, **named)
        raise ZeroDivisionError("a defect")

    twins_engine: list[Engine] = []

    async def remembered(twins: Twins) -> Twins:
        twins_engine.append(twins.engine)
        return await work(twins)

    twins = with_twins(remembered)
    (alert,) = twins.alerts
    assert "the simulation itself failed" in alert.detail
    assert len(twins.orders) == MISSED_MOST


def test_an_order_that_never_left_has_no_pair() -> None:
    async def work(twins: Twins) -> list[ShadowEnded]:
        await twins.play(RECORDS[:50])
        quote = twins.feed.quote(SYMBOL)
        assert quote is not None
        name = twins.order(Side.BUY, OrderType.LIMIT, quote.bid)
        twins.open.pop(name).reject_code = NOT_SENT
        twins.batch(e.OrderRejected(client_id=name, code=NOT_SENT, message="not sent: no permit"))
        return await twins.reports()

    assert with_twins(work) == []
