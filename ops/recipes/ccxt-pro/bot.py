"""Stock ccxt.pro: watches every stream and trades by them: a bid that it cancels, a buy, a sale. It knows nothing of gatehouse.

It is for seeing that the client trades, and loses the fees. `gatehouse_bot.py` is what `gatehouse bot-config` prints.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ccxt.pro as ccxt
from gatehouse_bot import exchange

PAIR = "BTC/USDT"
DOLLARS = 2.0
PAUSE = 1.0
STREAMS = 8


class Watcher:
    """Every stream at once; what came last of each."""

    def __init__(self, mexc: ccxt.mexc) -> None:
        self.mexc = mexc
        self.seen: Counter[str] = Counter()
        self.book: dict[str, Any] = {}
        self.ready = asyncio.Event()
        self.free = 0.0
        self.fills: dict[str, asyncio.Future[float]] = {}
        self.slowest_ms = 0.0

    async def watch(self, name: str, ask: Callable[[], Any], take: Callable[[Any], None]) -> None:
        """Follow one stream for ever. A break is printed; ccxt connects again."""
        while True:
            try:
                take(await ask())
                self.seen[name] += 1
            except ccxt.BaseError as error:
                print(f"{name}: {type(error).__name__} {error}", flush=True)
                await asyncio.sleep(PAUSE)

    def streams(self) -> list[Any]:
        """The public streams, then the private ones."""
        mexc, ignore = self.mexc, lambda _: None
        return [
            self.watch("order book", lambda: mexc.watch_order_book(PAIR), self.on_book),
            self.watch("trades", lambda: mexc.watch_trades(PAIR), ignore),
            self.watch("ticker", lambda: mexc.watch_ticker(PAIR), ignore),
            self.watch("bids and asks", lambda: mexc.watch_bids_asks([PAIR]), ignore),
            self.watch("candles", lambda: mexc.watch_ohlcv(PAIR, "1m"), ignore),
            self.watch("orders", lambda: mexc.watch_orders(PAIR), ignore),
            self.watch("my trades", lambda: mexc.watch_my_trades(PAIR), self.on_trades),
            self.watch("balance", mexc.watch_balance, self.on_balance),
        ]

    def on_book(self, book: Any) -> None:
        """The newest prices."""
        self.book = book
        self.ready.set()

    def on_balance(self, balance: Any) -> None:
        """What is free of the coin."""
        self.free = (balance.get("BTC") or {}).get("free") or 0.0

    def on_trades(self, trades: Any) -> None:
        """A fill of an order that waits for it."""
        for trade in trades:
            waiting = self.fills.setdefault(trade["order"], asyncio.get_running_loop().create_future())
            if not waiting.done():
                waiting.set_result(time.monotonic())

    async def fill(self, side: str, amount: float, price: float) -> bool:
        """Place an order that crosses the spread, and wait until the stream shows its fill."""
        sent = time.monotonic()
        order = await self.mexc.create_order(PAIR, "limit", side, amount, float(self.mexc.price_to_precision(PAIR, price)))
        waiting = self.fills.setdefault(order["id"], asyncio.get_running_loop().create_future())
        try:
            seen = await asyncio.wait_for(asyncio.shield(waiting), 10)
        except TimeoutError:
            print(f"{side} {order['id']}: no fill by stream within 10 s", flush=True)
            return False
        took = (seen - sent) * 1000
        self.slowest_ms = max(self.slowest_ms, took)
        print(f"{side} {amount} as {order['id']}: filled by stream {took:.0f} ms after it was sent", flush=True)
        return True

    async def round(self) -> None:
        """Three orders, at the prices of the watched book."""
        bid, ask = self.book["bids"][0][0], self.book["asks"][0][0]
        amount = float(self.mexc.amount_to_precision(PAIR, DOLLARS / ask))
        resting = await self.mexc.create_order(PAIR, "limit", "buy", amount, float(self.mexc.price_to_precision(PAIR, bid * 0.998)))
        await self.mexc.cancel_order(resting["id"], PAIR)
        await self.fill("buy", amount, ask * 1.001)
        await asyncio.sleep(PAUSE)
        if self.free:
            await self.fill("sell", self.free, self.book["bids"][0][0] * 0.999)
        print(f"measured: streams seen {len(self.seen)}/{STREAMS}", flush=True)
        print(f"measured: slowest fill by stream, ms {self.slowest_ms:.0f}", flush=True)


async def main() -> None:
    """Trade until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    mexc = exchange()
    await mexc.load_markets()
    watcher = Watcher(mexc)
    print(f"ccxt.pro {ccxt.__version__}", flush=True)
    tasks = [asyncio.create_task(stream) for stream in watcher.streams()]
    await asyncio.wait({asyncio.create_task(watcher.ready.wait()), asyncio.create_task(stop.wait())}, return_when="FIRST_COMPLETED")
    while not stop.is_set():
        try:
            await watcher.round()
        except ccxt.BaseError as error:
            print(f"refused: {type(error).__name__} {error}", flush=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE)
    print("updates by stream: " + ", ".join(f"{name} {count}" for name, count in watcher.seen.items()), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await mexc.close()


asyncio.run(main())
