"""A bot that does not behave: the same key through stock ccxt and through HTTP requests that it signs by itself."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import httpx

from exchange.model import Millis
from exchange.wire.signing import signature, signed_query
from tests.support.loopback import http_at
from tests.support.rig import ROOT, SYMBOL, Rig
from tests.support.venue_books import VenueBooks

UNIFIED = "BTC/USDT"
LEAST_SALE = Decimal("1.2")
"""In USDT: a little more than the least order of the venue and the policy."""
Params = Sequence[tuple[str, str]]


@dataclass
class Bot:
    """Sends orders and keeps what was answered: ``taken`` counts orders that were accepted, ``refusals`` has every other answer."""

    deployment: Rig
    books: VenueBooks
    exchange: Any
    http: httpx.AsyncClient
    price: Decimal = Decimal(0)
    taken: int = 0
    refusals: list[str] = field(default_factory=list)

    def resting(self, below_bps: int = 50) -> Decimal:
        """A price below the market at which an order rests."""
        return (self.price * (10_000 - below_bps) / 10_000).quantize(Decimal("0.01"))

    def amount(self, eur: str, price: Decimal | None = None) -> Decimal:
        """How much bitcoin that is."""
        return (Decimal(eur) * Decimal("1.09") / (price or self.price)).quantize(Decimal("0.000001"))

    async def order(self, type_: str, side: str, amount: Any, price: Any = None, **params: Any) -> None:
        """One order through ccxt."""
        try:
            await self.exchange.create_order(UNIFIED, type_, side, amount, price, params)
            self.taken += 1
        except (ccxt.BaseError, ArithmeticError) as refusal:
            self.refusals.append(str(refusal))

    async def cancel_all(self) -> None:
        """Every order through ccxt."""
        try:
            await self.exchange.cancel_all_orders(UNIFIED)
        except ccxt.BaseError as refusal:
            self.refusals.append(str(refusal))

    def query(self, params: Params, *, late_ms: int = 0, key: tuple[str, str] | None = None, window: int = 60_000) -> str:
        """A signed query. ``late_ms`` moves its timestamp."""
        at = Millis(time.time_ns() // 1_000_000 + late_ms)
        pairs = [*params, ("recvWindow", str(window)), ("timestamp", str(at))]
        secret = key[1] if key else self.deployment.bot_secret
        return signed_query(pairs, lambda payload: signature(secret, payload))

    async def send(self, query: str, path: str = "/api/v3/order", method: str = "POST", key: str = "") -> httpx.Response:
        """Send exactly this query."""
        headers = {"X-MEXC-APIKEY": key or self.deployment.bot_key, "Content-Type": "application/json"}
        answer = await self.http.request(method, f"{path}?{query}", headers=headers)
        if answer.status_code == 200:
            self.taken += path == "/api/v3/order" and method == "POST"
        else:
            self.refusals.append(answer.text)
        return answer

    async def raw(self, *more: tuple[str, str], **fields: Any) -> httpx.Response:
        """One order by plain HTTP: a small limit buy that rests, changed by ``fields``; ``None`` leaves a field out."""
        usual: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.00003", "price": self.resting()}
        pairs = [(name, str(value)) for name, value in {**usual, **fields}.items() if value is not None]
        return await self.send(self.query([*pairs, *more]))

    async def send_and_leave(self, query: str) -> None:
        """Send an order and close the connection before it can be answered."""
        host, _, port = self.deployment.gateway.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /api/v3/order?{query} HTTP/1.1\r\nHost: {host}\r\nX-MEXC-APIKEY: {self.deployment.bot_key}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _bid(self) -> Decimal:
        """The best bid; a controller that has just started may have no book for a moment."""
        for _ in range(100):
            book = (await self.http.get("/api/v3/ticker/bookTicker", params={"symbol": SYMBOL})).json()
            if "bidPrice" in book:
                return Decimal(book["bidPrice"])
            await asyncio.sleep(0.05)
        raise AssertionError(f"the gateway shows no book: {book}")

    async def begin(self) -> None:
        """Start from nothing: no open order, no bitcoin that can be sold, and a controller that takes orders."""
        await self.deployment.until(lambda status: status["armed"] and status["unknown_orders"] == 0)
        await self.deployment.until(lambda status: status["quote"])
        self.price = await self._bid()
        tries = 0
        while self.books.open_orders() or self.books.held() * self.price > LEAST_SALE:
            tries += 1
            assert tries < 50, f"the account was not emptied: {self.refusals[-2:]}"
            await self.send(self.query([]), "/api/v3/order/all", "DELETE")
            held = self.books.held()
            if not self.books.open_orders() and held:
                # One order may be worth at most 6 EUR.
                part = held if held < self.amount("5.5") else (held / 2).quantize(Decimal("0.000001"))
                await self.raw(side="SELL", type="MARKET", price=None, quantity=part)
            await asyncio.sleep(0.1)
        await self.deployment.until(lambda status: not status["working_orders"])
        self.taken, self.refusals = 0, []
        self.books.begin()


@asynccontextmanager
async def misbehaving(deployment: Rig, books: VenueBooks) -> AsyncIterator[Bot]:
    """A bot of this deployment, with the ccxt client of the demo's bot."""
    spec = importlib.util.spec_from_file_location("demo_bot", ROOT / "ops" / "demo" / "bot.py")
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    exchange = demo.exchange_at(deployment.gateway, deployment.bot_key, deployment.bot_secret)
    exchange.enableRateLimit = False
    try:
        await exchange.load_markets()
        async with http_at(deployment.gateway, timeout=30) as http:
            yield Bot(deployment, books, exchange, http)
    finally:
        await exchange.close()
