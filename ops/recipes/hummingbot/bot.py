"""hummingbot's own MEXC connector on its own clock: a bid that it cancels, a buy, a sale. It knows nothing of gatehouse.

It is for seeing that the client trades, and loses the fees. `gatehouse_bot.py` is what `gatehouse bot-config` prints.
"""

import asyncio
import signal
import time
from contextlib import suppress
from decimal import Decimal
from importlib.metadata import version

from gatehouse_bot import connector
from hummingbot.core.clock import Clock, ClockMode
from hummingbot.core.data_type.common import OrderType
from hummingbot.core.event.event_forwarder import EventForwarder
from hummingbot.core.event.events import MarketEvent

PAIR = "BTC-USDT"
DOLLARS = Decimal(2)
PAUSE = 1.0


class Desk:
    """Places orders and waits for the connector's events."""

    def __init__(self, mexc) -> None:
        self.mexc = mexc
        self.slowest_ms = 0.0
        self.happened: dict[tuple[str, str], asyncio.Future[float]] = {}
        self.listeners = [
            (MarketEvent.OrderFilled, self.note("filled")),
            (MarketEvent.OrderCancelled, self.note("cancelled")),
            (MarketEvent.OrderFailure, self.note("failed")),
            (MarketEvent.BuyOrderCreated, self.note("created")),
            (MarketEvent.SellOrderCreated, self.note("created")),
        ]
        for event, listener in self.listeners:
            mexc.add_listener(event, listener)

    def note(self, what: str) -> EventForwarder:
        """A listener that ends the wait for ``what``."""

        def heard(event) -> None:
            waiting = self.waiting(event.order_id, what)
            if not waiting.done():
                waiting.set_result(time.monotonic())

        return EventForwarder(heard)

    def waiting(self, order_id: str, what: str) -> "asyncio.Future[float]":
        """When this happened to the order."""
        return self.happened.setdefault((order_id, what), asyncio.get_running_loop().create_future())

    async def until(self, order_id: str, what: str) -> float | None:
        """Wait up to 10 s. A failure of the order ends it too."""
        wanted, failed = self.waiting(order_id, what), self.waiting(order_id, "failed")
        await asyncio.wait({wanted, failed}, timeout=10, return_when="FIRST_COMPLETED")
        if wanted.done():
            return wanted.result()
        print(f"{order_id}: {'it failed' if failed.done() else f'not {what} within 10 s'}", flush=True)
        return None

    async def fill(self, side: str, amount: Decimal, price: Decimal) -> None:
        """Cross the spread, and measure when the fill is known."""
        place = self.mexc.buy if side == "buy" else self.mexc.sell
        sent = time.monotonic()
        name = place(PAIR, amount, OrderType.LIMIT, self.mexc.quantize_order_price(PAIR, price))
        seen = await self.until(name, "filled")
        if seen is not None:
            self.slowest_ms = max(self.slowest_ms, (seen - sent) * 1000)
            print(f"{side} {amount} as {name}: filled {(seen - sent) * 1000:.0f} ms after it was sent", flush=True)

    async def round(self) -> None:
        """Three orders."""
        bid, ask = (self.mexc.get_price(PAIR, is_buy) for is_buy in (False, True))
        amount = self.mexc.quantize_order_amount(PAIR, DOLLARS / ask)
        price = self.mexc.quantize_order_price(PAIR, bid * Decimal("0.998"))
        resting = self.mexc.buy(PAIR, amount, OrderType.LIMIT, price)
        if await self.until(resting, "created") is not None:
            self.mexc.cancel(PAIR, resting)
            await self.until(resting, "cancelled")
        await self.fill("buy", amount, ask * Decimal("1.001"))
        await asyncio.sleep(PAUSE)
        held = self.mexc.quantize_order_amount(PAIR, self.mexc.get_available_balance("BTC"))
        if held:
            await self.fill("sell", held, self.mexc.get_price(PAIR, False) * Decimal("0.999"))  # noqa: FBT003
        print(f"measured: slowest fill by stream, ms {self.slowest_ms:.0f}", flush=True)


async def main() -> None:
    """Trade until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    mexc = connector(PAIR)
    print(f"hummingbot {version('hummingbot')}", flush=True)
    began = time.monotonic()
    with Clock(ClockMode.REALTIME) as clock:
        clock.add_iterator(mexc)
        running = asyncio.create_task(clock.run())
        while not mexc.ready and not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)
            if time.monotonic() - began > 60:
                print(f"not ready after 60 s: {mexc.status_dict}", flush=True)
                began = time.monotonic()
        print(f"measured: ready after, s {time.monotonic() - began:.1f}", flush=True)
        desk = Desk(mexc)
        while not stop.is_set():
            await desk.round()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await mexc.stop_network()


asyncio.run(main())
