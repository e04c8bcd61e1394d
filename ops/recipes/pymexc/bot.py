"""Stock pymexc by REST: rests a bid and cancels it, buys, sells what it bought, and begins again. It knows nothing of gatehouse.

It is for seeing that the client trades, and loses the fees. `gatehouse_bot.py` is what `gatehouse bot-config` prints.
"""

import signal
import threading
from importlib.metadata import version

from gatehouse_bot import http
from pymexc.base import MexcAPIError

SYMBOL = "BTCUSDT"
DOLLARS = 2.0
PAUSE = 1.0


def once(mexc, stop: threading.Event) -> None:
    """One round: three orders."""
    candles = mexc.klines(SYMBOL, "1m", limit=5)
    quote = mexc.ticker_book_price(SYMBOL)
    bid, ask = float(quote["bidPrice"]), float(quote["askPrice"])
    amount = f"{DOLLARS / ask:.6f}"
    resting = mexc.order(SYMBOL, "BUY", "LIMIT", quantity=amount, price=f"{bid * 0.998:.2f}")
    mexc.cancel_order(SYMBOL, order_id=resting["orderId"])
    bought = mexc.order(SYMBOL, "BUY", "LIMIT", quantity=amount, price=f"{ask * 1.001:.2f}")
    stop.wait(PAUSE)
    seen = mexc.query_order(SYMBOL, order_id=bought["orderId"])
    print(f"{len(candles)} candles; cancelled {resting['orderId']}; bought {seen['executedQty']}: {seen['status']}", flush=True)
    held = next((one["free"] for one in mexc.account_information()["balances"] if one["asset"] == "BTC"), "0")
    if float(held):
        bid = float(mexc.ticker_book_price(SYMBOL)["bidPrice"])
        sold = mexc.order(SYMBOL, "SELL", "LIMIT", quantity=held, price=f"{bid * 0.999:.2f}")
        stop.wait(PAUSE)
        trades = mexc.account_trade_list(SYMBOL, limit=1)
        print(f"sold {held} as {sold['orderId']}; the last trade is of {trades[0]['qty']}", flush=True)


def main() -> None:
    """Trade until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    mexc = http()
    print(f"pymexc {version('pymexc')}", flush=True)
    while not stop.is_set():
        try:
            once(mexc, stop)
        except MexcAPIError as error:
            print(f"refused: {error}", flush=True)
        stop.wait(PAUSE)


main()
