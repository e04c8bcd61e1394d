"""The account's owner places an order by hand: the deployment halts and names it, ours are cancelled, and the owner's stays."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from exchange.model import OrderType, Side
from exchange.wire.orders import NewOrder
from tests.support.rig import SYMBOL, Rig, rig


def open_at(one: Rig) -> list[str]:
    """The client ids of everything that is open at the testnet; an owner's order has none of ours."""
    return [order.report.client_id for order in one.testnet.venue.engine.open_orders("testnet")]


async def swept_again(one: Rig, after: int) -> bool:
    """Whether the testnet was read twice since entry ``after``."""
    found = [entry for entry in await one.entries("reconciled") if entry["seq"] > after and entry["body"]["venue"] == "testnet"]
    return len(found) >= 2


async def test_an_owners_order_halts_and_is_left_open(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as one:
        await one.start()
        await one.climb("TESTNET_VALIDATING")
        price = await one.resting_price()
        assert (await one.buy(price, "0.00003", "resting")).status_code == 200
        await one.until(lambda _: len(open_at(one)) == 1)
        by_hand = NewOrder(SYMBOL, Side.BUY, OrderType.LIMIT, "by-hand", quantity=Decimal("0.00005"), price=Decimal(price))
        one.testnet.venue.place("testnet", by_hand)
        status = await one.until(lambda status: status["stage"] == "HALTED" and status["halt"] is not None)
        named = f"is not ours: BUY 0.00005 {SYMBOL} @ {Decimal(price).normalize():f}, placed outside gatehouse"
        assert named in status["halt_reason"]
        assert (status["halt"]["verified_empty"], open_at(one)) == (True, ["by-hand"])
        # The next start finishes the halt once more, before it has read any list.
        await one.kill()
        await one.start()
        started = (await one.until(lambda status: status["stage"] == "HALTED"))["seq"]
        while not await swept_again(one, started):
            await one.until(lambda _: True)
        assert open_at(one) == ["by-hand"]
