"""A bot that decides from prices alone and can decide again from recorded ones. It uses nothing but Python's standard library.

It reads the best prices every ``PAUSE`` seconds, and makes a bar of each ``LOOK`` of them. When a bar closes higher than the one
before it buys, when it closes lower it sells, each once until the other. It asks nobody what became of its orders: what it decides
depends on the prices alone, which is what makes a replay of its signals possible (ops/docs/replay.md).

    python3 bars.py --gateway http://127.0.0.1:8700 --key KEY --secret-file FILE
    python3 bars.py --replay < what the gateway answered, one JSON object a line
"""

import argparse
import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal
from pathlib import Path

SYMBOL = "BTCUSDT"
PATH, QUERY = "/api/v3/ticker/bookTicker", f"symbol={SYMBOL}"
LOOK = 8  # prices of one bar
QUOTE = Decimal(2)  # dollars of one order
PAUSE = 0.2  # seconds between two looks


class Bars:
    """The strategy. Live and in a replay it sees the same: one price after the other."""

    def __init__(self, look: int) -> None:
        self.look = look
        self.seen = 0
        self.close = Decimal(0)
        self.side = ""

    def decide(self, bid: Decimal, ask: Decimal) -> str:
        """BUY, SELL, or nothing."""
        self.seen += 1
        if self.seen % self.look:
            return ""
        before, self.close = self.close, (bid + ask) / 2
        if not before or self.close == before:
            return ""
        side = "BUY" if self.close > before else "SELL"
        decided, self.side = (side if side != self.side else ""), side
        return decided


def prices(book: dict) -> tuple[Decimal, Decimal]:
    """The best bid and offer of an answer."""
    return Decimal(book["bidPrice"]), Decimal(book["askPrice"])


def replay(look: int) -> None:
    """Decide from what was recorded: other requests and refused ones are passed over, as the live bot does it."""
    bars = Bars(look)
    for line in sys.stdin:
        answer = json.loads(line)
        if answer["status"] == 200 and (answer["path"], answer["query"]) == (PATH, QUERY):
            side = bars.decide(*prices(answer["body"]))
            if side:
                print(answer["at"], SYMBOL, side)


def trade(gateway: str, key: str, secret: str, look: int, pause: float) -> None:
    """Trade until the process is ended."""
    bars = Bars(look)
    while True:
        try:
            with urllib.request.urlopen(f"{gateway}{PATH}?{QUERY}", timeout=10) as answer:
                bid, ask = prices(json.load(answer))
        except (urllib.error.URLError, TimeoutError) as error:
            print(f"no price: {error}", flush=True)
        else:
            side = bars.decide(bid, ask)
            if side:
                print(f"{side}: {order(gateway, key, secret, side, bid if side == 'SELL' else ask)}", flush=True)
        time.sleep(pause)


def order(gateway: str, key: str, secret: str, side: str, price: Decimal) -> str:
    """Place one order at the other side's best price, and return what became of it."""
    fields = {
        "symbol": SYMBOL,
        "side": side,
        "type": "LIMIT",
        "quantity": str((QUOTE / price).quantize(Decimal("0.000001"))),
        "price": str(price),
        "timestamp": str(int(time.time() * 1000)),
    }
    query = urllib.parse.urlencode(fields)
    signed = f"{query}&signature={hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"
    headers = {"X-MEXC-APIKEY": key, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{gateway}/api/v3/order?{signed}", method="POST", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["orderId"])
    except urllib.error.HTTPError as error:
        return f"refused: {error.read().decode()}"
    except (urllib.error.URLError, TimeoutError) as error:
        return f"unknown: {error}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--gateway")
    parser.add_argument("--key")
    parser.add_argument("--secret-file", type=Path)
    parser.add_argument("--look", type=int, default=LOOK)
    parser.add_argument("--pause", type=float, default=PAUSE)
    options = parser.parse_args()
    if options.replay:
        replay(options.look)
    else:
        trade(options.gateway, options.key, options.secret_file.read_text().strip(), options.look, options.pause)
