"""Real orders are simulated beside the real ones, and the real venue is asked about the testnet's orders: whole deployments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.model import Millis, OrderType
from exchange.testnet.conditions.latency import DEFAULT_QUANTILES
from exchange.testnet.conditions.listings import ListingChange
from gates.bias import Pair, ShadowTally, price_advantage_bps
from tests.support.rig import SYMBOL, Rig, rig

QUANTITY = "0.00007"
ORDERS = 24


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    """The live venue delays orders as the testnet is assumed to."""
    async with rig(tmp_path / "deployment", live_venue=lambda config: replace(config, entry_latency=DEFAULT_QUANTILES)) as built:
        await built.start()
        yield built


async def _trade(deployment: Rig, orders: int) -> None:
    """Buy and sell in turns across the spread, with an order that rests in between and is cancelled."""
    for number in range(orders):
        bid, side = await deployment.bid(), "BUY" if number % 2 == 0 else "SELL"
        price = bid * (Decimal("1.001") if side == "BUY" else Decimal("0.999"))
        answer = await deployment.bot(
            "POST",
            "/api/v3/order",
            symbol=SYMBOL,
            side=side,
            type=OrderType.LIMIT,
            quantity=QUANTITY,
            price=f"{price:.2f}",
            newClientOrderId=f"crossing-{number}",
        )
        assert answer.status_code == 200, answer.text
        await deployment.buy(f"{bid - 30:.2f}", "0.00002", f"resting-{number}")
        await asyncio.sleep(0.3)
        await deployment.bot("DELETE", "/api/v3/order", symbol=SYMBOL, origClientOrderId=f"resting-{number}")


async def _compared(deployment: Rig, wanted: int) -> list[dict[str, object]]:
    for _ in range(600):
        entries = await deployment.entries("shadow-compared")
        if len(entries) >= wanted:
            return [entry["body"] for entry in entries]
        await asyncio.sleep(0.2)
    raise AssertionError(f"{len(entries)} of {wanted} orders were compared\n{deployment.tail()}")


async def test_the_testnet_against_itself_has_no_bias(deployment: Rig) -> None:
    await deployment.climb("LIVE_€10")
    await deployment.takes_orders()
    await _trade(deployment, ORDERS)
    bodies = await _compared(deployment, ORDERS)
    sides = {entry["body"]["client_id"]: entry["body"]["side"] for entry in await deployment.entries("order-admitted")}
    tally = ShadowTally()
    for body in bodies:
        simulated, real = (None if body[name] is None else Decimal(str(body[name])) for name in ("simulated_price", "price"))
        advantage = price_advantage_bps(simulated, real, Decimal(str(body["mid"])), buys=sides[body["client_id"]] == "BUY")
        ack = int(str(body["simulated_ack_ms"])) - int(str(body["ack_ms"]))
        tally = tally.with_pair(Pair(bool(body["simulated_filled"]), bool(body["filled"]), advantage, ack, None))
    fills, prices, acks = tally.fill_bias(), tally.prices.bound(), tally.acks.bound()
    assert fills is not None
    assert prices is not None
    assert acks is not None
    for name, one in (("fills", fills), ("price bps", prices), ("ack ms", acks)):
        print(f"{name}: {one.estimate:.3f} in {one.low:.3f} to {one.high:.3f} from {one.count}")
    assert tally.filled >= ORDERS - 4
    assert abs(fills.estimate) <= Decimal("0.1")
    assert prices.low < 5
    assert prices.high > -5
    assert (await deployment.status())["stage"] == "LIVE_€10"


async def test_the_real_venue_is_asked_about_the_testnets_orders(deployment: Rig) -> None:
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.takes_orders()
    async with deployment.bot_trading():
        for _ in range(300):
            if answered := await deployment.entries("orders-tested"):
                break
            await asyncio.sleep(0.2)
    assert answered[0]["body"]["accepted"] == 1
    assert not deployment.live.venue.engine.every_order()


async def test_a_side_that_is_closed_at_the_real_venue_is_named(deployment: Rig) -> None:
    deployment.live.venue.listings.change(ListingChange(symbol=SYMBOL, trade_side_type=3), Millis(0))
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.takes_orders()
    async with deployment.bot_trading():
        for _ in range(300):
            if answered := await deployment.entries("orders-tested"):
                break
            await asyncio.sleep(0.2)
    (line,) = answered[0]["body"]["refused"]
    assert line.startswith("30001 on LIMIT BUY BTCUSDT: ")
    assert "quantity 0.00003, price " in line
