"""Measures a governed, durable order of unmodified ccxt through the gateway, beside the same ccxt straight to the venue.

The client is this process. Both venues are one other process, the controller a third. The floor of the machine is measured in the
same round: one ``fdatasync`` of 500 bytes in a file that has its length, and one echo over loopback.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ccxt.async_support

from ops.bench.measure import Contest, Figures, Goal, Line, Round, percentile, turns
from ops.bench.order_served import DIRECT_KEY, DIRECT_SECRET
from ops.bench.order_stages import MARKS, STAGES

_ROOT = Path(__file__).parents[2]
_ORDERS, _EACH, _FLOOR, _CLIENTS = 100, 20, 100, 10
_SYMBOL, _AMOUNT = "BTC/USDT", 0.00003
_NUMBERS = itertools.count(time.time_ns() // 1_000_000)


def _client(url: str, key: str, secret: str) -> Any:
    """ccxt as it is released, without its own throttle, which waits 50 ms for each order."""
    spot = {"public": url, "private": url}
    api = {"spot": spot, "spot2": spot, "contract": spot, "broker": {"private": f"{url}/api/v3/broker"}}
    exchange = ccxt.async_support.mexc({"apiKey": key, "secret": secret, "urls": {"api": api}, "enableRateLimit": False})
    exchange.set_markets([exchange.safe_market_structure(_MARKET)])
    return exchange


_MARKET = {
    "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT", "type": "spot",
    "spot": True, "active": True, "precision": {"amount": 1e-06, "price": 0.01},
}  # fmt: skip


async def _one(client: Any, price: float) -> float:
    """Place an order that rests, and cancel it. Seconds of the placing."""
    # Orders that are signed in the same millisecond differ by their id alone.
    named = {"clientOrderId": f"bench-{next(_NUMBERS)}"}
    began = time.perf_counter()
    placed = await client.create_order(_SYMBOL, "limit", "buy", _AMOUNT, price, named)
    took = time.perf_counter() - began
    await client.cancel_order(placed["id"], _SYMBOL)
    return took


async def _price(client: Any) -> float:
    """Half a percent below the market: it rests, and it is inside the collar."""
    book = await client.spot_public_get_ticker_bookticker({"symbol": "BTCUSDT"})
    return round(float(book["bidPrice"]) * 0.995, 2)


async def _at_once(clients: Sequence[Any], each: int, price: float) -> tuple[list[float], float]:
    """Every client places and cancels, one order after another. Seconds of the placings, and placings a second."""

    async def trade(client: Any) -> list[float]:
        return [await _one(client, price) for _ in range(each)]

    began = time.perf_counter()
    took = [one for each_took in await asyncio.gather(*map(trade, clients)) for one in each_took]
    return took, len(took) / (time.perf_counter() - began)


def synced(path: Path, times: int) -> float:
    """Microseconds of one ``fdatasync`` after 500 bytes in a file whose length does not change."""
    took, record = [], os.urandom(500)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(handle, 0, 500 * times)
        os.fsync(handle)
        for number in range(times):
            began = time.perf_counter()
            os.pwrite(handle, record, 500 * number)
            os.fdatasync(handle)
            took.append(time.perf_counter() - began)
    finally:
        os.close(handle)
    return statistics.median(took) * 1e6


def echoed(times: int) -> float:
    """Microseconds of 64 bytes to another thread over loopback, and back."""
    took = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            inner, _ = server.accept()
            with inner:
                while data := inner.recv(64):
                    inner.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        with socket.create_connection(server.getsockname()) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(times):
                began = time.perf_counter()
                client.sendall(b"x" * 64)
                client.recv(64)
                took.append(time.perf_counter() - began)
        thread.join()
    return statistics.median(took) * 1e6


def stages_of(lines: Sequence[str]) -> dict[str, float]:
    """Of each stage the median time and the median processor time of the controller's loop, in microseconds."""
    orders = [dict(zip(MARKS, json.loads(line), strict=True)) for line in lines]
    found = {}
    for which, word in enumerate(("", " cpu")):
        for name, (begin, end) in {**STAGES, "whole": (MARKS[0], MARKS[-1])}.items():
            found[name + word] = statistics.median(one[end][which] - one[begin][which] for one in orders) / 1e3
    return found


@contextmanager
def _served() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "ops.bench.order_served"]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """The deployment, ten clients of its bot, and ten that go straight to the venues' process."""
    orders, each, floor = (max(2, int(most * size)) for most in (_ORDERS, _EACH, _FLOOR))
    with ExitStack() as stack:
        where = stack.enter_context(_served())
        folder = Path(stack.enter_context(TemporaryDirectory(dir=Path(where["directory"]).parent)))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        bots = [_client(where["gateway"], where["key"], where["secret"]) for _ in range(_CLIENTS)]
        direct = [_client(where["venue"], DIRECT_KEY, DIRECT_SECRET) for _ in range(_CLIENTS)]
        for client in (*bots, *direct):
            stack.callback(lambda client=client: loop.run_until_complete(client.close()))
        stages = Path(where["directory"]) / "stages.jsonl"

        def measured(who: str, clients: Sequence[Any], price: float) -> dict[str, float]:
            used = time.process_time()
            alone, _ = loop.run_until_complete(_at_once(clients[:1], orders, price))
            used = (time.process_time() - used) / orders
            known = stages.read_text().splitlines()
            crowd, rate = loop.run_until_complete(_at_once(clients, each, price))
            figures = {
                f"{who} p50": percentile(alone, 0.5) * 1e6,
                f"{who} p99": percentile(alone, 0.99) * 1e6,
                f"{who} crowd p50": percentile(crowd, 0.5) * 1e6,
                f"{who} crowd p99": percentile(crowd, 0.99) * 1e6,
                f"{who} rate": rate,
                f"{who} cpu": used * 1e6,
            }
            return figures if who == "direct" else {**figures, **stages_of(known[-orders:])}

        def one_round(number: int) -> Figures:
            price = loop.run_until_complete(_price(bots[0]))
            both = turns(number, lambda: measured("ours", bots, price), lambda: measured("direct", direct, price))
            return {**both, "sync floor": synced(folder / "floor", floor), "echo floor": echoed(floor)}

        yield one_round


_DIRECT = "the same ccxt straight to the venue"
_CPU, _CLIENT = "µs of processor time", "the client's own, straight to the venue: placing and cancelling"
_ONE = (Goal("≤ 1 ×", lambda _, ratio: ratio <= 1),)


def _line(what: str, ours: str, *goals: Goal, unit: str = "µs") -> Line:
    return Line(what, unit, ours, ours.replace("ours", "direct"), _DIRECT, goals)


CONTEST = Contest(
    "order-path",
    (
        _line("order: ccxt through the gateway, durable, median", "ours p50", *_ONE),
        _line("order: the same, 99th percentile", "ours p99"),
        _line("order: ten clients at once, placed and cancelled", "ours rate", unit="/s"),
        _line("order: ten clients at once, median", "ours crowd p50"),
        _line("order: ten clients at once, 99th percentile", "ours crowd p99"),
        Line("order: processor time of the controller's loop", _CPU, "whole cpu", "direct cpu", _CLIENT),
        *(Line(f"order, stage: {name}", "µs", name, "direct p50", _DIRECT) for name in STAGES),
        *(Line(f"order, processor time: {name}", _CPU, f"{name} cpu", "direct cpu", _CLIENT) for name in STAGES),
        Line("floor: fdatasync of 500 bytes", "µs", "sync floor", "direct p50", _DIRECT),
        Line("floor: 64 bytes over loopback and back", "µs", "echo floor", "direct p50", _DIRECT),
    ),
    opened,
)
