"""Stock ccxt: rests a bid and cancels it, buys, sells what it bought, and begins again. It knows nothing of gatehouse.

It is for seeing that the client trades, and loses the fees. `gatehouse_bot.py` is what `gatehouse bot-config` prints.
"""

import asyncio
import signal

import ccxt.async_support as ccxt
from gatehouse_bot import exchange

PAIR = "BTC/USDT"
DOLLARS = 2.0
PAUSE = 1.0


async def once(mexc: ccxt.mexc) -> None:
    """One round: three orders."""
    candles = await mexc.fetch_ohlcv(PAIR, "1m", limit=5)
    book = await mexc.fetch_order_book(PAIR, 5)
    bid, ask = book["bids"][0][0], book["asks"][0][0]
    amount = float(mexc.amount_to_precision(PAIR, DOLLARS / ask))
    resting = await mexc.create_order(PAIR, "limit", "buy", amount, float(mexc.price_to_precision(PAIR, bid * 0.998)))
    await mexc.cancel_order(resting["id"], PAIR)
    bought = await mexc.create_order(PAIR, "limit", "buy", amount, float(mexc.price_to_precision(PAIR, ask * 1.001)))
    await asyncio.sleep(PAUSE)
    seen = await mexc.fetch_order(bought["id"], PAIR)
    held = (await mexc.fetch_balance())["BTC"]["free"]
    print(
        f"{len(candles)} candles; cancelled {resting['id']}; bought {seen['filled']} at {seen['average']}: {seen['status']}",
        flush=True,
    )
    if held:
        bid = (await mexc.fetch_order_book(PAIR, 5))["bids"][0][0]
        sold = await mexc.create_order(PAIR, "limit", "sell", held, float(mexc.price_to_precision(PAIR, bid * 0.999)))
        await asyncio.sleep(PAUSE)
        trades = await mexc.fetch_my_trades(PAIR, limit=1)
        last = f"{trades[-1]['side']} {trades[-1]['amount']}" if trades else "none of this account yet"
        print(f"sold {held} as {sold['id']}; the last trade is {last}", flush=True)


async def main() -> None:
    """Trade until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    mexc = exchange()
    print(f"ccxt {ccxt.__version__}", flush=True)
    try:
        while not stop.is_set():
            try:
                await once(mexc)
            except ccxt.BaseError as error:
                print(f"refused: {type(error).__name__} {error}", flush=True)
            await asyncio.sleep(PAUSE)
    finally:
        await mexc.close()


asyncio.run(main())
