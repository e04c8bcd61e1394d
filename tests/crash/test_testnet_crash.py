"""kill -9 of a testnet in a burst of orders: everything it acknowledged is there again, and no id comes twice."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from exchange.wire.signing import signature, signed_query
from tests.support.counting import Counted
from tests.support.loopback import http_at
from tests.support.proofs import sizes
from tests.support.rig import ROOT, TAPE, free_port

SYMBOL, SECRET = "BTCUSDT", "crash-secret"
KEYS = [f"mx0crash{number}" for number in range(6)]
"""One account for each client, because the venue limits the requests of an account."""

ACCOUNT = '[[account]]\nname = "{key}"\napi_key = "{key}"\nsecret = "{secret}"\nbalances = {{ USDT = "1000000" }}\n'


@dataclass
class Promised:
    """What the venue told its client: orders by id with the state last acknowledged, and cancels that were answered."""

    placed: dict[str, dict[str, Any]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    attempts: int = 0


@dataclass
class Venue:
    """A testnet in a process of its own, and what it promised."""

    directory: Path
    port: int
    process: asyncio.subprocess.Process | None = None
    names: Any = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        accounts = self.directory / "accounts.toml"
        accounts.touch(0o600)
        accounts.write_text("".join(ACCOUNT.format(key=key, secret=SECRET) for key in KEYS))
        options = ("--port", str(self.port), "--state", str(self.directory / "state"), "--accounts", str(accounts))
        market = ("--tape", str(TAPE), "--loop", "--entry-latency", "0")
        with (self.directory / "venue.log").open("ab") as log:
            command = (sys.executable, "-m", "controller", "testnet", *options, *market)
            self.process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=ROOT)
        for _ in range(1_200):
            with suppress(httpx.HTTPError):
                async with http_at(self.url, timeout=5) as http:
                    if (await http.get("/api/v3/time")).status_code == 200:
                        return
            assert self.process.returncode is None, (self.directory / "venue.log").read_text()[-2000:]
            await asyncio.sleep(0.05)
        raise AssertionError("the venue does not answer")

    async def kill(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        assert await self.process.wait() == -signal.SIGKILL

    async def ask(self, http: httpx.AsyncClient, key: str, method: str, path: str, **params: str) -> Any:
        """A signed request; sent again while the venue says that there were too many."""
        while True:
            now = time.time_ns() // 1_000_000
            query = signed_query(
                [*params.items(), ("recvWindow", "60000"), ("timestamp", str(now))], lambda text: signature(SECRET, text)
            )
            headers = {"X-MEXC-APIKEY": key, "Content-Type": "application/json"}
            answer = await http.request(method, f"{path}?{query}", headers=headers)
            if answer.status_code != 429:
                assert answer.status_code == 200, answer.text
                return answer.json()
            await asyncio.sleep(0.05)

    async def burst(self, key: str, promised: Promised, enough: asyncio.Event, after: int) -> None:
        """Place and cancel until the venue is gone; ``enough`` is set once ``after`` orders are acknowledged."""
        with suppress(httpx.HTTPError):
            async with http_at(self.url, timeout=30) as http:
                bid = Decimal((await http.get("/api/v3/ticker/bookTicker", params={"symbol": SYMBOL})).json()["bidPrice"])
                while True:
                    name = f"crash-{next(self.names)}"
                    crossing = len(promised.placed) % 3 == 0
                    price = f"{bid * (Decimal('1.01') if crossing else Decimal('0.98')):.2f}"
                    order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": price}
                    promised.attempts += 1
                    taken = await self.ask(http, key, "POST", "/api/v3/order", **order, newClientOrderId=name)
                    promised.placed[taken["orderId"]] = {"name": name, "price": price}
                    if not crossing and len(promised.placed) % 2:
                        await self.ask(http, key, "DELETE", "/api/v3/order", symbol=SYMBOL, orderId=taken["orderId"])
                        promised.cancelled.add(taken["orderId"])
                    if len(promised.placed) >= after:
                        enough.set()

    async def account(self, key: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, tuple[Decimal, Decimal]]]:
        """An account's orders and fills by id, and balances as free and locked."""
        async with http_at(self.url, timeout=30) as http:
            orders = await self.ask(http, key, "GET", "/api/v3/allOrders", symbol=SYMBOL, limit="1000")
            fills = await self.ask(http, key, "GET", "/api/v3/myTrades", symbol=SYMBOL)
            held = (await self.ask(http, key, "GET", "/api/v3/account"))["balances"]
        balances = {one["asset"]: (Decimal(one["free"]), Decimal(one["locked"])) for one in held}
        return {one["orderId"]: one for one in orders}, {one["id"]: one for one in fills}, balances


@asynccontextmanager
async def venue(directory: Path) -> AsyncIterator[Venue]:
    built = Venue(directory, free_port())
    try:
        yield built
    finally:
        if built.process is not None and built.process.returncode is None:
            built.process.kill()
            await built.process.wait()


@pytest.mark.e2e
@pytest.mark.parametrize("kills", sizes(short=2, long=10))
async def test_what_a_killed_testnet_acknowledged_is_there_again(tmp_path: Path, kills: int, counted: Counted) -> None:
    random = Random(11)
    promised, fills = {key: Promised() for key in KEYS}, {key: dict[str, Any]() for key in KEYS}
    async with venue(tmp_path) as testnet:
        await testnet.start()
        for _ in range(kills):
            enough = asyncio.Event()
            most = random.randrange(2, 7)
            bots = [asyncio.create_task(testnet.burst(key, one, enough, len(one.placed) + most)) for key, one in promised.items()]
            await asyncio.wait((asyncio.create_task(enough.wait()), *bots), return_when=asyncio.FIRST_COMPLETED)
            await testnet.kill()
            await asyncio.gather(*bots)
            await testnet.start()
            for key in KEYS:
                orders, now, balances = await testnet.account(key)
                _kept(promised[key], orders)
                _explained(orders, now, balances)
                assert all(now[number] == fill for number, fill in fills[key].items()), "a fill is gone, or its id names another"
                fills[key] = now
    assert sum(len(one.placed) for one in promised.values()) >= 2 * kills
    counted("kill points", kills)


def _kept(promised: Promised, orders: dict[str, Any]) -> None:
    """Every acknowledged order and cancel is there; no more orders than were sent, and each client id once."""
    for order_id, order in promised.placed.items():
        shown = orders[order_id]
        assert (shown["clientOrderId"], Decimal(shown["price"])) == (order["name"], Decimal(order["price"]))
    assert {orders[one]["status"] for one in promised.cancelled} <= {"CANCELED", "FILLED", "PARTIALLY_CANCELED"}
    assert len(promised.placed) <= len(orders) <= promised.attempts
    assert len({one["clientOrderId"] for one in orders.values()}) == len(orders)


def _explained(orders: dict[str, Any], fills: dict[str, Any], balances: dict[str, tuple[Decimal, Decimal]]) -> None:
    """The balances follow from the fills to the last digit, and what is locked from the open orders."""
    zero = (Decimal(0), Decimal(0))
    bought = sum((Decimal(one["qty"]) for one in fills.values()), Decimal(0))
    paid = sum((Decimal(one["quoteQty"]) + Decimal(one["commission"]) for one in fills.values()), Decimal(0))
    assert sum(balances.get("BTC", zero)) == bought
    assert sum(balances["USDT"]) == Decimal(1_000_000) - paid
    unfilled = [one for one in orders.values() if one["status"] in {"NEW", "PARTIALLY_FILLED"}]
    assert bool(balances["USDT"][1]) == bool(unfilled)
    by_order: dict[str, Decimal] = {}
    for one in fills.values():
        by_order[one["orderId"]] = by_order.get(one["orderId"], Decimal(0)) + Decimal(one["qty"])
    assert {number: Decimal(one["executedQty"]) for number, one in orders.items() if Decimal(one["executedQty"])} == by_order
