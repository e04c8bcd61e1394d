"""A bot that never pauses, on real processes: orders, cancels and trades without a break, and every sweep compares the books."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from tests.support.rig import SYMBOL, Rig, rig

BUSY_S = 24
WORKERS = 3
GAP_MS = 8_000
"""A sweep begins 3 s after the last one ended, and takes a while."""


async def _trades(deployment: Rig, stop: asyncio.Event, name: str) -> int:
    """Buy and sell at the market, and place and cancel an order in between, without a pause. How many orders were taken."""
    taken = number = 0
    while not stop.is_set():
        number += 1
        resting, crossing = await deployment.resting_price(), f"{await deployment.bid() * Decimal('1.004'):.2f}"
        for side, price in (("BUY", resting), ("BUY", crossing), ("SELL", f"{Decimal(crossing) * Decimal('0.992'):.2f}")):
            bot_id = f"{name}-{number}-{side}-{price}"
            order = {"side": side, "type": "LIMIT", "quantity": "0.00003", "price": price, "newClientOrderId": bot_id}
            answer = await deployment.bot("POST", "/api/v3/order", symbol=SYMBOL, **order)
            taken += answer.status_code == 200
            if price == resting:
                await deployment.bot("DELETE", "/api/v3/order", symbol=SYMBOL, origClientOrderId=bot_id)
    return taken


async def test_a_bot_that_never_pauses_is_reconciled_every_sweep(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.takes_orders()
        stop = asyncio.Event()
        bots = [asyncio.create_task(_trades(deployment, stop, f"bot{number}")) for number in range(WORKERS)]
        await asyncio.sleep(1)
        began = len(await deployment.entries())
        await asyncio.sleep(BUSY_S)
        entries = (await deployment.entries())[began:]
        stop.set()
        taken = sum(await asyncio.gather(*bots))
        status = await deployment.status()
    fills = [one for one in entries if one["kind"] == "fill-booked"]
    compared = [one for one in entries if one["kind"] == "reconciled" and one["body"]["venue"] == "testnet"]
    assert len(fills) > 2 * BUSY_S / 3
    assert taken > BUSY_S
    assert [one["body"]["suspected"] for one in compared if not one["body"]["clean"]] == []
    times = [entries[0]["at_ms"], *(one["at_ms"] for one in compared), entries[-1]["at_ms"]]
    gaps = [later - one for one, later in pairwise(times)]
    assert max(gaps) <= GAP_MS, gaps
    assert status["stage"] == "TESTNET_VALIDATING"
