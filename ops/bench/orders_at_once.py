"""Measures how many durable orders a second pass the gateway on ten connections, and which process the machine has no more of.

The client is ``order_load``, in a process of its own, because ccxt needs half a millisecond of processor time for each order. The
same client sends as many orders straight to the venues' process in the same round. MEXC's limits of rate are lifted on both ways.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ops.bench.measure import Contest, Figures, Goal, Line, Round, percentile, turns
from ops.bench.order_clients import Account, ccxt_client, loaded, resting_price, served

ORDERS, CONNECTIONS = 3_000, 10


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """A deployment whose stages nobody watches."""
    orders = max(CONNECTIONS, int(ORDERS * size))
    with ExitStack() as stack:
        where = stack.enter_context(served("--unwatched"))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        asking = ccxt_client(where.bot)
        stack.callback(lambda: loop.run_until_complete(asking.close()))
        cores = os.cpu_count() or 1

        def measured(who: str, account: Account, price: float) -> Figures:
            found = loaded(account, orders, CONNECTIONS, price, (where.controller, where.venues))
            took, share = found["took"], 100 / (found["seconds"] * cores)
            client, controller, venue = (seconds * share for seconds in found["cpu"])
            return {
                f"{who} rate": len(took) / found["seconds"],
                f"{who} p50": percentile(took, 0.5) * 1e3,
                f"{who} p99": percentile(took, 0.99) * 1e3,
                f"{who} refused": found["refused"],
                f"{who} client": client,
                f"{who} controller": controller,
                f"{who} venue": venue,
            }

        def one_round(number: int) -> Figures:
            price = loop.run_until_complete(resting_price(asking))
            return turns(number, lambda: measured("ours", where.bot, price), lambda: measured("direct", where.direct, price))

        yield one_round


_DIRECT = "the same client straight to the venue"


def _share(what: str, name: str) -> Line:
    return Line(f"orders at once: processor time of {what}", "% of all cores", name)


CONTEST = Contest(
    "orders-at-once",
    (
        Line(
            "orders at once: ten raw connections through the gateway, durable",
            "/s",
            "ours rate",
            "direct rate",
            _DIRECT,
            (Goal("≥ 1,000/s", lambda ours, _: ours >= 1_000),),
        ),
        Line("orders at once: median", "ms", "ours p50", "direct p50", _DIRECT),
        Line(
            "orders at once: 99th percentile",
            "ms",
            "ours p99",
            "direct p99",
            _DIRECT,
            (Goal("≤ 25 ms", lambda ours, _: ours <= 25),),
        ),
        Line("orders at once: not answered with success", "", "ours refused", goals=(Goal("0", lambda ours, _: ours == 0),)),
        _share("the client", "ours client"),
        _share("the controller", "ours controller"),
        _share("the venues' process", "ours venue"),
    ),
    opened,
    stages="order-path",
)
