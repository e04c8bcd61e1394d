"""Stock pymexc: REST to trade, its websocket to see fills: a bid that it cancels, a buy, a sale. It knows nothing of gatehouse.

It is for seeing that the client trades, and loses the fees. `gatehouse_bot.py` is what `gatehouse bot-config` prints.
"""

import signal
import threading
import time
from importlib.metadata import version

from gatehouse_bot import http, websocket
from pymexc.base import MexcAPIError

SYMBOL = "BTCUSDT"
DOLLARS = 2.0
PAUSE = 1.0


class Fills:
    """The orders whose fills the private stream showed, each with the time."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self.came = threading.Condition()
        self.slowest_ms = 0.0

    def on_deal(self, deal) -> None:
        """Called on the socket's thread."""
        with self.came:
            self.seen.setdefault(deal.orderId, time.monotonic())
            self.came.notify_all()

    def wait(self, what: str, order_id: str, sent: float) -> None:
        """Up to 10 s."""
        with self.came:
            known = self.came.wait_for(lambda: order_id in self.seen, 10)
        if not known:
            print(f"{what} {order_id}: no fill by stream within 10 s", flush=True)
            return
        took = (self.seen[order_id] - sent) * 1000
        self.slowest_ms = max(self.slowest_ms, took)
        print(f"{what} as {order_id}: filled by stream {took:.0f} ms after it was sent", flush=True)


def once(mexc, fills: Fills, stop: threading.Event) -> None:
    """One round: three orders."""
    candles = mexc.klines(SYMBOL, "1m", limit=5)
    quote = mexc.ticker_book_price(SYMBOL)
    bid, ask = float(quote["bidPrice"]), float(quote["askPrice"])
    amount = f"{DOLLARS / ask:.6f}"
    resting = mexc.order(SYMBOL, "BUY", "LIMIT", quantity=amount, price=f"{bid * 0.998:.2f}")
    mexc.cancel_order(SYMBOL, order_id=resting["orderId"])
    print(f"{len(candles)} candles; cancelled {resting['orderId']}", flush=True)
    sent = time.monotonic()
    bought = mexc.order(SYMBOL, "BUY", "LIMIT", quantity=amount, price=f"{ask * 1.001:.2f}")
    fills.wait(f"bought {amount}", bought["orderId"], sent)
    stop.wait(PAUSE)
    held = next((one["free"] for one in mexc.account_information()["balances"] if one["asset"] == "BTC"), "0")
    if float(held):
        bid = float(mexc.ticker_book_price(SYMBOL)["bidPrice"])
        sent = time.monotonic()
        sold = mexc.order(SYMBOL, "SELL", "LIMIT", quantity=held, price=f"{bid * 0.999:.2f}")
        fills.wait(f"sold {held}", sold["orderId"], sent)
    print(f"measured: slowest fill by stream, ms {fills.slowest_ms:.0f}", flush=True)


def main() -> None:
    """Trade until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    mexc, stream, fills = http(), websocket(), Fills()
    stream.account_deals(fills.on_deal)
    print(f"pymexc {version('pymexc')}", flush=True)
    while not stop.is_set():
        try:
            if not stream.is_connected():
                print("the stream has ended; a new one", flush=True)
                stream = websocket()
                stream.account_deals(fills.on_deal)
            once(mexc, fills, stop)
        except MexcAPIError as error:
            print(f"refused: {error}", flush=True)
        stop.wait(PAUSE)


main()
