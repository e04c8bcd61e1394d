"""A symbol that goes offline with a holding in it, comes back, and one that the policy names and no venue lists."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from exchange.model import Millis
from exchange.testnet.conditions.listings import ListingChange
from tests.support.rig import SYMBOL, Rig, quick_policy, rig

OFFLINE, ONLINE = 3, 1


async def _restart(one: Rig, status: int) -> None:
    """The rules are read at every start, and once a minute."""
    await one.kill()
    one.testnet.venue.listings.change(ListingChange(symbol=SYMBOL, status=status), Millis(0))
    await one.start()


async def test_a_holding_in_a_symbol_that_went_offline_shows_until_it_is_back(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as one:
        await one.start()
        await one.climb("TESTNET_VALIDATING")
        bought = await one.buy(f"{await one.bid() * Decimal('1.002'):.2f}", "0.00003", "to hold")
        assert bought.status_code == 200, bought.text
        await one.until(lambda status: status["counters"]["fills"] == 1 and status["working_orders"] == 0)
        await _restart(one, OFFLINE)
        status = await one.until(lambda status: status["oversight"]["closed_symbols"])
        (closed,) = status["oversight"]["closed_symbols"]
        assert (closed["venue"], closed["symbol"], closed["orders"]) == ("testnet", SYMBOL, 0)
        assert Decimal(closed["held"]) == Decimal("0.00003")
        assert "symbol" in [alert["kind"] for alert in status["oversight"]["alerts"]]
        await _restart(one, ONLINE)
        status = await one.until(lambda status: status["armed"] and not status["oversight"]["closed_symbols"])
        assert "symbol" in [alert["kind"] for alert in status["oversight"]["alerts"]], "the alert stays until it is acknowledged"
        (reopened,) = await one.entries("symbol-reopened")
        assert (reopened["body"]["symbol"], reopened["body"]["why"]) == (SYMBOL, "it can be traded")
        await one.takes_orders()
        assert (await one.buy(await one.resting_price(), "0.00003", "again")).status_code == 200


async def test_a_symbol_that_no_venue_lists_is_named_and_stops_all_orders(tmp_path: Path) -> None:
    policy = quick_policy().replace(f'symbols = ["{SYMBOL}"]', f'symbols = ["{SYMBOL}", "NEVERUSDT"]')
    async with rig(tmp_path / "deployment", policy=policy) as one:
        await one.start()
        status = await one.until(lambda status: status["oversight"]["closed_symbols"])
        assert status["stage"] == "MOCK"
        # The mock executor trades on the live venue's market.
        closed = status["oversight"]["closed_symbols"]
        assert [(found["venue"], found["symbol"]) for found in closed] == [("live", "NEVERUSDT"), ("mock", "NEVERUSDT")]
        assert "NEVERUSDT cannot be traded on live, because it is not listed there" in closed[0]["line"]
        assert "NEVERUSDT is closed on live" in [alert["title"] for alert in status["oversight"]["alerts"]]
        refused = await one.buy("50000", "0.00003", "no quotes of the other")
        assert refused.status_code == 400, refused.text
        stopped = await one.until(lambda status: status["guard_level"] == "CANCEL_ALL")
        assert "quote-stale cannot be judged" in stopped["guard_reason"]
        assert stopped["stage"] == "MOCK"
        assert stopped["coverage"]["paused_because"].startswith("no valid order book for ")
