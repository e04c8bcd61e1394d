"""Bots in a rehearsal: what a bot may use, and the bot that trades when none is named.

A bot is a coroutine ``trade(port)``. It trades over the gateway's real application with signed requests, and waits for time with
``port.sleep``. It must wait for nothing else: a thread, a socket or the world's clock has no place in virtual time.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from controller.rehearsal.folder import GATEWAY, Folder
from controller.rehearsal.network import InsideTransport, Sites
from controller.version import SOURCE_ROOT
from exchange.errors import ConfigError
from exchange.mexc.http import Failure, Method
from exchange.ports import Clock
from exchange.wire.signing import encode_params, signature, signed_query

WITHIN_S = 30.0
_HEADERS = {"Host": "127.0.0.1:8700", "Content-Type": "application/json"}


class Refused(Exception):
    """The gateway answered with an error, or not at all (``code`` 0)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(slots=True)
class BotPort:
    """What a bot has: the gateway, the time, and chance from the rehearsal's seed. ``sent`` and ``refused`` count its orders."""

    transport: InsideTransport
    key: str
    secret: str
    clock: Clock
    rng: Random
    symbol: str = "BTCUSDT"
    sent: int = 0
    refused: int = 0
    last_said: str = ""

    def said(self, *words: object, **_: object) -> None:
        """Keep the last line that a program prints."""
        self.last_said = " ".join(map(str, words))

    async def public(self, path: str, **params: str) -> Any:
        """An unsigned GET. Raises ``Refused``."""
        return await self._ask(Method.GET, path, encode_params(list(params.items())), _HEADERS)

    async def signed(self, method: str, path: str, **params: str) -> Any:
        """A signed request. Raises ``Refused``."""
        pairs = [*params.items(), ("timestamp", str(self.clock.now()))]
        query = signed_query(pairs, lambda payload: signature(self.secret, payload))
        return await self._ask(Method(method), path, query, {**_HEADERS, "X-MEXC-APIKEY": self.key})

    async def order(self, side: str, price: Decimal, quantity: Decimal, name: str, kind: str = "LIMIT") -> Any:
        """Place one order. Raises ``Refused``."""
        self.sent += 1
        try:
            return await self.signed(
                "POST",
                "/api/v3/order",
                symbol=self.symbol,
                side=side,
                type=kind,
                quantity=f"{quantity:f}",
                price=f"{price:f}",
                newClientOrderId=name,
            )
        except Refused:
            self.refused += 1
            raise

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _ask(self, method: Method, path: str, query: str, headers: dict[str, str]) -> Any:
        outcome = await self.transport.send(method, path, query, headers)
        if isinstance(outcome, Failure):
            raise Refused(0, outcome.reason)
        answer = json.loads(outcome.body)
        if outcome.status >= 400:
            raise Refused(int(answer.get("code", outcome.status)), str(answer.get("msg", "")))
        return answer


Trade = Callable[[BotPort], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot and the bytes that its release is named by."""

    name: str
    trade: Trade
    code: bytes


def open_port(folder: Folder, sites: Sites, clock: Clock, rng: Random) -> BotPort:
    """What the bot of this deployment has."""
    transport = InsideTransport(sites.at(GATEWAY), WITHIN_S)
    return BotPort(transport, folder.bot_key, folder.bot_secret, clock, rng)


async def run_bot(bot: Bot, port: BotPort) -> str:
    """Let a bot trade, and return how it ended. Whatever it raises ends the bot alone, not the rehearsal."""
    try:
        await bot.trade(port)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return repr(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's program
        return repr(error)
    return "it returned"


def load_bot(name: str | None) -> Bot:
    """The bot of a module (``package.module``), whose coroutine ``trade`` is it; without a name the built-in one.

    ``CLIENT PROGRAM`` is a program on a client library, run by the adapter ``ops/demo/virtual_CLIENT.py``.

    Raises:
        ConfigError: there is no such module or program, or it has no ``trade``.
    """
    if name is None:
        return Bot("quoter", quote_both_sides, Path(__file__).read_bytes())
    client, apart, program = name.partition(" ")
    if apart:
        return _on_client(client, Path(program.strip()))
    try:
        module = importlib.import_module(name)
        trade, file = module.trade, module.__file__
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's program
        raise _no_bot(name, f"{type(error).__name__}: {error}") from None
    if not inspect.iscoroutinefunction(trade):
        raise _no_bot(name, "its `trade` is no coroutine")
    return Bot(name, trade, Path(file).read_bytes() if file else hashlib.sha256(name.encode()).digest())


def _no_bot(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"{name} is no bot: {why}",
        code="rehearsal-bot",
        remedy="Name an importable module with `async def trade(port)`; ops/docs/rehearsal.md shows one.",
    )


def _on_client(client: str, program: Path) -> Bot:
    try:
        code = program.read_bytes()
        spec = importlib.util.spec_from_file_location("adapter", SOURCE_ROOT / "ops" / "demo" / f"virtual_{client}.py")
        assert spec is not None, "a path with .py has a loader"
        assert spec.loader is not None
        adapter = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(adapter)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's program
        raise ConfigError(
            f"{program} cannot trade in a rehearsal: {error}",
            code="rehearsal-bot",
            remedy="Name a client that ops/demo has an adapter for, and a program with `async def main(gateway, key, secret)`.",
        ) from None
    return Bot(program.stem, adapter.trader(program.resolve()), code)


ROUND_S = 20.0
ORDER_DOLLARS, HELD_MOST, ENOUGH = Decimal(2), Decimal(4), Decimal("1.5")
_STEP, _TICK = Decimal("0.000001"), Decimal("0.01")
_BEHIND = Decimal("0.0002")


async def quote_both_sides(port: BotPort) -> None:
    """The built-in bot: every 20 s it cancels what rests, and rests a small bid and, while it holds bitcoin, a small offer."""
    number = 0
    while True:
        number += 1
        try:
            await _round(port, number)
        except Refused:
            # The next round looks again.
            await port.sleep(1)
        await port.sleep(ROUND_S)


async def _round(port: BotPort, number: int) -> None:
    book = await port.public("/api/v3/ticker/bookTicker", symbol=port.symbol)
    bid, ask = Decimal(book["bidPrice"]), Decimal(book["askPrice"])
    for order in await port.signed("GET", "/api/v3/openOrders", symbol=port.symbol):
        await port.signed("DELETE", "/api/v3/order", symbol=port.symbol, orderId=order["orderId"])
    account = await port.signed("GET", "/api/v3/account")
    held = next((Decimal(one["free"]) for one in account["balances"] if one["asset"] == "BTC"), Decimal(0))
    quantity = (ORDER_DOLLARS / bid).quantize(_STEP)
    if held * bid >= ENOUGH:
        selling = min(held, quantity) if held * bid >= ENOUGH + ORDER_DOLLARS else held
        await port.order("SELL", (ask * (1 + _BEHIND)).quantize(_TICK), selling, f"s{number}")
    if held * bid + ORDER_DOLLARS <= HELD_MOST:
        await port.order("BUY", (bid * (1 - _BEHIND)).quantize(_TICK), quantity, f"b{number}")
