"""Measures how many signed orders per second the testnet answers on one keep-alive connection, with 2,000 resting orders."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from exchange.wire.signing import signature
from ops.bench.http_peer import KeepAlive
from ops.bench.measure import Contest, Figures, Goal, Line, Round, percentile, turns
from ops.bench.served import MAKERS, SECRET, key_of

_ROOT = Path(__file__).parents[2]
_RESTING, _ORDERS = 2_000, 400


@contextmanager
def serving(what: str) -> Iterator[int]:
    """The port of a server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.bench.served", what], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()


def order(number: int) -> str:
    """A signed order far below the market."""
    price = 40_000 + number % 1_000
    fields = f"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.001&price={price}&newClientOrderId=bench-{number}"
    return "/api/v3/order?" + signed(fields)


def signed(fields: str) -> str:
    """Add the present timestamp and the signature."""
    payload = f"{fields}&timestamp={time.time_ns() // 1_000_000}&recvWindow=60000"
    return f"{payload}&signature={signature(SECRET, payload)}"


@contextmanager
def opened(size: float, which: str = "testnet", other: str = "canned") -> Iterator[Round]:
    """Two servers and one connection to each."""
    resting, orders = max(MAKERS, int(_RESTING * size)), max(2, int(_ORDERS * size))
    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(name)) for name in (which, other)}
        for port in (ports[name] for name in ports if name != "canned"):
            _rest(port, resting)
        ours, peer = KeepAlive(ports[which], key_of(0)), KeepAlive(ports[other], key_of(0))
        stack.callback(ours.close)
        stack.callback(peer.close)

        def one_round(number: int) -> Figures:
            first = number * orders
            both = turns(
                number,
                lambda: _measured("ours", [_timed(ours, order(first + one)) for one in range(orders)]),
                lambda: _measured("raw", [_timed(peer, order(first + one)) for one in range(orders)]),
            )
            for connection in (ours, peer) if other != "canned" else (ours,):
                _accepted(connection.ask("DELETE", "/api/v3/openOrders?" + signed("symbol=BTCUSDT")))
            return both

        yield one_round


def _rest(port: int, orders: int) -> None:
    for maker in range(1, MAKERS + 1):
        connection = KeepAlive(port, key_of(maker))
        for number in range(orders // MAKERS):
            _accepted(connection.ask("POST", order(number)))
        connection.close()


def _timed(connection: KeepAlive, target: str) -> float:
    began = time.perf_counter()
    reply = connection.ask("POST", target)
    took = time.perf_counter() - began
    _accepted(reply)
    return took


def _accepted(reply: tuple[int, bytes]) -> None:
    if reply[0] != 200:
        raise RuntimeError(f"the venue answered {reply[0]}: {reply[1][:200]!r}")


def _measured(who: str, took: list[float]) -> Figures:
    return {
        f"{who} rate": len(took) / sum(took),
        f"{who} p50": percentile(took, 0.5) * 1000,
        f"{who} p99": percentile(took, 0.99) * 1000,
    }


CONTEST = Contest(
    "venue-orders",
    (
        Line(
            "testnet: signed orders on one connection, 2,000 resting",
            "/s",
            "ours rate",
            "raw rate",
            "raw HTTP",
            (Goal("≥ 1,500/s", lambda ours, _: ours >= 1_500),),
        ),
        Line("testnet: an order, median", "ms", "ours p50", "raw p50", "raw HTTP"),
        Line(
            "testnet: an order, 99th percentile",
            "ms",
            "ours p99",
            "raw p99",
            "raw HTTP",
            (Goal("≤ 5 ms", lambda ours, _: ours <= 5),),
        ),
    ),
    opened,
)

KEPT = Contest(
    "venue-orders-kept",
    (
        Line("testnet with a state directory: an order, median", "ms", "ours p50", "raw p50", "the same without one"),
        Line("testnet with a state directory: an order, 99th percentile", "ms", "ours p99", "raw p99", "the same without one"),
    ),
    partial(opened, which="kept", other="testnet"),
)
