"""Measures what traces cost an order: two deployments that differ in ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` alone.

They place orders in turns, one after the other. The collector is in this process and keeps what it gets; a run in which it got
fewer traces than orders were placed has measured nothing, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ops.bench.measure import Contest, Figures, Goal, Line, Round, percentile, turns
from ops.bench.order_clients import Served, ccxt_client, loaded, placed, resting_price, served
from ops.bench.orders_at_once import CONNECTIONS, ORDERS
from tests.support.collectors import Collector, collecting

_ORDERS = 100
_LEAST_AT_ONCE = 50
"""Fewer than that are too few for the kernel's count of processor time."""


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """A deployment with traces and one without, each with venues of its own."""
    orders, load = max(2, int(_ORDERS * size)), max(_LEAST_AT_ONCE, int(ORDERS * size))
    with collecting() as collector:
        placed_so_far = 0
        with ExitStack() as stack:
            traced = stack.enter_context(served("--unwatched", "--collector", collector.url))
            plain = stack.enter_context(served("--unwatched"))
            loop = asyncio.new_event_loop()
            stack.callback(loop.close)
            clients = [ccxt_client(one.bot) for one in (traced, plain)]
            for client in clients:
                stack.callback(lambda client=client: loop.run_until_complete(client.close()))

            async def in_turns(prices: list[float]) -> list[list[float]]:
                took: list[list[float]] = [[], []]
                for number in range(orders):
                    for which in (0, 1) if number % 2 else (1, 0):
                        took[which].append(await placed(clients[which], prices[which]))
                return took

            def at_once(who: str, where: Served, price: float) -> Figures:
                found = loaded(where.bot, load, CONNECTIONS, price, (where.controller,))
                return {
                    f"{who} rate": len(found["took"]) / found["seconds"],
                    f"{who} cpu": found["cpu"][1] / len(found["took"]) * 1e6,
                }

            def one_round(number: int) -> Figures:
                nonlocal placed_so_far
                prices = [loop.run_until_complete(resting_price(client)) for client in clients]
                both = loop.run_until_complete(in_turns(prices))
                placed_so_far += orders
                alone = {f"{who} p50": percentile(took, 0.5) * 1e6 for who, took in zip(("traced", "plain"), both, strict=True)}
                crowd = turns(number, lambda: at_once("traced", traced, prices[0]), lambda: at_once("plain", plain, prices[1]))
                return {**alone, **crowd}

            yield one_round
        check(collector, placed_so_far)


def check(collector: Collector, orders: int) -> None:
    """The controller has ended, so all that it exports has arrived."""
    traces = sum(span.name == "order" for span in collector.spans())
    if traces < orders:
        raise RuntimeError(f"only {traces} traces arrived of {orders} orders that were placed one after the other")


_OFF = "the same without traces"
CONTEST = Contest(
    "order-tracing",
    (
        Line(
            "tracing: ccxt through the gateway, with traces to a collector, median",
            "µs",
            "traced p50",
            "plain p50",
            _OFF,
            (Goal("≤ 1.1 ×", lambda _, ratio: ratio <= 1.1),),
        ),
        Line("tracing: ten raw connections, with traces", "/s", "traced rate", "plain rate", _OFF),
        Line("tracing: processor time of the controller for one of them", "µs of processor time", "traced cpu", "plain cpu", _OFF),
    ),
    opened,
    stages="order-path",
)
