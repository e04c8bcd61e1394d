"""ccxt, unmodified, as a trader: REST by ``ccxt.async_support``, streams by ``ccxt.pro`` (mexc-spot-v3.md §8.1, §8.2)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro

from exchange.model import Balance, OrderIntent, OrderStatus, OrderType, Side
from tests.conformance.trader import SYMBOL, ClientOrder, Denied, Levels, Market, StreamState, Trade, until

UNIFIED = "BTC/USDT"
_SIDES = {Side.BUY: "buy", Side.SELL: "sell"}
_OPTIONS: dict[OrderType, dict[str, object]] = {
    OrderType.LIMIT: {},
    OrderType.MARKET: {},
    OrderType.LIMIT_MAKER: {"postOnly": True},
    OrderType.IMMEDIATE_OR_CANCEL: {"timeInForce": "IOC"},
    OrderType.FILL_OR_KILL: {"timeInForce": "FOK"},
}


def point_at(client: Any, base: str, ws: str = "") -> Any:
    """The base addresses, as §8.1 and §8.2 say users override them."""
    client.urls["api"]["spot"] = {"public": base, "private": base}
    client.urls["api"]["contract"] = {"public": base + "/api/v1/contract", "private": base + "/api/v1/private"}
    client.urls["api"]["ws"] = {"spot": ws, "swap": ws}
    return client


@asynccontextmanager
async def closing(client: Any) -> AsyncIterator[Any]:
    """The client, closed at the end."""
    try:
        yield client
    finally:
        await client.close()


class CcxtTrader:
    """One account. ``stream`` is ccxt.pro on it; ``subscriptions`` counts the channels of the venue's private streams."""

    def __init__(self, client: Any, stream: Any = None, subscriptions: Callable[[], int] = lambda: 0) -> None:
        self.client = client
        self._stream = stream
        self._subscriptions = subscriptions
        self._listeners: list[CcxtListener] = []

    async def close(self) -> None:
        """Stop listening."""
        for listener in self._listeners:
            await listener.close()

    async def market(self) -> Market:
        await self.client.load_markets(reload=True)
        one = self.client.market(UNIFIED)
        assert one["active"]
        tick, step, least = one["precision"]["price"], one["precision"]["amount"], one["limits"]["cost"]["min"]
        return Market(*(Decimal(str(value)) for value in (tick, step, least, one["maker"], one["taker"])))

    async def ping(self) -> None:
        assert (await self.client.fetch_status())["status"] == "ok"

    async def time(self) -> int:
        return int(await self.client.fetch_time())

    async def book(self) -> tuple[int, Levels, Levels]:
        book = await self.client.fetch_order_book(UNIFIED, 20)
        return book["nonce"], _levels(book["bids"]), _levels(book["asks"])

    async def depth_of(self, symbol: str) -> None:
        with _denials():
            await self.client.spot_public_get_depth({"symbol": symbol})

    async def public_trades(self) -> list[tuple[Decimal, Decimal]]:
        return [_pair(one, "p", "q") for one in _infos(await self.client.fetch_trades(UNIFIED))]

    async def candles(self) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        rows = await self.client.fetch_ohlcv(UNIFIED, "1m")
        return [(row[0], *(Decimal(str(value)) for value in row[1:])) for row in rows]  # type: ignore[misc]

    async def ticker(self) -> tuple[Decimal, Decimal, Decimal]:
        info = (await self.client.fetch_ticker(UNIFIED))["info"]
        assert UNIFIED in await self.client.fetch_tickers()
        return Decimal(info["lastPrice"]), Decimal(info["bidPrice"]), Decimal(info["askPrice"])

    async def best_prices(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        found = await self.client.fetch_bids_asks()
        return {one["info"]["symbol"]: _pair(one["info"], "bidPrice", "askPrice") for one in found.values()}

    async def fee(self) -> tuple[Decimal, Decimal]:
        fee = await self.client.fetch_trading_fee(UNIFIED)
        return Decimal(str(fee["maker"])), Decimal(str(fee["taker"]))

    async def balance(self) -> Mapping[str, Balance]:
        with _denials():
            rows = (await self.client.fetch_balance())["info"]["balances"]
        return {row["asset"]: Balance(row["asset"], Decimal(row["free"]), Decimal(row["locked"])) for row in rows}

    async def place(self, intent: OrderIntent) -> str:
        return await self._create(intent, {})

    async def dry_run(self, intent: OrderIntent) -> None:
        await self._create(intent, {"test": True})

    async def _create(self, intent: OrderIntent, options: dict[str, object]) -> str:
        params = {"clientOrderId": intent.client_id, **_OPTIONS[intent.type], **options}
        with _denials():
            if intent.quote_quantity is not None:
                placed = await self.client.create_market_buy_order_with_cost(UNIFIED, float(intent.quote_quantity), params)
            else:
                placed = await self.client.create_order(UNIFIED, *_terms(intent), params)
        return str(placed["id"])

    async def place_unrounded(self, intent: OrderIntent) -> None:
        fields = {"symbol": intent.symbol, "side": intent.side.value, "type": intent.type.value}
        numbers = {"quantity": str(intent.quantity), "price": str(intent.price)}
        with _denials():
            await self.client.spot_private_post_order({**fields, **numbers})

    async def batch(self, intents: Sequence[OrderIntent]) -> list[bool]:
        orders = []
        for one in intents:
            type_, side, amount, price = _terms(one)
            orders.append({"symbol": UNIFIED, "type": type_, "side": side, "amount": amount, "price": price})
        return [reply["status"] != "rejected" for reply in await self.client.create_orders(orders)]

    async def order(self, client_id: str) -> ClientOrder:
        with _denials():
            return _client_order((await self.client.fetch_order(None, UNIFIED, {"clientOrderId": client_id}))["info"])

    async def cancel(self, client_id: str) -> None:
        with _denials():
            await self.client.cancel_order(None, UNIFIED, {"clientOrderId": client_id})

    async def cancel_symbol(self) -> None:
        await self.client.cancel_all_orders(UNIFIED)

    async def cancel_everything(self) -> None:
        await self.client.cancel_all_orders()

    async def open_orders(self) -> list[ClientOrder]:
        return [_client_order(info) for info in _infos(await self.client.fetch_open_orders(UNIFIED))]

    async def filled_orders(self) -> list[ClientOrder]:
        return [_client_order(info) for info in _infos(await self.client.fetch_closed_orders(UNIFIED))]

    async def canceled_orders(self) -> list[ClientOrder]:
        return [_client_order(info) for info in _infos(await self.client.fetch_canceled_orders(UNIFIED))]

    async def trades(self) -> list[Trade]:
        return [_trade(info) for info in _infos(await self.client.fetch_my_trades(UNIFIED))]

    async def trades_of(self, order_id: str) -> list[Trade]:
        return [_trade(info) for info in _infos(await self.client.fetch_order_trades(order_id, UNIFIED))]

    async def listen(self) -> CcxtListener:
        listener = CcxtListener(self._stream)
        self._listeners.append(listener)
        before = self._subscriptions()
        listener.start()
        await until(lambda: self._subscriptions() >= before + 3)
        return listener


class CcxtListener:
    """The three private streams of ccxt.pro."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._state = StreamState({}, {}, {})
        self._updated = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start listening; ``watch_*`` returns only after the first push."""
        self._tasks = [
            asyncio.create_task(self._follow(self._client.watch_orders, self._on_orders)),
            asyncio.create_task(self._follow(self._client.watch_my_trades, self._on_trades)),
            asyncio.create_task(self._follow(self._client.watch_balance, self._on_balance)),
        ]

    async def close(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait_until(self, enough: Callable[[StreamState], object]) -> StreamState:
        async with asyncio.timeout(10):
            while not enough(self._state):
                self._updated.clear()
                update = asyncio.ensure_future(self._updated.wait())
                await asyncio.wait([update, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
                update.cancel()
                for task in self._tasks:
                    assert not task.done(), task
        return self._state

    async def _follow(self, watch: Callable[[], Any], note: Callable[[Any], None]) -> None:
        while True:
            note(await watch())
            self._updated.set()

    def _on_orders(self, orders: list[dict[str, Any]]) -> None:
        words = {1: "NEW", 2: "FILLED", 3: "PARTIALLY_FILLED", 4: "CANCELED", 5: "PARTIALLY_CANCELED"}
        pushed = {one["info"]["clientId"]: (OrderStatus(words[one["info"]["status"]]), _executed(one["info"])) for one in orders}
        self._state = StreamState({**self._state.orders, **pushed}, self._state.trades, self._state.balances)

    def _on_trades(self, trades: list[dict[str, Any]]) -> None:
        pushed = {one["id"]: _pushed_trade(one) for one in trades}
        self._state = StreamState(self._state.orders, {**self._state.trades, **pushed}, self._state.balances)

    def _on_balance(self, balance: dict[str, Any]) -> None:
        pushed = {
            name: Balance(name, Decimal(str(row["free"])), Decimal(str(row["used"])))
            for name, row in balance.items()
            if isinstance(row, dict) and name.isupper() and "free" in row
        }
        self._state = StreamState(self._state.orders, self._state.trades, pushed)


class CcxtWatcher:
    """The public streams of ccxt.pro."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._range = (Decimal(0), Decimal(0))
        self.compared = 0

    async def keep_book(self, move: Callable[[], Awaitable[None]]) -> None:
        """It fetches a snapshot after 25 changes and drops the change that contains it, so the market pauses between changes."""
        watching = asyncio.create_task(self._client.watch_order_book(UNIFIED))
        await until(lambda: UNIFIED in self._client.orderbooks)
        cache = self._client.orderbooks[UNIFIED].cache
        for kept in range(1, 27):
            await move()
            await until(lambda kept=kept: len(cache) >= kept or watching.done())  # type: ignore[misc]
        book = await watching
        self._range = (Decimal(str(book["bids"][-1][0])), Decimal(str(book["asks"][-1][0])))

    async def agrees(self, version: int, bids: Levels, asks: Levels) -> bool:
        """Whether the levels within its first hundred are these; it never asks for more (§7.5: others appear when they change).

        Its ``nonce`` is the first version of the last change, not the last one, so this waits for agreement.
        """
        book = self._client.orderbooks[UNIFIED]
        expected = (self._near(bids), self._near(asks))
        self.compared += len(expected[0]) + len(expected[1])
        with suppress(TimeoutError):
            await until(
                lambda: (self._near(_levels(book["bids"][:10])), self._near(_levels(book["asks"][:10]))) == expected, within=2
            )
            return True
        return False

    def _near(self, levels: Levels) -> Levels:
        lowest, highest = self._range
        return [level for level in levels if lowest <= level[0] <= highest]

    async def next_trade(self) -> tuple[Decimal, Decimal]:
        return _pair((await self._client.watch_trades(UNIFIED))[-1], "price", "amount")

    async def next_best_prices(self) -> tuple[Decimal, Decimal]:
        return _pair(await self._client.watch_ticker(UNIFIED), "bid", "ask")

    async def next_candle(self) -> tuple[int, Decimal, Decimal]:
        opened, _, high, low, *_ = (await self._client.watch_ohlcv(UNIFIED, "1m"))[-1]
        return opened // 1000, Decimal(str(high)), Decimal(str(low))


@contextmanager
def _denials() -> Any:
    try:
        yield
    except ccxt.BaseError as error:
        code = re.search(r'"code":\s*(-?\d+)', str(error))
        if code is None:
            raise
        raise Denied(int(code[1]), str(error)) from error


def _terms(intent: OrderIntent) -> tuple[str, str, float, float | None]:
    kind = "market" if intent.type is OrderType.MARKET else "limit"
    price = None if intent.price is None else float(intent.price)
    return kind, _SIDES[intent.side], float(intent.quantity or 0), price


def _levels(rows: Sequence[Sequence[Any]]) -> Levels:
    return [(Decimal(str(price)), Decimal(str(quantity))) for price, quantity, *_ in rows]


def _pair(row: Mapping[str, Any], first: str, second: str) -> tuple[Decimal, Decimal]:
    return Decimal(str(row[first])), Decimal(str(row[second]))


def _infos(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [row["info"] for row in rows]


def _client_order(info: Mapping[str, Any]) -> ClientOrder:
    assert info["symbol"] == SYMBOL
    numbers = (Decimal(info[name]) for name in ("price", "origQty", "executedQty"))
    return ClientOrder(info["orderId"], info["clientOrderId"], OrderStatus(info["status"]), *numbers)


def _trade(info: Mapping[str, Any]) -> Trade:
    numbers = (Decimal(info[name]) for name in ("price", "qty", "quoteQty", "commission"))
    side = Side.BUY if info["isBuyer"] else Side.SELL
    return Trade(info["id"], info["orderId"], side, *numbers, info["commissionAsset"], bool(info["isMaker"]))


def _executed(info: Mapping[str, Any]) -> Decimal:
    return Decimal(info.get("cumulativeQuantity") or 0)


def _pushed_trade(trade: Mapping[str, Any]) -> Trade:
    """ccxt.pro keeps the protobuf fields under ``info`` (and does not know who was the maker)."""
    info = trade["info"]
    numbers = (Decimal(info[name]) for name in ("price", "quantity", "amount", "feeAmount"))
    side = Side.BUY if info["tradeType"] == 1 else Side.SELL
    return Trade(info["tradeId"], info["orderId"], side, *numbers, info["feeCurrency"], bool(info.get("isMaker")))
