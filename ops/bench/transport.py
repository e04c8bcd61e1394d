"""Measures what the exchange of an order costs the controller: by the lane of orders, and by the pool of all other requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from exchange.mexc.http import HttpTransport, Method, Reply
from exchange.mexc.reach import Reach
from ops.bench.http_peer import AsyncKeepAlive
from ops.bench.measure import Contest, Figures, Goal, Line, Round, turns
from ops.bench.venue_orders import order, serving

_ORDERS = 500
_HEADERS = {"X-MEXC-APIKEY": "mx0bench", "Content-Type": "application/json"}


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """A raw server in a process of its own, the transport, and a raw connection. Figures are processor time of this process."""
    orders = max(3, int(_ORDERS * size))
    with ExitStack() as stack:
        port = stack.enter_context(serving("canned"))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        transport = HttpTransport(f"http://127.0.0.1:{port}", Reach.LOOPBACK)
        stack.callback(lambda: loop.run_until_complete(transport.aclose()))
        _, raw = loop.run_until_complete(loop.create_connection(AsyncKeepAlive, "127.0.0.1", port))
        stack.callback(lambda: loop.run_until_complete(raw.hang_up()))

        async def sent(path: str) -> float:
            used = time.process_time()
            for number in range(orders):
                query = order(number).partition("?")[2]
                assert isinstance(await transport.send(Method.POST, path, query, _HEADERS), Reply)
            return (time.process_time() - used) / orders * 1e6

        async def bare() -> float:
            used = time.process_time()
            for number in range(orders):
                await raw.ask(order(number), "mx0bench")
            return (time.process_time() - used) / orders * 1e6

        def one_round(number: int) -> Figures:
            ours = turns(
                number,
                lambda: {"lane": loop.run_until_complete(sent("/api/v3/order"))},
                lambda: {"pool": loop.run_until_complete(sent("/api/v3/order/test"))},
            )
            return {**ours, "raw": loop.run_until_complete(bare())}

        yield one_round


_CPU = "µs of processor time"
CONTEST = Contest(
    "order-transport",
    (
        Line(
            "transport: an order by its lane",
            _CPU,
            "lane",
            "pool",
            "the same by httpx's pool",
            (Goal("≤ 0.33 ×", lambda _, ratio: ratio <= 0.33),),
        ),
        Line("transport: an order by its lane, beside no client at all", _CPU, "lane", "raw", "a raw connection"),
    ),
    opened,
)
