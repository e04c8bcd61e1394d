"""Measures a governed, durable order of unmodified ccxt through the gateway, beside the same ccxt straight to the venue.

The client is this process. Both venues are one other process, the controller a third. The floor of the machine is measured in the
same round: one ``fdatasync`` of 500 bytes in a file that has its length, and one echo over loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ops.bench.measure import Contest, Figures, Goal, Line, Round, percentile, turns
from ops.bench.order_clients import ccxt_client, placed_at_once, resting_price, served
from ops.bench.order_stages import MARKS, STAGES
from ops.bench.showing import FLOOR, STAGE

_ORDERS, _EACH, _FLOOR, _CLIENTS = 100, 20, 100, 10


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
def opened(size: float, *, tls: bool = False) -> Iterator[Round]:
    """The deployment, ten clients of its bot, and ten that go straight to the venues' process; by TLS one of each."""
    orders, each, floor = (max(2, int(most * size)) for most in (_ORDERS, _EACH, _FLOOR))
    with ExitStack() as stack:
        where = stack.enter_context(served(*(("--tls",) if tls else ())))
        folder = Path(stack.enter_context(TemporaryDirectory(dir=where.directory.parent)))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        bots, direct = ([ccxt_client(one) for _ in range(1 if tls else _CLIENTS)] for one in (where.bot, where.direct))
        for client in (*bots, *direct):
            stack.callback(lambda client=client: loop.run_until_complete(client.close()))

        def measured(who: str, clients: Sequence[Any], price: float) -> dict[str, float]:
            used = time.process_time()
            alone, _ = loop.run_until_complete(placed_at_once(clients[:1], orders, price))
            used = (time.process_time() - used) / orders
            figures = {
                f"{who} p50": percentile(alone, 0.5) * 1e6,
                f"{who} p99": percentile(alone, 0.99) * 1e6,
                f"{who} cpu": used * 1e6,
            }
            if who == "ours":
                known = (where.directory / "stages.jsonl").read_text().splitlines()
                figures |= stages_of(known[-orders:])
            return figures if tls else figures | crowded(who, clients, price)

        def crowded(who: str, clients: Sequence[Any], price: float) -> dict[str, float]:
            took, rate = loop.run_until_complete(placed_at_once(clients, each, price))
            return {
                f"{who} crowd p50": percentile(took, 0.5) * 1e6,
                f"{who} crowd p99": percentile(took, 0.99) * 1e6,
                f"{who} rate": rate,
            }

        def one_round(number: int) -> Figures:
            price = loop.run_until_complete(resting_price(bots[0]))
            both = turns(number, lambda: measured("ours", bots, price), lambda: measured("direct", direct, price))
            return {**both, "sync floor": synced(folder / "floor", floor), "echo floor": echoed(floor)}

        yield one_round


_CPU = "µs of processor time"
_ONE = (Goal("≤ 0.9 ×", lambda _, ratio: ratio <= 0.9),)


def _lines(direct: str) -> Callable[..., Line]:
    def line(what: str, ours: str, *goals: Goal, unit: str = "µs", peer: str = "") -> Line:
        return Line(what, unit, ours, peer or ours.replace("ours", "direct"), direct, goals)

    return line


_line = _lines("the same ccxt straight to the venue")
_by_tls = _lines("the same ccxt straight to the venue, by TLS")
_OWN = "the client's own, straight to the venue: placing and cancelling"

CONTEST = Contest(
    "order-path",
    (
        _line("order: ccxt through the gateway, durable, median", "ours p50", *_ONE),
        _line("order: the same, 99th percentile", "ours p99"),
        _line("order: ten clients at once, placed and cancelled", "ours rate", unit="/s"),
        _line("order: ten clients at once, median", "ours crowd p50"),
        _line("order: ten clients at once, 99th percentile", "ours crowd p99"),
        Line("order: processor time of the controller's loop", _CPU, "whole cpu", "direct cpu", _OWN),
        *(_line(f"order{STAGE}{name}", name, peer="direct p50") for name in STAGES),
        *(Line(f"order, processor time: {name}", _CPU, f"{name} cpu", "direct cpu", _OWN) for name in STAGES),
        _line(f"order{FLOOR}fdatasync of 500 bytes", "sync floor", peer="direct p50"),
        _line(f"order{FLOOR}64 bytes over loopback and back", "echo floor", peer="direct p50"),
    ),
    opened,
    stages="order-path",
)

TLS = Contest(
    "order-path-tls",
    (
        _by_tls("order by TLS: ccxt through the gateway, durable, median", "ours p50", *_ONE),
        _by_tls("order by TLS: the same, 99th percentile", "ours p99"),
        Line("order by TLS: processor time of the controller's loop", _CPU, "whole cpu", "direct cpu", f"{_OWN}, by TLS"),
        *(_by_tls(f"order by TLS{STAGE}{name}", name, peer="direct p50") for name in STAGES),
        _by_tls(f"order by TLS{FLOOR}fdatasync of 500 bytes", "sync floor", peer="direct p50"),
        _by_tls(f"order by TLS{FLOOR}64 bytes over loopback and back", "echo floor", peer="direct p50"),
    ),
    partial(opened, tls=True),
    stages="order-path-tls",
)
