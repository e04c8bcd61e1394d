"""The bot of the rehearsal: stock ccxt, small orders without a pause. It only knows an address and a key.

It rests a bid, cancels it, and now and then crosses the spread to buy or to sell. ``pace`` is a file with the seconds between two
crossings; it is read before each.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt

SYMBOL = "BTC/USDT"
DOLLARS = 1.5
"""Of one order: above the least that can be sold again after a fall, and small, because every fill of a week costs a fee."""
MOST = 3.2
"""Dollars of bitcoin that it holds at most."""
LEAST = 1.2
"""Dollars of the smallest sale."""
BEHIND = 0.002
"""How far behind the market a bid rests, as a fraction."""


def exchange_at(gateway: str, key: str, secret: str) -> Any:
    """An ordinary ccxt client; only the addresses and the key are not MEXC's."""
    spot = {"public": gateway, "private": gateway}
    contract = {"public": f"{gateway}/api/v1/contract", "private": f"{gateway}/api/v1/private"}
    return ccxt.mexc({"apiKey": key, "secret": secret, "urls": {"api": {"spot": spot, "spot2": spot, "contract": contract}}})


class Trader:
    """One round: a bid that rests and is cancelled, or an order that fills."""

    def __init__(self, exchange: Any, pace: Path) -> None:
        self._exchange = exchange
        self._pace = pace
        self._ids = (f"bot-{int(time.time() * 1000):x}-{number}" for number in itertools.count())
        self._crossed = 0.0

    async def round(self) -> None:
        """Look at the market and trade."""
        book = await self._exchange.fetch_order_book(SYMBOL, 5)
        bid, ask = book["bids"][0][0], book["asks"][0][0]
        if time.monotonic() - self._crossed >= float(self._pace.read_text()):
            self._crossed = time.monotonic()
            held = (await self._exchange.fetch_balance()).get("BTC", {}).get("free") or 0.0
            buys = (held * bid) + DOLLARS <= MOST
            await self._place("buy" if buys else "sell", ask * 1.0005 if buys else bid * 0.9995)
            return
        order = await self._place("buy", bid * (1 - BEHIND))
        await asyncio.sleep(0.3)
        await self._exchange.cancel_order(order["id"], SYMBOL)

    async def refused(self, why: str) -> None:
        """Cancel what is open; sell what is held where only sales are allowed."""
        await self.leave()
        if "new buys are denied" not in why:
            return
        bid = (await self._exchange.fetch_order_book(SYMBOL, 5))["bids"][0][0]
        held = (await self._exchange.fetch_balance()).get("BTC", {}).get("free") or 0.0
        if held * bid > LEAST:
            await self._place("sell", bid * 0.9995, held)

    async def leave(self) -> None:
        """Cancel what is open."""
        for order in await self._exchange.fetch_open_orders(SYMBOL):
            with suppress(ccxt.BaseError):
                await self._exchange.cancel_order(order["id"], SYMBOL)

    async def _place(self, side: str, price: float, amount: float | None = None) -> Any:
        price = float(self._exchange.price_to_precision(SYMBOL, price))
        named = {"clientOrderId": next(self._ids)}
        return await self._exchange.create_order(SYMBOL, "limit", side, amount or DOLLARS / price, price, named)


async def main(gateway: str, key: str, secret: str, pace: Path) -> None:
    """Trade until SIGTERM. A refusal is printed, and the next round is tried."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    exchange = exchange_at(gateway, key, secret)
    trader = Trader(exchange, pace)
    try:
        while not stop.is_set():
            try:
                await trader.round()
            except ccxt.BaseError as error:
                print(f"{time.time():.1f} {type(error).__name__} {error}"[:400], flush=True)
                with suppress(ccxt.BaseError):
                    await trader.refused(str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.2)
        with suppress(ccxt.BaseError):
            await trader.leave()
    finally:
        await exchange.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret-file", required=True, type=Path)
    parser.add_argument("--pace", required=True, type=Path)
    options = parser.parse_args()
    asyncio.run(main(options.gateway, options.key, options.secret_file.read_text().strip(), options.pace))
