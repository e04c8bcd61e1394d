"""Plays bars of one second with market orders in NautilusTrader's ``BacktestEngine``, and prints what that took as JSON.

``ops.bench.rehearsing`` runs it with a Python that has ``nautilus_trader``: ``PYTHON nautilus_peer.py BARS ORDERS``. It imports
nothing of gatehouse. What is measured is ``engine.run``: making the bars is not part of it.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from importlib import import_module
from typing import Any

SEED, START_NS, SECOND_NS = 7, 1_640_995_200_000_000_000, 1_000_000_000


def play(count: int, orders: int) -> dict[str, float]:
    """Play ``count`` bars, with ``orders`` market orders spread over them that buy and sell in turns."""
    model, enums = import_module("nautilus_trader.model"), import_module("nautilus_trader.model.enums")
    configs = import_module("nautilus_trader.config")
    engine = import_module("nautilus_trader.backtest.engine").BacktestEngine(
        configs.BacktestEngineConfig(logging=configs.LoggingConfig(bypass_logging=True))
    )
    usdt = import_module("nautilus_trader.model.currencies").USDT
    instrument = import_module("nautilus_trader.test_kit.providers").TestInstrumentProvider.btcusdt_binance()
    engine.add_venue(
        venue=model.Venue("BINANCE"),
        oms_type=enums.OmsType.NETTING,
        account_type=enums.AccountType.CASH,
        base_currency=None,
        starting_balances=[model.Money(1_000_000, usdt)],
    )
    engine.add_instrument(instrument)
    kind = model.BarType.from_str(f"{instrument.id}-1-SECOND-LAST-EXTERNAL")
    engine.add_data(_bars(model, kind, count))

    class Trader(import_module("nautilus_trader.trading.strategy").Strategy):  # type: ignore[misc]
        seen = sent = 0

        def on_start(self) -> None:
            self.subscribe_bars(kind)

        def on_bar(self, _: object) -> None:
            self.seen += 1
            if self.seen * orders // count > self.sent:
                side = enums.OrderSide.SELL if self.sent % 2 else enums.OrderSide.BUY
                self.submit_order(self.order_factory.market(instrument.id, side, model.Quantity.from_str("0.000100")))
                self.sent += 1

    trader = Trader()
    engine.add_strategy(trader)
    began = time.process_time()
    engine.run()
    cpu_s = time.process_time() - began
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"bars": trader.seen, "orders": engine.cache.orders_closed_count(), "cpu_s": cpu_s, "peak_mib": peak_mib}


def _bars(model: Any, kind: Any, count: int) -> list[Any]:
    rng, price, bars = random.Random(SEED), 46_000.0, []
    for number in range(count):
        opened, price = price, max(1_000.0, price + rng.uniform(-5, 5))
        at = START_NS + number * SECOND_NS
        prices = (opened, max(opened, price) + 1, min(opened, price) - 1, price)
        bars.append(model.Bar(kind, *(model.Price(one, 2) for one in prices), model.Quantity(1, 6), at, at))
    return bars


if __name__ == "__main__":
    print(json.dumps(play(int(sys.argv[1]), int(sys.argv[2]))))
