"""Buys with the bot's key and a stock ccxt client until an order is refused. Then it prints the refusal and cancels its orders.

Prints one JSON object: how many orders went through before the refusal, and the exception the client raised.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import ccxt.async_support as ccxt
from bot import SYMBOL, exchange_at

DOLLARS = 4.0  # per order
BEHIND = 0.001  # how far behind the best bid, so that the orders stay open
MOST = 12  # stops after so many orders, if none was refused


async def main(gateway: str, key: str, secret: str) -> dict:
    """Place resting buys one after the other until one is refused."""
    exchange = exchange_at(gateway, key, secret)
    placed = []
    try:
        for number in range(MOST):
            price = (await exchange.fetch_order_book(SYMBOL, 5))["bids"][0][0] * (1 - BEHIND)
            params = {"clientOrderId": f"greedy-{int(time.time() * 1000):x}-{number}"}
            try:
                order = await exchange.create_order(SYMBOL, "limit", "buy", DOLLARS / price, price, params)
            except ccxt.BaseError as refusal:
                return {"placed": len(placed), "exception": type(refusal).__name__, "message": str(refusal)}
            placed.append(order["id"])
        return {"placed": len(placed), "exception": "", "message": ""}
    finally:
        await cancel_all(exchange, placed)


async def cancel_all(exchange: ccxt.mexc, placed: list) -> None:
    """Cancel the orders it placed."""
    try:
        for order in placed:
            try:
                await exchange.cancel_order(order, SYMBOL)
            except ccxt.BaseError as error:
                print(f"{order} was not cancelled: {error}", file=sys.stderr)
    finally:
        await exchange.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret-file", required=True, type=Path)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(main(options.gateway, options.key, options.secret_file.read_text().strip()))))
