"""A venue takes a symbol offline while an order is open in it: an alert, a line in `status`, and no new order."""

from __future__ import annotations

from pathlib import Path

from exchange.model import Millis
from exchange.testnet.conditions.listings import ListingChange
from tests.support.rig import rig


async def test_an_order_in_a_symbol_that_went_offline_shows_in_the_status(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as one:
        await one.start()
        await one.climb("TESTNET_VALIDATING")
        price = await one.resting_price()
        assert (await one.buy(price, "0.00003", "left open")).status_code == 200
        # The rules are read at every start, and once a minute.
        await one.kill()
        one.testnet.venue.listings.change(ListingChange(symbol="BTCUSDT", status=3), Millis(0))
        await one.start()
        status = await one.until(lambda status: status["oversight"]["closed_symbols"])
        (closed,) = status["oversight"]["closed_symbols"]
        assert (closed["venue"], closed["symbol"], closed["orders"]) == ("testnet", "BTCUSDT", 1)
        assert "paused or offline" in closed["line"]
        assert "symbol" in [alert["kind"] for alert in status["oversight"]["alerts"]]
        # A busy machine may have quotes that are too old for a moment, which a guard refuses first.
        await one.takes_orders()
        refused = await one.buy(price, "0.00003", "another")
        assert refused.status_code == 400
        assert "is not trading" in refused.json()["msg"]
