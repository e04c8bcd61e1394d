"""The deployment of an order bench as it is started, and the clients that place orders: unmodified ccxt, and raw connections."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ccxt.async_support

from ops.bench.order_served import DIRECT_KEY, DIRECT_SECRET

_ROOT = Path(__file__).parents[2]
_SYMBOL, _AMOUNT = "BTC/USDT", 0.00003
_MARKET = {
    "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT", "type": "spot",
    "spot": True, "active": True, "precision": {"amount": 1e-06, "price": 0.01},
}  # fmt: skip
_LOAD_S = 4
"""How long ``order_load`` sends at the most: a slow machine has fewer orders in a round, not longer rounds."""

_PATIENT_MS = 60_000
"""MEXC's longest ``recvWindow`` (mexc-spot-v3.md), and how long ccxt waits for an answer."""

_NUMBERS = itertools.count(time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True)
class Account:
    """Where a client sends its orders, and as whom. ``authorities`` is the file of the CA, if that is by TLS."""

    url: str
    key: str
    secret: str
    authorities: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """A deployment that runs: the bot's account behind its gateway, the account straight at the venue, and the processes."""

    bot: Account
    direct: Account
    directory: Path
    controller: int
    venues: int

    @classmethod
    def of(cls, where: Mapping[str, Any]) -> Served:
        """What ``order_served`` printed."""
        return cls(
            Account(where["gateway"], where["key"], where["secret"]),
            Account(where["venue"], DIRECT_KEY, DIRECT_SECRET, where["authorities"]),
            Path(where["directory"]),
            where["controller"],
            where["venues"],
        )


@contextmanager
def served(*options: str) -> Iterator[Served]:
    """A deployment at TESTNET_VALIDATING with its venues, in processes of their own."""
    command = [sys.executable, "-m", "ops.bench.order_served", *options]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the deployment did not come up: its output is above")
            yield Served.of(json.loads(line))
        finally:
            process.stdin.close()


def ccxt_client(account: Account) -> Any:
    """ccxt as it is released, without its own throttle, which waits 50 ms for each order."""
    spot = {"public": account.url, "private": account.url}
    api = {"spot": spot, "spot2": spot, "contract": spot, "broker": {"private": f"{account.url}/api/v3/broker"}}
    options: dict[str, Any] = {
        "apiKey": account.key,
        "secret": account.secret,
        "urls": {"api": api},
        "enableRateLimit": False,
        # Ten clients on a machine that is busy with something else wait longer than the 5 and 10 s by default.
        "options": {"recvWindow": _PATIENT_MS},
        "timeout": _PATIENT_MS,
    }
    if account.authorities:
        options["cafile"] = account.authorities
    exchange = ccxt.async_support.mexc(options)
    exchange.set_markets([exchange.safe_market_structure(_MARKET)])
    return exchange


async def placed(client: Any, price: float) -> float:
    """Place an order that rests, and cancel it. Seconds of the placing."""
    # Orders that are signed in the same millisecond differ by their id alone.
    named = {"clientOrderId": f"bench-{next(_NUMBERS)}"}
    began = time.perf_counter()
    order = await client.create_order(_SYMBOL, "limit", "buy", _AMOUNT, price, named)
    took = time.perf_counter() - began
    await client.cancel_order(order["id"], _SYMBOL)
    return took


async def resting_price(client: Any) -> float:
    """Half a percent below the market: it rests, and it is inside the collar."""
    book = await client.spot_public_get_ticker_bookticker({"symbol": "BTCUSDT"})
    return round(float(book["bidPrice"]) * 0.995, 2)


async def placed_at_once(clients: Sequence[Any], each: int, price: float) -> tuple[list[float], float]:
    """Every client places and cancels, one order after another. Seconds of the placings, and placings a second."""

    async def trade(client: Any) -> list[float]:
        return [await placed(client, price) for _ in range(each)]

    began = time.perf_counter()
    took = [one for each_took in await asyncio.gather(*map(trade, clients)) for one in each_took]
    return took, len(took) / (time.perf_counter() - began)


def loaded(account: Account, orders: int, connections: int, price: float, watched: Sequence[int] = ()) -> dict[str, Any]:
    """What ``order_load``, in a process of its own, measured of so many orders, or of as many as some seconds allow.

    Its ``cpu`` is the processor time of itself and of the ``watched`` processes.
    """
    asked = (
        account.url,
        account.key,
        account.secret,
        str(orders),
        f"{_LOAD_S}",
        str(connections),
        f"{price:.2f}",
        *map(str, watched),
    )
    command = [sys.executable, "-m", "ops.bench.order_load", *asked]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the client ended early: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    if not found["took"]:
        raise RuntimeError(f"no order was answered with success: {found['why']}")
    return found
