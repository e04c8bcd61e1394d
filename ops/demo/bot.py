"""A small market maker on stock ccxt. It knows nothing of gatehouse: it is given an address and a key, as for any exchange.

It rests a bid and an offer near the touch, keeps a few dollars of inventory, takes profit when the market lets it and cuts what
it has held too long. When the exchange refuses an order it says so and carries on.

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
ENOUGH = 1.5  # dollars that are worth an order of their own
INVENTORY = 6.0  # dollars of bitcoin it will hold at most
WIDTH = 0.0001  # how far from the middle an order rests before it is requoted, as a fraction
EDGE = 0.00002  # how far behind the touch it quotes, so that a moving market does not turn a maker into a taker
PROFIT = 0.0006  # take profit at this gain
PATIENCE = 2.0  # seconds without a fill before it crosses the spread
PAUSE = 0.1  # seconds between looks


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
        """Look, cancel what has drifted away, take profit or liquidity, and quote both sides."""
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
        room = INVENTORY - held * bid - (QUOTE if "buy" in sides else 0.0)
        if self.paid and bid > self.paid * (1 + PROFIT) and free * bid >= ENOUGH:
            free -= await self.place("sell", QUOTE / bid, bid, "take profit")
        elif impatient and room >= QUOTE:
            room -= bid * await self.place("buy", QUOTE / ask, ask, "cross")
        elif impatient and free * bid >= ENOUGH:
            free -= await self.place("sell", QUOTE / bid, bid, "cut")
        if "sell" not in sides and free * bid >= ENOUGH:
            await self.place("sell", QUOTE / bid, ask * (1 + EDGE), "offer", post_only=True)
        if "buy" not in sides and room >= QUOTE:
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
        """One limit order, and the amount it ties up; a refusal is printed and forgotten."""
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
        """Take every order off the market."""
        try:
            for order in await self.exchange.fetch_open_orders(SYMBOL):
                await self.exchange.cancel_order(order["id"], SYMBOL)
        except ccxt.BaseError as error:
            print(f"orders may be left: {error}", flush=True)


async def main(gateway: str, key: str, secret: str) -> None:
    """Trade until told to stop."""
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
    given = parser.parse_args()
    asyncio.run(main(given.gateway, given.key, given.secret_file.read_text().strip()))
