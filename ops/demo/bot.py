"""A small market maker on stock ccxt. It has no gatehouse code: it gets an address and a key, as for any exchange.

It keeps a bid and an offer near the best prices, holds a few dollars of bitcoin, sells at a profit when it can, and sells
what it has held too long. When the exchange refuses an order, it prints the refusal and goes on.

    python bot.py --gateway http://127.0.0.1:8700 --key KEY --secret-file FILE
"""

import argparse
import asyncio
import itertools
import signal
import time
from pathlib import Path

import ccxt.async_support as ccxt

SYMBOL = "BTC/USDT"
QUOTE = 2.0  # dollars per order
ENOUGH = 1.5  # least dollars of one order
INVENTORY = 6.0  # dollars of bitcoin it will hold at most
WIDTH = 0.0001  # how far from the middle an order rests before it is requoted, as a fraction
EDGE = 0.00002  # how far behind the best price it quotes, so that its orders rest
PROFIT = 0.0006  # take profit at this gain
PATIENCE = 2.0  # seconds without a fill before it crosses the spread
PAUSE = 0.1  # seconds between rounds


def exchange_at(gateway: str, key: str, secret: str) -> ccxt.mexc:
    """An ordinary ccxt client; only the addresses and the key are not MEXC's."""
    spot = {"public": gateway, "private": gateway}
    contract = {"public": f"{gateway}/api/v1/contract", "private": f"{gateway}/api/v1/private"}
    api = {"spot": spot, "spot2": spot, "contract": contract, "broker": {"private": f"{gateway}/api/v3/broker"}}
    return ccxt.mexc({"apiKey": key, "secret": secret, "urls": {"api": api}})


class Maker:
    """The strategy: one look at the market per round, then cancels and a few new orders."""

    def __init__(self, exchange: ccxt.mexc) -> None:
        self.exchange = exchange
        self.ids = (f"mm-{int(time.time() * 1000):x}-{n}" for n in itertools.count())
        self.paid = 0.0  # the price of the last purchase
        self.held = 0.0
        self.traded_at = time.monotonic()

    async def round(self) -> None:
        """Read the market, cancel orders far from the middle, take profit or cross the spread, and quote both sides."""
        book = await self.exchange.fetch_order_book(SYMBOL, 5)
        bid, ask = book["bids"][0][0], book["asks"][0][0]
        # Orders before balances: what fills in between is then counted twice rather than not at all.
        resting = [order for order in await self.exchange.fetch_open_orders(SYMBOL) if await self.keep(order, bid, ask)]
        coins = (await self.exchange.fetch_balance()).get("BTC", {})
        held, free = coins.get("total") or 0.0, coins.get("free") or 0.0
        if held != self.held:
            self.traded_at, self.paid = time.monotonic(), (bid if held > self.held else self.paid)
            self.held = held
        sides = {order["side"] for order in resting}
        impatient = time.monotonic() - self.traded_at > PATIENCE
        budget = INVENTORY - held * bid - (QUOTE if "buy" in sides else 0.0)
        if self.paid and bid > self.paid * (1 + PROFIT) and free * bid >= ENOUGH:
            free -= await self.place("sell", QUOTE / bid, bid, "take profit")
        elif impatient and budget >= QUOTE:
            budget -= bid * await self.place("buy", QUOTE / ask, ask, "cross")
        elif impatient and free * bid >= ENOUGH:
            free -= await self.place("sell", QUOTE / bid, bid, "cut")
        if "sell" not in sides and free * bid >= ENOUGH:
            await self.place("sell", QUOTE / bid, ask * (1 + EDGE), "offer", post_only=True)
        if "buy" not in sides and budget >= QUOTE:
            await self.place("buy", QUOTE / bid, bid * (1 - EDGE), "bid", post_only=True)

    async def keep(self, order: dict, bid: float, ask: float) -> bool:
        """Whether a resting order is still near the middle; if not, it is cancelled."""
        middle = (bid + ask) / 2
        if abs(order["price"] - middle) <= middle * WIDTH:
            return True
        try:
            await self.exchange.cancel_order(order["id"], SYMBOL)
        except ccxt.BaseError as error:
            print(f"{order['clientOrderId']} was not cancelled: {error}", flush=True)
        return False

    async def place(self, side: str, amount: float, price: float, why: str, *, post_only: bool = False) -> float:
        """Place one limit order and return the amount it reserves. Print a refusal and return 0."""
        params = {"clientOrderId": next(self.ids), "postOnly": post_only}
        price = float(self.exchange.price_to_precision(SYMBOL, price))
        try:
            order = await self.exchange.create_order(SYMBOL, "limit", side, amount, price, params)
        except ccxt.BaseError as refusal:
            print(f"{why}: {side} {amount:.6f} at {price} refused: {type(refusal).__name__} {refusal}", flush=True)
            return 0.0
        print(f"{why}: {side} {amount:.6f} at {price} is {order['id']}", flush=True)
        return amount

    async def leave(self) -> None:
        """Cancel every open order."""
        try:
            for order in await self.exchange.fetch_open_orders(SYMBOL):
                await self.exchange.cancel_order(order["id"], SYMBOL)
        except ccxt.BaseError as error:
            print(f"orders may be left: {error}", flush=True)


async def main(gateway: str, key: str, secret: str) -> None:
    """Trade until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    exchange = exchange_at(gateway, key, secret)
    print(f"ccxt {ccxt.__version__} {exchange.id} at {gateway}", flush=True)
    try:
        maker = Maker(exchange)
        while not stop.is_set():
            try:
                await maker.round()
            except ccxt.BaseError as error:
                print(f"round failed: {type(error).__name__} {error}", flush=True)
            try:
                await asyncio.wait_for(stop.wait(), PAUSE)
            except TimeoutError:
                continue
        await maker.leave()
    finally:
        await exchange.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret-file", required=True, type=Path)
    options = parser.parse_args()
    asyncio.run(main(options.gateway, options.key, options.secret_file.read_text().strip()))
