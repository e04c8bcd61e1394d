"""The small interface that wraps every client of the conformance cases, in exact numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Protocol

from exchange.model import Balance, OrderIntent, OrderStatus, OrderType, Side
from exchange.testnet.server import RunningTestnet

SYMBOL, BASE, QUOTE = "BTCUSDT", "BTC", "USDT"
LITTLE = Decimal("0.00003")
"""A quantity small enough for a deployment with a limit of ten euro, large enough for the venue's minimum."""

Levels = Sequence[tuple[Decimal, Decimal]]

_numbers = count(1)


class Denied(Exception):
    """The venue refused; ``code`` is MEXC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Market:
    """The rules of a symbol, as a client reads them before it trades."""

    tick: Decimal
    step: Decimal
    min_notional: Decimal
    maker: Decimal
    taker: Decimal


@dataclass(frozen=True, slots=True)
class ClientOrder:
    """An order as a client sees it. ``status`` is the venue's own status."""

    order_id: str
    client_id: str
    status: OrderStatus
    price: Decimal
    quantity: Decimal
    executed: Decimal


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade of ours as a client sees it."""

    trade_id: str
    order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a private stream has pushed so far: the latest state of each order and asset."""

    orders: Mapping[str, tuple[OrderStatus, Decimal]]
    trades: Mapping[str, Trade]
    balances: Mapping[str, Balance]


class Listener(Protocol):
    """A subscribed private stream."""

    async def wait_until(self, enough: Callable[[StreamState], object]) -> StreamState:
        """Wait until the pushed state is ``enough``."""
        ...


class Trader(Protocol):
    """One account of one venue, through one client. Everything about orders raises ``Denied``."""

    async def market(self) -> Market: ...

    async def time(self) -> int: ...

    async def book(self) -> tuple[int, Levels, Levels]:
        """The version, bids and asks; a client that keeps its own book waits until it is up to date."""
        ...

    async def balance(self) -> Mapping[str, Balance]: ...

    async def place(self, intent: OrderIntent) -> str:
        """The venue's id of the new order."""
        ...

    async def order(self, client_id: str) -> ClientOrder: ...

    async def cancel(self, client_id: str) -> None: ...

    async def cancel_symbol(self) -> None: ...

    async def open_orders(self) -> list[ClientOrder]: ...

    async def trades(self) -> list[Trade]: ...

    async def listen(self) -> Listener:
        """Subscribe to the private stream; later events are received."""
        ...


class ForeignTrader(Trader, Protocol):
    """What a client that was not written for gatehouse can do in addition."""

    async def ping(self) -> None: ...

    async def public_trades(self) -> list[tuple[Decimal, Decimal]]:
        """Prices and quantities."""
        ...

    async def candles(self) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        """Opening time, open, high, low, close and volume of one-minute candles."""
        ...

    async def ticker(self) -> tuple[Decimal, Decimal, Decimal]:
        """Last price, bid and ask."""
        ...

    async def best_prices(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Bid and ask by symbol."""
        ...

    async def fee(self) -> tuple[Decimal, Decimal]:
        """Maker's and taker's."""
        ...

    async def dry_run(self, intent: OrderIntent) -> None: ...

    async def batch(self, intents: Sequence[OrderIntent]) -> list[bool]:
        """Which of them were placed."""
        ...

    async def filled_orders(self) -> list[ClientOrder]: ...

    async def canceled_orders(self) -> list[ClientOrder]: ...

    async def trades_of(self, order_id: str) -> list[Trade]: ...

    async def cancel_everything(self) -> None: ...

    async def place_unrounded(self, intent: OrderIntent) -> None:
        """Send the numbers without rounding."""
        ...

    async def depth_of(self, symbol: str) -> None: ...


class Watcher(Protocol):
    """A client that listens to public streams."""

    async def keep_book(self, move: Callable[[], Awaitable[None]]) -> None:
        """Start to keep the book. The market is paused; ``move`` advances it a little."""
        ...

    async def agrees(self, version: int, bids: Levels, asks: Levels) -> bool:
        """Whether its best ten levels are these, once it has received everything up to this version."""
        ...

    async def next_trade(self) -> tuple[Decimal, Decimal]:
        """Price and quantity of a public trade."""
        ...

    async def next_best_prices(self) -> tuple[Decimal, Decimal]:
        """Best bid and ask."""
        ...

    async def next_candle(self) -> tuple[int, Decimal, Decimal]:
        """Opening time in seconds, high and low of a one-minute candle."""
        ...


def intent(
    side: Side, type_: OrderType, quantity: Decimal | None, price: Decimal | None, quote: Decimal | None = None, name: str = ""
) -> OrderIntent:
    """An order with an unused client id."""
    return OrderIntent(SYMBOL, side, type_, name or f"case-{next(_numbers)}", quantity, quote, price)


async def limit(
    trader: Trader, side: Side, *, away: str, quantity: Decimal = LITTLE, type_: OrderType = OrderType.LIMIT
) -> OrderIntent:
    """An order whose price is a fraction ``away`` from the other side's best: below zero it rests, above it crosses."""
    _, bids, asks = await trader.book()
    best, sign = (asks[0][0], 1) if side is Side.BUY else (bids[0][0], -1)
    return intent(side, type_, quantity, (best * (1 + sign * Decimal(away))).quantize(Decimal("0.01")))


async def resting(trader: Trader, side: Side = Side.BUY, quantity: Decimal = LITTLE) -> OrderIntent:
    """An order half a percent away from where it would trade."""
    return await limit(trader, side, away="-0.005", quantity=quantity)


async def crossing(trader: Trader, side: Side = Side.BUY, quantity: Decimal = LITTLE) -> OrderIntent:
    """An order half a percent through the book."""
    return await limit(trader, side, away="0.005", quantity=quantity)


async def larger_than_the_top(trader: Trader, testnet: RunningTestnet, type_: OrderType = OrderType.LIMIT) -> OrderIntent:
    """A buy for more than the best six levels hold, at the sixth's price. The market is paused afterwards.

    It advances first, because a quantity that another account consumed is gone although it is still displayed.
    """
    version = testnet.venue.engine.depth(SYMBOL, 1)[0]
    await until(lambda: testnet.venue.engine.depth(SYMBOL, 1)[0] > version + 10)
    testnet.venue.pause()
    _, _, asks = await trader.book()
    return intent(Side.BUY, type_, sum((shown for _, shown in asks[:6]), Decimal("0.5")), asks[5][0])


async def until(done: Callable[[], object], within: float = 60) -> None:
    """Wait until the other side of a socket has arrived at a state."""
    async with asyncio.timeout(within):
        while not done():  # noqa: ASYNC110 - the other side of a socket has no event to wait for
            await asyncio.sleep(0.01)
